//! Row locks, shared and exclusive, kept until the commit: what serializability by two-phase locking would cost at least.
//! It has no ranges, so it stops no phantoms, and no deadlock detection: whoever uses it locks in one order.

use aether_types::checksum;
use std::collections::HashMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

const SHARDS: usize = 64;

/// Who holds a row.
#[derive(Clone, Copy, Default)]
struct Holders {
    shared: u32,
    is_exclusive: bool,
}

#[derive(Default)]
struct Shard {
    rows: Mutex<HashMap<u64, Holders>>,
    freed: Condvar,
}

impl Shard {
    fn rows(&self) -> MutexGuard<'_, HashMap<u64, Holders>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks until the row is free for it.
    fn lock(&self, row: u64, is_exclusive: bool) {
        let mut rows = self.rows();
        loop {
            let holders = rows.entry(row).or_default();
            if !holders.is_exclusive && (holders.shared == 0 || !is_exclusive) {
                holders.is_exclusive = is_exclusive;
                holders.shared += u32::from(!is_exclusive);
                return;
            }
            rows = self.freed.wait(rows).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn unlock(&self, row: u64, is_exclusive: bool) {
        let mut rows = self.rows();
        if let Some(holders) = rows.get_mut(&row) {
            holders.is_exclusive = false;
            holders.shared -= u32::from(!is_exclusive);
            if holders.shared == 0 {
                rows.remove(&row);
            }
        }
        self.freed.notify_all();
    }
}

/// The table.
pub(crate) struct Locks(Vec<Shard>);

impl Default for Locks {
    fn default() -> Self {
        Self((0..SHARDS).map(|_| Shard::default()).collect())
    }
}

impl Locks {
    fn shard(&self, row: u64) -> &Shard {
        &self.0[row as usize % SHARDS]
    }
}

/// The locks of a transaction; dropped, they are free.
pub(crate) struct Held<'a> {
    locks: &'a Locks,
    rows: Vec<(u64, bool)>,
}

impl<'a> Held<'a> {
    pub(crate) fn new(locks: &'a Locks) -> Self {
        Self { locks, rows: Vec::new() }
    }

    /// Blocks until no other transaction holds the row in a mode that forbids it. A row held already is held on; none is
    /// ever wanted exclusively after it was shared.
    pub(crate) fn lock(&mut self, key: &[u8], is_exclusive: bool) {
        let row = checksum(0, key);
        match self.rows.iter().find(|(held, _)| *held == row) {
            Some((_, held)) => assert!(*held || !is_exclusive, "a shared lock is not converted"),
            None => {
                self.locks.shard(row).lock(row, is_exclusive);
                self.rows.push((row, is_exclusive));
            }
        }
    }

    pub(crate) fn release(&mut self) {
        let Self { locks, rows } = self;
        rows.drain(..).for_each(|(row, is_exclusive)| locks.shard(row).unlock(row, is_exclusive));
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
