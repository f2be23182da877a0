//! How far the log has come since the last checkpoint, for who asks with every change: without a lock.

use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Nothing was written since the store was opened.
const UNKNOWN: u64 = u64::MAX;

/// Positions are sums over all streams, in bytes. They are hints: who acts on one holds the checkpoint's lock, and looks again.
pub(super) struct Pace {
    /// Where the last checkpoint was taken, or [`UNKNOWN`].
    taken_at: AtomicU64,
    /// From where on the next slice is due.
    next_at: AtomicU64,
}

impl Pace {
    /// Of a store that was just opened.
    pub(super) fn new() -> Self {
        Self { taken_at: AtomicU64::new(UNKNOWN), next_at: AtomicU64::new(0) }
    }

    /// True if a slice is due at `position`.
    pub(super) fn is_due(&self, position: u64) -> bool {
        position >= self.next_at.load(Relaxed)
    }

    /// The next slice is due at `position`.
    pub(super) fn wait_until(&self, position: u64) {
        self.next_at.store(position, Relaxed);
    }

    /// A checkpoint is taken at `position`, and the next one begins `due` bytes on.
    pub(super) fn taken(&self, position: u64, due: u64) {
        self.taken_at.store(position, Relaxed);
        self.wait_until(position + due);
    }

    /// The first write of an open finds the log as an earlier one has left it: a checkpoint is due at the latest now, and not late.
    pub(super) fn begin(&self, position: u64, due: u64) {
        if self.taken_at.load(Relaxed) == UNKNOWN {
            self.taken(position.saturating_sub(due), due);
        }
    }

    /// Bytes of log since the last checkpoint.
    pub(super) fn since(&self, position: u64) -> u64 {
        match self.taken_at.load(Relaxed) {
            UNKNOWN => 0,
            taken_at => position.saturating_sub(taken_at),
        }
    }
}
