//! Rows over leaves: what all page-based indexes share.
//!
//! Rows live in leaves, pages of the pool with the node layout of `aether-page`. Reading them at a view, changing them with
//! their undo record in the same mini-transaction, undoing, locks on keys and ranges, cursors and large values are the same
//! for every index whose leaves have fences and lie side by side in the order of keys. What differs is the way to a leaf,
//! and what happens above it when leaves are split and merged: [`Leaves`].
//!
//! A new page-based index implements [`Leaves`], and is [`Rows`] over that: an [`OrderedIndex`]. It changes pages only through
//! mini-transactions and page operations, so that redo costs nothing. Reading order: couple, read, change, write, lock, clean, cursor,
//! undo, value, reclaim, check, salvage, create.

pub(crate) mod change;
mod check;
mod clean;
mod couple;
mod create;
mod cursor;
mod extents;
mod lock;
mod read;
mod reclaim;
mod salvage;
mod undo;
mod value;
mod write;

pub use check::Walk;
pub use clean::{has_room, is_sparse, merged_leaves, split_plan};
pub use create::{RowsFactory, log_creation};
pub use cursor::RowsCursor;
pub use read::Seen;
pub use reclaim::{Listed, empty_leaf, extents_by_group, free_values, psn_of, undo_extents};
pub use salvage::{Coverage, Fit, Survey};
pub use value::{ValueReader, read_extents, write_extents};

#[cfg(feature = "btree")]
pub(crate) use clean::leaves_room;
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) use extents::Extents;
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) use read::{older, with_record};
#[cfg(any(feature = "btree", feature = "rax"))]
pub(crate) use reclaim::collapse;
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) use reclaim::{free_extents, free_some, highest_psn};
#[cfg(feature = "btree")]
pub(crate) use salvage::{Damage, below, leaf};
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) use undo::long_row_before;
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) use value::STUB_BYTES_MAX;

use crate::findings::{IndexCheck, Shape, Sink};
use crate::traits::{Anchor, Index, OrderedCursor, OrderedIndex};
#[cfg(any(feature = "btree", feature = "rax"))]
use aether_page::node::Node;
use aether_page::node::NodeImage;
use aether_page::{PageOp, header};
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive, Optimistic, Pool, Restart, ScanRing};
use aether_txn::recovery::{Mtr, PAGES_FILE, Store};
use aether_txn::{LockMode, ReadView, Txn, TxnManager};
use aether_types::{Error, FileId, PageNo, Result, StreamId, limits};
use core::ops::{Bound, Deref};
use std::io::Read;

/// The file of all page-based indexes.
pub(crate) const FILE: FileId = PAGES_FILE;

/// Why a walk through an index ended early.
#[derive(Debug)]
pub enum Stop {
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

/// Runs `attempt` until it is not made to restart. Each attempt holds no latch when it ends.
pub fn retry<T>(mut attempt: impl FnMut() -> Result<T, Stop>) -> Result<T> {
    let mut backoff = aether_sync::Backoff::new();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Stop::Fail(error)) => return Err(error),
            Err(Stop::Restart) => backoff.wait(),
        }
    }
}

/// Which leaf is looked for.
#[derive(Clone, Copy, Debug)]
pub enum Towards<'k> {
    /// The leaf for this key.
    Key(&'k [u8]),
    /// The leaf with the largest key below this one.
    Below(&'k [u8]),
    /// The last leaf.
    Last,
}

impl Towards<'_> {
    /// True if a leaf with these fences is where this leads.
    pub fn leads_between(self, lower: &Option<Vec<u8>>, upper: &Option<Vec<u8>>) -> bool {
        match self {
            Self::Key(key) => {
                lower.as_ref().is_none_or(|lower| &lower[..] <= key)
                    && upper.as_ref().is_none_or(|upper| key < &upper[..])
            }
            Self::Below(key) => {
                lower.as_ref().is_none_or(|lower| &lower[..] < key)
                    && upper.as_ref().is_none_or(|upper| key <= &upper[..])
            }
            Self::Last => upper.is_none(),
        }
    }
}

