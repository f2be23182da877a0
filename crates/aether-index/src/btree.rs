//! The B+tree. Reading order: descend, read, write, lock, smo (splits and merges), cursor, undo, value, check, reclaim.

mod check;
mod cursor;
mod descend;
mod extents;
mod lock;
mod read;
mod reclaim;
mod salvage;
mod smo;
mod undo;
mod value;
mod write;

#[cfg(feature = "skiplist")]
pub(crate) use read::{Seen, older};

pub use check::TreeCheck;
pub use cursor::Cursor;
pub use salvage::{Coverage, Fit, LostRange, Salvaged, Sink, Survey};
pub use undo::TreeUndo;
pub use value::ValueReader;

use crate::traits::{Index, OrderedCursor, OrderedIndex};
use aether_page::node::NodeImage;
use aether_page::{PageOp, Swip};
use aether_sync::Arc;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Pool, Restart};
use aether_txn::recovery::{PAGES_FILE, Store};
use aether_txn::{ReadView, Txn, TxnManager, UndoKind, UndoRecord};
use aether_types::{Error, FileId, IndexKind, PageNo, Result, StreamId, limits};

/// The file of all trees.
pub(crate) const FILE: FileId = PAGES_FILE;

/// A B+tree: a root page that never moves. Cheap to clone.
#[derive(Clone)]
pub struct BTree(Arc<Tree>);

pub(crate) struct Tree {
    txns: Arc<TxnManager>,
    root: PageNo,
    id: u32,
    /// The root's frame as last seen.
    root_hint: AtomicU64,
}

/// Why a walk through the tree ended early.
pub(crate) enum Stop {
    /// A page changed under the reader: begin again.
    Restart,
    /// It failed.
    Fail(Error),
}

impl From<Restart> for Stop {
    fn from(_: Restart) -> Self {
        Self::Restart
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

/// Runs `attempt` until it is not made to restart.
pub(crate) fn retry<T>(mut attempt: impl FnMut() -> Result<T, Stop>) -> Result<T> {
    let mut backoff = aether_sync::Backoff::new();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Stop::Fail(error)) => return Err(error),
            Err(Stop::Restart) => backoff.wait(),
        }
    }
}

impl BTree {
    /// The tree with root page `root`, which exists.
    pub fn open(txns: Arc<TxnManager>, root: PageNo, id: u32) -> Self {
        let root_hint = AtomicU64::new(Swip::new(root).word());
        Self(Arc::new(Tree { txns, root, id, root_hint }))
    }

    /// Creates an empty tree as part of a transaction; a rollback frees its pages. Blocks.
    pub fn create(txn: &mut Txn, id: u32) -> Result<Self> {
        txn.begin_write()?;
        let manager = txn.manager().clone();
        let stream = txn.begin_write()?.stream();
        let (root, plan) = {
            let mut mtr = manager.store().mtr(stream, mtr_bytes(manager.store()))?;
            txn.latch_undo(&mut mtr)?;
            let page = mtr.allocate()?;
            let root = mtr.page_no(page);
            mtr.op(page, PageOp::NodeInit(NodeImage::leaf(id, None, None)))?;
            let record = UndoRecord {
                txn: txn.id(),
                previous: txn.undo_head(),
                kind: UndoKind::CreateTree,
                flags: 0,
                index: IndexKind::BTREE,
                root,
                tree: id,
                key: &[],
                version: None,
                value: &[],
            };
            let plan = txn.log_undo(&mut mtr, &record)?;
            mtr.commit();
            (root, plan)
        };
        txn.applied(plan);
        Ok(Self::open(manager, root, id))
    }

    /// The root page.
    pub fn root(&self) -> PageNo {
        self.0.root
    }

    /// The tree's id.
    pub fn id(&self) -> u32 {
        self.0.id
    }

    /// The transactions that the tree takes part in.
    pub fn manager(&self) -> &Arc<TxnManager> {
        &self.0.txns
    }

    fn store(&self) -> &Store {
        self.0.txns.store()
    }

    fn pool(&self) -> &Pool {
        self.store().pool()
    }

    /// The stream for structural changes: any will do.
    fn stream(&self) -> StreamId {
        self.store().pick_stream()
    }

    fn root_swip(&self) -> Swip {
        Swip::from_word(self.0.root_hint.load(Relaxed))
    }

    fn note_root_frame(&self, frame: u32) {
        self.0.root_hint.store(Swip::new(self.0.root).with_hint(frame).word(), Relaxed);
    }

    fn check_key(&self, key: &[u8]) -> Result<()> {
        let largest = limits::key_bytes_max(self.store().page_size());
        if key.len() > largest {
            return Err(Error::invalid(format!(
                "a key of {} bytes; at most {largest} are allowed",
                key.len()
            ))
            .at_key(key));
        }
        Ok(())
    }
}

/// Bytes of log that a group of this crate takes at the most: no group carries more than what two pages hold.
pub(crate) fn mtr_bytes(store: &Store) -> usize {
    store.group_bytes()
}

impl Index for BTree {
    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        BTree::get_into(self, view, key, out)
    }

    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        BTree::put(self, txn, key, value)
    }

    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        BTree::delete(self, txn, key)
    }
}

impl OrderedIndex for BTree {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        Box::new(Cursor::new(self.clone()))
    }
}
