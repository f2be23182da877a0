//! What a transaction is promised of others, and how it is begun.

use crate::commit::Durability;
use std::time::Duration;

/// What a transaction sees of others that run beside it. The anomalies that each level allows stand in
/// `docs/guide/transactions.md`; the words are those of Adya, "Weak Consistency" (MIT, 1999).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Each read shows the newest commits. A write replaces the newest version, whoever wrote it.
    ReadCommitted,
    /// All reads show one committed state. Of two transactions that change one row, the first to do so wins.
    #[default]
    Snapshot,
    /// As if transactions ran one after another, in the order of their commits. A commit is refused if another
    /// transaction has changed, since this one's snapshot, anything it has read; a transaction that only reads is
    /// never refused.
    Serializable,
}

/// How a transaction is begun. What is not said is as the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxnOptions {
    /// The isolation level; none: the store's.
    pub isolation: Option<Isolation>,
    /// What the commit waits for; none: the store's.
    pub durability: Option<Durability>,
    /// The longest wait for one lock; zero: none at all. None: the store's.
    pub lock_timeout: Option<Duration>,
}

impl TxnOptions {
    /// At this level, and otherwise as the store was opened.
    pub fn at(isolation: Isolation) -> Self {
        Self { isolation: Some(isolation), ..Self::default() }
    }
}

impl From<Isolation> for TxnOptions {
    fn from(isolation: Isolation) -> Self {
        Self::at(isolation)
    }
}
