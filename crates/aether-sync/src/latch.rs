//! The hybrid page latch: optimistic, shared and exclusive in one word.
//!
//! After "LeanStore: In-Memory Data Management Beyond Main Memory" (ICDE 2018) and "Scalable and Robust
//! Latches for Database Systems" (DaMoN 2020); the memory orders are those of Boehm, "Can Seqlocks Get Along
//! With Programming Language Memory Models?" (MSPC 2012).
//!
//! ```text
//! bit  63             18   17    16        15      0
//!      [   version: 46  ][wait][exclusive][ shared  ]
//! ```
//!
//! - An optimistic reader writes nothing: it loads the word (acquire), reads the page's words (relaxed), and
//!   calls [`HybridLatch::validate`]: an acquire fence, then a relaxed re-load. Only then may it use what it
//!   read (P6).
//! - A writer takes the exclusive bit by compare-and-set (acquire), then a release fence, so that none of its
//!   relaxed stores is seen before the bit; it releases with a new version (release).
//! - Shared holders are counted and do not change the version: readers of any kind pass beside them.
//! - The wait bit means that someone sleeps in the parking table and whoever releases must wake all. While
//!   it is set no new shared holder enters, so that writers are not starved.
//!
//! Without the two fences a reader can accept a torn page on machines with weak memory; loom shows both cases
//! (`tests/loom_latch.rs`).

use crate::atomic::{AtomicU64, Ordering::*, fence};
use crate::{Backoff, park};

const SHARED_ONE: u64 = 1;
const SHARED_MASK: u64 = (1 << 16) - 1;
const EXCLUSIVE: u64 = 1 << 16;
const WAIT: u64 = 1 << 17;
const VERSION_ONE: u64 = 1 << 18;
const VERSION_MASK: u64 = !(VERSION_ONE - 1);

/// What an optimistic reader remembers of a latch: valid as long as nobody has written since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Version(u64);

/// The latch; see the module for the protocol.
#[derive(Debug)]
pub struct HybridLatch {
    word: AtomicU64,
}

impl Default for HybridLatch {
    fn default() -> Self {
        Self::new()
    }
}

impl HybridLatch {
    /// A free latch.
    pub fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// The current version, unless a writer is inside.
    #[inline]
    pub fn version(&self) -> Option<Version> {
        let word = self.word.load(Acquire);
        if word & EXCLUSIVE != 0 {
            return None;
        }
        Some(Version(word & VERSION_MASK))
    }

    /// True if nobody has written since `version` was taken: what was read in between may be used.
    #[inline]
    pub fn validate(&self, version: Version) -> bool {
        // Orders the relaxed reads of page words before the re-load; pairs with the writer's release fence.
        fence(Acquire);
        self.word.load(Relaxed) & (VERSION_MASK | EXCLUSIVE) == version.0
    }

    /// Blocks until no writer is inside, and returns the version then; gives up once `worthwhile` is false.
    ///
    /// Whoever protects changing things by one latch must say what it waits for: by the time the waiter sleeps, the
    /// latch may protect something else, whose holder waits for what the waiter has. `worthwhile` must turn false only
    /// under an exclusive hold.
    pub fn wait_version_while(&self, worthwhile: impl Fn() -> bool) -> Option<Version> {
        let mut backoff = Backoff::new();
        while worthwhile() {
            if let Some(version) = self.version() {
                return Some(version);
            }
            self.pause(&mut backoff, EXCLUSIVE, &worthwhile);
        }
        None
    }

    /// Takes the latch exclusively if nobody has written since `version` and nobody else holds it or waits.
    #[inline]
    pub fn try_upgrade(&self, version: Version) -> bool {
        let taken = self.word.compare_exchange(version.0, version.0 | EXCLUSIVE, Acquire, Relaxed).is_ok();
        if taken {
            fence(Release);
        }
        taken
    }

    /// Takes the latch exclusively if it is free.
    #[inline]
    pub fn try_exclusive(&self) -> bool {
        let word = self.word.load(Relaxed);
        if word & (EXCLUSIVE | SHARED_MASK) != 0 {
            return false;
        }
        let taken = self.word.compare_exchange(word, word | EXCLUSIVE, Acquire, Relaxed).is_ok();
        if taken {
            // No relaxed store of the holder is seen before the exclusive bit; pairs with validate's fence.
            fence(Release);
        }
        taken
    }

