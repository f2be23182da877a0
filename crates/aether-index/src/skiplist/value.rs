//! Values in the arena of a map: bytes that never change, named by their offset.
//!
//! The first word is their length, in its lower half; the upper is used when the value is freed. The rest are the bytes, eight a word, filled up with zeros.

use super::{Guard, Skiplist};
use aether_sync::atomic::Ordering::*;
use aether_types::{Error, Result, limits};

/// The bits of the first word that tell the length.
const LENGTH: u64 = limits::VALUE_BYTES_MAX;

/// Names a value in the arena of one map; fits into a payload. Never 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct Offset(u32);

impl Offset {
    /// The number behind it.
    pub fn get(self) -> u32 {
        self.0
    }

    /// The offset with this number, as [`Offset::get`] told it.
    pub fn new(number: u32) -> Self {
        Self(number)
    }
}

/// A value in the arena.
#[derive(Clone, Copy)]
pub struct Value<'a> {
    map: &'a Skiplist,
    at: u32,
    bytes: usize,
}

impl<'a> Guard<'a> {
    /// Copies `bytes` into the arena. Others see them once they have the offset by way of a payload. Never blocks.
    ///
    /// # Errors
    /// `InvalidInput` above [`limits::VALUE_BYTES_MAX`], `OverLimit` if the map's memory is full.
    pub fn add_value(&self, bytes: &[u8]) -> Result<Offset> {
        if bytes.len() as u64 > limits::VALUE_BYTES_MAX {
            let what =
                format!("a value has {} bytes at the most, not {}", limits::VALUE_BYTES_MAX, bytes.len());
            return Err(Error::invalid(what));
        }
        let arena = &self.map.arena;
        let at = self.map.claim(words(bytes.len()))?;
        // Relaxed, here and below: published by the payload that names the offset.
        arena.word(at).store(bytes.len() as u64, Relaxed);
        for (index, chunk) in bytes.chunks(8).enumerate() {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            arena.word(at + 1 + index as u32).store(u64::from_le_bytes(word), Relaxed);
        }
        Ok(Offset(at))
    }

    /// The value at `offset`; none if there cannot be one. What is no offset of this map's gives arbitrary bytes.
    pub fn value(&self, offset: Offset) -> Option<Value<'_>> {
        let (arena, at) = (&self.map.arena, offset.0);
        let bytes = arena.holds(at, 1).then(|| arena.word(at).load(Relaxed))? & LENGTH;
        let is_whole = arena.holds(at, words(bytes as usize) as u64);
        is_whole.then_some(Value { map: self.map, at, bytes: bytes as usize })
    }
}

/// Words of a value.
pub(super) fn words(bytes: usize) -> usize {
    1 + bytes.div_ceil(8)
}

impl Value<'_> {
    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Appends it to `into`.
    pub fn append_to(&self, into: &mut Vec<u8>) {
        self.append_from(0, into);
    }

    /// Appends what follows its first `from` bytes to `into`.
    pub fn append_from(&self, from: usize, into: &mut Vec<u8>) {
        let end = into.len() + self.bytes.saturating_sub(from);
        into.reserve(self.bytes.saturating_sub(from));
        for index in from / 8..self.bytes.div_ceil(8) {
            let word = self.word(index).to_le_bytes();
            into.extend_from_slice(&word[from.saturating_sub(index * 8)..]);
        }
        into.truncate(end);
    }

    /// Bytes `8 * index` to `8 * index + 7` as a little-endian number, zeros behind the end.
    pub fn word(&self, index: usize) -> u64 {
        let inside = index < self.bytes.div_ceil(8);
        if inside { self.map.arena.word(self.at + 1 + index as u32).load(Relaxed) } else { 0 }
    }

    /// A copy.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.append_to(&mut bytes);
        bytes
    }
}
