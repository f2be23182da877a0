//! Finding a key: the hot path of the engine.
//!
//! Three steps: the hints in the header narrow the range; a lower bound without branches over the heads in the slot
//! words finds the first that is not smaller; only if that head is equal is the heap touched.

use super::Node;
use super::layout::{HINTS, HINTS_AT, Slot, head_of};
use aether_sync::word::{Word, load};
use core::cmp::Ordering;
use core::hint::select_unpredictable;

impl Node<'_> {
    /// Where the key is, or where it would be. The key is given whole and lies between the fences; one that does
    /// not gives any position.
    #[inline]
    pub fn search(&self, key: &[u8]) -> Result<usize, usize> {
        self.search_stored(self.strip(key))
    }

    /// The child to follow for the key.
    #[inline]
    pub fn child_index(&self, key: &[u8]) -> usize {
        match self.search(key) {
            Ok(index) => index + 1,
            Err(index) => index,
        }
    }

    #[inline]
    pub(crate) fn search_stored(&self, key: &[u8]) -> Result<usize, usize> {
        let head = head_of(key);
        let at = self.first_head_from(head);
        let Some(word) = self.slots.get(at) else { return Err(at) };
        let slot = Slot(load(word));
        if slot.head() != head {
            return Err(at);
        }
        match self.compare_tail(slot, key) {
            Ordering::Equal => Ok(at),
            Ordering::Greater => Err(at),
            Ordering::Less => self.search_same_head(at + 1, head, key),
        }
    }

    /// The first slot whose head is not below `head`.
    #[inline]
    fn first_head_from(&self, head: u32) -> usize {
        if !self.has_hints() {
            return lower_bound(self.slots, head);
        }
        let (count, below) = (self.count(), self.hints_below(head));
        // After the last hint below, no further than to the next: the window's size does not depend on the key.
        let low = (below * count / (HINTS + 1) + usize::from(below > 0)).min(count);
        let high = (low + count / (HINTS + 1) + 1).min(count);
        low + self.slots.get(low..high).map_or(0, |slots| lower_bound(slots, head))
    }

    /// How many hints are below `head`.
    #[inline]
    fn hints_below(&self, head: u32) -> usize {
        let mut below = 0;
        for word in self.view.words(HINTS_AT / 8, HINTS / 2) {
            let pair = load(word);
            below += usize::from((pair as u32) < head) + usize::from(((pair >> 32) as u32) < head);
        }
        below
    }

    /// Several keys share the head: the slots before `from` are smaller than the key. The next 16 bytes decide
    /// nearly always; they are compared as one number, without branches.
    fn search_same_head(&self, from: usize, head: u32, key: &[u8]) -> Result<usize, usize> {
        let (mut low, mut size) = (from, self.count() - from.min(self.count()));
        if size == 0 || self.slot(low).head() != head {
            return Err(low);
        }
        let tail = padded_tail(key);
        while size > 0 {
            let half = size / 2;
            let less = self.is_slot_below(self.slot(low + half), head, tail, key);
            low = select_unpredictable(less, low + half + 1, low);
            size = select_unpredictable(less, size - half - 1, half);
        }
        let found = low < self.count() && self.compare_slot(self.slot(low), head, key).is_eq();
        if found { Ok(low) } else { Err(low) }
    }

    #[inline]
    fn is_slot_below(&self, slot: Slot, head: u32, tail: u128, key: &[u8]) -> bool {
        let stored = self.stored_tail(slot);
        if slot.head() == head && stored == tail {
            return self.compare_tail(slot, key).is_lt();
        }
        slot.head() < head || slot.head() == head && stored < tail
    }

    /// The 16 bytes after the head, padded with 0.
    #[inline]
    fn stored_tail(&self, slot: Slot) -> u128 {
        let (offset, len) = (self.key_offset(slot) + 4, slot.key_len().saturating_sub(4).min(16) as u32);
        let high = u128::from(self.view.u64_at(offset).swap_bytes());
        let low = u128::from(self.view.u64_at(offset + 8).swap_bytes());
        (high << 64 | low) & u128::MAX.checked_shl(128 - 8 * len).unwrap_or(0)
    }

    /// Compares the stored key of a slot with `key`, whose head is `head`.
    #[inline]
    pub(crate) fn compare_slot(&self, slot: Slot, head: u32, key: &[u8]) -> Ordering {
        slot.head().cmp(&head).then_with(|| self.compare_tail(slot, key))
    }

    /// The same when the heads are known to be equal. If one key ends inside the head, the other's bytes there are
    /// zeros: the shorter is the smaller.
    #[inline(always)]
    fn compare_tail(&self, slot: Slot, key: &[u8]) -> Ordering {
        let len = slot.key_len();
        match key.get(4..) {
            Some(tail) if len > 4 => self.view.compare(self.key_offset(slot) + 4, len - 4, tail),
            _ => len.cmp(&key.len()),
        }
    }
}

/// The 16 bytes of a key after its head, padded with 0.
fn padded_tail(key: &[u8]) -> u128 {
    let mut padded = [0; 16];
    let tail = key.get(4..).unwrap_or_default();
    let len = tail.len().min(16);
    padded[..len].copy_from_slice(&tail[..len]);
    u128::from_be_bytes(padded)
}

/// The first slot whose head is not below `head`, without branches that depend on the keys.
#[inline]
fn lower_bound(slots: &[Word], head: u32) -> usize {
    let wanted = u64::from(head) << 32;
    let (mut base, mut size) = (0, slots.len());
    if size == 0 {
        return 0;
    }
    while size > 1 {
        let half = size / 2;
        base = select_unpredictable(word_at(slots, base + half) < wanted, base + half, base);
        size -= half;
    }
    base + usize::from(word_at(slots, base) < wanted)
}

#[inline(always)]
fn word_at(slots: &[Word], index: usize) -> u64 {
    slots.get(index).map_or(0, load)
}
