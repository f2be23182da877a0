//! Transactions over keyspaces.

use crate::catalog::Entry;
use crate::env::DbEnv;
use crate::handle::CommitHandle;
use crate::iter::{Cursor, Iter, bounds_of_prefix};
use crate::keyspace::Keyspace;
use crate::lock::LockTarget;
use crate::lsm::index::ValueReader;
use crate::lsm::index::txn as inner;
use crate::lsm::index::txn::{LockMode, Resource};
use crate::options::{Durability, TxnOptions};
use crate::slot::Slot;
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Result};
use std::io::Read;
use std::ops::RangeBounds;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// A transaction: sees one state of the store and its own changes; commits whole or not at all. `Send`. Dropped
/// without commit, it is rolled back.
pub struct Txn {
    inner: Option<inner::Txn>,
    env: DbEnv,
    dropped: Vec<Entry>,
    /// Savepoints with names, oldest first.
    named: Vec<(String, Savepoint)>,
    /// The row that another was first to change.
    lost: Option<Row>,
}

/// A row by its place.
pub(crate) type Row = (Keyspace, Vec<u8>);

/// A point inside a transaction to which it can be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    at: inner::Savepoint,
    dropped: usize,
}

impl Txn {
    pub(crate) fn new(env: DbEnv, options: TxnOptions) -> Self {
        Self {
            inner: Some(env.0.txns.begin_with(options)),
            env,
            dropped: Vec::new(),
            named: Vec::new(),
            lost: None,
        }
    }

    pub(crate) fn inner(&self) -> &inner::Txn {
        self.inner.as_ref().expect("taken only by what consumes the transaction")
    }

    pub(crate) fn inner_mut(&mut self) -> Result<&mut inner::Txn> {
        self.inner.as_mut().ok_or_else(|| Error::new(ErrorKind::TxnOver, "the transaction is over"))
    }

    pub(crate) fn dropped(&mut self, entry: Entry) {
        self.dropped.push(entry);
    }

    pub(crate) fn env(&self) -> &DbEnv {
        &self.env
    }

    pub(crate) fn take_inner(&mut self) -> Result<inner::Txn> {
        self.inner.take().ok_or_else(|| Error::new(ErrorKind::TxnOver, "the transaction is over"))
    }

    pub(crate) fn take_dropped(&mut self) -> Vec<Entry> {
        core::mem::take(&mut self.dropped)
    }

    /// The value of `key`.
    pub fn get(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        Ok(self.get_into(keyspace, key, &mut value)?.then_some(value))
    }

    /// Appends the value of `key` to `out`; false if there is none.
    pub fn get_into(&self, keyspace: &Keyspace, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        if planted("forget-missing-keys") {
            return self.get_if_there(keyspace, key, out);
        }
        let (inner, start) = (self.inner(), out.len());
        let view = inner.read();
        keyspace.slot.read(view, |slot| {
            inner.note_key(slot.id(), key);
            out.truncate(start);
            slot.rows().get_into(view, key, out)
        })
    }

    /// A planted bug: what is missing is not noted.
    #[cold]
    fn get_if_there(&self, keyspace: &Keyspace, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let view = self.inner().read();
        let slot = keyspace.slot.shown_to(view);
        let is_there = slot.rows().get_into(view, key, out)?;
        if is_there {
            self.inner().note_key(slot.id(), key);
        }
        Ok(is_there)
    }

