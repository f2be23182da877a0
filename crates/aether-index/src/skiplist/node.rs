//! What stands in the words of a node.
//!
//! | word | what |
//! |---|---|
//! | 0 | bytes of the key (bits 0 to 15), levels that the node stands in (16 to 23), what of its life is over (24, 25), and the next one that waits to be used again (32 to 63) |
//! | 1 | the payload |
//! | 2 .. 2 + levels | its link of each level, lowest first |
//! | 2 + levels .. | the key |

use super::key;
use super::link::Link;
use super::{CLOSED, HEIGHT_MAX, Skiplist};
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_types::Result;
use core::cmp::Ordering;

/// The node before all others, which has no key.
pub(super) const HEAD: u32 = 1;

/// The node is linked in all its levels.
pub(super) const BUILT: u64 = 1 << 24;
/// The node is removed, and its links are marked.
pub(super) const REMOVED: u64 = 1 << 25;

const FIXED_WORDS: usize = 2;

/// Words of a node with `height` levels and a key of `bytes`.
pub(super) fn words(height: usize, bytes: usize) -> usize {
    FIXED_WORDS + height + key::words(bytes)
}

/// The shape of a node, as its first word tells it.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) bytes: usize,
    pub(super) height: usize,
}

impl Shape {
    fn to_word(self) -> u64 {
        self.bytes as u64 | (self.height as u64) << 16
    }

    pub(super) fn from_word(word: u64) -> Self {
        Self { bytes: word as usize & 0xffff, height: (word >> 16) as usize & 0xff }
    }

    pub(super) fn words(self) -> usize {
        words(self.height, self.bytes)
    }
}

impl Skiplist {
    /// Makes the node before all others.
    pub(super) fn make_head(&self) -> Result<()> {
        let shape = Shape { bytes: 0, height: HEIGHT_MAX };
        let head = self.arena.claim(shape.words())?;
        debug_assert_eq!(head, HEAD, "nothing else was claimed before");
        self.arena.word(head).store(shape.to_word(), Relaxed);
        (0..HEIGHT_MAX).for_each(|level| self.link_word(HEAD, level).store(Link::END.0, Relaxed));
        Ok(())
    }

    /// A node that nobody refers to yet. Relaxed: who links it publishes it.
    pub(super) fn make_node(&self, key: &[u8], height: usize, payload: u64) -> Result<u32> {
        let shape = Shape { bytes: key.len(), height };
        let node = self.claim(shape.words())?;
        self.arena.word(node).store(shape.to_word(), Relaxed);
        self.payload_word(node).store(payload, Relaxed);
        (0..height).for_each(|level| self.link_word(node, level).store(Link::END.0, Relaxed));
        let start = node + (FIXED_WORDS + height) as u32;
        for index in 0..key::words(key.len()) {
            self.arena.word(start + index as u32).store(key::word(key, index), Relaxed);
        }
        Ok(node)
    }

    pub(super) fn shape(&self, node: u32) -> Shape {
        Shape::from_word(self.arena.word(node).load(Relaxed))
    }

    #[inline(always)]
    pub(super) fn payload_word(&self, node: u32) -> &AtomicU64 {
        self.arena.word(node + 1)
    }

    #[inline(always)]
    pub(super) fn link_word(&self, node: u32, level: usize) -> &AtomicU64 {
        self.arena.word(node + FIXED_WORDS as u32 + level as u32)
    }

    /// Acquire: pairs with the exchange that linked the next node, so that its words are seen.
    #[inline(always)]
    pub(super) fn link(&self, node: u32, level: usize) -> Link {
        Link(self.link_word(node, level).load(Acquire))
    }

    /// Notes that a part of the node's life is over, `BUILT` or `REMOVED`; true if the other one is, too.
    pub(super) fn end_phase(&self, node: u32, phase: u64) -> bool {
        // Of both who end a phase the second sees all that the first has done.
        self.arena.word(node).fetch_or(phase, AcqRel) & (BUILT | REMOVED) != 0
    }

    /// Whether the node has been removed from the map; it may still be linked.
    pub(super) fn is_closed(&self, node: u32) -> bool {
        self.payload_word(node).load(Acquire) == CLOSED
    }

    fn key_word(&self, node: u32, shape: Shape) -> impl Fn(usize) -> u64 {
        let start = node + (FIXED_WORDS + shape.height) as u32;
        // Relaxed: the link that led here was loaded with acquire.
        move |index| self.arena.word(start + index as u32).load(Relaxed)
    }

    /// Where the node lies as seen from `key`, and how much both have in common; no less than `from` bytes.
    pub(super) fn compare(&self, node: u32, key: &[u8], from: usize) -> (Ordering, usize) {
        let shape = self.shape(node);
        key::compare(self.key_word(node, shape), shape.bytes, key, from)
    }

    /// The bits of the node's key from byte `from` on.
    pub(super) fn head_of(&self, node: u32, from: usize) -> u32 {
        let shape = self.shape(node);
        let word = self.key_word(node, shape);
        key::head_of_words(|index| if index < key::words(shape.bytes) { word(index) } else { 0 }, from)
    }

    /// Replaces what is in `into` by the node's key.
    pub(super) fn copy_key(&self, node: u32, into: &mut Vec<u8>) {
        let shape = self.shape(node);
        let word = self.key_word(node, shape);
        into.clear();
        (0..key::words(shape.bytes)).for_each(|index| into.extend_from_slice(&word(index).to_be_bytes()));
        into.truncate(shape.bytes);
    }
}
