//! Undo records: before-images, logged once, on undo pages.
//!
//! ```text
//! transaction (8) | previous record of the transaction (8) | kind (1), with bit 7 if the index is no B+tree |
//! old flags (1), with bit 7 if the old row was versioned, bit 6 if the old value is in parts |
//! if it is none: the kind of the index (varint) | tree root page (varint) | tree id (varint) | key (string) | if the old row was versioned: its writer (8) and undo pointer (8) |
//! old value (string; update only; if it is in [parts](crate::parts), its length as a varint)
//! ```

use aether_page::UndoPtr;
use aether_recovery::wal::buffer::page as aether_page;
use aether_types::{Error, IndexKind, PageNo, Reader, Result, TxnId, Writer};

/// In the byte of an undo record's kind: the kind of the index follows.
const KIND_FOLLOWS: u8 = 0x80;
/// In the byte of the old flags: the old row was versioned.
const VERSIONED: u8 = 0x80;
/// In the byte of the old flags: the old value is in parts.
const IN_PARTS: u8 = 0x40;

/// What is to be undone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum UndoKind {
    /// The row was not there: remove it.
    Insert = 1,
    /// The row was there: put it back.
    Update = 2,
    /// A tree was created: free it.
    CreateTree = 3,
    /// Extents were written: free them. The key is empty, the value the stub that lists them.
    WriteExtents = 4,
    /// Nothing: a part of the old value of the record that follows. The key is empty.
    Part = 5,
}

impl UndoKind {
    fn from_raw(raw: u8, reader: &Reader<'_>) -> Result<Self> {
        Ok(match raw {
            1 => Self::Insert,
            2 => Self::Update,
            3 => Self::CreateTree,
            4 => Self::WriteExtents,
            5 => Self::Part,
            other => return Err(reader.bad(format!("an undo record of unknown kind {other}"))),
        })
    }
}

/// One change, as it can be undone, and as older snapshots see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UndoRecord<'a> {
    /// Who made the change.
    pub txn: TxnId,
    /// The change before it in the same transaction.
    pub previous: UndoPtr,
    /// What was changed.
    pub kind: UndoKind,
    /// The old row's slot flags.
    pub flags: u8,
    /// The old value is in the records before this one ([`Txn::log_parts`](crate::Txn::log_parts)); what stands here is its length.
    pub in_parts: bool,
    /// The kind of the index: whose undo it is.
    pub index: IndexKind,
    /// The root of the tree.
    pub root: PageNo,
    /// The tree's id.
    pub tree: u32,
    /// The whole key.
    pub key: &'a [u8],
    /// Who wrote the old row, unless it was bare.
    pub version: Option<(TxnId, UndoPtr)>,
    /// The old value as it stood in the leaf.
    pub value: &'a [u8],
}

impl<'a> UndoRecord<'a> {
    /// Encodes the record.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(48 + self.key.len() + self.value.len());
        out.put_u64(self.txn.get());
        out.put_u64(self.previous.word());
        let is_tree = self.index == IndexKind::BTREE;
        out.put_u8(self.kind as u8 | if is_tree { 0 } else { KIND_FOLLOWS });
        let versioned = if self.version.is_some() { VERSIONED } else { 0 };
        let in_parts = if self.in_parts { IN_PARTS } else { 0 };
        out.put_u8(self.flags & !(VERSIONED | IN_PARTS) | versioned | in_parts);
        if !is_tree {
            out.put_varint(u64::from(self.index.get()));
        }
        out.put_varint(self.root.get());
        out.put_varint(u64::from(self.tree));
        out.put_string(self.key);
        if let Some((writer, undo)) = self.version {
            out.put_u64(writer.get());
            out.put_u64(undo.word());
        }
        out.put_string(self.value);
        out
    }

    /// Decodes a record.
    ///
    /// # Errors
    /// `Corruption`.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let txn = TxnId::new(reader.u64()?);
        let previous = UndoPtr::from_word(reader.u64()?);
        let raw = reader.u8()?;
        let kind = UndoKind::from_raw(raw & !KIND_FOLLOWS, &reader)?;
        let raw_flags = reader.u8()?;
        let index = match raw & KIND_FOLLOWS {
            0 => IndexKind::BTREE,
            _ => IndexKind::new(reader.varint_below(1 << 32)? as u32),
        };
        let root = PageNo::new(reader.varint_below(PageNo::END)?);
        let tree = reader.varint_below(1 << 32)? as u32;
        let key = reader.string()?;
        let version = match raw_flags & VERSIONED {
            0 => None,
            _ => Some((TxnId::new(reader.u64()?), UndoPtr::from_word(reader.u64()?))),
        };
        let value = reader.string()?;
        reader.finish()?;
        let (flags, in_parts) = (raw_flags & !(VERSIONED | IN_PARTS), raw_flags & IN_PARTS != 0);
        Ok(Self { txn, previous, kind, flags, in_parts, index, root, tree, key, version, value })
    }
}

