//! What a transaction can lock.

use crate::keyspace::Keyspace;
use crate::lsm::index::txn::{LockMode, Resource, Txn};
use crate::slot::Slot;
use aether_types::Result;
use core::ops::Bound;

/// What [`Txn::lock`](crate::Txn::lock) is to lock.
#[derive(Clone, Copy)]
pub enum LockTarget<'a> {
    /// Everything, keyspaces to come among it.
    Database,
    /// A keyspace.
    Keyspace(&'a Keyspace),
    /// The keys of a keyspace between two bounds, those that are not there among them: nobody inserts one.
    Range(&'a Keyspace, Bound<&'a [u8]>, Bound<&'a [u8]>),
    /// One key, whether it is there or not.
    Key(&'a Keyspace, &'a [u8]),
}

impl LockTarget<'_> {
    /// Locks it in the index of `slot`. Blocks.
    pub(crate) fn lock_in(self, slot: &Slot, txn: &mut Txn, mode: LockMode) -> Result<()> {
        match self {
            Self::Database => txn.lock(&Resource::Database, mode),
            Self::Keyspace(_) => txn.lock(&Resource::Keyspace(slot.id()), mode),
            Self::Range(_, from, to) => slot.index().lock_range(txn, from, to, mode),
            Self::Key(_, key) => slot.index().lock_key(txn, key, mode),
        }
    }
}
