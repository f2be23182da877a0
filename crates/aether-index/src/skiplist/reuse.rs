//! Words that are used again: what was taken out of the map waits for its time of grace, then joins the free words of its size.
//!
//! What waits is chained by the upper half of its first word, which readers do not look at; what is free, by its first word.

use super::arena::Arena;
use super::grace::{EPOCHS, Grace};
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_types::Result;

/// Up to here each number of words is a size; above, there are eight sizes from each power of two to the next.
const EXACT_MAX: usize = 32;
/// Sizes. Under loom as many as its models need.
const SIZES: usize = if cfg!(loom) { EXACT_MAX + 1 } else { EXACT_MAX + 1 + 8 * 28 };
const NEXT_SHIFT: u32 = 32;
const LOWER: u64 = (1 << NEXT_SHIFT) - 1;

/// What waits for its time of grace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Node,
    Value,
}

/// The removable map's share: who is there, what waits, what is free.
pub(super) struct Reuse {
    pub(super) grace: Grace,
    /// By epoch and kind: the first of a chain.
    waiting: [[AtomicU64; 2]; EPOCHS],
    /// By size: the first of a chain, and above it a count of changes, so that a chain that is as before is told from one
    /// that only begins with the same words.
    free: Box<[AtomicU64]>,
    free_words: AtomicU64,
}

/// The size that `words` are rounded up to, and its index.
fn size(words: usize) -> (usize, usize) {
    if words <= EXACT_MAX {
        return (words, words);
    }
    let step = 1 << (words.ilog2() - 3);
    let size = words.next_multiple_of(step);
    let power = size.ilog2();
    (size, EXACT_MAX + 1 + 8 * (power - EXACT_MAX.ilog2()) as usize + (size >> (power - 3)) - 8)
}

impl Reuse {
    pub(super) fn new() -> Self {
        Self {
            grace: Grace::new(),
            waiting: core::array::from_fn(|_| core::array::from_fn(|_| AtomicU64::new(0))),
            free: (0..SIZES).map(|_| AtomicU64::new(0)).collect(),
            free_words: AtomicU64::new(0),
        }
    }

    /// Words for `words`: free ones if there are some of that size.
    pub(super) fn claim(&self, arena: &Arena, words: usize) -> Result<u32> {
        let (size, index) = size(words);
        match self.pop(arena, index) {
            Some(at) => {
                self.free_words.fetch_sub(size as u64, Relaxed);
                Ok(at)
            }
            None => arena.claim(size),
        }
    }

    /// Frees `words` that nobody can meet.
    pub(super) fn release(&self, arena: &Arena, at: u32, words: usize) {
        let (size, index) = size(words);
        // Counted first: who takes them takes them off.
        self.free_words.fetch_add(size as u64, Relaxed);
        let chain = &self.free[index];
        let mut head = chain.load(Relaxed);
        loop {
            arena.word(at).store(head & LOWER, Relaxed);
            let changed = (head >> NEXT_SHIFT).wrapping_add(1) << NEXT_SHIFT | u64::from(at);
            // Release: pairs with the load in `pop`, which follows the chain.
            match chain.compare_exchange_weak(head, changed, Release, Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    fn pop(&self, arena: &Arena, index: usize) -> Option<u32> {
        let chain = &self.free[index];
        let mut head = chain.load(Acquire);
        loop {
            let at = head as u32;
            if at == 0 {
                return None;
            }
            // If others have taken and used it meanwhile, this is arbitrary, and the count of changes has moved on.
            let next = arena.word(at).load(Relaxed) & LOWER;
            let changed = (head >> NEXT_SHIFT).wrapping_add(1) << NEXT_SHIFT | next;
            // Release: keeps the chain behind `next` seen by who follows it. Acquire: as above.
            match chain.compare_exchange_weak(head, changed, AcqRel, Acquire) {
                Ok(_) => return Some(at),
                Err(seen) => head = seen,
            }
        }
    }

    /// Lets what lies at `at` wait for its time of grace. No way leads there any more; the caller has entered.
    pub(super) fn retire(&self, arena: &Arena, at: u32, kind: Kind) {
        let chain = &self.waiting[self.grace.epoch_index()][kind as usize];
        let first = arena.word(at).load(Relaxed) & LOWER;
        let mut head = chain.load(Relaxed);
        loop {
            arena.word(at).store(first | head << NEXT_SHIFT, Relaxed);
            // Release: pairs with the swap in `reclaim`.
            match chain.compare_exchange_weak(head, u64::from(at), Release, Relaxed) {
                Ok(_) => return,
                Err(seen) => head = seen,
            }
        }
    }

    /// Moves the epoch on, if that can be, and frees what has waited long enough; `words` tells the length of a thing by its
    /// first word.
    pub(super) fn reclaim(&self, arena: &Arena, words: impl Fn(Kind, u64) -> usize) -> bool {
        self.grace.try_move(|epoch| {
            for kind in [Kind::Node, Kind::Value] {
                let mut at = self.waiting[epoch][kind as usize].swap(0, Acquire) as u32;
                while at != 0 {
                    let first = arena.word(at).load(Relaxed);
                    self.release(arena, at, words(kind, first & LOWER));
                    at = (first >> NEXT_SHIFT) as u32;
                }
            }
        })
    }

    /// Bytes that are free.
    pub(super) fn free_bytes(&self) -> u64 {
        self.free_words.load(Relaxed) * 8
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn sizes_hold_what_is_rounded_up_to_them_and_waste_little() {
        let mut last = (0, 0);
        for words in (1..5_000).chain([1 << 20, (1 << 29) + 2]) {
            let (size, index) = size(words);
            assert!(size >= words && size <= words + words / 8 + 1, "{words}: {size}");
            assert!(index < SIZES);
            assert!((size == last.0) == (index == last.1), "{words}: one index for one size");
            assert!(size >= last.0 && index >= last.1);
            last = (size, index);
        }
    }

    #[test]
    fn what_waits_is_free_after_three_epochs_and_not_before_all_have_left() {
        let (arena, reuse) = (Arena::new(1 << 20), Reuse::new());
        let at = reuse.claim(&arena, 5).unwrap();
        arena.word(at).store(5, Relaxed);
        let reader = reuse.grace.enter();
        let writer = reuse.grace.enter();
        reuse.retire(&arena, at, Kind::Value);
        reuse.grace.leave(&writer);
        let reclaim = || reuse.reclaim(&arena, |_, first| first as usize);
        assert!(reclaim(), "nobody is in the epoch before the first");
        assert!((0..10).all(|_| !reclaim()), "the reader is still there");
        assert_ne!(reuse.claim(&arena, 5).unwrap(), at);
        reuse.grace.leave(&reader);
        assert!(reclaim() && reclaim());
        assert_eq!(reuse.free_bytes(), 40);
        assert_eq!(reuse.claim(&arena, 5).unwrap(), at);
        assert_eq!(reuse.free_bytes(), 0);
    }
}
