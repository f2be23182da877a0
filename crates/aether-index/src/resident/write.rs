//! Changing rows: one mini-transaction of the row's change and the undo record's, under the latch of the row's stripe.

use super::Resident;
use super::below::LooksBelow;
use super::cell::Cell;
use super::memory::Need;
use super::rows::Wanted;
use crate::rows::change::{self, Attempt, Change, InParts, Target, undo_record};
use crate::rows::{STUB_BYTES_MAX, row_mtr_bytes};
use crate::traits::Anchor;
use aether_page::node::Row;
use aether_txn::recovery::Store;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{RowHolder, Txn};
use aether_types::{Error, ErrorKind, Psn, Result, limits};

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

    /// The same; where there is no memory for the row, `make_room` is asked once, and if it has made some the row is tried again.
    ///
    /// # Errors
    /// As [`Resident::put_from`]; those of `make_room`, with nothing half done.
    pub fn put_from_with_room(
        &self,
        txn: &mut Txn,
        key: &[u8],
        length: u64,
        from: &mut dyn std::io::Read,
        make_room: &mut dyn FnMut() -> Result<bool>,
    ) -> Result<()> {
        change::put_from_with_room(self, txn, key, length, from, make_room)
    }

    /// What memory holds of a value of `length` bytes: of one in extents the stub, at the most so many bytes.
    pub fn held_bytes(&self, length: u64) -> u64 {
        let is_inline = length <= Target::inline_bytes_max(self, self.store()) as u64;
        if is_inline { length } else { STUB_BYTES_MAX }
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
        let mut old = cell.and_then(Cell::to_row);
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
        let psn = cell.map_or(Psn::new(0), Cell::psn);
        let logged = in_parts.filter(|parts| parts.psn == psn);
        if let Some(row) = old.take_if(|row| logged.is_none() && is_long(row)) {
            return Ok(Some(Attempt::TooLong { psn, value: row.value.into_owned() }));
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

#[cfg(all(test, not(any(loom, shuttle))))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::scene::open;
    use super::*;
    use aether_sim::Sim;
    use aether_txn::ReadView;

    const LONGEST: usize = limits::MEMORY_VALUE_BYTES_MAX;

    fn value(table: &Resident, view: &ReadView) -> Vec<u8> {
        let mut value = Vec::new();
        assert!(table.get_into(view, b"row", &mut value).unwrap());
        value
    }

    fn is_in_extents(table: &Resident) -> bool {
        let rows = &table.0.rows;
        let pin = rows.map.pin();
        rows.find(&pin, b"row").unwrap().flags().is_overflow()
    }

    /// Of that length at the most a value lies with its row, is seen by older snapshots, and comes back.
    #[test]
    fn long_values_lie_with_their_rows() {
        let sim = Sim::new(1);
        let (manager, table) = open(&sim, None);
        let long =
            |first: u8| (0..LONGEST).map(|at| first.wrapping_add((at / 100) as u8)).collect::<Vec<_>>();
        let mut txn = manager.begin();
        table.put(&mut txn, b"row", &long(1)).unwrap();
        txn.commit().unwrap();
        let before = manager.begin();
        let mut txn = manager.begin();
        table.put_from(&mut txn, b"row", LONGEST as u64, &mut &long(2)[..]).unwrap();
        assert_eq!((is_in_extents(&table), value(&table, before.view())), (false, long(1)));
        let mark = txn.savepoint();
        assert!(table.delete(&mut txn, b"row").unwrap());
        txn.rollback_to(&mark).unwrap();
        assert!(value(&table, txn.view()) == long(2), "what was deleted after the savepoint");
        txn.abort().unwrap();
        let mut txn = manager.begin();
        assert!(value(&table, txn.view()) == long(1), "what was there before");
        table.put(&mut txn, b"row", &[3; LONGEST + 1]).unwrap();
        assert!(is_in_extents(&table));
        assert_eq!(
            (value(&table, txn.view()), value(&table, before.view())),
            (vec![3; LONGEST + 1], long(1))
        );
    }

    /// A row that has changed since its value was logged in parts is not taken for that one.
    #[test]
    fn parts_of_another_version_are_not_taken() {
        let sim = Sim::new(1);
        let (manager, table) = open(&sim, None);
        let mut txn = manager.begin();
        table.put(&mut txn, b"row", &[1; 2000]).unwrap();
        let change = Change::Put { value: b"new", overflow: false };
        let attempt = |txn: &Txn, parts| table.try_change(txn, b"row", change, parts).unwrap();
        let Attempt::TooLong { psn, value } = attempt(&txn, None) else { panic!("it is not too long") };
        assert_eq!(value, [1; 2000]);
        let old = InParts { psn, instead: txn.log_parts(&value).unwrap() };
        table.put(&mut txn, b"row", &[2; 2000]).unwrap();
        let Attempt::TooLong { psn, value } = attempt(&txn, Some(&old)) else {
            panic!("it took other parts")
        };
        assert_eq!(value, [2; 2000]);
        let new = InParts { psn, instead: txn.log_parts(&value).unwrap() };
        let Attempt::Done { plan, .. } = attempt(&txn, Some(&new)) else { panic!("these are its own") };
        txn.applied(plan);
        txn.abort().unwrap();
        assert!(!table.get_into(manager.begin().view(), b"row", &mut Vec::new()).unwrap());
    }
}