    /// Takes the latch exclusively; blocks.
    pub fn exclusive(&self) {
        self.exclusive_while(|| true);
    }

    /// Takes the latch exclusively; blocks, but gives up once `worthwhile` is false: see
    /// [`HybridLatch::wait_version_while`]. True if it was taken.
    pub fn exclusive_while(&self, worthwhile: impl Fn() -> bool) -> bool {
        let mut backoff = Backoff::new();
        while worthwhile() {
            if self.try_exclusive() {
                return true;
            }
            self.pause(&mut backoff, EXCLUSIVE | SHARED_MASK, &worthwhile);
        }
        false
    }

    /// Takes the latch shared if no writer is inside or waiting.
    #[inline]
    pub fn try_shared(&self) -> bool {
        let word = self.word.load(Relaxed);
        if word & (EXCLUSIVE | WAIT) != 0 || word & SHARED_MASK == SHARED_MASK {
            return false;
        }
        self.word.compare_exchange(word, word + SHARED_ONE, Acquire, Relaxed).is_ok()
    }

    /// Takes the latch shared; blocks. A thread must not take it shared twice: a writer waiting in between
    /// would stop it for ever.
    pub fn shared(&self) {
        self.shared_while(|| true);
    }

    /// Takes the latch shared; blocks, but gives up once `worthwhile` is false: see
    /// [`HybridLatch::wait_version_while`]. True if it was taken.
    pub fn shared_while(&self, worthwhile: impl Fn() -> bool) -> bool {
        let mut backoff = Backoff::new();
        while worthwhile() {
            if self.try_shared() {
                return true;
            }
            self.pause(&mut backoff, EXCLUSIVE | WAIT, &worthwhile);
        }
        false
    }

    /// The version as seen by a shared or exclusive holder.
    #[inline]
    pub fn held_version(&self) -> Version {
        Version(self.word.load(Relaxed) & VERSION_MASK)
    }

    /// Releases an exclusive hold with a new version: optimistic readers restart.
    #[inline]
    pub fn release_exclusive(&self) {
        let version = self.word.load(Relaxed) & VERSION_MASK;
        self.finish_exclusive(version.wrapping_add(VERSION_ONE));
    }

    /// Releases an exclusive hold under which nothing was written: optimistic readers stay valid.
    pub fn release_exclusive_unchanged(&self) {
        let version = self.word.load(Relaxed) & VERSION_MASK;
        self.finish_exclusive(version);
    }

    fn finish_exclusive(&self, word: u64) {
        let before = self.word.swap(word, Release);
        debug_assert!(before & EXCLUSIVE != 0, "only an exclusive holder releases");
        if before & WAIT != 0 {
            park::unpark_all(self.address());
        }
    }

    /// Turns an exclusive hold under which something was written into a shared one.
    pub fn downgrade(&self) {
        let version = (self.word.load(Relaxed) & VERSION_MASK).wrapping_add(VERSION_ONE);
        let before = self.word.swap(version | SHARED_ONE, Release);
        if before & WAIT != 0 {
            park::unpark_all(self.address());
        }
    }

    /// Releases a shared hold.
    #[inline]
    pub fn release_shared(&self) {
        let before = self.word.fetch_sub(SHARED_ONE, Release);
        debug_assert!(before & SHARED_MASK != 0, "only a shared holder releases");
        if before & (SHARED_MASK | WAIT) == WAIT | SHARED_ONE {
            self.word.fetch_and(!WAIT, Relaxed);
            park::unpark_all(self.address());
        }
    }

    /// Waits a round while any bit of `blockers` is set: spins first, then sleeps, unless that is not worthwhile.
    #[cold]
    fn pause(&self, backoff: &mut Backoff, blockers: u64, worthwhile: &dyn Fn() -> bool) {
        if !backoff.is_spent() {
            return backoff.wait();
        }
        let word = self.word.load(Relaxed);
        if word & blockers == 0 {
            return;
        }
        if word & (EXCLUSIVE | SHARED_MASK) == 0 {
            // Only the wait bit stands: its setter was woken and has not come back yet.
            self.word.fetch_and(!WAIT, Relaxed);
            return park::unpark_all(self.address());
        }
        let marked = word | WAIT;
        if word != marked && self.word.compare_exchange(word, marked, Relaxed, Relaxed).is_err() {
            return;
        }
        park::park(self.address(), || {
            let now = self.word.load(Relaxed);
            now & WAIT != 0 && now & (EXCLUSIVE | SHARED_MASK) != 0 && worthwhile()
        });
    }

