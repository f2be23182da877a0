//! What a transaction can lock.

use crate::keyspace::Keyspace;
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
