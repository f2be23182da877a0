//! A row as it lies in the arena of its table's map.
//!
//! Words: the sequence number of the change that wrote it, with the flags in the upper four bits; if it is versioned, its writer
//! and its undo pointer; the value's bytes. It never changes: who changes the row writes another cell.

use crate::skiplist::{CLOSED, Entry, Guard, Offset, Value};
use aether_page::UndoPtr;
use aether_page::node::{Flags, Row};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Psn, TxnId, Writer};
use std::borrow::Cow;

/// The payload of an entry whose row is not there: its first change is under way, or has failed.
pub(super) const EMPTY: u64 = 0;

const FLAGS_SHIFT: u32 = 60;
/// The row is not there, whatever an older layer says. Only as long as that is not known.
const REMOVED: u64 = 8;

/// A row, or none, and the number of the change that left it so.
#[derive(Clone, Copy)]
pub(super) struct Cell<'g>(Value<'g>);

/// The bytes of a cell.
pub(super) fn encode(psn: Psn, row: Option<&Row<'_>>) -> Vec<u8> {
    let flags = row.map_or(REMOVED, |row| u64::from(row.flags().bits()));
    let mut out = Vec::with_capacity(24 + row.map_or(0, |row| row.value.len()));
    out.put_u64(psn.get() | flags << FLAGS_SHIFT);
    if let Some((writer, undo)) = row.and_then(|row| row.version) {
        out.put_u64(writer.get());
        out.put_u64(undo.word());
    }
    out.put_bytes(row.map_or(&[], |row| &row.value));
    out
}

impl<'g> Cell<'g> {
    /// What a payload stands for; none for an entry without a row.
    #[inline]
    pub(super) fn of(pin: &'g Guard<'_>, payload: u64) -> Option<Self> {
        if payload == EMPTY || payload == CLOSED {
            return None;
        }
        pin.value(Offset::new(payload as u32)).map(Self)
    }

    /// The same of an entry now.
    pub(super) fn in_entry(pin: &'g Guard<'_>, entry: &Entry<'_>) -> Option<Self> {
        Self::of(pin, entry.payload())
    }

    fn head(self) -> u64 {
        self.0.word(0)
    }

    /// The number of the change that wrote it.
    pub(super) fn psn(self) -> Psn {
        Psn::new(self.head() & ((1 << FLAGS_SHIFT) - 1))
    }

    /// True for a row that was removed.
    #[inline]
    pub(super) fn is_removed(self) -> bool {
        self.head() >> FLAGS_SHIFT & REMOVED != 0
    }

    /// The row's flags.
    #[inline]
    pub(super) fn flags(self) -> Flags {
        Flags::from_bits((self.head() >> FLAGS_SHIFT) as u8 & 7).unwrap_or_default()
    }

    /// Its writer, and where its before-image is.
    #[inline]
    pub(super) fn version(self) -> Option<(TxnId, UndoPtr)> {
        let is_versioned = self.flags().is_versioned();
        is_versioned.then(|| (TxnId::new(self.0.word(1)), UndoPtr::from_word(self.0.word(2))))
    }

    fn value_at(self) -> usize {
        if self.flags().is_versioned() { 24 } else { 8 }
    }

    /// Bytes of the value or stub.
    pub(super) fn value_bytes(self) -> usize {
        self.0.len().saturating_sub(self.value_at())
    }

    /// Appends the value or stub to `out`.
    #[inline]
    pub(super) fn value_into(self, out: &mut Vec<u8>) {
        self.0.append_from(self.value_at(), out);
    }

    /// A copy of the row; none if it was removed.
    pub(super) fn to_row(self) -> Option<Row<'static>> {
        if self.is_removed() {
            return None;
        }
        let (flags, mut value) = (self.flags(), Vec::new());
        self.value_into(&mut value);
        let (ghost, overflow) = (flags.is_ghost(), flags.is_overflow());
        Some(Row { ghost, overflow, version: self.version(), value: Cow::Owned(value) })
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::skiplist::{Skiplist, SkiplistConfig};
    use aether_types::PageNo;

    #[test]
    fn rows_round_trip() {
        let config = SkiplistConfig { memory_bytes_max: 1 << 16, seed: 1, is_removable: true };
        let map = Skiplist::new(config).unwrap();
        let pin = map.pin();
        let versioned = Row::versioned(TxnId::new(9), UndoPtr::new(PageNo::new(3), 4), b"some value");
        let ghost = Row { ghost: true, ..Row::versioned(TxnId::new(9), UndoPtr::none(), b"") };
        let psn = Psn::new(Psn::END - 1);
        for row in [versioned, ghost, Row::bare(b""), Row { overflow: true, ..Row::bare(b"12345678") }] {
            let at = pin.add_value(&encode(psn, Some(&row))).unwrap();
            let cell = Cell::of(&pin, at.get().into()).unwrap();
            assert_eq!(cell.psn(), psn);
            assert_eq!(cell.to_row(), Some(row));
        }
        let at = pin.add_value(&encode(Psn::new(1), None)).unwrap();
        let cell = Cell::of(&pin, at.get().into()).unwrap();
        assert_eq!((cell.is_removed(), cell.to_row(), cell.psn()), (true, None, Psn::new(1)));
        assert!(Cell::of(&pin, EMPTY).is_none() && Cell::of(&pin, CLOSED).is_none());
    }
}
