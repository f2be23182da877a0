//! Reading one entry. A slot at or beyond the count reads as an entry of zeros.

use super::Node;
use super::layout::{Flags, LENGTHS_BYTES, SWIP_BYTES, Slot, VERSION_BYTES, head_of, inner_entry_bytes};
use super::layout::{PREFIX_AT, leaf_entry_bytes};
use crate::UndoPtr;
use aether_sync::word::load;
use aether_types::TxnId;
use core::cmp::Ordering;

impl Node<'_> {
    /// The flags of an entry.
    #[inline]
    pub fn flags(&self, slot: usize) -> Flags {
        self.slot(slot).flags()
    }

    /// Who wrote the row, and its before-image; `None` for a bare row.
    #[inline]
    pub fn version(&self, slot: usize) -> Option<(TxnId, UndoPtr)> {
        let slot = self.slot(slot);
        slot.flags().is_versioned().then(|| {
            let word = slot.offset() / 8;
            (TxnId::new(self.view.word(word)), UndoPtr::from_word(self.view.word(word + 1)))
        })
    }

    /// Bytes of the value.
    #[inline]
    pub fn value_len(&self, slot: usize) -> usize {
        self.value_len_of(self.slot(slot))
    }

    /// Appends the value to `out`.
    pub fn value_into(&self, slot: usize, out: &mut Vec<u8>) {
        let slot = self.slot(slot);
        self.view.append_to(self.value_offset(slot), self.value_len_of(slot), out);
    }

    /// Copies the value into `out`, as much as has room; returns how many bytes were copied.
    pub fn value_copy(&self, slot: usize, out: &mut [u8]) -> usize {
        let slot = self.slot(slot);
        let len = self.value_len_of(slot).min(out.len());
        self.view.copy_to(self.value_offset(slot), &mut out[..len]);
        len
    }

    /// Appends the whole key to `out`: prefix, then stored key.
    pub fn key_into(&self, slot: usize, out: &mut Vec<u8>) {
        self.prefix_into(out);
        self.stored_key_into(slot, out);
    }

    /// Bytes of the whole key.
    #[inline]
    pub fn key_len(&self, slot: usize) -> usize {
        self.prefix_len() + self.slot(slot).key_len()
    }

    /// Compares the key of an entry with `key`, given whole and between the fences.
    #[inline]
    pub fn compare_key(&self, slot: usize, key: &[u8]) -> Ordering {
        let stored = self.strip(key);
        self.compare_slot(self.slot(slot), head_of(stored), stored)
    }

    /// Appends the prefix that all keys of the node share and that entries leave out.
    pub fn prefix_into(&self, out: &mut Vec<u8>) {
        let (offset, _) = self.fence_place(super::layout::LOWER_AT);
        let len = usize::from(self.view.u16_at(PREFIX_AT));
        self.view.append_to(offset, len, out);
    }

    /// Appends the key of an entry without the node's prefix.
    pub fn stored_key_into(&self, slot: usize, out: &mut Vec<u8>) {
        let slot = self.slot(slot);
        self.view.append_to(self.key_offset(slot), slot.key_len(), out);
    }

    #[inline(always)]
    pub(crate) fn slot(&self, index: usize) -> Slot {
        Slot(self.slots.get(index).map_or(0, load))
    }

    #[inline]
    pub(crate) fn key_offset(&self, slot: Slot) -> usize {
        slot.offset() + if self.is_leaf() { lengths_offset(slot) + LENGTHS_BYTES } else { SWIP_BYTES }
    }

    #[inline]
    pub(crate) fn value_offset(&self, slot: Slot) -> usize {
        self.key_offset(slot) + slot.key_len()
    }

    #[inline]
    pub(crate) fn value_len_of(&self, slot: Slot) -> usize {
        if self.is_leaf() { usize::from(self.view.u16_at(slot.offset() + lengths_offset(slot))) } else { 0 }
    }

    /// Bytes that the entry takes in the heap.
    #[inline]
    pub(crate) fn entry_bytes(&self, slot: Slot) -> usize {
        if self.is_leaf() {
            leaf_entry_bytes(slot.key_len(), self.value_len_of(slot), slot.flags().is_versioned())
        } else {
            inner_entry_bytes(slot.key_len())
        }
    }
}

/// Offset of the lengths inside a leaf entry.
#[inline]
pub(crate) fn lengths_offset(slot: Slot) -> usize {
    if slot.flags().is_versioned() { VERSION_BYTES } else { 0 }
}
