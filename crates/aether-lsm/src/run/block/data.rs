//! Data blocks.

use super::{BASE_AT, DATA, Frame, Rest};
use crate::run::version::{Entry, Kind};
use aether_index::txn::recovery::wal::buffer::page::View;
use aether_types::Timestamp;
use core::cmp::Ordering;
use core::ops::Range;

pub(super) const KIND_MASK: u8 = 3;
pub(super) const HAS_TIMESTAMP: u8 = 4;
/// Another version of the key before.
pub(super) const AGAIN: u8 = 8;

/// A data block to read.
#[derive(Clone, Copy)]
pub(in crate::run) struct Data<'a> {
    frame: Frame<'a>,
    base: u64,
}

/// An entry, in offsets.
struct Parsed {
    flags: u8,
    timestamp: Timestamp,
    shared: usize,
    suffix: Range<usize>,
    value: Range<usize>,
}

/// What a block says of a key.
pub(in crate::run) enum Found {
    /// The newest version that the snapshot sees.
    Version {
        timestamp: Timestamp,
        kind: Kind,
        /// Where its value is in the page.
        value: Range<usize>,
    },
    /// No version, neither here nor behind.
    Absent,
    /// The block ends with versions of the key that are too new: more may stand in the next one.
    GoesOn,
}

impl<'a> Data<'a> {
    /// None for what is no data block.
    #[inline]
    pub(in crate::run) fn open(view: View<'a>) -> Option<Self> {
        Some(Self { frame: Frame::open(view, DATA, 1)?, base: view.word(BASE_AT / 8) })
    }

    /// How many windows the block has.
    pub(in crate::run) fn windows(&self) -> usize {
        self.frame.count
    }

    #[inline]
    fn parse(&self, at: usize) -> Option<Parsed> {
        let frame = &self.frame;
        let flags = frame.view.u64_at(at) as u8;
        let mut at = at + 1;
        let (shared, suffix_len) = (frame.length(&mut at)?, frame.length(&mut at)?);
        let value_len = if flags & KIND_MASK == Kind::Tombstone as u8 { 0 } else { frame.length(&mut at)? };
        let timestamp = match flags & HAS_TIMESTAMP {
            0 => 0,
            _ => self.base.checked_add(frame.varint(&mut at)?)?,
        };
        let suffix = at..at + suffix_len;
        let value = suffix.end..suffix.end + value_len;
        let timestamp = Timestamp::new(timestamp);
        (value.end <= frame.end).then_some(Parsed { flags, timestamp, shared, suffix, value })
    }

    /// Compares the key of a slot, which is stored whole, with `rest`.
    fn compare(&self, slot: usize, rest: &[u8]) -> Ordering {
        let Some(entry) = self.parse(self.frame.entry_at(slot)) else { return Ordering::Less };
        self.frame.view.compare(entry.suffix.start, entry.suffix.len(), rest)
    }

    /// The slot from which on a key is to be looked for; none if it lies before all.
    #[inline]
    fn first_slot(&self, rest: &[u8]) -> Option<usize> {
        let mut slot = self.frame.search(rest, |slot| self.compare(slot, rest))?;
        // Newer versions of the same key may stand before.
        while slot > 0 && self.is_again(slot) && self.compare(slot, rest) == Ordering::Equal {
            slot -= 1;
        }
        Some(slot)
    }

    #[inline]
    fn window_end(&self, slot: usize) -> usize {
        if slot + 1 < self.frame.count { self.frame.entry_at(slot + 1) } else { self.frame.end }
    }

    fn is_again(&self, slot: usize) -> bool {
        self.frame.view.u64_at(self.frame.entry_at(slot)) as u8 & AGAIN != 0
    }

    /// The newest version of `key` that `snapshot` sees; none if the block cannot be.
    #[inline]
    pub(in crate::run) fn find(&self, key: &[u8], snapshot: Timestamp) -> Option<Found> {
        let Rest::Inside(rest) = self.frame.rest(key) else { return Some(Found::Absent) };
        let Some(mut slot) = self.first_slot(rest) else { return Some(Found::Absent) };
        let mut at = self.frame.entry_at(slot);
        let mut window_end = self.window_end(slot);
        // How much of `rest` the key before has in common with it, being not above.
        let (mut matched, mut is_met) = (0, false);
        while at < self.frame.end {
            if at == window_end {
                // A key that is stored whole shares nothing.
                matched = 0;
                slot += 1;
                window_end = self.window_end(slot);
            }
            let entry = self.parse(at)?;
            match self.order(&entry, rest, &mut matched) {
                Ordering::Less => {}
                Ordering::Greater => return Some(Found::Absent),
                Ordering::Equal if entry.timestamp <= snapshot => {
                    let (timestamp, value) = (entry.timestamp, entry.value);
                    let kind = Kind::from_code(entry.flags & KIND_MASK)?;
                    return Some(Found::Version { timestamp, kind, value });
                }
                Ordering::Equal => is_met = true,
            }
            at = entry.value.end;
        }
        Some(if is_met { Found::GoesOn } else { Found::Absent })
    }

