//! An ordered map in memory: a radix tree with compressed paths and nodes that grow with their children.
//!
//! Keys are strings of bytes of any length, in their order; one may be the beginning of another. A node stands where keys
//! part: it has the bytes that all keys below have in common (its *path*), a child for each byte that follows, and the
//! leaf of the key that ends there. A leaf has what is left of its key. So no key is stored whole, and what many
//! keys begin with is stored once. No node but the root has less than two of children and key.
//!
//! Nodes have room for 4, 16, 48 or 256 children and become the next size when they are full, and the one before when they
//! are nearly empty enough for it. They lie in slabs and refer to each other by index. Nothing is recursive, so deep trees
//! take no stack. A [`RaxCursor`] borrows nothing from the tree; if the tree has changed it finds its place again by its key.
//!
//! Sources: Redis' `rax.c` for the whole, `seek` and iterators that survive changes; Leis et al., "The Adaptive Radix Tree:
//! ARTful Indexing for Main-Memory Databases" (ICDE 2013) for the sizes of nodes. Differences: 48 children stand together in the
//! order of their bytes, with 256 bits that tell their rank, in 32 bytes and not 256; and paths are kept whole, since keys are
//! not in the leaves.
//!
//! The form whose rows lie in pages is [`paged`]. It shares no code with this one: there, a node takes a page and leads to leaves with
//! many rows, here it is as small as its children allow.
//!
//! Reading order: bytes, slab, node, nodes, insert, remove, cursor, iter, check.

mod bytes;
mod check;
mod cursor;
mod insert;
mod iter;
mod node;
mod nodes;
pub mod paged;
mod remove;
mod slab;

pub use cursor::{RaxCursor, Seek};
pub use iter::RaxIter;

use aether_sync::Arc;
use nodes::{Nodes, Ref};

/// An ordered map from strings of bytes to `V`; see the module's head.
pub struct Rax<V> {
    nodes: Nodes<V>,
    root: Ref,
    len: usize,
    /// Counts changes of the structure: cursors look whether it is still what it was.
    changes: u64,
    /// Tells trees apart: a cursor may be used with another one.
    identity: Arc<()>,
}

impl<V> Rax<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self { nodes: Nodes::new(), root: Ref::NONE, len: 0, changes: 0, identity: Arc::new(()) }
    }

    /// Keys in the map.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes taken from the system, without what values hold on the heap.
    pub fn memory_bytes(&self) -> usize {
        self.nodes.memory_bytes() + size_of::<Self>()
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Option<&V> {
        self.find(key).map(|leaf| &self.nodes.leaf(leaf).value)
    }

    /// The value of `key`, to change it.
    pub fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        self.find(key).map(|leaf| self.nodes.value_mut(leaf))
    }

    /// Whether `key` is there.
    pub fn contains_key(&self, key: &[u8]) -> bool {
        self.find(key).is_some()
    }

    #[inline]
    fn find(&self, key: &[u8]) -> Option<Ref> {
        let (mut at, mut rest) = (self.root, key);
        while !at.is_leaf() {
            if at.is_none() {
                return None;
            }
            (at, rest) = self.nodes.descend(at, rest)?;
        }
        (self.nodes.leaf(at).rest.as_slice() == rest).then_some(at)
    }

    /// Makes `child` what `slot` refers to.
    fn set_slot(&mut self, slot: Slot, child: Ref) {
        match slot {
            Slot::Root => self.root = child,
            Slot::Own(parent) => self.nodes.set_own(parent, child),
            Slot::Child(parent, byte) => self.nodes.replace_child(parent, byte, child),
        }
    }
}

/// Where a reference stands.
#[derive(Clone, Copy)]
enum Slot {
    Root,
    Own(Ref),
    Child(Ref, u8),
}

impl<V> Default for Rax<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> core::fmt::Debug for Rax<V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (leaves, inner) = self.nodes.counts();
        write!(f, "Rax({leaves} keys, {inner} inner nodes, {} bytes)", self.memory_bytes())
    }
}
