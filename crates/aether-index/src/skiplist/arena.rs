//! The memory of a map: words, named by their offset, that never move.
//!
//! Words lie in chunks, which are made when the first word in them is claimed. What is claimed may reach from one chunk
//! into the next; so nothing is wasted at the end of one, and nothing is too long.

use aether_sync::OnceLock;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_types::{Error, ErrorKind, Result};

/// Words of a chunk (128 KiB). Under loom as few as its models need.
const CHUNK_WORDS: usize = 1 << CHUNK_SHIFT;
const CHUNK_SHIFT: u32 = if cfg!(loom) { 6 } else { 14 };

/// Words that one arena can name: 32 GiB.
const WORDS_MAX: u64 = 1 << 32;

type Chunk = Box<[AtomicU64; CHUNK_WORDS]>;

/// Words in chunks.
pub(super) struct Arena {
    chunks: Box<[OnceLock<Chunk>]>,
    /// The first word that was never claimed.
    end: AtomicU64,
    words_max: u64,
}

impl Arena {
    /// An arena that hands out `bytes_max` at the most; word 0 is nobody's.
    pub(super) fn new(bytes_max: u64) -> Self {
        let words_max = (bytes_max / 8).clamp(1, WORDS_MAX);
        let chunks = words_max.div_ceil(CHUNK_WORDS as u64);
        let arena = Self {
            chunks: (0..chunks).map(|_| OnceLock::new()).collect(),
            end: AtomicU64::new(1),
            words_max,
        };
        if cfg!(loom) {
            // A model must see who made an atomic, and does not see into `OnceLock`.
            arena.chunks.iter().for_each(make);
        }
        arena
    }

    /// The word at `at`, which was claimed by somebody.
    #[inline(always)]
    pub(super) fn word(&self, at: u32) -> &AtomicU64 {
        let chunk = self.chunks.get((at >> CHUNK_SHIFT) as usize).and_then(OnceLock::get);
        let chunk = chunk.expect("a claimed word lies in a chunk that was made");
        &chunk[at as usize % CHUNK_WORDS]
    }

    /// Claims `count` words that follow each other; what stands in them is arbitrary.
    ///
    /// # Errors
    /// `OverLimit` if there are not as many left.
    pub(super) fn claim(&self, count: usize) -> Result<u32> {
        let mut start = self.end.load(Relaxed);
        loop {
            let end = start + count as u64;
            if end > self.words_max {
                return Err(self.full(count));
            }
            // Relaxed: the claim gives nobody sight of anything; what is written there is published by who links it.
            match self.end.compare_exchange_weak(start, end, Relaxed, Relaxed) {
                Ok(_) => {
                    self.make_chunks(start, end);
                    return Ok(start as u32);
                }
                Err(seen) => start = seen,
            }
        }
    }

    /// Takes back the claim of `count` words at `start`, which nobody else has seen, if it is still the last one.
    pub(super) fn unclaim(&self, start: u32, count: usize) {
        let start = u64::from(start);
        // Failure: the words stay claimed and unused.
        let _ = self.end.compare_exchange(start + count as u64, start, Relaxed, Relaxed);
    }

    fn make_chunks(&self, start: u64, end: u64) {
        let covering = (start >> CHUNK_SHIFT) as usize..=((end - 1) >> CHUNK_SHIFT) as usize;
        self.chunks[covering].iter().filter(|chunk| chunk.get().is_none()).for_each(make);
    }

    fn full(&self, count: usize) -> Error {
        let (used, limit) = (self.used_bytes(), self.words_max * 8);
        let what = format!(
            "the map's memory is full: {used} of {limit} bytes are used, {} more are needed",
            count * 8
        );
        Error::new(ErrorKind::OverLimit, what)
    }

    /// Bytes claimed.
    pub(super) fn used_bytes(&self) -> u64 {
        self.end.load(Relaxed) * 8
    }

    /// Bytes taken from the system: whole chunks, and their table.
    pub(super) fn held_bytes(&self) -> u64 {
        let made = self.chunks.iter().filter(|chunk| chunk.get().is_some()).count();
        (made * CHUNK_WORDS * 8 + size_of_val(&*self.chunks)) as u64
    }

    /// True if all words from `at` on, `count` of them, have been claimed.
    pub(super) fn holds(&self, at: u32, count: u64) -> bool {
        at > 0 && u64::from(at) + count <= self.end.load(Relaxed)
    }
}

/// Makes a chunk. Of two who do so at once one throws away what it has made; nobody waits for zeros to be written.
fn make(chunk: &OnceLock<Chunk>) {
    let words: Box<[AtomicU64]> = (0..CHUNK_WORDS).map(|_| AtomicU64::new(0)).collect();
    if let Ok(words) = words.try_into() {
        let _ = chunk.set(words);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn claims_follow_each_other_over_the_ends_of_chunks() {
        let arena = Arena::new(3 * CHUNK_WORDS as u64 * 8);
        let first = arena.claim(CHUNK_WORDS - 2).unwrap();
        let second = arena.claim(CHUNK_WORDS).unwrap();
        assert_eq!((first, second), (1, CHUNK_WORDS as u32 - 1));
        for at in second..second + CHUNK_WORDS as u32 {
            arena.word(at).store(u64::from(at), Relaxed);
        }
        assert!(
            (second..second + CHUNK_WORDS as u32).all(|at| arena.word(at).load(Relaxed) == u64::from(at))
        );
        assert_eq!(arena.held_bytes() as usize / (CHUNK_WORDS * 8), 2, "the third chunk was not made");
    }

    #[test]
    fn a_full_arena_says_so_and_hands_out_what_still_fits() {
        let arena = Arena::new(80);
        let error = arena.claim(10).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OverLimit);
        assert_eq!(arena.claim(9).unwrap(), 1);
        assert!(arena.claim(1).is_err());
        arena.unclaim(1, 9);
        assert_eq!(arena.claim(1).unwrap(), 1);
        assert!(arena.holds(1, 1) && !arena.holds(1, 2) && !arena.holds(0, 1));
    }
}