    /// Compares an entry's key with `rest`, knowing how much of it the key before, which is not above, has in common.
    #[inline]
    fn order(&self, entry: &Parsed, rest: &[u8], matched: &mut usize) -> Ordering {
        match entry.shared.cmp(matched) {
            // Where it differs from `rest` it is as the key before.
            Ordering::Greater => return Ordering::Less,
            Ordering::Less => return Ordering::Greater,
            Ordering::Equal => {}
        }
        let wanted = &rest[*matched..];
        let common = self.frame.common(entry.suffix.start, entry.suffix.len(), wanted);
        let order = match (common == entry.suffix.len(), common == wanted.len()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => {
                (self.frame.view.u64_at(entry.suffix.start + common) as u8).cmp(&wanted[common])
            }
        };
        if order != Ordering::Greater {
            *matched += common;
        }
        order
    }

    /// The window in which the first entry at or behind `key` stands, or the last one; see [`Window::seek`].
    pub(in crate::run) fn window_of(&self, key: &[u8]) -> usize {
        match self.frame.rest(key) {
            Rest::Before => 0,
            Rest::Behind => self.frame.count - 1,
            Rest::Inside(rest) => self.first_slot(rest).unwrap_or(0),
        }
    }

    /// Copies the entries of a window; none if the block cannot be.
    pub(in crate::run) fn read(&self, window: usize, into: &mut Window) -> Option<()> {
        let frame = &self.frame;
        let end = self.window_end(window);
        let mut at = frame.entry_at(window);
        into.clear();
        let first = at;
        while at < end {
            let entry = self.parse(at)?;
            let shared = if at == first { 0 } else { entry.shared };
            into.push(frame, &entry, shared)?;
            at = entry.value.end;
        }
        (at == end && !into.items.is_empty()).then_some(())
    }
}

struct Item {
    key: Range<usize>,
    value: Range<usize>,
    timestamp: Timestamp,
    kind: Kind,
}

/// Copies of up to so many neighbouring entries as one key stored whole stands for.
#[derive(Default)]
pub(in crate::run) struct Window {
    bytes: Vec<u8>,
    items: Vec<Item>,
}

impl Window {
    pub(in crate::run) fn clear(&mut self) {
        self.bytes.clear();
        self.items.clear();
    }

    pub(in crate::run) fn len(&self) -> usize {
        self.items.len()
    }

    pub(in crate::run) fn entry(&self, item: usize) -> Option<Entry<'_>> {
        let item = self.items.get(item)?;
        let (key, value) = (&self.bytes[item.key.clone()], &self.bytes[item.value.clone()]);
        Some(Entry { key, timestamp: item.timestamp, kind: item.kind, value })
    }

    /// The first item at or behind `key`, or the length.
    pub(in crate::run) fn seek(&self, key: &[u8]) -> usize {
        self.items.partition_point(|item| self.bytes[item.key.clone()] < *key)
    }

    /// The item after the last one of `key`.
    pub(in crate::run) fn behind(&self, key: &[u8]) -> usize {
        self.items.partition_point(|item| self.bytes[item.key.clone()] <= *key)
    }

    fn push(&mut self, frame: &Frame<'_>, entry: &Parsed, shared: usize) -> Option<()> {
        let kind = Kind::from_code(entry.flags & KIND_MASK)?;
        let start = self.bytes.len();
        match self.items.last() {
            None if shared > 0 => return None,
            None => frame.view.append_to(frame.prefix_at, frame.prefix_len, &mut self.bytes),
            Some(last) => {
                let kept = frame.prefix_len + shared;
                if kept > last.key.len() {
                    return None;
                }
                self.bytes.extend_from_within(last.key.start..last.key.start + kept);
            }
        }
        frame.view.append_to(entry.suffix.start, entry.suffix.len(), &mut self.bytes);
        let key = start..self.bytes.len();
        frame.view.append_to(entry.value.start, entry.value.len(), &mut self.bytes);
        let value = key.end..self.bytes.len();
        self.items.push(Item { key, value, timestamp: entry.timestamp, kind });
        Some(())
    }
}
