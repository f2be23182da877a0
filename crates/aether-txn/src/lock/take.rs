//! Locks as a transaction takes them.

use super::{Found, LockMode, LockTable, Patience, Resource};
use crate::isolation::Isolation;
use crate::manager::TxnManager;
use crate::state::{Outcome, TxnState};
use crate::txn::Txn;
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Result, Timestamp, TxnId};

/// Who is between a writer and a row.
pub enum RowHolder {
    /// Nobody: the row may be replaced.
    Nobody,
    /// Its writer's commit is being published: let the latch go and look again.
    Publishing,
    /// A running transaction has written it.
    Writer(Arc<TxnState>),
    /// Somebody has a lock on it, or waits for one.
    Table,
}

impl Txn {
    /// The transaction is about to change rows of `tree`: an id, and the intention locks. Blocks; call without latches.
    ///
    /// # Errors
    /// As [`Txn::begin_write`]; `Conflict`, `TimedOut` or `Deadlock` while another has locked the keyspace or the database.
    pub fn begin_change(&mut self, tree: u32) -> Result<()> {
        self.begin_write()?;
        self.mark_begun();
        if self.bookkeeping || self.writer().intended == Some(tree) {
            return Ok(());
        }
        let locks = &self.manager().locks;
        self.with_patience(|patience| locks.intend(&self.writer().state, tree, patience))?;
        if let Some(writer) = &mut self.writer {
            writer.intended = Some(tree);
        }
        Ok(())
    }

