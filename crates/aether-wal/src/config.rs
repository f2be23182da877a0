//! Sizes and switches of a log.

use crate::record::BLOCK_BYTES;
use aether_types::limits::{GROUP_BYTES_MAX, STREAMS_MAX};
use aether_types::{Error, Lv, Result};

/// The smallest ring and the smallest segment.
const SMALLEST: u64 = 64 << 10;
/// The first segment of an incarnation; those after it grow fourfold up to the configured size.
const FIRST_SEGMENT_BYTES: u64 = 256 << 10;
/// The segment kept for rollback and checkpoint when the disk is full (R3).
const RESERVE_SEGMENT_BYTES: u64 = 1 << 20;
/// What is copied and written at once.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// Sizes and switches of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalConfig {
    /// Streams that are appended to, 1 to 16.
    pub streams: usize,
    /// Bytes of a segment once the log has grown, at least 64 KiB.
    pub segment_bytes: u64,
    /// Bytes of the ring of each stream: a power of two, at least 64 KiB.
    pub ring_bytes: usize,
    /// Whether a background thread flushes for [`crate::Wal::flush_after`] and each half of the ring, and another prepares segments.
    pub flusher: bool,
    /// How many free segments of each stream are kept for reuse.
    pub recycle: usize,
}

impl Default for WalConfig {
    fn default() -> Self {
        Self { streams: 1, segment_bytes: 64 << 20, ring_bytes: 4 << 20, flusher: true, recycle: 2 }
    }
}

impl WalConfig {
    /// Bytes of a record's body at the most: a quarter of the ring, and never above 1 MiB.
    pub fn group_bytes_max(&self) -> usize {
        GROUP_BYTES_MAX.min(self.ring_bytes / 4)
    }

    /// Bytes of memory that a log of this configuration holds, for the budget (R1).
    pub fn memory_bytes(&self) -> usize {
        let counters = self.ring_bytes / BLOCK_BYTES as usize * 4;
        self.streams.saturating_mul(self.ring_bytes.saturating_add(counters + self.chunk_bytes()))
    }

    pub(crate) fn chunk_bytes(&self) -> usize {
        CHUNK_BYTES_MAX.min(self.ring_bytes)
    }

    pub(crate) fn first_segment_bytes(&self) -> u64 {
        FIRST_SEGMENT_BYTES.min(self.segment_capacity())
    }

    pub(crate) fn reserve_segment_bytes(&self) -> u64 {
        RESERVE_SEGMENT_BYTES.min(self.segment_capacity())
    }

    /// Bytes that a full-sized segment holds after its header block.
    pub(crate) fn segment_capacity(&self) -> u64 {
        self.segment_bytes / BLOCK_BYTES * BLOCK_BYTES - BLOCK_BYTES
    }

    /// # Errors
    /// `InvalidInput` that states the broken rule.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1..=STREAMS_MAX).contains(&self.streams) {
            return Err(Error::invalid(format!(
                "{} log streams: 1 to {STREAMS_MAX} are possible",
                self.streams
            )));
        }
        if self.segment_bytes < SMALLEST || self.segment_bytes > 1 << 40 {
            return Err(Error::invalid("a log segment has 64 KiB to 1 TiB"));
        }
        if !self.ring_bytes.is_power_of_two() || !(SMALLEST..=1 << 30).contains(&(self.ring_bytes as u64)) {
            return Err(Error::invalid("a log ring has 64 KiB to 1 GiB and is a power of two"));
        }
        Ok(())
    }
}

/// What one open that writes adds to the log (L1). The control file keeps one for every incarnation that the
/// retained log still touches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incarnation {
    /// Its number: part of every checksum.
    pub epoch: u64,
    /// What the log was cut back to when it began.
    pub cut: Lv,
    /// Where its own records begin; every position above `cut` and up to here is void.
    pub start: Lv,
}

impl Incarnation {
    /// True if its number and its positions are below `end`.
    pub(crate) fn is_below(&self, end: u64) -> bool {
        let positions = [self.cut, self.start].map(|lv| lv.iter(STREAMS_MAX).all(|(_, lsn)| lsn.get() < end));
        self.epoch < end && positions == [true, true]
    }
}
