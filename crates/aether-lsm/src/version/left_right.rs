//! A value in two copies: readers use one in place, while the other is replaced (Ramalhete & Correia, "Left-Right", 2015).
//!
//! Who replaces the value first writes the side that no reader is sent to, then sends readers there, then writes the other
//! side, once those who were sent to it before have left. Readers announce themselves in the lock of the side, which has a place for each
//! few threads, so that they seldom meet; they count no references. Reading never waits: a side is locked only after the
//! readers have been sent away from it, so to make a reader look twice a whole install must come between its two steps.

use crate::{rank, trace};
use aether_sync::atomic::{AtomicUsize, Ordering::*};
use aether_sync::{Arc, Backoff, Mutex, RwLock};
use aether_trace::planted;

/// Places in which readers announce themselves.
const SHARDS: usize = if cfg!(loom) { 1 } else { 8 };

/// A side, on a line of its own.
#[repr(align(128))]
#[derive(Debug)]
struct Side<T>(RwLock<Arc<T>>);

/// A value that is replaced by compare-and-set and read in place.
#[derive(Debug)]
pub struct LeftRight<T> {
    /// Where readers are sent.
    side: AtomicUsize,
    shards: Vec<[Side<T>; 2]>,
    /// The number of the newest value; held by who replaces it.
    number: Mutex<u64>,
}

impl<T> LeftRight<T> {
    /// A cell that holds `value`, with number 0.
    pub fn new(value: Arc<T>) -> Self {
        let side = || Side(RwLock::new(rank::SIDE, value.clone()));
        Self {
            side: AtomicUsize::new(0),
            shards: (0..SHARDS).map(|_| [side(), side()]).collect(),
            number: Mutex::new(rank::INSTALL, 0),
        }
    }

    /// Hands the newest value to `read`, which must not replace it: whoever does waits for this reader.
    pub fn read<R>(&self, read: impl FnOnce(&Arc<T>) -> R) -> R {
        let number = shard();
        let shard = &self.shards[number];
        let mut backoff = Backoff::new();
        loop {
            // Acquire: pairs with the store in `compare_and_set`.
            let side = trace::choose_side(number, || self.side.load(Acquire));
            if let Some(value) = trace::enter_side(|| shard[side].0.try_read()) {
                // A reader that comes late may meet the value of an install that has not sent anybody here yet; its next
                // look would go to the side that still has the one before.
                let now = trace::confirm_side(side, || self.side.load(Acquire));
                if now == side || planted("stay-where-it-is-late") {
                    return read(&value);
                }
            }
            backoff.wait();
        }
    }

    /// Replaces the value with that number by `value`, which gets the next one. Blocks while readers use the values before.
    ///
    /// # Errors
    /// Hands `value` back if another is the newest.
    pub fn compare_and_set(&self, number: u64, value: Arc<T>) -> Result<u64, Arc<T>> {
        let mut newest = self.number.lock();
        if *newest != number {
            return Err(value);
        }
        trace::begin_write(|| ());
        let now = self.side.load(Relaxed);
        if !planted("send-too-early") {
            self.write(if planted("write-where-readers-are-sent") { now } else { 1 - now }, &value);
        }
        // Release: who is sent there finds the value.
        trace::send_readers(|| self.side.store(1 - now, Release));
        if !planted("keep-the-old-copy") {
            self.write(now, &value);
        }
        *newest += 1;
        trace::end_write(|| ());
        Ok(*newest)
    }

    /// The number of the newest value. Blocks while it is replaced.
    pub fn number(&self) -> u64 {
        *self.number.lock()
    }

    /// The newest value and its number.
    pub fn load(&self) -> (u64, Arc<T>) {
        let number = self.number.lock();
        (*number, self.read(Arc::clone))
    }

    fn write(&self, side: usize, value: &Arc<T>) {
        for (number, shard) in self.shards.iter().enumerate() {
            let mut place = trace::lock_side([side, number], || shard[side].0.write());
            let old = core::mem::replace(&mut *place, value.clone());
            trace::write_side([side, number], || drop(place));
            drop(old);
        }
    }
}

/// A shard for this thread: threads have stacks of their own.
fn shard() -> usize {
    let here = 0u8;
    (((&raw const here).addr() >> 14).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % SHARDS
}
