//! The pacer: who writes pays for the flushing and merging that his writing causes, in small slices.
//!
//! Background workers take most of the work, and as long as they keep up writers pay nothing. What they leave undone is owed; from
//! [`Account::low`] on, each written byte buys some of it, the more the more is owed, and at [`Account::high`] as much as it adds. So the debt
//! is bounded however fast writers are, and nobody ever waits for more than the slice in hand. Nothing depends on how many files there are.
//!
//! Others: RocksDB slows writers down to a rate of its own choosing when files or bytes pass a bound ("delayed writes") and stops them
//! at the next one; the rate lags behind what merging can do, so writers wait when they need not, or stop. SILK (Balmau et al., USENIX
//! ATC 2019) lets flushes and merges of the upper levels go before all others, and gives merging the bandwidth that users leave; it has
//! no bound on what may be owed. Here the order of work is SILK's ([`Pacer::next`]), and the price is the debt itself: there is no
//! rate to guess.
//!
//! [`account`](Account) is arithmetic, without threads or clocks.

mod account;

pub use account::Account;

use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_types::Result;

/// A slice of work is at most this many bytes.
pub const SLICE_BYTES: u64 = 32 << 10;

/// What is done of flushing and merging, piece by piece.
///
/// Each call does about `bytes` bytes and says how many it did: 0 if there is nothing to do. It may block while
/// another is at the same piece, which is for a slice at most, so syncs are left to background workers.
pub trait Work {
    /// Writes out what waits in memory.
    ///
    /// # Errors
    /// Those of writing files.
    fn flush(&self, bytes: u64) -> Result<u64>;

    /// Merges.
    ///
    /// # Errors
    /// Those of reading and writing files.
    fn merge(&self, bytes: u64) -> Result<u64>;
}

/// What a background worker does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Flush a slice.
    Flush,
    /// Merge a slice.
    Merge,
}

/// What a write has paid.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Paid {
    /// Bytes flushed.
    pub flushed: u64,
    /// Bytes merged.
    pub merged: u64,
    /// Slices in which it was done.
    pub slices: u64,
    /// Another slice of writes, or a memtable, is full: background workers may find something new. Writes in between would wake them
    /// for nothing.
    pub is_time_to_look: bool,
}

/// How much may be owed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PacerConfig {
    /// Bytes in memory from which on they are flushed.
    pub flush_from: u64,
    /// Bytes in memory that are not flushed: writers pay from `low` on, which is at least [`PacerConfig::flush_from`]. Memory taken is at most
    /// `high`, one memtable that is being written out, and one write.
    pub memory: Account,
    /// Bytes to merge.
    pub merging: Account,
}

/// Prices writes by what is owed.
#[derive(Debug)]
pub struct Pacer {
    config: PacerConfig,
    /// Bytes in memory.
    waiting: AtomicU64,
    /// Bytes to merge.
    owed: AtomicU64,
    /// Bytes of merging for each written one, in the long run.
    price: AtomicU64,
    /// Less than a slice each that writes have yet to pay.
    unpaid_flush: AtomicU64,
    unpaid_merge: AtomicU64,
}

impl Pacer {
    /// Nothing is owed yet.
    pub fn new(config: PacerConfig) -> Self {
        let zero = || AtomicU64::new(0);
        let (waiting, owed, price) = (zero(), zero(), AtomicU64::new(1));
        Self { config, waiting, owed, price, unpaid_flush: zero(), unpaid_merge: zero() }
    }

    /// Takes over what a policy says after a version was installed: bytes owed, those of merges under way included, and the price.
    pub fn reckon(&self, owed: u64, price: u64) {
        self.owes(owed);
        self.charge(price);
    }

    /// So many bytes are to be merged.
    pub fn owes(&self, bytes: u64) {
        self.owed.store(bytes, Relaxed);
    }

    /// So many bytes of merging come of each written one in the long run.
    pub fn charge(&self, price: u64) {
        self.price.store(price.max(1), Relaxed);
    }

    /// So many bytes wait in memory, whatever was written and flushed since it was counted last.
    pub fn holds(&self, bytes: u64) {
        self.waiting.store(bytes, Relaxed);
    }

    /// Bytes in memory, and bytes to merge.
    pub fn debts(&self) -> (u64, u64) {
        (self.waiting.load(Relaxed), self.owed.load(Relaxed))
    }

    /// What a background worker should do a slice of: flushes go before merges, as memory is what runs out first. But a flush adds to
    /// what is to be merged, and nobody has paid for that yet: where that is at its bound and memory is not, merges go first.
    pub fn next(&self) -> Option<Next> {
        let (waiting, owed) = self.debts();
        let must_merge = owed >= self.config.merging.high && waiting < self.config.memory.high;
        match (waiting > self.config.flush_from && !must_merge, owed > 0) {
            (true, _) => Some(Next::Flush),
            (false, true) => Some(Next::Merge),
            (false, false) => None,
        }
    }

    /// Takes note of work that was done.
    pub fn done(&self, next: Next, bytes: u64) {
        let debt = if next == Next::Flush { &self.waiting } else { &self.owed };
        // What others reckon meanwhile may be less than what was done.
        let _ = debt.fetch_update(Relaxed, Relaxed, |debt| Some(debt.saturating_sub(bytes)));
    }

    /// Adds a write of that many bytes and does the work that it buys, slice by slice. Before the first latch and lock of the write.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn write(&self, bytes: u64, work: &dyn Work) -> Result<Paid> {
        // What it adds itself the background has had no chance to take.
        let waiting = self.waiting.fetch_add(bytes, Relaxed);
        let look = SLICE_BYTES.min(self.config.flush_from).max(1);
        let is_time_to_look = waiting / look != (waiting + bytes) / look;
        let mut paid = Paid { is_time_to_look, ..Paid::default() };
        let due = self.config.memory.due(waiting, 1, bytes);
        paid.flushed = self.buy(Next::Flush, due, &mut paid.slices, |bytes| work.flush(bytes))?;
        let (owed, price) = (self.owed.load(Relaxed), self.price.load(Relaxed));
        let due = self.config.merging.due(owed, price, bytes);
        paid.merged = self.buy(Next::Merge, due, &mut paid.slices, |bytes| work.merge(bytes))?;
        Ok(paid)
    }

    /// Does `due` bytes in slices; what is less than one waits until it adds up to one.
    fn buy(&self, next: Next, due: u64, slices: &mut u64, work: impl Fn(u64) -> Result<u64>) -> Result<u64> {
        let unpaid = if next == Next::Flush { &self.unpaid_flush } else { &self.unpaid_merge };
        let mut left = (due - due % SLICE_BYTES).saturating_add(collect(unpaid, due % SLICE_BYTES));
        let mut all = 0;
        while left > 0 {
            let done = work(left.min(SLICE_BYTES))?;
            if done == 0 {
                break;
            }
            self.done(next, done);
            (all, *slices) = (all + done, *slices + 1);
            left = left.saturating_sub(done);
        }
        Ok(all)
    }
}

/// Adds to what is unpaid; a slice of it once there is so much.
fn collect(unpaid: &AtomicU64, bytes: u64) -> u64 {
    let next = |old: u64| if old + bytes >= SLICE_BYTES { old + bytes - SLICE_BYTES } else { old + bytes };
    match unpaid.fetch_update(Relaxed, Relaxed, |old| Some(next(old))) {
        Ok(old) if old + bytes >= SLICE_BYTES => SLICE_BYTES,
        _ => 0,
    }
}
