//! The room in a node: what is free, what a new entry needs, and getting garbage back.

use super::Node;
use super::layout::{
    COUNT_AT, GARBAGE_AT, HEAP_AT, HINTS, HINTS_AT, LIVE_AT, LOWER_AT, SLOTS_AT, Slot, UPPER_AT,
};
use super::layout::{hint_position, inner_entry_bytes, leaf_entry_bytes, round8};
use crate::{PageMut, View};
use aether_sync::word::Word;

impl Node<'_> {
    /// Bytes free for slots and entries, once garbage is collected.
    #[inline]
    pub fn free_bytes(&self) -> usize {
        self.gap_bytes() + self.garbage_bytes()
    }

    /// True if an entry with a new key of `key_len` bytes (whole) has room; in an inner node value and version do
    /// not count.
    #[inline]
    pub fn fits_insert(&self, key_len: usize, value_len: usize, versioned: bool) -> bool {
        let stored = key_len.saturating_sub(self.prefix_len());
        let entry = if self.is_leaf() {
            leaf_entry_bytes(stored, value_len, versioned)
        } else {
            inner_entry_bytes(stored)
        };
        8 + entry <= self.free_bytes()
    }

    /// True if the entry at `slot` can take this value and version.
    #[inline]
    pub fn fits_update(&self, slot: usize, value_len: usize, versioned: bool) -> bool {
        let slot = self.slot(slot);
        leaf_entry_bytes(slot.key_len(), value_len, versioned) <= self.free_bytes() + self.entry_bytes(slot)
    }

    /// How full the node is, in percent.
    #[inline]
    pub fn fill_percent(&self) -> usize {
        let room = self.view.len_bytes().saturating_sub(SLOTS_AT).max(1);
        room.saturating_sub(self.free_bytes()) * 100 / room
    }

    /// Bytes between the slots and the heap.
    #[inline]
    pub(crate) fn gap_bytes(&self) -> usize {
        self.heap_start().saturating_sub(SLOTS_AT + 8 * self.count())
    }

    #[inline]
    pub(crate) fn heap_start(&self) -> usize {
        usize::from((self.shape >> 32) as u16) * 8
    }

    #[inline]
    pub(crate) fn garbage_bytes(&self) -> usize {
        usize::from((self.shape >> 48) as u16) * 8
    }
}

/// Sets the heap's start.
pub(super) fn set_heap_start(page: PageMut, offset: usize) {
    page.put_u16(HEAP_AT, (offset / 8) as u16);
}

/// Takes `bytes` (a multiple of 8) from the gap, after collecting garbage if the gap with `slots` more slots is too
/// small. Returns the offset of the piece, its last word cleared so that padding is 0.
pub(super) fn allocate(page: PageMut, bytes: usize, slots: usize) -> usize {
    if Node::new(page.view()).gap_bytes() < bytes + 8 * slots {
        collect_garbage(page);
    }
    let at = Node::new(page.view()).heap_start().saturating_sub(bytes);
    set_heap_start(page, at);
    page.put_u64((at + bytes).saturating_sub(8), 0);
    at
}

/// Gives a piece back: to the gap if it is the lowest of the heap, else as garbage.
pub(super) fn release(page: PageMut, offset: usize, bytes: usize) {
    if Node::new(page.view()).heap_start() == offset {
        set_heap_start(page, offset.saturating_add(bytes).min(page.view().len_bytes()));
    } else {
        add_garbage(page, bytes);
    }
}

/// Counts `bytes` of the heap as garbage.
pub(super) fn add_garbage(page: PageMut, bytes: usize) {
    let garbage = page.view().u16_at(GARBAGE_AT);
    page.put_u16(GARBAGE_AT, garbage.saturating_add((bytes / 8) as u16));
}

/// Packs the pieces of the heap at the end of the page again and clears what becomes free.
pub(super) fn collect_garbage(page: PageMut) {
    let copy = Copy::of(page.view());
    let old = Node::new(copy.view());
    let mut packer = Packer { page, old: copy.view(), at: page.view().len_bytes() };
    for fence_at in [LOWER_AT, UPPER_AT] {
        let (offset, len) = old.fence_place(fence_at);
        let moved = packer.take(offset, round8(len));
        page.put_u16(fence_at, if len == 0 { 0 } else { (moved / 8) as u16 });
    }
    for index in 0..old.count() {
        let slot = old.slot(index);
        let moved = packer.take(slot.offset(), old.entry_bytes(slot));
        page.put_word(SLOTS_AT / 8 + index, slot.with_offset(moved).0);
    }
    let (at, slots_end) = (packer.at, SLOTS_AT + 8 * old.count());
    set_heap_start(page, at);
    page.put_u16(GARBAGE_AT, 0);
    page.fill_zero(slots_end, at.saturating_sub(slots_end));
}

