//! The sizes of the store under test: so small that a short script splits, evicts, merges and recycles.

use crate::rng::Rng;
use aether_kv::buffer::BufferConfig;
use aether_kv::lsm::tree::LsmConfig;
use aether_kv::wal::WalConfig;
use aether_kv::{Durability, Options};
use aether_types::PageSize;
use std::path::Path;
use std::time::Duration;

/// Frames of the pool; far fewer than the script has pages.
pub const FRAMES: usize = 32;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// The longest key at [`PAGE_BYTES`].
pub const KEY_BYTES_MAX: usize = PAGE_BYTES / 4 - 64;

/// Bytes of a value from which on an LSM tree keeps it in a file of values.
pub const SEPARATE_BYTES: usize = 750;

/// Where the store lives in its simulated file system.
pub fn home() -> &'static Path {
    Path::new("/home")
}

/// Sizes of one store. Number 0 is the smallest; others vary what follows from the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Its number.
    pub number: u64,
    frames: usize,
    page_size: PageSize,
    streams: usize,
    segment_bytes: u64,
    ring_bytes: usize,
    recycle: usize,
    max_recovery_bytes: u64,
}

impl Shape {
    /// The shape of this number.
    pub fn new(number: u64) -> Self {
        let smallest = Self {
            number,
            frames: FRAMES,
            page_size: PageSize::default(),
            streams: 1,
            segment_bytes: 64 << 10,
            ring_bytes: 128 << 10,
            recycle: 2,
            max_recovery_bytes: 128 << 10,
        };
        if number == 0 { smallest } else { smallest.vary(number, &mut Rng::new(number)) }
    }

    /// The smallest, with these sizes.
    pub fn of(page_bytes: usize, streams: usize, max_recovery_bytes: u64) -> Self {
        let page_size = PageSize::new(page_bytes).unwrap_or_default();
        let ring_bytes = ring_bytes_min(page_size);
        Self { page_size, streams, max_recovery_bytes, ring_bytes, ..Self::new(0) }
    }

    fn vary(self, number: u64, rng: &mut Rng) -> Self {
        let sizes = [4096, 4096, 8192, 16384];
        let frames = rng.between(24, 80);
        let page_size = PageSize::new(sizes[rng.below(sizes.len())]).unwrap_or_default();
        Self {
            frames,
            page_size,
            streams: [1, 2, 3, 4][number as usize % 4],
            segment_bytes: 64 << rng.between(10, 12),
            ring_bytes: ring_bytes_min(page_size) << rng.below(2),
            recycle: rng.below(4),
            max_recovery_bytes: 64 << rng.between(10, 13),
            ..self
        }
    }

    /// The same store, opened in another way: what is not fixed at its creation follows from the number; 0 changes
    /// nothing. A store with one log stream keeps it: scripts rely on what that promises of weak commits.
    #[must_use]
    pub fn tuned(self, tuning: u64) -> Self {
        if tuning == 0 {
            return self;
        }
        let other = self.vary(tuning, &mut Rng::new(tuning));
        let ring_bytes = other.ring_bytes.max(ring_bytes_min(self.page_size));
        let streams = if self.is_parallel() { other.streams } else { 1 };
        Self { number: self.number, page_size: self.page_size, streams, ring_bytes, ..other }
    }

    /// True if the log has several streams.
    pub fn is_parallel(&self) -> bool {
        self.streams > 1
    }

    /// A store in one thread, with everything as small as it may be.
    pub fn options(&self) -> Options {
        Options {
            create: true,
            buffer: self.buffer(),
            wal: WalConfig {
                streams: self.streams,
                segment_bytes: self.segment_bytes,
                ring_bytes: self.ring_bytes,
                flusher: false,
                recycle: self.recycle,
            },
            max_recovery_bytes: self.max_recovery_bytes,
            durability: Durability::Sync,
            // One thread runs several transactions: who waits for another would wait for itself.
            lock_timeout: Duration::ZERO,
            background: false,
            lsm: self.lsm(),
            ..Options::default()
        }
    }

    /// Memtables of a few rows, and every other value in a file of values.
    fn lsm(&self) -> LsmConfig {
        LsmConfig {
            memtable_bytes: LsmConfig::MEMTABLE_BYTES_MIN,
            level_runs: Some(2),
            separate_bytes: SEPARATE_BYTES,
            ..LsmConfig::default()
        }
    }

    fn buffer(&self) -> BufferConfig {
        BufferConfig {
            num_frames: self.frames,
            page_size: self.page_size,
            enable_page_provider: false,
            prefetch_threads: 0,
            partitions: 1,
            ..BufferConfig::default()
        }
    }
}

/// What the log takes at the least.
fn ring_bytes_min(page_size: PageSize) -> usize {
    (16 * page_size.bytes()).max(128 << 10)
}
