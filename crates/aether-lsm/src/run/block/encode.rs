//! Making blocks.

use super::data::{AGAIN, HAS_TIMESTAMP};
use super::{DATA, INDEX, SLOTS_AT, head};
use crate::run::version::{Entry, Kind};
use aether_index::txn::recovery::wal::buffer::page::header::HEADER_BYTES;
use aether_types::{PageNo, Timestamp, Writer};
use core::ops::Range;

/// Every so many entries a key is stored whole.
const WINDOW: usize = 8;

/// Bytes that a number takes at the most.
fn varint_bytes(number: usize) -> usize {
    (usize::BITS - (number | 1).leading_zeros()).div_ceil(7) as usize
}

fn common(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The first six words of a block, slots not yet known.
fn begin(kind: u8, count: usize, prefix_len: usize, base: u64) -> Vec<u8> {
    let mut out = vec![kind, 0];
    out.put_u16(count as u16);
    out.put_u16(prefix_len as u16);
    out.put_u16(0);
    out.put_u64(base);
    out
}

fn put_slot(out: &mut [u8], slot: usize, rest: &[u8], entry_at: usize) {
    let word = head(rest) << 16 | entry_at as u64;
    let at = SLOTS_AT - HEADER_BYTES + 8 * slot;
    out[at..at + 8].copy_from_slice(&word.to_le_bytes());
}

/// Where the next byte of `out` will be in the page.
fn place(out: &[u8]) -> usize {
    HEADER_BYTES + out.len()
}

fn finish(mut out: Vec<u8>) -> Vec<u8> {
    let end = place(&out) as u16;
    out[6..8].copy_from_slice(&end.to_le_bytes());
    out
}

struct Item {
    key: Range<usize>,
    value: Range<usize>,
    timestamp: Timestamp,
    kind: Kind,
    /// Bytes in common with the key before, the block's prefix included.
    shared: usize,
    is_again: bool,
}

/// Collects the entries of a data block.
#[derive(Default)]
pub(in crate::run) struct DataBlock {
    bytes: Vec<u8>,
    items: Vec<Item>,
    /// What the block would take at the most, but for what all keys have in common.
    size: usize,
    prefix_len: usize,
}

impl DataBlock {
    pub(in crate::run) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    fn key(&self, item: &Item) -> &[u8] {
        &self.bytes[item.key.clone()]
    }

    pub(in crate::run) fn first_key(&self) -> &[u8] {
        self.items.first().map_or(&[], |item| self.key(item))
    }

    /// What an entry adds to the size, and how much of its key stands before.
    fn cost(&self, entry: &Entry<'_>) -> (usize, usize) {
        let shared = self.items.last().map_or(0, |last| common(self.key(last), entry.key));
        let is_whole = self.items.len().is_multiple_of(WINDOW);
        let (slot, suffix) = if is_whole { (8, entry.key.len()) } else { (0, entry.key.len() - shared) };
        // Flags, lengths, timestamp.
        let lengths = varint_bytes(shared) + varint_bytes(suffix) + varint_bytes(entry.value.len());
        (slot + 1 + lengths + 10 + suffix + entry.value.len(), shared)
    }

    /// True if the block, with `entry`, takes no more than `capacity` bytes. An empty one takes any entry.
    pub(in crate::run) fn has_room(&self, entry: &Entry<'_>, capacity: usize) -> bool {
        if self.items.is_empty() {
            return true;
        }
        let prefix_len = self.prefix_len.min(common(self.first_key(), entry.key));
        let whole_keys = (self.items.len() + 1).div_ceil(WINDOW);
        let size = SLOTS_AT - HEADER_BYTES + self.size + self.cost(entry).0;
        size - (whole_keys - 1) * prefix_len <= capacity
    }

    pub(in crate::run) fn push(&mut self, entry: &Entry<'_>) {
        let (cost, shared) = self.cost(entry);
        let is_again = self.items.last().is_some_and(|last| self.key(last) == entry.key);
        self.prefix_len = match self.items.is_empty() {
            true => entry.key.len(),
            false => self.prefix_len.min(common(self.first_key(), entry.key)),
        };
        self.size += cost;
        let key = self.bytes.len()..self.bytes.len() + entry.key.len();
        self.bytes.extend_from_slice(entry.key);
        let value = key.end..key.end + entry.value.len();
        self.bytes.extend_from_slice(entry.value);
        let (timestamp, kind) = (entry.timestamp, entry.kind);
        self.items.push(Item { key, value, timestamp, kind, shared, is_again });
    }

    /// The bytes of the block, which is empty from now on.
    pub(in crate::run) fn finish(&mut self) -> Vec<u8> {
        let stamps = self.items.iter().map(|item| item.timestamp.get()).filter(|stamp| *stamp > 0);
        let base = stamps.min().unwrap_or(0);
        let slots = self.items.len().div_ceil(WINDOW);
        let mut out = begin(DATA, slots, self.prefix_len, base);
        out.resize(SLOTS_AT - HEADER_BYTES + 8 * slots, 0);
        out.extend_from_slice(&self.first_key()[..self.prefix_len]);
        for (number, item) in self.items.iter().enumerate() {
            let rest = &self.key(item)[self.prefix_len..];
            if number.is_multiple_of(WINDOW) {
                let at = place(&out);
                put_slot(&mut out, number / WINDOW, rest, at);
            }
            let shared = if number.is_multiple_of(WINDOW) { 0 } else { item.shared - self.prefix_len };
            put_entry(&mut out, item, shared, &rest[shared..], &self.bytes[item.value.clone()], base);
        }
        *self = Self::default();
        finish(out)
    }
}

fn put_entry(out: &mut Vec<u8>, item: &Item, shared: usize, suffix: &[u8], value: &[u8], base: u64) {
    let stamp = item.timestamp.get();
    let flags = if stamp > 0 { HAS_TIMESTAMP } else { 0 } | if item.is_again { AGAIN } else { 0 };
    out.put_u8(item.kind as u8 | flags);
    out.put_varint(shared as u64);
    out.put_varint(suffix.len() as u64);
    if item.kind != Kind::Tombstone {
        out.put_varint(value.len() as u64);
    }
    if stamp > 0 {
        out.put_varint(stamp - base);
    }
    out.put_bytes(suffix);
    out.put_bytes(value);
}

/// Collects the entries of an index block.
#[derive(Default)]
pub(in crate::run) struct IndexBlock {
    items: Vec<(Vec<u8>, PageNo, u64)>,
    size: usize,
}

impl IndexBlock {
    pub(in crate::run) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// True if the block has room for another separator of `key_bytes`.
    pub(in crate::run) fn has_room(&self, key_bytes: usize, capacity: usize) -> bool {
        SLOTS_AT - HEADER_BYTES + self.size + Self::cost(key_bytes) <= capacity
    }

    /// Two words, the number of blocks that follow, the key and its length.
    fn cost(key_bytes: usize) -> usize {
        16 + 10 + 3 + key_bytes
    }

    /// An entry for a data block, all of whose keys are at or above `separator` and below the next one's.
    pub(in crate::run) fn push(&mut self, separator: &[u8], page: PageNo) {
        self.size += Self::cost(separator.len());
        self.items.push((separator.to_vec(), page, 0));
    }

    /// The block just written belongs to the last entry as well.
    pub(in crate::run) fn follow(&mut self) {
        let last = self.items.last_mut().expect("a block that follows has one before it");
        last.2 += 1;
    }

    /// The bytes of the block, which is empty from now on.
    pub(in crate::run) fn finish(&mut self) -> Vec<u8> {
        let (first, last) = (&self.items[0].0, &self.items[self.items.len() - 1].0);
        let prefix_len = common(first, last);
        let count = self.items.len();
        let mut out = begin(INDEX, count, prefix_len, 0);
        out.resize(SLOTS_AT - HEADER_BYTES + 8 * count, 0);
        self.items.iter().for_each(|(_, page, _)| out.put_u64(page.get()));
        out.extend_from_slice(&first[..prefix_len]);
        for (slot, (separator, _, following)) in self.items.iter().enumerate() {
            let rest = &separator[prefix_len..];
            let at = place(&out);
            put_slot(&mut out, slot, rest, at);
            out.put_varint(*following);
            out.put_string(rest);
        }
        *self = Self::default();
        finish(out)
    }
}