/// Follows a chain of undo records, and notices if it leads back into itself, as only damaged pages can make it. Takes no
/// memory: Brent, "An Improved Monte Carlo Factorization Algorithm" (BIT 20, 1980), section 2.
#[derive(Debug)]
pub struct ChainWalk {
    anchor: UndoPtr,
    steps: u64,
    turn: u64,
}

impl Default for ChainWalk {
    fn default() -> Self {
        Self { anchor: UndoPtr::none(), steps: 0, turn: 1 }
    }
}

impl ChainWalk {
    /// The walk comes to `at`.
    ///
    /// # Errors
    /// `Corruption` if it has been there, after at most three times as many steps as the chain has records.
    #[inline]
    pub fn visit(&mut self, at: UndoPtr) -> Result<()> {
        if at == self.anchor && !at.is_none() {
            return Err(Error::corruption("undo records lead back to themselves").at_page(at.page()));
        }
        self.steps += 1;
        if self.steps == self.turn {
            (self.anchor, self.turn) = (at, 2 * self.turn);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_walk_ends_where_it_began_to_repeat() {
        for (lead, cycle) in [(0, 1), (0, 2), (1, 1), (3, 7), (100, 1), (2, 50)] {
            let mut walk = ChainWalk::default();
            let place = |step: u64| if step < lead { step } else { lead + (step - lead) % cycle };
            let visit = |step| walk.visit(UndoPtr::new(PageNo::new(1 + place(step)), 0));
            let ended = (0..).map(visit).take_while(Result::is_ok).count() as u64;
            assert!(ended >= lead + cycle && ended <= 3 * (lead + cycle), "{lead} {cycle} {ended}");
        }
        let mut walk = ChainWalk::default();
        (0..1000).for_each(|step| walk.visit(UndoPtr::new(PageNo::new(1 + step), 0)).unwrap());
    }

    #[test]
    fn records_round_trip() {
        let record = UndoRecord {
            txn: TxnId::new(9),
            previous: UndoPtr::new(PageNo::new(5), 6),
            kind: UndoKind::Update,
            flags: 3,
            in_parts: false,
            index: IndexKind::BTREE,
            root: PageNo::new(77),
            tree: 2,
            key: b"key",
            version: Some((TxnId::new(8), UndoPtr::none())),
            value: b"value",
        };
        let bytes = record.encode();
        assert_eq!(UndoRecord::decode(&bytes).unwrap(), record);
        (0..bytes.len()).for_each(|end| assert!(UndoRecord::decode(&bytes[..end]).is_err()));
        let in_parts = UndoRecord { in_parts: true, ..record.clone() };
        assert_eq!(UndoRecord::decode(&in_parts.encode()).unwrap(), in_parts);
        let other = UndoRecord { index: IndexKind::new(300), ..record };
        let longer = other.encode();
        assert_eq!(UndoRecord::decode(&longer).unwrap(), other);
        assert_eq!(longer.len(), bytes.len() + 2, "only what is no B+tree's names its kind");
        (0..longer.len()).for_each(|end| assert!(UndoRecord::decode(&longer[..end]).is_err()));
    }
}
