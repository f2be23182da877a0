//! Changing rows: one mini-transaction of the row's change and the undo record's, under the latch of the row's stripe.

use super::Resident;
use super::below::LooksBelow;
use super::cell::Cell;
use super::memory::Need;
use super::rows::Wanted;
use crate::rows::change::{self, Attempt, Change, InParts, Target, undo_record};
use crate::rows::row_mtr_bytes;
use crate::traits::Anchor;
use aether_page::node::Row;
use aether_txn::recovery::Store;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{RowHolder, Txn};
use aether_types::{Error, ErrorKind, Result, limits};

impl Resident {
    /// Inserts or replaces; blocks for latches and log room.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the key (first updater wins), or is changing it and this one does not
    /// wait; `TimedOut` or `Deadlock` if it does; `OverLimit` if the memory budget is used up: after these four nothing
    /// is half done, and the transaction may go on. `InvalidInput` beyond the limits; `TxnOver`; `Poisoned`.
    pub fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        change::put(self, txn, key, value)
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
        change::put_from(self, txn, key, length, from)
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Resident::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        Target::check_key(self, key)?;
        change::change(self, txn, key, Change::Delete)
    }

    /// Tries again once what was removed may be used anew, should there be no room.
    fn with_room<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::OverLimit && self.0.rows.reclaim() => attempt(),
            attempted => attempted,
        }
    }

    fn try_change_row(
        &self,
        txn: &Txn,
        key: &[u8],
        change: Change<'_>,
        in_parts: Option<&InParts>,
        below: &LooksBelow,
    ) -> Result<Option<Attempt>> {
        let (rows, stream) = (&*self.0.rows, txn.stream().expect("begin_write was called"));
        let (pin, mut ready);
        let bytes = row_mtr_bytes(self.store(), change.value().len());
        let mut mtr = self.store().mtr(stream, bytes)?;
        pin = rows.map.pin();
        let mut stripe = rows.latch(key);
        rows.purge(&pin, &mut stripe, self.manager());
        let cell = rows.find(&pin, key);
        let old = cell.and_then(Cell::to_row);
        let existed = match &old {
            Some(row) => !row.ghost,
            None => match self.below_still(below) {
                Some(existed) => existed,
                None => return Ok(None),
            },
        };
        let version = old.as_ref().and_then(|row| row.version);
        let holder = txn.holder_of_row(self.id(), key, version.map(|(writer, _)| writer))?;
        if !matches!(holder, RowHolder::Nobody) {
            return Ok(Some(Attempt::Blocked(holder)));
        }
        if change.is_delete() && !existed {
            return Ok(Some(Attempt::Nothing));
        }
        let is_long =
            |row: &Row<'_>| row.value.len() > limits::inline_value_bytes_max(self.store().page_size());
        let mut logged = None;
        if let (Some(cell), Some(row)) = (cell, old.as_ref().filter(|row| is_long(row))) {
            logged = in_parts.filter(|parts| parts.psn == cell.psn());
            if logged.is_none() {
                return Ok(Some(Attempt::TooLong { psn: cell.psn(), value: row.value.to_vec() }));
            }
        }
        let record = undo_record(txn, self.0.anchor, key, old.as_ref(), logged);
        let plan = txn.log_undo(&mut mtr, &record)?;
        let row = Some(change.row(txn.id(), plan.pointer));
        let wanted = Wanted { key, row, need: Need::Refusable };
        ready = rows.prepare(&pin, stripe, self.store().incarnation(), wanted)?;
        mtr.change_row(&mut ready);
        mtr.commit();
        let retired = old.filter(|row| row.overflow && !row.ghost).map(|row| row.value.into_owned());
        Ok(Some(Attempt::Done { existed, plan, retired }))
    }
}

impl Target for Resident {
    fn anchor(&self) -> Anchor {
        self.0.anchor
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        Resident::check_key(self, key)
    }

    /// Rows in memory are bound by no page: by the log, and by what an old value may take there in parts.
    fn inline_bytes_max(&self, store: &Store) -> usize {
        let inline = limits::inline_value_bytes_max(store.page_size());
        let room = store.group_bytes_max().saturating_sub(store.group_bytes());
        inline.max(limits::MEMORY_VALUE_BYTES_MAX.min(inline + room))
    }

    fn try_change(
        &self,
        txn: &Txn,
        key: &[u8],
        change: Change<'_>,
        in_parts: Option<&InParts>,
    ) -> Result<Attempt> {
        let below = self.look_below(txn, key, change)?;
        let attempt = self.with_room(|| self.try_change_row(txn, key, change, in_parts, &below))?;
        Ok(attempt.unwrap_or(Attempt::Again))
    }

    /// Another was first, or there is no memory.
    fn is_refusal(error: &Error) -> bool {
        let kinds = [ErrorKind::Conflict, ErrorKind::TimedOut, ErrorKind::Deadlock, ErrorKind::OverLimit];
        kinds.contains(&error.kind())
    }
}
