//! Everything outside the process that the engine touches, in one value.

use crate::{MemoryVfs, RealVfs, Vfs};
use aether_sync::Arc;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::hash::{BuildHasher, RandomState};
use std::io::Read;
use std::time::{Duration, Instant};

/// Monotonic time. It paces and times out; it never orders anything (F3).
pub trait Clock: Send + Sync {
    /// The time since some start.
    fn now(&self) -> Duration;
}

/// Random bytes.
pub trait Entropy: Send + Sync {
    /// Fills `into`.
    fn fill(&self, into: &mut [u8]);
}

/// Files, clock and entropy.
#[derive(Clone)]
pub struct Env {
    /// Files and directories.
    pub vfs: Arc<dyn Vfs>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: Arc<dyn Entropy>,
}

impl Env {
    /// The operating system's.
    pub fn real() -> Self {
        Self {
            vfs: Arc::new(RealVfs::new()),
            clock: Arc::new(RealClock::new()),
            entropy: Arc::new(RealEntropy),
        }
    }

    /// Files in memory, a [`ManualClock`] that stands still, and seeded entropy: the same run every time.
    pub fn memory() -> Self {
        Self {
            vfs: Arc::new(MemoryVfs::new()),
            clock: Arc::new(ManualClock::new()),
            entropy: Arc::new(SeededEntropy::new(0)),
        }
    }
}

impl core::fmt::Debug for Env {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Env")
    }
}

/// The system's monotonic clock, from its creation on.
#[derive(Debug)]
pub struct RealClock(Instant);

impl RealClock {
    /// Starts at zero now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for RealClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for RealClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct ManualClock {
    nanoseconds: AtomicU64,
}

impl ManualClock {
    /// Stands at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(by, Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.nanoseconds.load(Relaxed))
    }
}

/// The system's random bytes.
#[derive(Debug)]
pub struct RealEntropy;

impl Entropy for RealEntropy {
    fn fill(&self, into: &mut [u8]) {
        let filled = std::fs::File::open("/dev/urandom").and_then(|mut device| device.read_exact(into));
        if filled.is_err() {
            fill_from_hashes(into);
        }
    }
}

/// Where the device is out of reach (no handles left, a bare container): the standard library's hash keys, which
/// come from the system, mixed with process and time since a forked child shares them.
fn fill_from_hashes(into: &mut [u8]) {
    let keys = RandomState::new();
    for (round, piece) in into.chunks_mut(8).enumerate() {
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let word = keys.hash_one((round, std::process::id(), now));
        piece.copy_from_slice(&word.to_le_bytes()[..piece.len()]);
    }
}

/// Bytes that follow from a seed (SplitMix64).
#[derive(Debug)]
pub struct SeededEntropy(AtomicU64);

impl SeededEntropy {
    /// The sequence of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }

    fn next(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut word = self.0.fetch_add(STEP, Relaxed).wrapping_add(STEP);
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, into: &mut [u8]) {
        for piece in into.chunks_mut(8) {
            piece.copy_from_slice(&self.next().to_le_bytes()[..piece.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_when_told() {
        let clock = ManualClock::new();
        clock.advance(Duration::from_millis(3));
        assert_eq!(clock.now(), Duration::from_millis(3));
    }

    #[test]
    fn seeds_repeat_and_differ() {
        let draw = |seed| {
            let mut bytes = [0; 13];
            SeededEntropy::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn real_entropy_and_its_stand_in_give_bytes() {
        for fill in [|into: &mut [u8]| RealEntropy.fill(into), fill_from_hashes] {
            let mut bytes = [0; 33];
            fill(&mut bytes);
            assert!(bytes.chunks(11).all(|piece| piece.iter().any(|byte| *byte != 0)));
        }
    }
}
