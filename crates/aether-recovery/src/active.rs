//! Transactions that have changed pages and not ended: what a checkpoint must remember.

use crate::rank;
use aether_page::UndoPtr;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_sync::{Arc, Mutex};
use aether_types::{StreamId, TxnId};
use aether_wal::buffer::page as aether_page;

/// A transaction with changes in the log. Its undo head is where its rollback begins.
#[derive(Debug)]
pub struct ActiveTxn {
    id: TxnId,
    stream: StreamId,
    undo_head: AtomicU64,
}

impl ActiveTxn {
    pub(crate) fn new(id: TxnId, stream: StreamId, head: UndoPtr) -> Arc<Self> {
        Arc::new(Self { id, stream, undo_head: AtomicU64::new(head.word()) })
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

    pub(crate) fn list(&self) -> Vec<(TxnId, StreamId, UndoPtr)> {
        self.0.lock().iter().map(|txn| (txn.id, txn.stream, txn.undo_head())).collect()
    }
}
