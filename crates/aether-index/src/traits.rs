//! What every index offers. All traits are object-safe: a keyspace holds its index as `Arc<dyn OrderedIndex>`.

use crate::bulk;
use crate::findings::{IndexCheck, Shape, Sink};
use crate::rows::ValueReader;
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::Budget;
use aether_txn::recovery::wal::buffer::page::UndoPtr;
use aether_txn::recovery::{ActiveTxn, Mtr, Participant};
use aether_txn::{LockMode, ReadView, Txn, TxnManager, UndoRecord};
use aether_types::{Error, IndexKind, PageNo, Result};
use core::ops::Bound;
use std::io::Read;

/// What names an index for good: the catalog and its undo records have this of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Anchor {
    /// Its kind: which factory opens it and undoes its changes.
    pub kind: IndexKind,
    /// Its id, that of its keyspace.
    pub id: u32,
    /// Its root, which never moves. An index in memory may have any number here.
    pub root: PageNo,
}

/// A map from keys to values inside transactions.
pub trait Index: Send + Sync {
    /// What names it.
    fn anchor(&self) -> Anchor;

    /// Appends the value of `key`, as `view` shows it, to `out`; false if there is none.
    ///
    /// # Errors
    /// `Corruption`, `Io`; `Expired` for a view that is over.
    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool>;

    /// The value of `key` at the newest durable commit, without a snapshot, if that can be told so. `None`: it takes a
    /// view to tell.
    fn get_settled(&self, _key: &[u8], _out: &mut Vec<u8>) -> Result<Option<bool>> {
        Ok(None)
    }

    /// A reader of the value of `key`; `None` if there is none. `view` must outlive the reading.
    fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<ValueReader>> {
        let mut value = Vec::new();
        Ok(self.get_into(view, key, &mut value)?.then(|| ValueReader::of_bytes(value)))
    }

    /// Inserts or replaces. Blocks.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the key (first updater wins), or is changing it and this one does not
    /// wait; `TimedOut` or `Deadlock` if it does: after these three nothing is half done, and the transaction may go on.
    /// `InvalidInput` beyond the limits; `TxnOver`; `Poisoned`.
    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()>;