/// A node reached, and the parent that led there.
pub struct Found<'p> {
    /// The node.
    pub node: Optimistic<'p>,
    /// The parent and the child's index in it; none for the root.
    pub parent: Option<(Optimistic<'p>, usize)>,
}

impl<'p> Found<'p> {
    /// Latches the node exclusively, as it was found.
    ///
    /// # Errors
    /// `Restart` if it has changed since.
    pub fn upgrade(self) -> Result<Exclusive<'p>, Stop> {
        Ok(self.node.upgrade()?)
    }
}

/// What every page-based index begins with.
pub struct Base {
    txns: Arc<TxnManager>,
    anchor: Anchor,
    root_hint: couple::RootHint,
}

impl Base {
    /// An index of these transactions.
    pub fn new(txns: Arc<TxnManager>, anchor: Anchor) -> Self {
        Self { txns, anchor, root_hint: couple::RootHint::new(anchor.root) }
    }

    /// What names the index.
    pub fn anchor(&self) -> Anchor {
        self.anchor
    }
}

/// What a page-based index brings of its own: the way to its leaves, and what happens above them.
///
/// Leaves carry the index's id, and fences that together cover all keys, each key once. The root never moves; it is made, and left by
/// [`Leaves::clear`], as an empty leaf.
pub trait Leaves: Sized + Send + Sync + 'static {
    /// The index with that root, which exists.
    fn open(base: Base) -> Self;

    /// What the index was opened with.
    fn base(&self) -> &Base;

    /// The leaf where `towards` leads, by optimistic reads; only the leaf itself is read as `access` says. What led there was
    /// validated after the leaf was fixed; the leaf need not be.
    fn leaf(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop>;

    /// Splits the leaf of `key`, unless it has room by now for a row with a value of that length ([`has_room`]). In
    /// mini-transactions of its own, which are never undone. Blocks; called without latches.
    fn split(&self, key: &[u8], value_len: usize) -> Result<()>;

    /// Merges the leaf of `key` with a neighbour if it is sparse; may do nothing. As [`Leaves::split`].
    fn merge(&self, key: &[u8]) -> Result<()>;

    /// Checks the pages on the way from the root to the leaf of `key`, and that leaf by [`Walk::leaf`]; returns where the next leaf
    /// begins.
    fn check_down(&self, walk: &mut Walk<'_>, key: &[u8]) -> Result<Option<Vec<u8>>>;

    /// Levels and leaves. Blocks for reads.
    fn shape(&self) -> Result<Shape>;

    /// Frees every page but the root, which becomes an empty leaf. Nobody else uses the index. Blocks. Done again after a crash
    /// it meets no page that is free already.
    fn clear(&self) -> Result<()>;

    /// Names the leaves next to one that was found to the pool, ahead of a scan.
    fn read_ahead(&self, _found: &Found<'_>, _forward: bool, _ring: &Arc<ScanRing>) {}

    /// As [`Index::salvage`]; unless said otherwise from the leaves alone, without what leads to them.
    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        salvage::from_leaves(self, view, sink)
    }

    /// What names the index.
    fn anchor(&self) -> Anchor {
        self.base().anchor
    }

    /// The root page.
    #[inline]
    fn root(&self) -> PageNo {
        self.base().anchor.root
    }

    /// The index's id.
    #[inline]
    fn id(&self) -> u32 {
        self.base().anchor.id
    }

    /// The transactions that the index takes part in.
    #[inline]
    fn manager(&self) -> &Arc<TxnManager> {
        &self.base().txns
    }

    /// The store.
    #[inline]
    fn store(&self) -> &Arc<Store> {
        self.base().txns.store()
    }

    /// The pool.
    #[inline]
    fn pool(&self) -> &Pool {
        self.store().pool()
    }

    /// The stream for structural changes: any will do.
    fn stream(&self) -> StreamId {
        self.store().pick_stream()
    }
}

/// A page-based index. Cheap to clone.
pub struct Rows<L>(Arc<L>);

impl<L> Clone for Rows<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<L> Deref for Rows<L> {
    type Target = L;

    #[inline]
    fn deref(&self) -> &L {
        &self.0
    }
}

impl<L: Leaves> Rows<L> {
    /// The index that `anchor` names, which exists.
    pub fn at(txns: Arc<TxnManager>, anchor: Anchor) -> Self {
        Self(Arc::new(L::open(Base::new(txns, anchor))))
    }

    /// The root page.
    #[inline]
    pub fn root(&self) -> PageNo {
        self.0.root()
    }

    /// The index's id.
    #[inline]
    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// The transactions that the index takes part in.
    #[inline]
    pub fn manager(&self) -> &Arc<TxnManager> {
        self.0.manager()
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

    /// A leaf that does not hold the keys that its parent sends there. Ask only after validation.
    fn wrong_leaf(&self, found: &Found<'_>) -> Error {
        let what = "a leaf does not hold the keys that its parent says: a write of one of them was lost";
        Error::corruption(what).at_file(FILE).at_page(header::page_no(found.node.view()))
    }
}

/// Bytes of log that a group of this crate takes at the most: no group carries more than what two pages hold.
pub(crate) fn mtr_bytes(store: &Store) -> usize {
    store.group_bytes()
}

/// The same for a change of a row with a value of so many bytes that lies with it.
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) fn row_mtr_bytes(store: &Store, value_bytes: usize) -> usize {
    mtr_bytes(store) + value_bytes.saturating_sub(limits::inline_value_bytes_max(store.page_size()))
}

/// The root of an index as it is made.
fn empty_root(id: u32) -> PageOp<'static> {
    PageOp::NodeInit(NodeImage::leaf(id, None, None))
}

