//! Undo records: before-images, logged once, on undo pages.
//!
//! ```text
//! transaction (8) | previous record of the transaction (8) | kind (1) | old flags (1) | tree root page (varint) |
//! tree id (varint) | key (string) | if the old row was versioned: its writer (8) and undo pointer (8) |
//! old value (string; update only)
//! ```

use aether_page::UndoPtr;
use aether_recovery::wal::buffer::page as aether_page;
use aether_types::{PageNo, Reader, Result, TxnId, Writer};

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
}

impl UndoKind {
    fn from_raw(raw: u8, reader: &Reader<'_>) -> Result<Self> {
        Ok(match raw {
            1 => Self::Insert,
            2 => Self::Update,
            3 => Self::CreateTree,
            4 => Self::WriteExtents,
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
        out.put_u8(self.kind as u8);
        out.put_u8(self.flags & 0x7f | u8::from(self.version.is_some()) << 7);
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
        let kind = UndoKind::from_raw(reader.u8()?, &reader)?;
        let flags = reader.u8()?;
        let root = PageNo::new(reader.varint_below(PageNo::END)?);
        let tree = reader.varint_below(1 << 32)? as u32;
        let key = reader.string()?;
        let version = match flags & 0x80 {
            0 => None,
            _ => Some((TxnId::new(reader.u64()?), UndoPtr::from_word(reader.u64()?))),
        };
        let value = reader.string()?;
        reader.finish()?;
        Ok(Self { txn, previous, kind, flags: flags & 0x7f, root, tree, key, version, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let record = UndoRecord {
            txn: TxnId::new(9),
            previous: UndoPtr::new(PageNo::new(5), 6),
            kind: UndoKind::Update,
            flags: 3,
            root: PageNo::new(77),
            tree: 2,
            key: b"key",
            version: Some((TxnId::new(8), UndoPtr::none())),
            value: b"value",
        };
        let bytes = record.encode();
        assert_eq!(UndoRecord::decode(&bytes).unwrap(), record);
        (0..bytes.len()).for_each(|end| assert!(UndoRecord::decode(&bytes[..end]).is_err()));
    }
}
