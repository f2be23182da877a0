//! References to the newest value, of which each few threads have one of their own to copy.
//!
//! To copy the reference in a [`Slots`] is to change a count that all readers share, and the more of them there are the longer each
//! waits for its line. So a shard keeps a reference to the value, with a count that is the shard's: who reads copies that one, once a load has told
//! that the value still is the newest.
//!
//! A copy that nobody comes for must not keep an old value, and with it the files of runs. So who replaces the value clears
//! all shards before the install is over. Who fills a shard loads the value while he holds it: if he does so before it is cleared,
//! it is cleared behind him; if after, he finds the new value, for that was there first.
//!
//! No reader waits: where another holds the shard, it takes a reference of the cell's.

use super::{Slots, shard};
use crate::rank;
use aether_sync::{Arc, Mutex};

/// Places in which threads keep copies.
const SHARDS: usize = if cfg!(loom) { 1 } else { 16 };

/// The number of a value, and the shard's reference to it.
type Kept<T> = Option<(u64, Arc<Arc<T>>)>;

/// A shard, on a line of its own.
#[repr(align(128))]
#[derive(Debug)]
struct Shard<T>(Mutex<Kept<T>>);

/// A [`Slots`] whose readers do not share a count of references.
#[derive(Debug)]
pub struct Copies<T> {
    cell: Slots<T>,
    shards: Vec<Shard<T>>,
}

impl<T> Copies<T> {
    /// A cell that holds `value`, with number 0.
    pub fn new(value: Arc<T>) -> Self {
        let shards = (0..SHARDS).map(|_| Shard(Mutex::new(rank::COPY, None))).collect();
        Self { cell: Slots::new(value), shards }
    }

    /// The newest value, for those who read it and are done. Never waits.
    pub fn read(&self) -> Arc<Arc<T>> {
        let Some(mut kept) = self.shards[shard(SHARDS)].0.try_lock() else {
            return Arc::new(self.cell.load().1);
        };
        if let Some((number, copy)) = &*kept
            && *number == self.cell.number()
        {
            return copy.clone();
        }
        let (number, value) = self.cell.load();
        let copy = Arc::new(value);
        let old = kept.replace((number, copy.clone()));
        drop(kept);
        // Not under the lock: to drop a list of runs may be to delete files.
        drop(old);
        copy
    }

    /// The number of the newest value.
    #[inline]
    pub fn number(&self) -> u64 {
        self.cell.number()
    }

    /// The newest value and its number, for those who keep it. Never waits.
    pub fn load(&self) -> (u64, Arc<T>) {
        self.cell.load()
    }

    /// Replaces the value with that number by `value`, which gets the next one; nobody who rests holds the one before afterwards.
    ///
    /// # Errors
    /// As [`Slots::compare_and_set`].
    pub fn compare_and_set(&self, number: u64, value: Arc<T>) -> Result<u64, Arc<T>> {
        let next = self.cell.compare_and_set(number, value)?;
        // Behind the exchange: who fills a shard that was cleared finds the new value.
        self.shards.iter().for_each(Shard::clear);
        Ok(next)
    }
}

impl<T> Shard<T> {
    /// Blocks for who copies the reference just now.
    fn clear(&self) {
        let old = self.0.lock().take();
        drop(old);
    }
}
