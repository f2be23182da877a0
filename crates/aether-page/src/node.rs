//! A node of a B+tree: leaf or inner.
//!
//! Slots stand in key order behind the header, entries in a heap that grows down from the end of the page. All keys
//! lie between two fences (`lower <= key < upper`), share the fences' longest common prefix, and are stored without
//! it. A slot carries the first four bytes of its stored key, so that a search touches the heap once or twice; 16
//! heads sampled into the header narrow the search before that.
//!
//! [`Node`] reads, under a latch or optimistically; [`PageOp`](crate::PageOp) changes; [`NodeImage`] is a whole node
//! on its way into a page: the right half of a split, a merge, a root's copy.

mod edit;
mod entry;
pub(crate) mod image;
pub mod layout;
mod search;
mod space;
mod split;
mod store;

pub(crate) use edit::*;
pub use image::{Entry, NodeImage, Row};
pub use layout::Flags;
pub use split::SplitPlan;
pub(crate) use store::{cut_node, store_image};

use crate::{PageType, Swip, View, header};
use aether_sync::word::Word;
use core::cmp::Ordering;
use layout::{
    COUNT_AT, HINTED_COUNT_MIN, LOWER_AT, NO_LOWER, NO_UPPER, PREFIX_AT, SLOTS_AT, TREE_AT, UPPER_AT,
};

/// A node to read. The count and the prefix are taken once, at [`Node::new`], so that one search sees one count.
#[derive(Clone, Copy)]
pub struct Node<'a> {
    view: View<'a>,
    slots: &'a [Word],
    /// Words 4 and 5 of the header.
    shape: u64,
    keys: u64,
}

impl<'a> Node<'a> {
    /// Reads the page as a node. Any page will do: garbage in gives garbage out.
    #[inline]
    pub fn new(view: View<'a>) -> Self {
        let shape = view.word(COUNT_AT / 8);
        let slots = view.words(SLOTS_AT / 8, usize::from(shape as u16));
        Self { view, slots, shape, keys: view.word(PREFIX_AT / 8) }
    }

    /// The page.
    #[inline]
    pub fn view(&self) -> View<'a> {
        self.view
    }

    /// Entries; an inner node has one child more.
    #[inline]
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// Entries that are not ghosts.
    #[inline]
    pub fn live_count(&self) -> usize {
        usize::from((self.keys >> 16) as u16)
    }

    /// Levels between here and the leaves; 0 for a leaf.
    #[inline]
    pub fn level(&self) -> u8 {
        (self.shape >> 16) as u8
    }

    /// True for a leaf.
    #[inline]
    pub fn is_leaf(&self) -> bool {
        self.level() == 0
    }

    /// True if the page is a leaf or inner page at all, and of the type that its level says.
    #[inline]
    pub fn is_node(&self) -> bool {
        let wanted = if self.is_leaf() { PageType::Leaf } else { PageType::Inner };
        header::is_type(self.view, wanted)
    }

    /// The tree that the node belongs to.
    #[inline]
    pub fn tree(&self) -> u32 {
        self.view.u32_at(TREE_AT)
    }

    /// Bytes that all keys share and that are not stored with them.
    #[inline]
    pub fn prefix_len(&self) -> usize {
        usize::from(self.keys as u16)
    }

    /// The key as it is stored here: without the prefix.
    #[inline]
    pub fn strip<'k>(&self, key: &'k [u8]) -> &'k [u8] {
        key.get(self.prefix_len()..).unwrap_or_default()
    }

    /// A copy of the lower fence; `None`: minus infinity.
    pub fn lower(&self) -> Option<Vec<u8>> {
        (self.fence_flags() & NO_LOWER == 0).then(|| self.fence(LOWER_AT))
    }

    /// A copy of the upper fence; `None`: plus infinity.
    pub fn upper(&self) -> Option<Vec<u8>> {
        (self.fence_flags() & NO_UPPER == 0).then(|| self.fence(UPPER_AT))
    }

    /// True if the key belongs into this node: `lower <= key < upper`.
    #[inline]
    pub fn in_fences(&self, key: &[u8]) -> bool {
        self.not_below_lower(key) && self.below_upper(key)
    }

    #[inline]
    fn not_below_lower(&self, key: &[u8]) -> bool {
        self.fence_flags() & NO_LOWER != 0 || {
            let (offset, len) = self.fence_place(LOWER_AT);
            self.view.compare(offset, len, key).is_le()
        }
    }

    #[inline]
    fn below_upper(&self, key: &[u8]) -> bool {
        self.fence_flags() & NO_UPPER != 0 || {
            let (offset, len) = self.fence_place(UPPER_AT);
            self.view.compare(offset, len, key).is_gt()
        }
    }

    /// True if the stored key is not below the lower fence; a separator must be above it.
    pub(crate) fn may_come_first(&self, stored: &[u8]) -> bool {
        if self.fence_flags() & NO_LOWER != 0 {
            return self.is_leaf() || !stored.is_empty();
        }
        let order = self.compare_fence(LOWER_AT, stored);
        order.is_lt() || self.is_leaf() && order.is_eq()
    }

    /// True if the stored key is below the upper fence.
    pub(crate) fn may_come_last(&self, stored: &[u8]) -> bool {
        self.fence_flags() & NO_UPPER != 0 || self.compare_fence(UPPER_AT, stored).is_gt()
    }

    /// Compares what a fence has behind the prefix with a stored key.
    fn compare_fence(&self, at: usize, stored: &[u8]) -> Ordering {
        let ((offset, len), prefix) = (self.fence_place(at), self.prefix_len());
        self.view.compare(offset + prefix, len.saturating_sub(prefix), stored)
    }

    /// The child at `index`: below separator `index`; at the count and above it, the upper child.
    #[inline]
    pub fn child(&self, index: usize) -> Swip {
        Swip::from_word(self.view.word(self.child_word_offset(index)))
    }

    /// Which word of the page holds the child at `index`, for whoever repairs its hint.
    #[inline]
    pub fn child_word_offset(&self, index: usize) -> usize {
        if index < self.count() { self.slot(index).offset() / 8 } else { layout::UPPER_CHILD_AT / 8 }
    }

    #[inline]
    pub(crate) fn fence_flags(&self) -> u8 {
        (self.shape >> 24) as u8
    }

    #[inline]
    pub(crate) fn has_hints(&self) -> bool {
        self.count() >= HINTED_COUNT_MIN
    }

    /// Offset and length in bytes of the fence described at `at`.
    #[inline]
    pub(crate) fn fence_place(&self, at: usize) -> (usize, usize) {
        let offset = usize::from(self.view.u16_at(at)) * 8;
        (offset, usize::from(self.view.u16_at(at + 2)))
    }

    fn fence(&self, at: usize) -> Vec<u8> {
        let (offset, len) = self.fence_place(at);
        let mut bytes = Vec::new();
        self.view.append_to(offset, len, &mut bytes);
        bytes
    }
}