    /// Inserts or replaces with a value of `length` bytes read from `from`. Blocks.
    ///
    /// # Errors
    /// As [`Index::put`]; `InvalidInput` if `from` ends early. Then the transaction can only be aborted.
    fn put_from(&self, txn: &mut Txn, key: &[u8], length: u64, from: &mut dyn Read) -> Result<()> {
        let mut value = Vec::new();
        let read = from.take(length).read_to_end(&mut value);
        if read.is_err() || (value.len() as u64) < length {
            txn.fail();
            return Err(Error::invalid(format!("the value ended after {} bytes", value.len())).at_key(key));
        }
        self.put(txn, key, &value)
    }

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Index::put`].
    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool>;

    /// Locks one key, `S` or `X`, whether it is there or not. Who has changed it and is not over is found among its rows.
    /// Blocks.
    ///
    /// # Errors
    /// `Conflict` for a transaction that does not wait, `TimedOut`, `Deadlock`, `OverLimit`, `InvalidInput`, `TxnOver`.
    fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: LockMode) -> Result<()>;

    /// Locks the keys between two bounds, those that are not there among them. Blocks.
    ///
    /// # Errors
    /// As [`Index::lock_key`].
    fn lock_range(&self, txn: &mut Txn, from: Bound<&[u8]>, to: Bound<&[u8]>, mode: LockMode) -> Result<()>;

    /// The index in numbers. Blocks for reads.
    fn shape(&self) -> Result<Shape>;

    /// Checks everything, the large values that `view` shows among it. Blocks for reads; others may read and write meanwhile.
    ///
    /// # Errors
    /// `Io`; what is broken is a problem, not an error.
    fn check(&self, view: &ReadView) -> Result<IndexCheck>;

    /// Hands every row that can be read, as `view` shows it, to `sink`, and every range that cannot.
    ///
    /// # Errors
    /// `Io`; those of `sink`. Damage is handed over, and no error.
    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()>;

    /// Frees all that the index has but its root, and leaves that empty. Nobody else uses the index. Blocks. Done again after a
    /// crash it goes on where it was.
    fn clear(&self) -> Result<()>;

    /// As [`Index::clear`], of an index that is about to go: nobody uses it from now on, but who does this again, also after a crash
    /// and an open, and who frees its root then. Blocks.
    fn free_below(&self) -> Result<()> {
        self.clear()
    }

    /// Frees the root as part of a group, that which takes the index off the list where it stands: so a crash keeps both or neither. All
    /// below the root is free. Blocks for its latch; the group commits without fail.
    fn free_root(&self, mtr: &mut Mtr<'_, '_>) -> Result<()>;
}

/// A row whose value is not there if it is large.
pub type LazyRow<'r> = (&'r [u8], Option<&'r [u8]>);

/// A position in an ordered index. Holds no latch between calls; changes made in between are no trouble.
pub trait OrderedCursor: Send {
    /// Goes to the first key at or above `key`; the next step forward returns it.
    fn seek(&mut self, key: &[u8]);

    /// Goes behind the last key at or below `key`; the next step back returns it.
    fn seek_back(&mut self, key: &[u8]);

    /// Goes before the first key.
    fn seek_first(&mut self);

    /// Goes behind the last key.
    fn seek_last(&mut self);

    /// Only rows between the bounds are asked for from now on, and others need not be found: an index may leave out what it knows to have
    /// none of them. Unless the index can do better this is of no use to it.
    fn limit(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>) {
        let _ = (from, to);
    }

    /// The next row upward, if there is one.
    fn next(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>>;

    /// As [`OrderedCursor::next`], but a value that stands apart from its row is not read: [`Index::get_stream`] does that.
    /// [`OrderedCursor::current`] has an empty one in its place. Unless the index can do better it reads all values.
    ///
    /// # Errors
    /// As [`OrderedCursor::next`].
    fn next_lazy(&mut self, view: &ReadView) -> Result<Option<LazyRow<'_>>> {
        Ok(self.next(view)?.map(|(key, value)| (key, Some(value))))
    }

    /// The next row downward, if there is one.
    fn prev(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>>;

    /// The row given out last, if nothing has moved the cursor since.
    fn current(&self) -> Option<(&[u8], &[u8])>;
}

/// An index whose keys have an order: that of their bytes.
pub trait OrderedIndex: Index {
    /// A cursor before the first key.
    fn cursor(&self) -> Box<dyn OrderedCursor>;

    /// Deletes the rows between two bounds; how many, if the index knows. Unless it can do better it looks for each row and deletes it.
    /// Blocks.
    ///
    /// # Errors
    /// As [`Index::delete`]. What was deleted before stays so: the caller rolls back, to a savepoint or altogether.
    fn delete_range(&self, txn: &mut Txn, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Option<u64>> {
        bulk::delete_rows(self, txn, from, to).map(Some)
    }

    /// The index as one that takes rows in bulk, if it is one.
    fn as_bulk_load(&self) -> Option<&dyn BulkLoad> {
        None
    }
}

/// Where rows in bulk come from: ascending, each key once; none at the end.
pub type RowSource<'s> = dyn FnMut() -> Result<Option<(Vec<u8>, Vec<u8>)>> + 's;

/// An index that takes sorted rows faster than one by one.
pub trait BulkLoad: OrderedIndex {
    /// Puts all rows of `rows` as part of `txn`; returns how many. Blocks. No latch or lock of a thread is held while `rows` is asked.
    ///
    /// # Errors
    /// `InvalidInput` with the key, for rows that do not ascend or that no put would take; as [`Index::put`]; those of `rows`. Some rows
    /// may have been put then: the caller rolls back, to a savepoint or altogether.
    fn load(&self, txn: &mut Txn, rows: &mut RowSource<'_>) -> Result<u64>;
}

/// Makes and opens the indexes of one kind. Registered under the kind's id before a home is opened.
pub trait IndexFactory: Send + Sync + 'static {
    /// What the kind is called.
    fn name(&self) -> &str;

    /// Makes an empty index as part of a transaction; a rollback takes it away again. Blocks.
    fn create(&self, txn: &mut Txn, kind: IndexKind, id: u32) -> Result<Anchor>;

    /// For a kind that keeps rows in memory: who takes part in the recovery of a store that is about to be opened, made with the
    /// store's memory budget. Asked once for each open, before all else; a factory of such a kind serves that open only.
    fn participant(&self, _budget: &Budget) -> Option<Arc<dyn Participant>> {
        None
    }

    /// Opens an index that was made before. Called once for each index of an open home.
    fn open(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Arc<dyn OrderedIndex>>;

    /// Undoes the change that `record`, standing at `pointer`, describes: as
    /// [`UndoHandler::undo`](aether_txn::UndoHandler::undo). Records of kind `WriteExtents` do not come here.
    fn undo(
        &self,
        txns: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()>;
}
