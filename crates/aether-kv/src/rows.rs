//! The rows of a keyspace, whatever its index is: a B+tree is called directly, others through their traits.

use crate::lsm::index::txn::{ReadView, Txn};
use crate::lsm::index::{Anchor, BTree, Cursor, LazyRow, OrderedCursor, OrderedIndex};
use aether_sync::Arc;
use aether_types::Result;
use core::ops::Bound;

/// An index. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Rows {
    Tree(BTree),
    Other(Arc<dyn OrderedIndex>),
}

impl Rows {
    /// For what need not be fast.
    pub(crate) fn index(&self) -> &dyn OrderedIndex {
        match self {
            Self::Tree(tree) => tree,
            Self::Other(index) => &**index,
        }
    }

    pub(crate) fn anchor(&self) -> Anchor {
        self.index().anchor()
    }

    #[inline]
    pub(crate) fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        match self {
            Self::Tree(tree) => tree.get_into(view, key, out),
            Self::Other(index) => index.get_into(view, key, out),
        }
    }

    #[inline]
    pub(crate) fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        match self {
            Self::Tree(tree) => tree.get_settled(key, out),
            Self::Other(index) => index.get_settled(key, out),
        }
    }

    pub(crate) fn get_with<R>(
        &self,
        view: &ReadView,
        key: &[u8],
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<Option<R>> {
        match self {
            Self::Tree(tree) => tree.get_with(view, key, read),
            Self::Other(index) => {
                let mut value = Vec::new();
                Ok(index.get_into(view, key, &mut value)?.then(|| read(&value)))
            }
        }
    }

    #[inline]
    pub(crate) fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        match self {
            Self::Tree(tree) => tree.put(txn, key, value),
            Self::Other(index) => index.put(txn, key, value),
        }
    }

    #[inline]
    pub(crate) fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        match self {
            Self::Tree(tree) => tree.delete(txn, key),
            Self::Other(index) => index.delete(txn, key),
        }
    }

    pub(crate) fn cursor(&self) -> RowsCursor {
        match self {
            Self::Tree(tree) => RowsCursor::Tree(Cursor::new(tree.clone())),
            Self::Other(index) => RowsCursor::Other(index.cursor()),
        }
    }
}

/// A position among them.
#[allow(clippy::large_enum_variant, reason = "the large one is the one that is to be fast")]
pub(crate) enum RowsCursor {
    Tree(Cursor),
    Other(Box<dyn OrderedCursor>),
}

impl RowsCursor {
    fn get(&mut self) -> &mut dyn OrderedCursor {
        match self {
            Self::Tree(cursor) => cursor,
            Self::Other(cursor) => &mut **cursor,
        }
    }

    pub(crate) fn limit(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>) {
        self.get().limit(from, to);
    }

    pub(crate) fn seek(&mut self, key: &[u8]) {
        self.get().seek(key);
    }

    pub(crate) fn seek_back(&mut self, key: &[u8]) {
        self.get().seek_back(key);
    }

    pub(crate) fn seek_first(&mut self) {
        self.get().seek_first();
    }

    pub(crate) fn seek_last(&mut self) {
        self.get().seek_last();
    }

    #[inline]
    pub(crate) fn next(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        match self {
            Self::Tree(cursor) => cursor.next(view),
            Self::Other(cursor) => cursor.next(view),
        }
    }

    /// The next row upward; a value that stands apart from its row is not read.
    pub(crate) fn next_lazy(&mut self, view: &ReadView) -> Result<Option<LazyRow<'_>>> {
        self.get().next_lazy(view)
    }

    #[inline]
    pub(crate) fn prev(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        match self {
            Self::Tree(cursor) => cursor.prev(view),
            Self::Other(cursor) => cursor.prev(view),
        }
    }

    #[inline]
    pub(crate) fn current(&self) -> Option<(&[u8], &[u8])> {
        match self {
            Self::Tree(cursor) => cursor.current(),
            Self::Other(cursor) => cursor.current(),
        }
    }
}
