//! The small changes of a node. Each was checked before (`op/check.rs`): there is room and the slot exists. On a
//! damaged page they do damage, and nothing worse.

use super::entry::lengths_offset;
use super::layout::{
    Flags, LENGTHS_BYTES, LIVE_AT, SLOTS_AT, SWIP_BYTES, Slot, UPPER_CHILD_AT, VERSION_BYTES,
    inner_entry_bytes, leaf_entry_bytes,
};
use super::space::{add_garbage, allocate, insert_slot, release, remove_slot};
use super::{Node, Row};
use crate::{PageMut, Swip, UndoPtr};
use aether_types::{PageNo, TxnId};

/// Inserts a row at `slot`.
pub(crate) fn insert_row(page: PageMut, slot: usize, key: &[u8], row: &Row) {
    let bytes = leaf_entry_bytes(key.len(), row.value.len(), row.version.is_some());
    let at = allocate(page, bytes, 1);
    write_row(page, at, key, row);
    insert_slot(page, slot, Slot::new(key, at, row.flags()));
    count_live(page, 0, u16::from(!row.ghost));
}

/// Gives the row at `slot` another value, version and flags.
pub(crate) fn update_row(page: PageMut, slot: usize, row: &Row) {
    let node = Node::new(page.view());
    let old = node.slot(slot);
    let (have, same_shape) = (node.entry_bytes(old), old.flags().is_versioned() == row.version.is_some());
    let need = leaf_entry_bytes(old.key_len(), row.value.len(), row.version.is_some());
    if same_shape && need <= have {
        write_over(page, old, row);
        let (start, used) = (old.offset(), node.value_offset(old) + row.value.len());
        page.fill_zero(used, (start + have).saturating_sub(used));
        add_garbage(page, have - need);
        put_slot(page, slot, old.with_flags(row.flags()));
        count_live(page, u16::from(!old.flags().is_ghost()), u16::from(!row.ghost));
    } else if need <= node.gap_bytes() {
        move_row(page, slot, old, row);
    } else {
        let mut key = Vec::new();
        node.stored_key_into(slot, &mut key);
        remove_entry(page, slot);
        insert_row(page, slot, &key, row);
    }
}

/// Writes a new entry into the gap, where there is room for it, with the key of the old one.
fn move_row(page: PageMut, slot: usize, old: Slot, row: &Row) {
    let node = Node::new(page.view());
    let (old_key, have) = (node.key_offset(old), node.entry_bytes(old));
    let at = allocate(page, leaf_entry_bytes(old.key_len(), row.value.len(), row.version.is_some()), 0);
    let new = old.with_offset(at).with_flags(row.flags());
    write_over(page, new, row);
    page.copy_bytes(old_key, at + lengths_offset(new) + LENGTHS_BYTES, old.key_len());
    put_slot(page, slot, new);
    release(page, old.offset(), have);
    count_live(page, u16::from(!old.flags().is_ghost()), u16::from(!row.ghost));
}

/// Removes the entry at `slot`.
pub(crate) fn remove_entry(page: PageMut, slot: usize) {
    let node = Node::new(page.view());
    let old = node.slot(slot);
    let have = node.entry_bytes(old);
    remove_slot(page, slot);
    release(page, old.offset(), have);
    count_live(page, u16::from(!old.flags().is_ghost()), 0);
}

/// Makes the row at `slot` a bare one.
pub(crate) fn strip_version(page: PageMut, slot: usize) {
    let node = Node::new(page.view());
    let old = node.slot(slot);
    if !old.flags().is_versioned() {
        return;
    }
    let (at, have) = (old.offset() / 8, node.entry_bytes(old));
    let words = VERSION_BYTES / 8;
    page.move_words(at + words, at, (have - VERSION_BYTES) / 8);
    put_slot(page, slot, old.with_flags(old.flags().without(Flags::VERSIONED)));
    page.fill_zero(old.offset() + have - VERSION_BYTES, VERSION_BYTES);
    add_garbage(page, VERSION_BYTES);
}

/// Inserts a separator at `slot`; the child there stays left of it, and `right` comes to its right.
pub(crate) fn split_child(page: PageMut, slot: usize, key: &[u8], right: PageNo) {
    let left = Node::new(page.view()).child(slot);
    let at = allocate(page, inner_entry_bytes(key.len()), 1);
    write_child(page, at, key, left);
    insert_slot(page, slot, Slot::new(key, at, Flags::default()));
    count_live(page, 0, 1);
    set_child(page, slot + 1, Swip::new(right));
}

/// Removes the separator at `slot`; the child there takes the place of the one after it. What was its word is
/// cleared: no hint may reach storage among the garbage.
pub(crate) fn merge_child(page: PageMut, slot: usize) {
    let node = Node::new(page.view());
    set_child(page, slot + 1, node.child(slot));
    set_child(page, slot, Swip::from_word(0));
    remove_entry(page, slot);
}

/// Replaces the child at `index`.
pub(crate) fn set_child(page: PageMut, index: usize, child: Swip) {
    page.put_word(Node::new(page.view()).child_word_offset(index), child.word());
}

/// Writes a whole leaf entry at `at`.
pub(super) fn write_row(page: PageMut, at: usize, key: &[u8], row: &Row) {
    let slot = Slot::new(key, at, row.flags());
    write_over(page, slot, row);
    page.put_bytes(at + lengths_offset(slot) + LENGTHS_BYTES, key);
}

/// Writes all of a leaf entry but its key.
fn write_over(page: PageMut, slot: Slot, row: &Row) {
    if let Some((writer, undo)) = row.version {
        write_version(page, slot.offset(), writer, undo);
    }
    let at = slot.offset() + lengths_offset(slot);
    page.put_u32(at, row.value.len() as u32 & 0xffff);
    page.put_bytes(at + LENGTHS_BYTES + slot.key_len(), &row.value);
}

fn write_version(page: PageMut, at: usize, writer: TxnId, undo: UndoPtr) {
    page.put_u64(at, writer.get());
    page.put_u64(at + 8, undo.word());
}

fn put_slot(page: PageMut, index: usize, slot: Slot) {
    page.put_word(SLOTS_AT / 8 + index, slot.0);
}

fn count_live(page: PageMut, less: u16, more: u16) {
    let live = page.view().u16_at(LIVE_AT);
    page.put_u16(LIVE_AT, live.saturating_sub(less).saturating_add(more));
}

/// Writes an inner entry at `at`.
pub(super) fn write_child(page: PageMut, at: usize, key: &[u8], child: Swip) {
    page.put_u64(at, child.word());
    page.put_bytes(at + SWIP_BYTES, key);
}

/// Writes the upper child.
pub(super) fn write_upper_child(page: PageMut, child: Swip) {
    page.put_u64(UPPER_CHILD_AT, child.word());
}
