//! Rows in memory over something else: an LSM tree keeps its newest rows here, and what was here before in runs.
//!
//! A row that is not in memory may lie below. What lies below only changes when rows go there from memory, are put together
//! there, or come there by a transaction that keeps all others from writing; a mark tells. So a writer looks below first, then latches the row's stripe and looks at the mark again.

use super::Resident;
use crate::rows::change::Change;
use aether_txn::Txn;
use aether_txn::recovery::Advance;
use aether_types::{Result, Timestamp};

/// What lies below rows in memory: committed versions, none newer than those in memory.
pub trait Below: Send + Sync + 'static {
    /// Another number whenever what is here has changed; to be read before a row is looked for.
    fn mark(&self) -> u64;

    /// The newest version of `key` here, among them what `txn` itself has put here. Where no version is as new as `from`, it need not look. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption`, `Io`.
    fn newest(&self, txn: &Txn, key: &[u8], from: Timestamp) -> Result<Option<NewestBelow>>;
}

/// The newest version of a key that lies below.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NewestBelow {
    /// When it was committed; 0: every snapshot sees it.
    pub at: Timestamp,
    /// It is a value.
    pub is_there: bool,
}

/// Makes rows in memory go below.
pub trait Flush: Send + Sync + 'static {
    /// Does a slice of what it takes that no log is needed for rows which were changed before the first of these calls: as
    /// [`Participant::advance`](aether_txn::recovery::Participant::advance). Blocks for I/O.
    ///
    /// # Errors
    /// Those of reading and writing.
    fn flush(&self) -> Result<Advance>;
}

/// What a writer has found below.
pub(super) enum LooksBelow {
    /// There is nothing below any row.
    Nothing,
    /// Nobody looked, for the row was in memory.
    Unknown,
    /// This, with the mark that was read before.
    Found { mark: u64, is_there: bool },
}

impl Resident {
    /// True if memory says something of `key`, be it that it is deleted.
    pub fn holds(&self, key: &[u8]) -> bool {
        let rows = &self.0.rows;
        rows.find(&rows.map.pin(), key).is_some_and(|cell| !cell.is_removed())
    }

    /// Looks below for a row that is not in memory, before its stripe is latched. Blocks for reads.
    ///
    /// # Errors
    /// `Conflict` if it was changed after the transaction's snapshot (first updater wins); those of reading.
    pub(super) fn look_below(&self, txn: &Txn, key: &[u8], change: Change<'_>) -> Result<LooksBelow> {
        let Some(below) = &self.0.below else { return Ok(LooksBelow::Nothing) };
        if self.holds(key) {
            return Ok(LooksBelow::Unknown);
        }
        let (mark, snapshot) = (below.mark(), txn.view().at());
        // Only a deletion has to know what is older.
        let from = if change.is_delete() { 0 } else { snapshot.get().saturating_add(1) };
        let newest = below.newest(txn, key, Timestamp::new(from))?;
        if let Some(newest) = newest.filter(|newest| newest.at > snapshot) {
            txn.check_change(key, newest.at)?;
        }
        let is_there = change.is_delete() && newest.is_some_and(|newest| newest.is_there);
        Ok(LooksBelow::Found { mark, is_there })
    }

    /// Under the stripe's latch, for a row that is not in memory: whether it is there, if that is still known.
    pub(super) fn below_still(&self, looked: &LooksBelow) -> Option<bool> {
        match (looked, &self.0.below) {
            (LooksBelow::Nothing, _) | (_, None) => Some(false),
            (LooksBelow::Unknown, _) => None,
            (LooksBelow::Found { mark, is_there }, Some(below)) => {
                (below.mark() == *mark).then_some(*is_there)
            }
        }
    }
}
