//! When removed nodes and values may be used again: when nobody who could have met them is still there.
//!
//! Whoever accesses the map enters the current *epoch* and leaves it when done. The epoch goes from `e` to `e + 1` when nobody is
//! left in `e - 1`. What was taken out of the map while the epoch was `r` is free when the epoch is `r + 3`: to get
//! there, all who entered `r + 1` or earlier have left, and who enters `r + 2` or later has seen the leaving of who took
//! it out, so finds no way to it (Fraser, "Practical Lock-Freedom", 5.2.3, with one epoch more instead of a fence for readers).

use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::*, fence};

/// Epochs that can be told apart.
pub(super) const EPOCHS: usize = 4;
/// Counters are kept several times, so that threads seldom share one.
const SHARDS: usize = if cfg!(loom) { 1 } else { 8 };

/// Counts who is in which epoch; on a line of its own.
#[repr(align(64))]
struct Shard([AtomicU64; EPOCHS]);

/// Who is in the map, by epochs.
pub(super) struct Grace {
    epoch: AtomicU64,
    shards: [Shard; SHARDS],
    /// Held by who moves the epoch on.
    is_moving: AtomicBool,
}

/// The place of one who has entered.
pub(super) struct Ticket {
    shard: usize,
    epoch: u64,
}

fn index(epoch: u64) -> usize {
    epoch as usize % EPOCHS
}

/// A shard for this thread: threads have stacks of their own.
fn shard() -> usize {
    let here = 0u8;
    (((&raw const here).addr() >> 14).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % SHARDS
}

impl Grace {
    pub(super) fn new() -> Self {
        let shard = |_| Shard(core::array::from_fn(|_| AtomicU64::new(0)));
        Self {
            epoch: AtomicU64::new(0),
            shards: core::array::from_fn(shard),
            is_moving: AtomicBool::new(false),
        }
    }

    /// Enters the current epoch. Never waits, but for begins again if the epoch has moved on.
    pub(super) fn enter(&self) -> Ticket {
        let shard = shard();
        loop {
            let epoch = self.epoch.load(Relaxed);
            // SeqCst, both: either the mover's look at the counter sees this one, or this sees that the epoch has moved.
            self.shards[shard].0[index(epoch)].fetch_add(1, SeqCst);
            model_fence();
            // It is an acquire, too: what was taken out before this epoch's beginning is not found.
            if self.epoch.load(SeqCst) == epoch {
                return Ticket { shard, epoch };
            }
            self.shards[shard].0[index(epoch)].fetch_sub(1, Release);
        }
    }

    /// Leaves. Release: what this thread has read and taken out comes before the epoch moves on.
    pub(super) fn leave(&self, ticket: &Ticket) {
        self.shards[ticket.shard].0[index(ticket.epoch)].fetch_sub(1, Release);
    }

    /// The epoch of what is taken out now; asked after the last link to it is gone, by one who has entered.
    pub(super) fn epoch_index(&self) -> usize {
        index(self.epoch.load(SeqCst))
    }

    /// Moves the epoch on if nobody is in the one before; `free` gets the index of the epoch whose things are free then.
    pub(super) fn try_move(&self, free: impl FnOnce(usize)) -> bool {
        if self.is_moving.swap(true, Acquire) {
            return false;
        }
        let epoch = self.epoch.load(Relaxed);
        model_fence();
        // SeqCst: see `enter`. Acquire: pairs with the leaving.
        let is_left = |shard: &Shard| shard.0[index(epoch + EPOCHS as u64 - 1)].load(SeqCst) == 0;
        let moves = self.shards.iter().all(is_left);
        if moves {
            // Release: who enters then has seen the leaving of all who were waited for.
            self.epoch.store(epoch + 1, SeqCst);
            // Of `epoch - 2`. Nobody puts anything there now: who is here entered `epoch` or later.
            free(index(epoch + 2));
        }
        self.is_moving.store(false, Release);
        moves
    }
}

/// loom takes `SeqCst` of an access for acquire and release; it knows fences.
#[inline(always)]
fn model_fence() {
    if cfg!(loom) {
        fence(SeqCst);
    }
}
