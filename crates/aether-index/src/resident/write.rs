//! Changing rows: one mini-transaction of the row's change and the undo record's, under the latch of the row's stripe.

use super::Resident;
use super::memory::Need;
use super::rows::Wanted;
use crate::rows::{mtr_bytes, write_extents};
use aether_page::UndoPtr;
use aether_page::node::Row;
use aether_sync::Backoff;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{RowHolder, Txn, UndoKind, UndoPlan, UndoRecord};
use aether_types::{Error, ErrorKind, Result, TxnId, limits};

/// What a row becomes.
#[derive(Clone, Copy)]
enum Change<'v> {
    Put { value: &'v [u8], overflow: bool },
    Delete,
}

impl<'v> Change<'v> {
    fn row(self, writer: TxnId, undo: UndoPtr) -> Row<'v> {
        match self {
            Self::Put { value, overflow } => Row { overflow, ..Row::versioned(writer, undo, value) },
            Self::Delete => Row { ghost: true, ..Row::versioned(writer, undo, &[]) },
        }
    }
}

/// How an attempt to change a row ended.
enum Attempt {
    /// Done: whether the row was there before, and the stub of the large value it had.
    Done { existed: bool, plan: UndoPlan, retired: Option<Vec<u8>> },
    /// There was nothing to delete.
    Nothing,
    /// Another is between this transaction and the row.
    Blocked(RowHolder),
}

impl Resident {
    /// Inserts or replaces; blocks for latches and log room.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the key (first updater wins), or is changing it and this one does not
    /// wait; `TimedOut` or `Deadlock` if it does; `OverLimit` if the memory budget is used up: after these four nothing
    /// is half done, and the transaction may go on. `InvalidInput` beyond the limits; `TxnOver`; `Poisoned`.
    pub fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        self.check_key(key)?;
        if value.len() <= limits::inline_value_bytes_max(self.store().page_size()) {
            return self.change(txn, key, Change::Put { value, overflow: false }).map(|_| ());
        }
        self.put_from(txn, key, value.len() as u64, &mut &*value)
    }

    /// Inserts or replaces with a value of `length` bytes read from `from`; memory stays bounded. Blocks.
    ///
    /// # Errors
    /// As [`Resident::put`]; `InvalidInput` if `from` ends early. Then the transaction can only be aborted.
    pub fn put_from(
        &self,
        txn: &mut Txn,
        key: &[u8],
        length: u64,
        from: &mut dyn std::io::Read,
    ) -> Result<()> {
        self.check_key(key)?;
        let mark = txn.savepoint();
        let stub = write_extents(txn, self.0.anchor, key, length, from)?;
        let put = self.change(txn, key, Change::Put { value: &stub, overflow: true });
        if put.as_ref().is_err_and(is_refusal) {
            // What stands in extents already goes, should the transaction go on.
            txn.rollback_to(&mark)?;
        }
        txn.release(&mark)?;
        put.map(|_| ())
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Resident::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.check_key(key)?;
        self.change(txn, key, Change::Delete)
    }

    /// After an error that is neither the caller's nor a refusal, the transaction is not whole any more: it can only
    /// be aborted.
    fn change(&self, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
        let changed = self.change_row(txn, key, change);
        if changed.as_ref().is_err_and(|error| !is_refusal(error)) {
            txn.fail();
        }
        changed
    }

    fn change_row(&self, txn: &mut Txn, key: &[u8], change: Change<'_>) -> Result<bool> {
        let mut backoff = Backoff::new();
        loop {
            txn.begin_change(self.id())?;
            match self.with_room(|| self.try_change(txn, key, change))? {
                Attempt::Done { existed, plan, retired } => {
                    txn.applied(plan);
                    txn.wrote(self.id(), key);
                    retired.into_iter().for_each(|stub| txn.retire(stub));
                    return Ok(existed);
                }
                Attempt::Nothing => return Ok(false),
                Attempt::Blocked(RowHolder::Writer(writer)) => {
                    txn.wait_for_row(self.id(), key, Some(&writer))?;
                }
                Attempt::Blocked(RowHolder::Table) => txn.wait_for_row(self.id(), key, None)?,
                Attempt::Blocked(_) => backoff.wait(),
            }
        }
    }

    /// Tries again once what was removed may be used anew, should there be no room.
    fn with_room<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::OverLimit && self.0.rows.reclaim() => attempt(),
            attempted => attempted,
        }
    }

    fn try_change(&self, txn: &Txn, key: &[u8], change: Change<'_>) -> Result<Attempt> {
        let (rows, stream) = (&*self.0.rows, txn.stream().expect("begin_write was called"));
        let (pin, mut ready);
        let mut mtr = self.store().mtr(stream, mtr_bytes(self.store()))?;
        pin = rows.map.pin();
        let mut stripe = rows.latch(key);
        rows.purge(&pin, &mut stripe, self.manager());
        let old = rows.find(&pin, key).and_then(|cell| cell.to_row());
        let version = old.as_ref().and_then(|row| row.version);
        let holder = txn.holder_of_row(self.id(), key, version.map(|(writer, _)| writer))?;
        if !matches!(holder, RowHolder::Nobody) {
            return Ok(Attempt::Blocked(holder));
        }
        let existed = old.as_ref().is_some_and(|row| !row.ghost);
        if matches!(change, Change::Delete) && !existed {
            return Ok(Attempt::Nothing);
        }
        let plan = txn.log_undo(&mut mtr, &self.undo_record(txn, key, old.as_ref()))?;
        let row = Some(change.row(txn.id(), plan.pointer));
        let wanted = Wanted { key, row, need: Need::Refusable };
        ready = rows.prepare(&pin, stripe, self.store().incarnation(), wanted)?;
        mtr.change_row(&mut ready);
        mtr.commit();
        let retired = old.filter(|row| row.overflow && !row.ghost).map(|row| row.value.into_owned());
        Ok(Attempt::Done { existed, plan, retired })
    }

    fn undo_record<'a>(&self, txn: &Txn, key: &'a [u8], old: Option<&'a Row<'_>>) -> UndoRecord<'a> {
        let (kind, flags, version, value): (_, _, _, &[u8]) = match old {
            None => (UndoKind::Insert, 0, None, &[]),
            Some(row) => (UndoKind::Update, row.flags().bits(), row.version, &row.value),
        };
        UndoRecord {
            txn: txn.id(),
            previous: txn.undo_head(),
            kind,
            flags,
            index: self.0.anchor.kind,
            root: self.0.anchor.root,
            tree: self.id(),
            key,
            version,
            value,
        }
    }
}

/// Another was first, or there is no memory, and nothing was done: the transaction is whole.
fn is_refusal(error: &Error) -> bool {
    let kinds = [ErrorKind::Conflict, ErrorKind::TimedOut, ErrorKind::Deadlock, ErrorKind::OverLimit];
    kinds.contains(&error.kind())
}
