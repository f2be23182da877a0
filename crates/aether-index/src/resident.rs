//! Tables of rows that live in memory: a skiplist keyspace, the newest rows of an LSM tree. The log makes them durable.
//!
//! A row is what a leaf's row is: its newest version stands in place, the older ones on undo pages. Where a leaf has
//! its page, a row has its stripe: a latch, a sequence number and a vector for all keys of one hash, so that what holds for
//! pages and groups holds for rows (L3, P2, T4). A reader takes no latch: it takes the row's cell, asks the view, and looks again
//! whether the cell is still the same; if not, it begins again.
//!
//! After a restart redo has filled the tables that the log tells of ([`Tables`]); then whoever opens a table lays them over what
//! lies below.
//!
//! Reading order: cell, rows, tables, read, write, undo, lock, cursor; slices, memory, met.

mod cell;
mod cursor;
mod lock;
mod memory;
mod met;
mod rank;
mod read;
mod rows;
mod slices;
mod tables;
mod undo;
mod write;

pub use cursor::ResidentCursor;
pub use tables::Tables;
pub use undo::RowsUndo;

use crate::btree::BTree;
use crate::traits::{Index, OrderedCursor, OrderedIndex};
use aether_sync::Arc;
use aether_txn::recovery::Store;
use aether_txn::{ReadView, Txn, TxnManager};
use aether_types::{Error, IndexKind, PageNo, Result, limits};
use rows::Rows;

/// A table of rows in memory. Cheap to clone.
#[derive(Clone)]
pub struct Resident(Arc<Inner>);

struct Inner {
    txns: Arc<TxnManager>,
    rows: Arc<Rows>,
    kind: IndexKind,
    /// Who writes and reads large values; no tree of it is ever looked at.
    large: BTree,
}

impl Resident {
    /// The table `id` of `tables`, with nothing below what the log tells of it. Its changes are undone as those of an index
    /// of `kind`.
    ///
    /// # Errors
    /// `Corruption` if changes that the log should have are missing; `OverLimit` without memory.
    pub fn open(txns: Arc<TxnManager>, tables: &Tables, id: u32, kind: IndexKind) -> Result<Self> {
        let rows = tables.rows(id)?;
        rows.be_whole(&txns)?;
        let large = BTree::open(txns.clone(), PageNo::new(0), id);
        Ok(Self(Arc::new(Inner { txns, rows, kind, large })))
    }

    /// The table's id.
    pub fn id(&self) -> u32 {
        self.0.rows.id()
    }

    /// The transactions that the table takes part in.
    pub fn manager(&self) -> &Arc<TxnManager> {
        &self.0.txns
    }

    /// Rows in memory, those that are deleted and not forgotten among them.
    pub fn len(&self) -> u64 {
        self.0.rows.map.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that keys, rows and what connects them take.
    pub fn used_bytes(&self) -> u64 {
        self.0.rows.map.used_bytes()
    }

    fn store(&self) -> &Store {
        self.0.txns.store()
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        let largest = limits::key_bytes_max(self.store().page_size());
        if key.len() > largest {
            let what = format!("a key of {} bytes; at most {largest} are allowed", key.len());
            return Err(Error::invalid(what).at_key(key));
        }
        Ok(())
    }
}

impl Index for Resident {
    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        Resident::get_into(self, view, key, out)
    }

    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        Resident::put(self, txn, key, value)
    }

    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        Resident::delete(self, txn, key)
    }
}

impl OrderedIndex for Resident {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        Box::new(ResidentCursor::new(self.clone()))
    }
}
