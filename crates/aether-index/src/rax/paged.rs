//! A radix tree whose rows lie in pages: a directory of radix nodes over leaves with fences.
//!
//! A radix node leads from one byte of the key to a child; paths are compressed ([`Radix`]). A child covers as
//! many neighbouring symbols as its rows have room for: so a leaf is split at a symbol of its parent as long as its keys differ there. When
//! they do not, a node comes in its place, whose path is what its keys have in common. Leaves are those of [`Rows`], so that prefix
//! search, seeking in both directions and cursors that outlive changes are those of every page-based index.
//!
//! A node whose last two leaves merge becomes that leaf: the way gets shorter where it got longer. A leaf between two nodes stays,
//! however sparse.
//!
//! Coupled like the B+tree: read the child's reference, fix the child, then validate the parent; structural changes latch downward by
//! upgrading what was read. Reading order: descend, smo, check, reclaim.
//!
//! [`Radix`]: aether_txn::recovery::wal::buffer::page::radix::Radix

mod check;
mod descend;
mod reclaim;
mod smo;

use crate::findings::Shape;
use crate::rows::{Base, Found, Leaves, Rows, RowsFactory, Stop, Towards, Walk};
use aether_txn::recovery::wal::buffer::Access;
use aether_types::Result;

/// A page-based radix tree. Cheap to clone.
pub type PagedRax = Rows<Directory>;

/// The factory of the kind `Rax`.
pub const FACTORY: RowsFactory<Directory> = RowsFactory::new("rax");

/// The radix nodes above the leaves.
pub struct Directory {
    base: Base,
}

impl Leaves for Directory {
    fn open(base: Base) -> Self {
        Self { base }
    }

    #[inline]
    fn base(&self) -> &Base {
        &self.base
    }

    #[inline]
    fn leaf(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop> {
        self.find(towards, access)
    }

    fn split(&self, key: &[u8], value_len: usize) -> Result<()> {
        self.split_leaf(key, value_len)
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
        self.empty()
    }
}
