//! The B+tree: what is above its leaves. Reading order: descend, smo (splits and merges), ahead, check, salvage, reclaim.

mod ahead;
mod check;
mod descend;
mod reclaim;
mod salvage;
mod smo;

use crate::findings::{Shape, Sink};
use crate::rows::{Base, Found, Leaves, Rows, RowsCursor, Stop, Towards, Walk, free_values};
use crate::traits::{Anchor, IndexFactory};
use crate::undo::KindsUndo;
use aether_page::UndoPtr;
use aether_sync::Arc;
use aether_txn::recovery::ActiveTxn;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, ScanRing};
use aether_txn::{ReadView, Txn, TxnManager, UndoHandler, UndoRecord};
use aether_types::{Error, ErrorKind, IndexKind, PageNo, Result};

/// A B+tree: a root page that never moves. Cheap to clone.
pub type BTree = Rows<Tree>;

/// A cursor over a B+tree.
pub type Cursor = RowsCursor<Tree>;

/// The inner nodes of a B+tree.
pub struct Tree {
    base: Base,
}

fn anchor(root: PageNo, id: u32) -> Anchor {
    Anchor { kind: IndexKind::BTREE, id, root }
}

impl BTree {
    /// The tree with root page `root`, which exists.
    pub fn open(txns: Arc<TxnManager>, root: PageNo, id: u32) -> Self {
        Self::at(txns, anchor(root, id))
    }

    /// Creates an empty tree as part of a transaction; a rollback frees its pages. Blocks.
    pub fn create(txn: &mut Txn, id: u32) -> Result<Self> {
        Self::make(txn, IndexKind::BTREE, id)
    }
}

impl Leaves for Tree {
    fn open(base: Base) -> Self {
        Self { base }
    }

    #[inline]
    fn base(&self) -> &Base {
        &self.base
    }

    #[inline]
    fn leaf(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop> {
        self.node_at(towards, 0, access)
    }

    fn split(&self, key: &[u8], value_len: usize) -> Result<()> {
        self.split_node(key, 0, smo::Need::Row { value_len })
    }

    fn merge(&self, key: &[u8]) -> Result<()> {
        self.merge_if_sparse(key)
    }

    fn check_down(&self, walk: &mut Walk<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.check_path(walk, key)
    }

    fn shape(&self) -> Result<Shape> {
        self.levels_and_leaves()
    }

    fn clear(&self) -> Result<()> {
        self.empty_node(self.root(), None)
    }

    fn read_ahead(&self, found: &Found<'_>, forward: bool, ring: &Arc<ScanRing>) {
        if let Some((parent, index)) = &found.parent {
            self.name_next(parent, *index, forward, ring);
        }
    }

    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        self.salvage_from_root(view, sink)
    }
}

/// Undoes changes of B+trees, for a store that has no other indexes; needs nothing but the record.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeUndo;

impl UndoHandler for TreeUndo {
    fn undo(
        &self,
        manager: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        KindsUndo::new(no_factory).undo(manager, txn, pointer, record)
    }

    fn free_extents(&self, manager: &Arc<TxnManager>, stubs: &[Vec<u8>]) -> Result<()> {
        free_values(manager.store(), stubs)
    }
}

fn no_factory(record: &UndoRecord<'_>) -> Result<Arc<dyn IndexFactory>> {
    Err(Error::new(ErrorKind::Unsupported, format!("an undo record of {}", record.index)))
}
