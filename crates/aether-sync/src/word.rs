//! The memory of pages: 64-bit words of one access size everywhere.
//!
//! An optimistic reader races with writers. Plain or mixed-size accesses in such a race are undefined
//! behaviour, so every access to page memory is a relaxed load or store of a whole word; the latch's fences
//! order them. Under shuttle (sequentially consistent) words are plain std atomics, so that a schedule does not
//! switch at each of the hundreds of words of a page.

#[cfg(loom)]
pub use loom::sync::atomic::AtomicU64 as Word;
#[cfg(not(loom))]
pub use std::sync::atomic::AtomicU64 as Word;

use std::sync::atomic::Ordering::Relaxed;

/// Reads a word; relaxed.
#[inline(always)]
pub fn load(word: &Word) -> u64 {
    word.load(Relaxed)
}

/// Writes a word; relaxed.
#[inline(always)]
pub fn store(word: &Word, value: u64) {
    word.store(value, Relaxed);
}
