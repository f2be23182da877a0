//! A value in two copies: readers use one in place, while the other is replaced (Ramalhete & Correia, "Left-Right", 2015).
//!
//! Who replaces the value first writes the side that no reader is sent to, then sends readers there, then writes the other
//! side, once those who were sent to it before have left. Readers announce themselves in the lock of the side, which has a place for each
//! few threads, so that they seldom meet; they count no references. Reading never waits: a side is locked only after the
//! readers have been sent away from it, so to make a reader look twice a whole install must come between its two steps.
//!
//! One word is the number of the newest value and says where readers are sent: to the first side by even numbers, to the other by odd ones. So the number
//! is read without any lock, and changes when readers are sent to its value, not before.

use super::shard;
use crate::{rank, trace};
use aether_sync::atomic::{AtomicU64, Ordering::*};
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
    /// The number of the newest value: its lowest bit is the side where readers are sent.
    number: AtomicU64,
    shards: Vec<[Side<T>; 2]>,
    /// Held by who replaces the value.
    install: Mutex<()>,
}

impl<T> LeftRight<T> {
    /// A cell that holds `value`, with number 0.
    pub fn new(value: Arc<T>) -> Self {
        let side = || Side(RwLock::new(rank::SIDE, value.clone()));
        Self {
            number: AtomicU64::new(0),
            shards: (0..SHARDS).map(|_| [side(), side()]).collect(),
            install: Mutex::new(rank::INSTALL, ()),
        }
    }

    /// Hands the newest value to `read`, which must not replace it: whoever does waits for this reader.
    pub fn read<R>(&self, read: impl FnOnce(&Arc<T>) -> R) -> R {
        self.read_numbered(|_, value| read(value))
    }

    fn read_numbered<R>(&self, read: impl FnOnce(u64, &Arc<T>) -> R) -> R {
        let place = shard(SHARDS);
        let mut backoff = Backoff::new();
        loop {
            // Acquire, as in `number`: pairs with the store in `compare_and_set`.
            let side = trace::choose_side(place, || side(self.number()));
            if let Some(value) = trace::enter_side(|| self.shards[place][side].0.try_read()) {
                // A reader that comes late may meet the value of an install that has not sent anybody here yet; its next
                // look would go to the side that still has the one before.
                let now = trace::confirm_side(side, || self.number());
                if self::side(now) == side || planted("stay-where-it-is-late") {
                    // This side gets no other value as long as it is read, so it has the one of this number.
                    return read(now, &value);
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
        let _one_at_a_time = self.install.lock();
        // Relaxed: who has changed it held the lock.
        if self.number.load(Relaxed) != number {
            return Err(value);
        }
        trace::begin_write(|| ());
        let (now, next) = (side(number), side(number + 1));
        if !planted("send-too-early") {
            self.write(if planted("write-where-readers-are-sent") { now } else { next }, &value);
        }
        // Release: who is sent there finds the value.
        trace::send_readers(|| self.number.store(number + 1, Release));
        if !planted("keep-the-old-copy") {
            self.write(now, &value);
        }
        trace::end_write(|| ());
        Ok(number + 1)
    }

    /// The number of the newest value: who reads behind this finds it, or a newer one.
    #[inline]
    pub fn number(&self) -> u64 {
        self.number.load(Acquire)
    }

    /// The newest value and its number. Never waits.
    pub fn load(&self) -> (u64, Arc<T>) {
        self.read_numbered(|number, value| (number, value.clone()))
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

/// Where readers are sent as long as the value with that number is the newest.
fn side(number: u64) -> usize {
    (number & 1) as usize
}
