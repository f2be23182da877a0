//! Transactions that read before they write: what they do, and what must hold of the store afterwards.

mod accounts;
mod orders;
mod row;

use crate::draw::Rng;
use crate::engine::{Engine, Failure, Result, Transactions, Write};
use crate::workload::{Scale, Trade};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// A set of rows, the transactions on them, and their invariants.
pub trait Business: Send + Sync {
    /// Writes the rows to begin with.
    ///
    /// # Errors
    /// Of the engine.
    fn load(&self, store: &dyn Engine) -> Result<()>;

    /// Runs one transaction, drawn by chance.
    ///
    /// # Errors
    /// Of the engine.
    fn step(&self, store: &dyn Transactions, client: &mut Client<'_>) -> Result<Done>;

    /// Compares the store with what its clients have `kept` count of, and with itself.
    ///
    /// # Errors
    /// The first difference.
    fn check(&self, store: &dyn Engine, kept: &[Kept]) -> Result<()>;
}

/// What a transaction took.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// Attempts, the last one included.
    pub attempts: u64,
    /// Bytes of keys and values that it put.
    pub user_bytes: u64,
}

/// What the committed transactions of one thread add up to. Threads do not share its line of the processor's cache.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Kept {
    orders: AtomicU64,
    payments: AtomicU64,
    amount: AtomicI64,
}

/// A thread that runs transactions.
pub struct Client<'a> {
    thread: u32,
    rng: Rng,
    value: Vec<u8>,
    kept: &'a Kept,
}

impl<'a> Client<'a> {
    /// The client of a thread; `seed` makes another sequence of transactions.
    pub fn new(thread: u32, seed: u64, kept: &'a Kept) -> Self {
        Self { thread, rng: Rng::new(seed << 32 | u64::from(thread)), value: Vec::new(), kept }
    }
}

/// What `trade` is, at a scale.
pub fn business(trade: Trade, scale: &Scale) -> Box<dyn Business> {
    match trade {
        Trade::Orders { warehouses } => Box::new(orders::Orders::new(warehouses, scale)),
        Trade::Accounts => Box::new(accounts::Accounts::new(scale)),
    }
}

fn sum(kept: &[Kept], of: impl Fn(&Kept) -> &AtomicU64) -> u64 {
    kept.iter().map(|kept| of(kept).load(Relaxed)).sum()
}

fn holds(what: bool, told: impl FnOnce() -> String) -> Result<()> {
    if what { Ok(()) } else { Err(Failure::from(told())) }
}

/// Rows of a transaction that loads.
const LOAD_ROWS: usize = 200;

fn write_all(store: &dyn Engine, rows: impl Iterator<Item = (row::Key, Vec<u8>)>) -> Result<()> {
    let rows: Vec<_> = rows.collect();
    rows.chunks(LOAD_ROWS).try_for_each(|part| {
        let writes: Vec<Write<'_>> =
            part.iter().map(|(key, value)| Write { key, value: Some(value) }).collect();
        store.write(&writes)
    })
}

#[cfg(test)]
mod tests;