    fn address(&self) -> usize {
        core::ptr::from_ref(self).addr()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::Arc;
    use crate::word::{self, Word};

    /// A page latch is a frame's: a waiter that does not notice that the frame has another page sleeps until that page's
    /// holder is done, who may be waiting for the waiter. Here the holder waits for the waiter to end.
    #[test]
    fn a_wait_that_is_not_worthwhile_any_more_is_given_up() {
        // Whoever asked before the page went may still get the latch: then it looks, and lets go.
        let waits: [fn(&HybridLatch, &AtomicU64); 3] = [
            |latch, wanted| {
                if latch.exclusive_while(|| wanted.load(Relaxed) == 1) {
                    latch.release_exclusive_unchanged();
                }
            },
            |latch, wanted| {
                if latch.shared_while(|| wanted.load(Relaxed) == 1) {
                    latch.release_shared();
                }
            },
            |latch, wanted| {
                let _ = latch.wait_version_while(|| wanted.load(Relaxed) == 1);
            },
        ];
        for wait in waits {
            let (latch, wanted) = (Arc::new(HybridLatch::new()), Arc::new(AtomicU64::new(1)));
            latch.exclusive();
            let (its_latch, its_wanted) = (latch.clone(), wanted.clone());
            let waiter = crate::thread::spawn("waiter", move || wait(&its_latch, &its_wanted));
            std::thread::sleep(std::time::Duration::from_millis(5));
            // The holder reuses the frame, lets it go, and has the latch again before the waiter looks.
            wanted.store(2, Relaxed);
            latch.release_exclusive();
            latch.exclusive();
            waiter.join().unwrap();
            latch.release_exclusive();
        }
    }

    #[test]
    fn a_write_ends_an_optimistic_read_and_a_shared_hold_does_not() {
        let latch = HybridLatch::new();
        let version = latch.version().unwrap();
        latch.shared();
        assert!(latch.validate(version) && !latch.try_exclusive());
        latch.release_shared();
        latch.exclusive();
        assert!(!latch.validate(version) && latch.version().is_none() && !latch.try_shared());
        latch.release_exclusive();
        assert!(!latch.validate(version) && !latch.try_upgrade(version));
    }

    #[test]
    fn an_unchanged_release_keeps_readers_valid() {
        let latch = HybridLatch::new();
        let version = latch.version().unwrap();
        latch.exclusive();
        latch.release_exclusive_unchanged();
        assert!(latch.validate(version) && latch.try_upgrade(version));
        latch.downgrade();
        assert!(latch.try_shared());
    }

    #[test]
    fn threads_never_see_a_torn_pair() {
        let shared = Arc::new((HybridLatch::new(), [Word::new(0), Word::new(0)]));
        let rounds = if cfg!(miri) { 40 } else { 20_000 };
        let workers: Vec<_> = (0..4)
            .map(|id| {
                let shared = shared.clone();
                crate::thread::spawn("worker", move || {
                    (0..rounds).for_each(|round| step(&shared.0, &shared.1, id, round))
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }

    fn step(latch: &HybridLatch, pair: &[Word; 2], id: u64, round: u64) {
        match (id + round) % 3 {
            0 => {
                latch.exclusive();
                pair.iter().for_each(|half| word::store(half, id * 1_000_000 + round));
                latch.release_exclusive();
            }
            1 => {
                latch.shared();
                assert_eq!(word::load(&pair[0]), word::load(&pair[1]));
                latch.release_shared();
            }
            _ => {
                let Some(version) = latch.version() else { return };
                let seen = [word::load(&pair[0]), word::load(&pair[1])];
                assert!(!latch.validate(version) || seen[0] == seen[1]);
            }
        }
    }
}
