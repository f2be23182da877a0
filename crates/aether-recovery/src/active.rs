//! Transactions that have changed pages and not ended: what a checkpoint must remember.

use crate::rank;
use crate::trace;
use aether_page::UndoPtr;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_sync::{Arc, Mutex};
use aether_types::{Lsn, Lv, StreamId, TxnId};
use aether_wal::buffer::page as aether_page;

/// A transaction with changes in the log. Its undo head is where its rollback begins.
#[derive(Debug)]
pub struct ActiveTxn {
    id: TxnId,
    stream: StreamId,
    undo_head: AtomicU64,
    /// Its last record lies at or above this position.
    last_from: AtomicU64,
}

/// No last record yet.
const UNSET: u64 = u64::MAX;

impl ActiveTxn {
    pub(crate) fn new(id: TxnId, stream: StreamId, head: UndoPtr) -> Arc<Self> {
        Arc::new(Self {
            id,
            stream,
            undo_head: AtomicU64::new(head.word()),
            last_from: AtomicU64::new(UNSET),
        })
    }

    /// The transaction's id.
    pub fn id(&self) -> TxnId {
        self.id
    }

    /// The stream that all its groups go to.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// The newest change that is not undone.
    pub fn undo_head(&self) -> UndoPtr {
        UndoPtr::from_word(self.undo_head.load(Acquire))
    }

    /// Moved by the mini-transaction before it releases its latches: a checkpoint that finds the pages clean
    /// finds the new head too.
    pub(crate) fn set_undo_head(&self, head: UndoPtr) {
        self.undo_head.store(head.word(), Release);
    }

    /// Announces the last record, before it is claimed at `position` or above: a checkpoint whose positions have passed
    /// the record finds this, or finds the transaction gone from the table.
    pub(crate) fn announce_last(&self, position: Lsn) {
        self.last_from.store(position.get(), Release);
    }

    /// As a checkpoint lists it; lowers `start` to where its last record may be.
    fn listed(&self, start: &mut Lv) -> (TxnId, StreamId, UndoPtr) {
        let last_from = self.last_from.load(Acquire);
        if last_from < start.get(self.stream).get() {
            start.set(self.stream, Lsn::new(last_from));
        }
        (self.id, self.stream, self.undo_head())
    }
}

/// The table of active transactions.
pub(crate) struct ActiveTable(Mutex<Vec<Arc<ActiveTxn>>>);

impl ActiveTable {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(rank::ACTIVE, Vec::new()))
    }

    pub(crate) fn insert(&self, txn: Arc<ActiveTxn>) {
        self.0.lock().push(txn);
    }

    pub(crate) fn remove(&self, id: TxnId) {
        let mut table = self.0.lock();
        if let Some(at) = table.iter().position(|txn| txn.id == id) {
            table.swap_remove(at);
        }
    }

    /// Puts `txn` in the place of the one with the same id: no list is without both.
    pub(crate) fn replace(&self, txn: Arc<ActiveTxn>) {
        let mut table = self.0.lock();
        table.retain(|other| other.id != txn.id);
        table.push(txn);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    /// What a checkpoint with the redo start `start` lists. Whoever is at its end is in the list as long as it is in
    /// the table, and its last record says that it is over: `start` is lowered below that.
    pub(crate) fn list(&self, start: &mut Lv) -> Vec<(TxnId, StreamId, UndoPtr)> {
        let table = self.0.lock();
        table.iter().map(|txn| trace::read_list(|| txn.listed(start))).collect()
    }
}