    /// Inserts or replaces.
    ///
    /// # Errors
    /// `Conflict`: another transaction has changed the key first, or the keyspace was converted since; abort and run again. `TimedOut` or `Deadlock` while
    /// another is changing it, or has locked it. After these three nothing is half done, and the transaction may go on. `InvalidInput` beyond
    /// the limits.
    pub fn put(&mut self, keyspace: &Keyspace, key: &[u8], value: &[u8]) -> Result<()> {
        let put = self.change(keyspace, key, |slot, txn| slot.rows().put(txn, key, value));
        self.note_lost(put, keyspace, key)
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Txn::put`].
    pub fn delete(&mut self, keyspace: &Keyspace, key: &[u8]) -> Result<bool> {
        let deleted = self.change(keyspace, key, |slot, txn| {
            txn.note_key(slot.id(), key);
            slot.rows().delete(txn, key)
        });
        self.note_lost(deleted, keyspace, key)
    }

    /// Changes a row where the rows of the keyspace are now.
    #[inline]
    fn change<T>(
        &mut self,
        keyspace: &Keyspace,
        key: &[u8],
        change: impl FnOnce(&Slot, &mut inner::Txn) -> Result<T>,
    ) -> Result<T> {
        let txn = self.inner_mut()?;
        let slot = keyspace.slot.to_change(txn, key)?;
        change(slot, txn)
    }

    fn note_lost<T>(&mut self, changed: Result<T>, keyspace: &Keyspace, key: &[u8]) -> Result<T> {
        if changed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict) {
            self.lost = Some((keyspace.clone(), key.to_vec()));
        }
        changed
    }

    /// The row at which this transaction met one that was first.
    pub(crate) fn take_lost(&mut self) -> Option<Row> {
        self.lost.take()
    }

    /// Inserts or replaces with `length` bytes read from `from`; memory stays bounded.
    ///
    /// # Errors
    /// As [`Txn::put`]; `InvalidInput` if `from` ends early: then only abort remains.
    pub fn put_stream(
        &mut self,
        keyspace: &Keyspace,
        key: &[u8],
        length: u64,
        from: &mut dyn Read,
    ) -> Result<()> {
        self.change(keyspace, key, |slot, txn| slot.index().put_from(txn, key, length, from))
    }

    /// A reader of the value of `key`, page by page.
    pub fn get_stream(&self, keyspace: &Keyspace, key: &[u8]) -> Result<Option<ValueReader>> {
        let inner = self.inner();
        let view = inner.read();
        keyspace.slot.read(view, |slot| {
            inner.note_key(slot.id(), key);
            slot.index().get_stream(view, key)
        })
    }

    /// All rows, ascending; `.rev()` descends.
    pub fn iter(&self, keyspace: &Keyspace) -> Result<Iter<'_>> {
        self.range(keyspace, ..)
    }

    /// The rows whose keys lie in a range.
    pub fn range(&self, keyspace: &Keyspace, range: impl RangeBounds<Vec<u8>>) -> Result<Iter<'_>> {
        Ok(Iter::in_txn(keyspace, self.inner(), range))
    }

    /// The rows whose keys begin with `prefix`.
    pub fn prefix(&self, keyspace: &Keyspace, prefix: &[u8]) -> Result<Iter<'_>> {
        Ok(Iter::in_txn(keyspace, self.inner(), bounds_of_prefix(prefix)))
    }

    /// A position in a keyspace that stays usable while the transaction changes rows.
    pub fn cursor(&self, keyspace: &Keyspace) -> Cursor {
        Cursor::new(keyspace, self.inner().view())
    }

    /// Locks a key, a range of keys, a keyspace or the database, until the transaction ends or is rolled back to a
    /// savepoint before. Keeps others from changing what is locked (`S`) or from locking it too (`X`); never from reading it.
    /// Writing locks what it must by itself. A transaction that has neither read nor written yet sees, once it has the lock,
    /// what was committed until then: who locks first what others change too meets no `Conflict` there. Later the snapshot stays
    /// where it is: what others have committed since is a `Conflict` when it is written to. Blocks, at most for the transaction's `lock_timeout`.
    ///
    /// # Errors
    /// `Conflict` if the lock is not free and `lock_timeout` is zero; `TimedOut`; `Deadlock`; `OverLimit` beyond the memory
    /// budget; `InvalidInput` for a range without keys, or a key or range in another mode than `S` and `X`. The
    /// transaction may go on.
    pub fn lock(&mut self, target: LockTarget<'_>, mode: LockMode) -> Result<()> {
        let txn = self.inner_mut()?;
        let keyspace = match target {
            LockTarget::Database => return txn.lock(&Resource::Database, mode),
            LockTarget::Keyspace(keyspace)
            | LockTarget::Range(keyspace, ..)
            | LockTarget::Key(keyspace, _) => keyspace,
        };
        let mut slot = &keyspace.slot;
        loop {
            target.lock_in(slot, txn, mode)?;
            // The lock may have been waited for while the keyspace was converted.
            let Some(next) = slot.successor() else { return Ok(()) };
            slot = next;
        }
    }

    /// Marks this point.
    pub fn savepoint(&mut self) -> Savepoint {
        let inner = self.inner.as_mut().expect("taken only by what consumes the transaction");
        Savepoint { at: inner.savepoint(), dropped: self.dropped.len() }
    }

    /// Forgets a savepoint, and those set after it; what was done since stays.
    ///
    /// # Errors
    /// `InvalidInput` for a savepoint that is not this transaction's, or is gone.
    pub fn release(&mut self, savepoint: &Savepoint) -> Result<()> {
        self.inner_mut()?.release(&savepoint.at)
    }

    /// Marks this point with a name. A name set twice means the newer point, until that is gone.
    pub fn savepoint_as(&mut self, name: &str) -> Savepoint {
        let savepoint = self.savepoint();
        self.named.push((name.to_owned(), savepoint));
        savepoint
    }

    /// As [`Txn::rollback_to`], by name; the savepoint stays.
    ///
    /// # Errors
    /// `NotFound`; as [`Txn::rollback_to`].
    pub fn rollback_to_named(&mut self, name: &str) -> Result<()> {
        let savepoint = self.find_named(name)?;
        self.rollback_to(&savepoint)
    }

    /// As [`Txn::release`], by name.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn release_named(&mut self, name: &str) -> Result<()> {
        let savepoint = self.find_named(name)?;
        self.release(&savepoint)
    }

    /// The newest savepoint of that name that is not gone.
    fn find_named(&mut self, name: &str) -> Result<Savepoint> {
        let Self { inner, named, .. } = self;
        let inner = inner.as_ref().expect("taken only by what consumes the transaction");
        named.retain(|(_, savepoint)| inner.has_savepoint(&savepoint.at));
        let found = named.iter().rev().find(|(known, _)| known == name);
        let missing = || Error::new(ErrorKind::NotFound, format!("there is no savepoint `{name}`"));
        found.map(|(_, savepoint)| *savepoint).ok_or_else(missing)
    }

    /// Runs `body` as a part that fails or succeeds alone: if it returns an error or panics, what it did is undone, and
    /// the transaction goes on.
    ///
    /// # Errors
    /// Those of `body`, and of the rollback if that fails. After one of `body` that ends the transaction only abort remains.
    pub fn nested<T>(&mut self, body: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let mark = self.savepoint();
        let ended = catch_unwind(AssertUnwindSafe(|| body(self)));
        match ended {
            Ok(Ok(value)) => self.release(&mark).map(|()| value),
            Ok(Err(error)) => match self.take_back(&mark) {
                // The error has ended the transaction, which will be rolled back as a whole.
                Err(over) if over.kind() == ErrorKind::TxnOver => Err(error),
                taken => taken.and(Err(error)),
            },
            Err(panic) => {
                let _ = self.take_back(&mark);
                resume_unwind(panic)
            }
        }
    }

    /// Undoes what was done since the savepoint, and forgets it.
    fn take_back(&mut self, savepoint: &Savepoint) -> Result<()> {
        self.rollback_to(savepoint)?;
        self.release(savepoint)
    }

    /// Undoes what was done since the savepoint; the transaction goes on.
    ///
    /// # Errors
    /// `InvalidInput` for a savepoint that is not this transaction's, or is gone.
    pub fn rollback_to(&mut self, savepoint: &Savepoint) -> Result<()> {
        self.inner_mut()?.rollback_to(&savepoint.at)?;
        self.dropped.truncate(savepoint.dropped);
        Ok(())
    }

    /// Changes what [`Txn::commit`] waits for.
    pub fn set_durability(&mut self, durability: Durability) {
        if let Some(inner) = &mut self.inner {
            inner.set_durability(durability);
        }
    }

    /// Commits, and waits as the durability says. Blocks.
    ///
    /// # Errors
    /// `InDoubt` if the log failed before the commit was known to be durable: the next open decides. Otherwise nothing
    /// was committed.
    pub fn commit(mut self) -> Result<()> {
        let Some(inner) = self.inner.take() else { return Ok(()) };
        let durability = inner.durability();
        let handle = inner.commit_with(durability)?;
        let at = handle.timestamp();
        handle.wait_as(durability)?;
        self.after_commit(at);
        Ok(())
    }

    /// Commits: visible to others on return. The handle tells when the commit is durable; with `Durability::None` that
    /// is whenever somebody flushes the log.
    pub fn commit_with(mut self, durability: Durability) -> Result<CommitHandle> {
        let handle = self.take_inner()?.commit_with(durability)?;
        self.after_commit(handle.timestamp());
        Ok(CommitHandle::new(handle))
    }

    /// Housekeeping that cannot fail a commit that has happened: pages that are not freed now are freed after the
    /// next open, and if the store has failed, the next call says so.
    fn after_commit(&mut self, at: Option<aether_types::Timestamp>) {
        if let (Some(at), false) = (at, self.dropped.is_empty()) {
            let entries = self.dropped.drain(..).collect();
            self.env.0.throw_away(at, entries);
        }
        self.env.0.free_garbage();
    }

    /// Undoes everything.
    pub fn abort(mut self) -> Result<()> {
        match self.inner.take() {
            Some(inner) => inner.abort(),
            None => Ok(()),
        }
    }
}
