//! A home with one current keyspace: the short way.

use crate::batch::WriteBatch;
use crate::catalog::DEFAULT_NAME;
use crate::env::DbEnv;
use crate::iter::{Iter, View};
use crate::keyspace::Keyspace;
use crate::lsm::index::txn::Deadlocks;
use crate::options::{Isolation, Options, TxnOptions};
use crate::snapshot::Snapshot;
use crate::transact::Transact;
use crate::txn::Txn;
use aether_types::Result;
use std::ops::RangeBounds;
use std::path::Path;

/// An open home and one of its keyspaces, `default` unless said otherwise. Cheap to clone; used by any number of
/// threads. Each call outside [`Db::begin`] is a transaction of its own.
#[derive(Clone)]
pub struct Db {
    // Declared first, dropped first: the last handle on the home closes it.
    keyspace: Keyspace,
    env: DbEnv,
}

impl Db {
    /// Opens or creates a home; recovers it first if it was not closed. Blocks.
    ///
    /// # Errors
    /// As [`DbEnv::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// As [`Db::open`], with options.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::in_env(DbEnv::open(path, options)?, DEFAULT_NAME)
    }

    /// A keyspace of an open home.
    pub fn in_env(env: DbEnv, keyspace: &str) -> Result<Self> {
        Ok(Self { keyspace: env.keyspace(keyspace)?, env })
    }

    /// The home.
    pub fn env(&self) -> &DbEnv {
        &self.env
    }

    /// The current keyspace.
    pub fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        Ok(self.get_into(key, &mut value)?.then_some(value))
    }

    /// Appends the value of `key` to `out`; false if there is none.
    pub fn get_into(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let (start, slot) = (out.len(), &*self.keyspace.slot);
        // Without a view nothing keeps the index: what was found, also an error, counts if the slot has not moved on.
        if slot.is_last() {
            match slot.rows().get_settled(key, out) {
                Ok(None) => {}
                settled if !slot.is_last() => drop(settled),
                settled => return settled.map(|found| found == Some(true)),
            }
        }
        self.get_in_view(key, out, start)
    }

    /// Behind the first `start` bytes of `out`.
    #[inline(never)]
    fn get_in_view(&self, key: &[u8], out: &mut Vec<u8>, start: usize) -> Result<bool> {
        out.truncate(start);
        let view = self.env.0.txns.view();
        self.keyspace.slot.shown_to(&view).rows().get_into(&view, key, out)
    }

    /// Runs `read` on the value of `key` without handing out a copy.
    pub fn get_with<R>(&self, key: &[u8], read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let view = self.env.0.txns.view();
        self.keyspace.slot.shown_to(&view).rows().get_with(&view, key, read)
    }

    /// The values of several keys, at one state of the keyspace.
    pub fn multi_get(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>> {
        self.snapshot()?.multi_get(&self.keyspace, keys)
    }

    /// Inserts or replaces; blocks for others who have changed or locked the key, and as the durability says.
    ///
    /// # Errors
    /// `TimedOut` if the key is not free within `lock_timeout`; `Deadlock`, or `Conflict` with what a prepared transaction has
    /// read, if that was so in all the attempts that [`Transact`] makes; `InvalidInput` beyond the limits; `InDoubt` if the log failed; `Full`, `Poisoned`.
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<()> {
        self.run(Isolation::ReadCommitted, |txn| txn.put(&self.keyspace, key, value))
    }

    /// Deletes; false if there was nothing. Blocks as [`Db::put`].
    ///
    /// # Errors
    /// As [`Db::put`].
    pub fn delete(&self, key: &[u8]) -> Result<bool> {
        self.run(Isolation::ReadCommitted, |txn| txn.delete(&self.keyspace, key))
    }

    /// Replaces the value of `key` by `new` (none: deletes it) if it is `expected` (none: absent). False if it is not. Blocks
    /// as [`Db::put`].
    ///
    /// # Errors
    /// As [`Db::put`].
    pub fn compare_and_set(&self, key: &[u8], expected: Option<&[u8]>, new: Option<&[u8]>) -> Result<bool> {
        self.run(Isolation::Snapshot, |txn| {
            if txn.get(&self.keyspace, key)?.as_deref() != expected {
                return Ok(false);
            }
            match new {
                Some(value) => txn.put(&self.keyspace, key, value)?,
                None => txn.delete(&self.keyspace, key).map(|_| ())?,
            }
            Ok(true)
        })
    }

    /// Applies a batch as one transaction. Blocks as [`Db::put`].
    ///
    /// # Errors
    /// As [`Db::put`]; then nothing of the batch was applied.
    pub fn write(&self, batch: WriteBatch) -> Result<()> {
        self.run(Isolation::ReadCommitted, |txn| {
            batch.writes.iter().try_for_each(|(key, value)| match value {
                Some(value) => txn.put(&self.keyspace, key, value),
                None => txn.delete(&self.keyspace, key).map(|_| ()),
            })
        })
    }

    /// Runs `body` in a transaction, again if another got in the way. What only writes needs no snapshot: it waits for
    /// the row and replaces what it finds.
    pub(crate) fn run<T>(&self, isolation: Isolation, body: impl Fn(&mut Txn) -> Result<T>) -> Result<T> {
        let how = Transact { txn: TxnOptions::at(isolation), ..Transact::default() };
        self.transact_with(how, body).map(|done| done.value)
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<Txn> {
        self.env.begin()
    }

    /// Begins a transaction with options, or just a level: `begin_with(Isolation::Serializable)`.
    pub fn begin_with(&self, options: impl Into<TxnOptions>) -> Result<Txn> {
        self.env.begin_with(options)
    }

    /// Who waits for locks now, and the last 16 deadlocks.
    pub fn deadlocks(&self) -> Deadlocks {
        self.env.deadlocks()
    }

    /// One committed state, repeatable.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.env.snapshot()
    }

    /// All rows, ascending, at one state; `.rev()` descends.
    pub fn iter(&self) -> Result<Iter<'static>> {
        self.range(..)
    }

    /// The rows whose keys lie in a range, at one state.
    pub fn range(&self, range: impl RangeBounds<Vec<u8>>) -> Result<Iter<'static>> {
        Ok(Iter::new(&self.keyspace, self.view(), range))
    }

    /// The rows whose keys begin with `prefix`, at one state.
    pub fn prefix(&self, prefix: &[u8]) -> Result<Iter<'static>> {
        Ok(Iter::prefix(&self.keyspace, self.view(), prefix))
    }

    fn view(&self) -> View<'static> {
        View::Owned(Box::new(self.env.0.txns.view()))
    }
}
