//! Putting a whole node into a page.

use super::edit::{write_child, write_row, write_upper_child};
use super::image::Entry;
use super::layout::{
    COUNT_AT, FLAGS_AT, Flags, LEVEL_AT, LIVE_AT, LOWER_AT, PREFIX_AT, SLOTS_AT, Slot, TREE_AT, UPPER_AT,
    inner_entry_bytes, leaf_entry_bytes, round8,
};
use super::space::{Copy, refresh_hints, set_heap_start};
use super::{Node, NodeImage};
use crate::header::HEADER_BYTES;
use crate::{PageMut, Swip};

/// Makes the body of the page the image; the page's header stays.
pub(crate) fn store_image(page: PageMut, image: &NodeImage) {
    page.fill_zero(HEADER_BYTES, page.view().len_bytes());
    page.put_bytes(LEVEL_AT, &[image.level]);
    page.put_bytes(FLAGS_AT, &[image.fence_flags()]);
    page.put_u16(PREFIX_AT, image.prefix_len() as u16);
    page.put_u32(TREE_AT, image.tree);
    write_upper_child(page, Swip::new(image.upper_child));
    let mut heap = Heap { page, at: page.view().len_bytes() };
    heap.fence(LOWER_AT, image.lower.as_deref());
    heap.fence(UPPER_AT, image.upper.as_deref());
    let live = heap.entries(image);
    let at = heap.at;
    set_heap_start(page, at);
    page.put_u16(COUNT_AT, image.count as u16);
    page.put_u16(LIVE_AT, live);
    refresh_hints(page);
}

struct Heap<'a> {
    page: PageMut<'a>,
    at: usize,
}

impl Heap<'_> {
    fn take(&mut self, bytes: usize) -> usize {
        self.at = self.at.saturating_sub(bytes);
        self.at
    }

    fn fence(&mut self, describe_at: usize, fence: Option<&[u8]>) {
        let Some(key) = fence.filter(|key| !key.is_empty()) else { return };
        let at = self.take(round8(key.len()));
        self.page.put_bytes(at, key);
        self.page.put_u16(describe_at, (at / 8) as u16);
        self.page.put_u16(describe_at + 2, key.len() as u16);
    }

    /// Writes all entries; returns how many are live.
    fn entries(&mut self, image: &NodeImage) -> u16 {
        let mut live = 0;
        for (index, (key, entry)) in image.entries().enumerate() {
            let slot = self.entry(key, &entry);
            self.page.put_word(SLOTS_AT / 8 + index, slot.0);
            live += u16::from(!slot.flags().is_ghost());
        }
        live
    }

    fn entry(&mut self, key: &[u8], entry: &Entry) -> Slot {
        match entry {
            Entry::Row(row) => {
                let at = self.take(leaf_entry_bytes(key.len(), row.value.len(), row.version.is_some()));
                write_row(self.page, at, key, row);
                Slot::new(key, at, row.flags())
            }
            Entry::Child(child) => {
                let at = self.take(inner_entry_bytes(key.len()));
                write_child(self.page, at, key, Swip::new(*child));
                Slot::new(key, at, Flags::default())
            }
        }
    }
}

/// Keeps the first `count` entries under a new upper fence. Of an inner node the child after them becomes the upper
/// child, and the children keep their hints.
pub(crate) fn cut_node(page: PageMut, count: usize, upper: &[u8]) {
    let copy = Copy::of(page.view());
    let old = Node::new(copy.view());
    store_image(page, &old.first(count, upper));
    if old.is_leaf() {
        return;
    }
    let new = Node::new(page.view());
    for index in 0..=new.count() {
        page.put_word(new.child_word_offset(index), old.child(index.min(count)).word());
    }
}
