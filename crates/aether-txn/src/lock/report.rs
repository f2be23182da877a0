//! What the lock table tells of itself: who waits for whom, and the cycles that were broken.

use super::mode::LockMode;
use super::resource::Resource;
use aether_types::{Error, ErrorKind, TxnId};
use core::fmt;

/// One transaction that waits for a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// Who waits.
    pub waiter: TxnId,
    /// For what.
    pub resource: Resource,
    /// In which mode.
    pub mode: LockMode,
    /// Who has it, or waits for it before.
    pub blockers: Vec<TxnId>,
}

impl fmt::Display for LockWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} waits for {} on {}, behind {}",
            self.waiter,
            self.mode,
            self.resource,
            names(&self.blockers)
        )
    }
}

/// A cycle of waits that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle {
    /// Each waits for the next, the last for the first.
    pub waits: Vec<LockWait>,
    /// Whose wait was ended: the youngest of them.
    pub victim: TxnId,
}

impl Cycle {
    pub(super) fn error(&self) -> Error {
        let what = format!("a deadlock: {self}; abort the transaction and run it again");
        let error = Error::new(ErrorKind::Deadlock, what).at_txn(self.victim);
        match self.waits.iter().find(|wait| wait.waiter == self.victim) {
            Some(wait) => at_resource(error, &wait.resource),
            None => error,
        }
    }
}

impl fmt::Display for Cycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wait) in self.waits.iter().enumerate() {
            let next = &self.waits[(index + 1) % self.waits.len()];
            write!(
                f,
                "{} waits for {} on {} behind {}; ",
                wait.waiter, wait.mode, wait.resource, next.waiter
            )?;
        }
        write!(f, "the youngest, {}, is the victim", self.victim)
    }
}

/// The present waits, and the last cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deadlocks {
    /// Who waits now, longest first.
    pub waits: Vec<LockWait>,
    /// The last 16 cycles that were broken, newest last.
    pub cycles: Vec<Cycle>,
}

/// Names the transactions, the first few of many.
pub(super) fn names(txns: &[TxnId]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<_> = txns.iter().take(SHOWN).map(ToString::to_string).collect();
    match txns.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// Names the key, where there is one.
pub(super) fn at_resource(error: Error, resource: &Resource) -> Error {
    match resource {
        Resource::Key { key, .. } => error.at_key(key),
        _ => error,
    }
}