    fn with_patience<T>(&self, wait: impl FnOnce(&Patience<'_>) -> Result<T>) -> Result<T> {
        let check = || self.store().check_healthy();
        wait(&Patience { timeout: self.lock_timeout(), check: &check })
    }

    /// Who is between this transaction and a row of `tree` whose newest version is by `version`? Ask under the leaf's
    /// exclusive latch.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the row since this one's snapshot (first updater wins).
    pub fn holder_of_row(&self, tree: u32, key: &[u8], version: Option<TxnId>) -> Result<RowHolder> {
        if version == Some(self.id()) {
            return Ok(RowHolder::Nobody);
        }
        match self.writer_of_row(key, version)? {
            RowHolder::Nobody if !self.manager().locks.admits(self.id(), tree, key) => Ok(RowHolder::Table),
            holder => Ok(holder),
        }
    }

    fn writer_of_row(&self, key: &[u8], version: Option<TxnId>) -> Result<RowHolder> {
        let Some(writer) = version else { return Ok(RowHolder::Nobody) };
        let Some(state) = self.manager().table.get(writer) else {
            // Forgotten: committed at or below every snapshot that is kept.
            return self.view.check().map(|()| RowHolder::Nobody);
        };
        match state.outcome() {
            Outcome::Committing(_) => Ok(RowHolder::Publishing),
            Outcome::Committed(at)
                if at <= self.view.at()
                    || self.isolation() == Isolation::ReadCommitted
                    || planted("second-updater-wins") =>
            {
                self.view.depend(&state.lv());
                Ok(RowHolder::Nobody)
            }
            Outcome::Committed(_) => {
                Err(self.conflict(state.id(), key, "changed after this transaction began"))
            }
            Outcome::Active | Outcome::Aborted => Ok(RowHolder::Writer(state)),
        }
    }

    /// Fails if this transaction may not change a row any more whose newest version was committed at `at`.
    ///
    /// # Errors
    /// `Conflict` if that was after its snapshot (first updater wins).
    pub fn check_change(&self, key: &[u8], at: Timestamp) -> Result<()> {
        if at <= self.view.at() || self.isolation() == Isolation::ReadCommitted {
            return Ok(());
        }
        Err(self.conflict(format!("at {at}"), key, "changed after this transaction began"))
    }

    fn conflict(&self, writer: impl core::fmt::Display, key: &[u8], how: &str) -> Error {
        let what = format!("the row is {how}, by {writer}; abort and run the transaction again");
        Error::new(ErrorKind::Conflict, what).at_key(key).at_txn(self.id())
    }

    /// Waits until this transaction is next to change the row. On return, look at the row again. Blocks; call
    /// without latches.
    ///
    /// # Errors
    /// `Conflict` for a transaction that does not wait, `TimedOut`, `Deadlock`, `OverLimit`, `Poisoned`.
    pub fn wait_for_row(&self, tree: u32, key: &[u8], writer: Option<&Arc<TxnState>>) -> Result<()> {
        let manager = self.manager();
        if let Some(writer) = writer {
            manager.check_rolls_back(writer)?;
            if self.lock_timeout().is_zero() {
                return Err(self.conflict(writer.id(), key, "being changed"));
            }
        }
        let (own, row) = (&self.writer().state, Resource::key(tree, key));
        self.with_patience(|patience| manager.locks.wait_for_row(own, &row, writer, patience))
    }

    /// Locks a keyspace or the database until the transaction ends or is rolled back to a savepoint before. Blocks.
    ///
    /// # Errors
    /// As [`Txn::wait_for_row`], and [`Txn::begin_write`].
    pub fn lock(&mut self, resource: &Resource, mode: LockMode) -> Result<()> {
        self.begin_write()?;
        let manager = self.manager().clone();
        self.take(resource, mode, &mut || {
            Ok(LockTable::writers_without_entry(resource, manager.table.running()))
        })
    }

    /// Locks a key or a range, `S` or `X`. `search` looks at the rows there under the shared latches of their leaves and
    /// names their writers, each with the key. Blocks.
    ///
    /// # Errors
    /// As [`Txn::lock`], and those of `search`; `InvalidInput` for another mode.
    pub fn lock_rows(
        &mut self,
        resource: &Resource,
        mode: LockMode,
        search: &mut dyn FnMut() -> Result<Vec<(TxnId, Vec<u8>)>>,
    ) -> Result<()> {
        if !matches!(mode, LockMode::S | LockMode::X) {
            return Err(Error::invalid(format!("keys are locked S or X, not {mode}")));
        }
        self.begin_write()?;
        let (manager, own) = (self.manager().clone(), self.id());
        let tree = resource.tree().unwrap_or_default();
        self.take(resource, mode, &mut || {
            let others = search()?.into_iter().filter(|(writer, _)| *writer != own);
            Ok(others.filter_map(|(writer, key)| manager.running_writer(writer, tree, &key)).collect())
        })
    }

    fn take(
        &mut self,
        resource: &Resource,
        mode: LockMode,
        search: &mut dyn FnMut() -> Result<Vec<Found>>,
    ) -> Result<()> {
        let (locks, own) = (&self.manager().locks, &self.writer().state);
        self.with_patience(|patience| locks.lock(own, resource, mode, patience, search))?;
        // What was committed while it waited, a transaction that only now begins may see.
        self.renew_unless_begun();
        Ok(())
    }
}

impl TxnManager {
    /// The lock table.
    pub fn locks(&self) -> &LockTable {
        &self.locks
    }

    fn running_writer(&self, writer: TxnId, tree: u32, key: &[u8]) -> Option<Found> {
        let writer = self.table.get(writer)?;
        let is_running = !matches!(writer.outcome(), Outcome::Committed(_));
        is_running.then(|| Found { writer, resource: Resource::key(tree, key), mode: LockMode::X })
    }

    /// A writer whose rollback failed keeps its rows until the next open: nobody waits for it.
    fn check_rolls_back(&self, writer: &Arc<TxnState>) -> Result<()> {
        let has_failed = writer.outcome() == Outcome::Aborted
            && writer.lock_owner().is_ended()
            && self.table.get(writer.id()).is_some();
        if has_failed {
            self.store.check_healthy()?;
            let what = format!("{} could not be rolled back; open the store again", writer.id());
            return Err(Error::new(ErrorKind::Poisoned, what));
        }
        Ok(())
    }
}
