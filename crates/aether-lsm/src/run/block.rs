//! Blocks as they lie in a frame: versions (data) and the lower level of the index. Layout: `docs/formats.md`, "Runs".
//!
//! Both begin alike: a number of slots, each a word with the head of a key (six bytes) and the offset of its entry; the
//! prefix that all keys have in common and that none is stored with; entries. A data block has a slot for every eighth entry, whose
//! key is stored whole; the others share so many bytes with the key before. Read under an optimistic guard: whatever is read may be
//! garbage until it is validated, so every offset is clamped and every step goes forward (R4).

mod data;
mod encode;
mod index;

pub(super) use data::{Data, Found, Window};
pub(super) use encode::{DataBlock, IndexBlock};
pub(super) use index::Index;

use aether_index::txn::recovery::wal::buffer::page::View;
use core::cmp::Ordering;

/// The kinds of blocks, in their first byte. A filter's first byte is its own kind, 1 to 4.
const DATA: u8 = 16;
const INDEX: u8 = 17;

/// One word: kind, a reserved byte, number of slots, length of the prefix, end of the entries.
const KIND_AT: usize = 32;
const BASE_AT: usize = 40;
const SLOTS_AT: usize = 48;

/// Slots, prefix and end of a block.
#[derive(Clone, Copy)]
struct Frame<'a> {
    view: View<'a>,
    count: usize,
    prefix_at: usize,
    prefix_len: usize,
    end: usize,
}

/// Where a key stands among all keys of a block.
enum Rest<'k> {
    Before,
    Behind,
    /// What follows the prefix.
    Inside(&'k [u8]),
}

impl<'a> Frame<'a> {
    /// None if the block is of another kind, or cannot be.
    #[inline]
    fn open(view: View<'a>, kind: u8, words_per_slot: usize) -> Option<Self> {
        let word = view.word(KIND_AT / 8);
        let count = usize::from((word >> 16) as u16);
        let prefix_at = SLOTS_AT + 8 * words_per_slot * count;
        let (prefix_len, end) = (usize::from((word >> 32) as u16), usize::from((word >> 48) as u16));
        let is_sound = word as u8 == kind && count > 0 && prefix_at + prefix_len <= end;
        (is_sound && end + 8 <= view.len_bytes()).then_some(Self { view, count, prefix_at, prefix_len, end })
    }

    #[inline]
    fn slot(&self, slot: usize) -> u64 {
        self.view.word(SLOTS_AT / 8 + slot)
    }

    /// The offset of a slot's entry.
    #[inline]
    fn entry_at(&self, slot: usize) -> usize {
        usize::from(self.slot(slot) as u16)
    }

    #[inline]
    fn rest<'k>(&self, key: &'k [u8]) -> Rest<'k> {
        if self.prefix_len == 0 {
            return Rest::Inside(key);
        }
        let (start, rest) = key.split_at(self.prefix_len.min(key.len()));
        match self.view.compare(self.prefix_at, self.prefix_len, start) {
            Ordering::Greater => Rest::Before,
            Ordering::Less => Rest::Behind,
            Ordering::Equal => Rest::Inside(rest),
        }
    }

    /// The last slot whose key is at or below `rest`; `compare` compares a slot's key with it where heads do not tell.
    #[inline]
    fn search(&self, rest: &[u8], compare: impl Fn(usize) -> Ordering) -> Option<usize> {
        let head = head(rest);
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = (low + high) / 2;
            let is_at_or_below = match (self.slot(middle) >> 16).cmp(&head) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => compare(middle) != Ordering::Greater,
            };
            if is_at_or_below {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low.checked_sub(1)
    }

    /// The number at `at`, which moves behind it.
    #[inline]
    fn varint(&self, at: &mut usize) -> Option<u64> {
        let word = self.view.u64_at(*at);
        if word & 0x80 == 0 {
            *at += 1;
            return Some(word & 0x7f);
        }
        if word & 0x8000 == 0 {
            *at += 2;
            return Some(word & 0x7f | word >> 1 & 0x3f80);
        }
        self.long_varint(at)
    }

    #[cold]
    fn long_varint(&self, at: &mut usize) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.view.u64_at(*at) & 0xff;
            *at += 1;
            value |= (byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// The same as a length inside the block.
    #[inline]
    fn length(&self, at: &mut usize) -> Option<usize> {
        self.varint(at).filter(|length| *length <= self.end as u64).map(|length| length as usize)
    }

    /// How many bytes of the `len` from `at` on are those that `other` begins with.
    #[inline]
    fn common(&self, at: usize, len: usize, other: &[u8]) -> usize {
        let most = len.min(other.len());
        let mut done = 0;
        while done + 8 <= most {
            let theirs = other[done..].first_chunk().map_or(0, |piece| u64::from_le_bytes(*piece));
            let differs = self.view.u64_at(at + done) ^ theirs;
            if differs != 0 {
                return done + differs.trailing_zeros() as usize / 8;
            }
            done += 8;
        }
        let mine = self.view.u64_at(at + done);
        let same = |&byte: &usize| (mine >> (8 * byte)) as u8 == other[done + byte];
        done + (0..most - done).take_while(same).count()
    }
}

/// The first six bytes of `rest`, as if zeros followed.
#[inline]
fn head(rest: &[u8]) -> u64 {
    if let Some(first) = rest.first_chunk::<8>() {
        return u64::from_be_bytes(*first) >> 16;
    }
    let mut bytes = [0; 8];
    bytes[..rest.len()].copy_from_slice(rest);
    u64::from_be_bytes(bytes) >> 16
}
