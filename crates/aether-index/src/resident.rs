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
//! Reading order: cell, rows, tables, read, write, undo, lock, cursor; slices, image, write_out, lay; below, flush; memory, met, factory.

mod below;
mod cell;
mod cursor;
mod factory;
mod flush;
mod image;
mod lay;
mod lock;
mod memory;
mod met;
mod rank;
mod read;
mod rows;
#[cfg(all(test, not(any(loom, shuttle))))]
mod scene;
mod slices;
mod tables;
mod undo;
mod versions;
mod write;
mod write_out;

pub use below::{Below, Flush, NewestBelow};
pub use cursor::{Chunk, ChunkRow, Position, ResidentCursor};
pub use factory::ResidentFactory;
pub use flush::{Leaver, Leaving};
pub use image::tree_id;
pub use tables::{Tables, TablesConfig};
pub use write_out::wait_for_all_streams;

use crate::btree::BTree;
use crate::traits::Anchor;
use aether_sync::{Arc, Weak};
use aether_txn::TxnManager;
use aether_txn::recovery::Store;
use aether_types::{Error, Result, limits};
use rows::{Home, Rows};

/// A table of rows in memory. Cheap to clone.
#[derive(Clone)]
pub struct Resident(Arc<Inner>);

struct Inner {
    txns: Arc<TxnManager>,
    tables: Arc<Tables>,
    rows: Arc<Rows>,
    anchor: Anchor,
    /// What is not here may lie there.
    below: Option<Arc<dyn Below>>,
}

impl Resident {
    /// The table that `anchor` names, filled from its image and from what redo has met.
    fn open(txns: Arc<TxnManager>, tables: Arc<Tables>, anchor: Anchor) -> Result<Self> {
        let rows = tables.rows(anchor.id)?;
        rows.be_whole(&txns, anchor.root)?;
        Ok(Self(Arc::new(Inner { txns, tables, rows, anchor, below: None })))
    }

    fn over(
        txns: Arc<TxnManager>,
        tables: Arc<Tables>,
        rows: Arc<Rows>,
        anchor: Anchor,
        below: Arc<dyn Below>,
    ) -> Self {
        Self(Arc::new(Inner { txns, tables, rows, anchor, below: Some(below) }))
    }

    /// For rows that lie over something: from now on `flush` makes them go there when the log needs it.
    pub fn flush_by(&self, flush: Weak<dyn Flush>) {
        self.0.rows.attach(Home::Below(flush));
    }

    fn image(&self) -> BTree {
        image::tree(self.0.txns.clone(), self.0.anchor.root, self.id())
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

    fn store(&self) -> &Arc<Store> {
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
