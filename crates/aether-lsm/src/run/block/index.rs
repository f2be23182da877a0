//! The lower level of the index: which data block a key is in.

use super::{Frame, INDEX, Rest, SLOTS_AT};
use aether_index::txn::recovery::wal::buffer::page::{Swip, View};
use aether_types::PageNo;

/// An index block to read. An entry stands for one data block, or for several that hold versions of one key: the first may
/// begin with other keys.
#[derive(Clone, Copy)]
pub(in crate::run) struct Index<'a> {
    frame: Frame<'a>,
}

impl<'a> Index<'a> {
    /// None for what is no index block.
    #[inline]
    pub(in crate::run) fn open(view: View<'a>) -> Option<Self> {
        Some(Self { frame: Frame::open(view, INDEX, 2)? })
    }

    /// Entries.
    pub(in crate::run) fn len(&self) -> usize {
        self.frame.count
    }

    /// The entry in whose blocks `key` is, if it is anywhere.
    #[inline]
    pub(in crate::run) fn find(&self, key: &[u8]) -> usize {
        let rest = match self.frame.rest(key) {
            Rest::Before => return 0,
            Rest::Behind => return self.frame.count - 1,
            Rest::Inside(rest) => rest,
        };
        let compare = |slot| {
            let mut at = self.frame.entry_at(slot);
            let more = self.frame.varint(&mut at);
            let len = more.and_then(|_| self.frame.length(&mut at)).unwrap_or(0);
            self.frame.view.compare(at, len, rest)
        };
        self.frame.search(rest, compare).unwrap_or(0)
    }

    /// The key at or above which an entry's keys are, and below which those before it. None for what cannot be.
    pub(in crate::run) fn separator(&self, entry: usize) -> Option<Vec<u8>> {
        let (frame, mut key) = (&self.frame, Vec::new());
        let mut at = frame.entry_at(entry);
        frame.varint(&mut at)?;
        let len = frame.length(&mut at)?;
        frame.view.append_to(frame.prefix_at, frame.prefix_len, &mut key);
        frame.view.append_to(at, len, &mut key);
        Some(key)
    }

    /// The word in which the reference to an entry's first block stands.
    #[inline]
    pub(in crate::run) fn word_of(&self, entry: usize) -> usize {
        SLOTS_AT / 8 + self.frame.count + entry
    }

    /// The reference to an entry's first block.
    #[inline]
    pub(in crate::run) fn swip(&self, entry: usize) -> Swip {
        Swip::from_word(self.frame.view.word(self.word_of(entry)))
    }

    /// How many blocks follow the first one of an entry; no more than there are page numbers.
    #[inline]
    pub(in crate::run) fn following(&self, entry: usize) -> u64 {
        self.frame.varint(&mut self.frame.entry_at(entry)).map_or(0, |count| count.min(PageNo::END))
    }
}