/// True if the page is a leaf or an inner node of the index `id`.
#[cfg(any(feature = "btree", feature = "rax"))]
pub(crate) fn is_of(node: &Node<'_>, id: u32) -> bool {
    node.is_node() && node.tree() == id
}

impl<L: Leaves> Index for Rows<L> {
    fn anchor(&self) -> Anchor {
        self.0.anchor()
    }

    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        Rows::get_into(self, view, key, out)
    }

    fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        Rows::get_settled(self, key, out)
    }

    fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<ValueReader>> {
        Rows::get_stream(self, view, key)
    }

    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        Rows::put(self, txn, key, value)
    }

    fn put_from(&self, txn: &mut Txn, key: &[u8], length: u64, from: &mut dyn Read) -> Result<()> {
        Rows::put_from(self, txn, key, length, from)
    }

    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        Rows::delete(self, txn, key)
    }

    fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: LockMode) -> Result<()> {
        Rows::lock_key(self, txn, key, mode)
    }

    fn lock_range(&self, txn: &mut Txn, from: Bound<&[u8]>, to: Bound<&[u8]>, mode: LockMode) -> Result<()> {
        Rows::lock_range(self, txn, from, to, mode)
    }

    fn shape(&self) -> Result<Shape> {
        self.0.shape()
    }

    fn check(&self, view: &ReadView) -> Result<IndexCheck> {
        Rows::check(self, view)
    }

    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        self.0.salvage(view, sink)
    }

    fn clear(&self) -> Result<()> {
        self.0.clear()?;
        reclaim::empty_root_leaf(&*self.0)
    }

    fn free_below(&self) -> Result<()> {
        // The rows of a root that is a leaf go with it.
        self.0.clear()
    }

    fn free_root(&self, mtr: &mut Mtr<'_, '_>) -> Result<()> {
        Rows::free_root(self, mtr)
    }
}

impl<L: Leaves> OrderedIndex for Rows<L> {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        Box::new(RowsCursor::new(self.clone()))
    }
}