/// Keeps the first `count` entries as they are, packed, under a new upper fence; `old` is a copy of the page.
pub(super) fn keep_first(page: PageMut, old: &Node, count: usize, upper: &[u8]) {
    let mut packer = Packer { page, old: old.view(), at: page.view().len_bytes() };
    let (lower_at, lower_len) = old.fence_place(LOWER_AT);
    let moved = packer.take(lower_at, round8(lower_len));
    page.put_u16(LOWER_AT, if lower_len == 0 { 0 } else { (moved / 8) as u16 });
    packer.at = packer.at.saturating_sub(round8(upper.len()));
    page.put_u64((packer.at + round8(upper.len())).saturating_sub(8), 0);
    page.put_bytes(packer.at, upper);
    page.put_u16(UPPER_AT, (packer.at / 8) as u16);
    page.put_u16(UPPER_AT + 2, upper.len() as u16);
    let mut live = 0;
    for index in 0..count {
        let slot = old.slot(index);
        let moved = packer.take(slot.offset(), old.entry_bytes(slot));
        page.put_word(SLOTS_AT / 8 + index, slot.with_offset(moved).0);
        live += u16::from(!slot.flags().is_ghost());
    }
    let (at, slots_end) = (packer.at, SLOTS_AT + 8 * count);
    set_heap_start(page, at);
    page.put_u16(GARBAGE_AT, 0);
    page.fill_zero(slots_end, at.saturating_sub(slots_end));
    page.put_u16(COUNT_AT, count as u16);
    page.put_u16(LIVE_AT, live);
    refresh_hints(page);
}

struct Packer<'a> {
    page: PageMut<'a>,
    old: View<'a>,
    at: usize,
}

impl Packer<'_> {
    /// Moves a piece below the last one. In a damaged node pieces may add up to more than there is room for: those
    /// that have none are dropped, which the check finds.
    fn take(&mut self, offset: usize, bytes: usize) -> usize {
        self.at = self.at.saturating_sub(bytes);
        if self.at >= SLOTS_AT {
            (0..bytes / 8)
                .for_each(|word| self.page.put_word(self.at / 8 + word, self.old.word(offset / 8 + word)));
        }
        self.at
    }
}

/// A private copy of a page, to read from while the page is written.
pub(super) struct Copy(Vec<Word>);

impl Copy {
    pub(super) fn of(view: View) -> Self {
        Self(view.to_words())
    }

    pub(super) fn view(&self) -> View<'_> {
        View::new(&self.0)
    }
}

/// Takes the hints anew after the slots have changed.
pub(super) fn refresh_hints(page: PageMut) {
    let node = Node::new(page.view());
    let count = node.count();
    for pair in 0..HINTS / 2 {
        let head = |index| u64::from(node.slot(hint_position(index, count)).head());
        let word = if node.has_hints() { head(2 * pair) | head(2 * pair + 1) << 32 } else { 0 };
        page.put_word(HINTS_AT / 8 + pair, word);
    }
}

/// Opens a gap for a slot at `index` and stores it there.
pub(super) fn insert_slot(page: PageMut, index: usize, slot: Slot) {
    let count = Node::new(page.view()).count();
    let at = SLOTS_AT / 8 + index;
    page.move_words(at, at + 1, count.saturating_sub(index));
    page.put_word(at, slot.0);
    page.put_u16(COUNT_AT, (count + 1) as u16);
    refresh_hints(page);
}

/// Removes the slot at `index`.
pub(super) fn remove_slot(page: PageMut, index: usize) {
    let count = Node::new(page.view()).count();
    let at = SLOTS_AT / 8 + index;
    page.move_words(at + 1, at, count.saturating_sub(index + 1));
    page.put_u16(COUNT_AT, count.saturating_sub(1) as u16);
    refresh_hints(page);
}
