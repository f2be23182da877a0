//! What a pool has done.

use aether_sync::Counter;

#[derive(Default)]
pub(crate) struct Statistics {
    pub(crate) loads: Counter,
    pub(crate) evictions: Counter,
    pub(crate) cooled: Counter,
    pub(crate) pages_written: Counter,
    pub(crate) batches: Counter,
    pub(crate) repaired: Counter,
}

/// Counts since the pool was built, and the frames as they stand.
#[derive(Clone, Copy, Default, Debug)]
pub struct PoolStats {
    /// Pages read from their files.
    pub loads: u64,
    /// Pages evicted.
    pub evictions: u64,
    /// Frames that the clock hand cooled or passed.
    pub cooled: u64,
    /// Pages written back.
    pub pages_written: u64,
    /// Batches they were written in.
    pub batches: u64,
    /// Damaged pages made anew.
    pub repaired: u64,
    /// Frames in all.
    pub frames: usize,
    /// Frames without a page.
    pub free: usize,
    /// HOT frames.
    pub hot: usize,
    /// COOL frames.
    pub cool: usize,
    /// Frames with a copy on its way to a file.
    pub writing: usize,
    /// Frames whose page is newer than its file.
    pub dirty: usize,
}

impl Statistics {
    pub(crate) fn read(&self) -> PoolStats {
        PoolStats {
            loads: self.loads.get(),
            evictions: self.evictions.get(),
            cooled: self.cooled.get(),
            pages_written: self.pages_written.get(),
            batches: self.batches.get(),
            repaired: self.repaired.get(),
            ..PoolStats::default()
        }
    }
}
