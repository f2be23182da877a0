//! What a table takes from the memory budget (R1): in steps, ahead of what the map claims.

use crate::skiplist::Skiplist;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_txn::recovery::wal::buffer::Account;
use aether_types::Result;

/// Bytes taken at a time: a chunk of the map's arena.
const STEP_BYTES: u64 = 128 << 10;

/// Words of an entry besides its key: links and payload, of most entries.
const ENTRY_BYTES: u64 = 128;

/// How much is at stake if there is no memory left.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Need {
    /// The caller is told.
    Refusable,
    /// A change is undone, or redone: it must go on, also beyond the budget.
    Urgent,
}

/// The bytes charged for a table.
pub(super) struct Memory {
    account: Account,
    charged_bytes: AtomicU64,
}

impl Memory {
    pub(super) fn new(account: Account) -> Self {
        Self { account, charged_bytes: AtomicU64::new(0) }
    }

    /// Sees to it that a row of so many bytes is paid for before the map claims them.
    ///
    /// # Errors
    /// `OverLimit` beyond the budget, if that may be.
    pub(super) fn cover(&self, map: &Skiplist, row_bytes: usize, need: Need) -> Result<()> {
        let held = map.claimed_bytes() + row_bytes as u64 + ENTRY_BYTES;
        let charged = self.charged_bytes.load(Relaxed);
        if held <= charged {
            return Ok(());
        }
        // Two who come here at once both take a step: the next who needs one finds it there.
        let step = (held - charged).next_multiple_of(STEP_BYTES);
        match need {
            Need::Refusable => self.account.charge(step)?,
            Need::Urgent => self.account.count(step),
        }
        self.charged_bytes.fetch_add(step, Relaxed);
        Ok(())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.account.release(self.charged_bytes.load(Relaxed));
    }
}
