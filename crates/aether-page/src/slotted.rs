//! A slotted page: byte strings under stable numbers. Undo pages are of this kind.

use crate::{PageMut, View, load_words};
use aether_sync::word::Word;

/// Offset of the slot count.
pub const COUNT_AT: usize = 32;
/// Offset of the heap's start.
pub const HEAP_AT: usize = 36;
/// Offset of the garbage inside the heap.
pub const GARBAGE_AT: usize = 38;
/// Offset of the owner.
pub const OWNER_AT: usize = 40;
/// Offset of the link.
pub const LINK_AT: usize = 48;
/// Offset of the auxiliary number.
pub const AUX_AT: usize = 56;
/// Offset of the slots.
pub const SLOTS_AT: usize = 64;

const IN_USE: u64 = 1 << 63;

/// A slotted page to read.
#[derive(Clone, Copy)]
pub struct Slotted<'a> {
    view: View<'a>,
    count: usize,
}

impl<'a> Slotted<'a> {
    /// Reads the page as a slotted one.
    pub fn new(view: View<'a>) -> Self {
        let room = view.len_bytes().saturating_sub(SLOTS_AT) / 8;
        Self { view, count: usize::from(view.u16_at(COUNT_AT)).min(room) }
    }

    /// Slots, free ones included.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whom the page belongs to; of an undo page, the segment.
    pub fn owner(&self) -> u64 {
        self.view.word(OWNER_AT / 8)
    }

    /// The next page; 0: none.
    pub fn link(&self) -> u64 {
        self.view.word(LINK_AT / 8)
    }

    /// A number for the owner's use.
    pub fn aux(&self) -> u64 {
        self.view.word(AUX_AT / 8)
    }

    /// Bytes in the slot; `None` if it is free or does not exist.
    pub fn len(&self, slot: usize) -> Option<usize> {
        self.place(slot).map(|(_, len)| len)
    }

    /// True if no slot is in use.
    pub fn is_empty(&self) -> bool {
        (0..self.count).all(|slot| self.len(slot).is_none())
    }

    /// Appends the bytes in the slot to `out`; false if it is free or does not exist.
    pub fn bytes_into(&self, slot: usize, out: &mut Vec<u8>) -> bool {
        let place = self.place(slot);
        place.inspect(|(offset, len)| self.view.append_to(*offset, *len, out)).is_some()
    }

    /// The lowest number for a new slot: a free one, or the count.
    pub fn first_free(&self) -> usize {
        (0..self.count).find(|slot| self.len(*slot).is_none()).unwrap_or(self.count)
    }

    /// Bytes free for slots and byte strings, once garbage is collected.
    pub fn free_bytes(&self) -> usize {
        self.gap_bytes() + usize::from(self.view.u16_at(GARBAGE_AT)) * 8
    }

    /// True if `len` bytes can go into the free slot `slot`, or into a new one at the count.
    pub fn fits_insert(&self, slot: usize, len: usize) -> bool {
        slot <= self.count
            && self.len(slot).is_none()
            && piece(len) + self.slot_bytes(slot) <= self.free_bytes()
    }

    /// True if `len` bytes can replace those in the slot.
    pub fn fits_replace(&self, slot: usize, len: usize) -> bool {
        self.len(slot).is_some_and(|old| piece(len) <= self.free_bytes() + piece(old))
    }

    /// Offset and length of the bytes in the slot.
    pub(crate) fn place(&self, slot: usize) -> Option<(usize, usize)> {
        let word = if slot < self.count { self.view.word(SLOTS_AT / 8 + slot) } else { 0 };
        let place = ((word >> 32 & 0xffff) as usize * 8, (word as u32 as usize).min(self.view.len_bytes()));
        (word & IN_USE != 0).then_some(place)
    }

    pub(crate) fn heap_start(&self) -> usize {
        usize::from(self.view.u16_at(HEAP_AT)) * 8
    }

    fn gap_bytes(&self) -> usize {
        self.heap_start().saturating_sub(SLOTS_AT + 8 * self.count)
    }

    fn slot_bytes(&self, slot: usize) -> usize {
        if slot < self.count { 0 } else { 8 }
    }
}

/// Bytes that a byte string takes in the heap.
pub(crate) fn piece(len: usize) -> usize {
    len.next_multiple_of(8)
}

/// The words of the header as an empty page has them; the rest is zero already.
pub(crate) fn init(page: PageMut, owner: u64, link: u64, aux: u64) {
    page.put_word(OWNER_AT / 8, owner);
    page.put_u16(HEAP_AT, (page.view().len_bytes() / 8) as u16);
    set_header(page, link, aux);
}

pub(crate) fn set_header(page: PageMut, link: u64, aux: u64) {
    page.put_word(LINK_AT / 8, link);
    page.put_word(AUX_AT / 8, aux);
}

pub(crate) fn insert(page: PageMut, slot: usize, bytes: &[u8]) {
    let slotted = Slotted::new(page.view());
    let at = allocate(page, piece(bytes.len()) + slotted.slot_bytes(slot), piece(bytes.len()));
    if slot >= slotted.count {
        page.put_u16(COUNT_AT, (slotted.count + 1) as u16);
    }
    write(page, slot, at, bytes);
}

pub(crate) fn replace(page: PageMut, slot: usize, bytes: &[u8]) {
    let Some((offset, old)) = Slotted::new(page.view()).place(slot) else { return };
    if piece(bytes.len()) > piece(old) {
        delete(page, slot);
        return insert(page, slot, bytes);
    }
    add_garbage(page, piece(old) - piece(bytes.len()));
    page.fill_zero(offset, piece(old));
    write(page, slot, offset, bytes);
}

pub(crate) fn delete(page: PageMut, slot: usize) {
    let slotted = Slotted::new(page.view());
    let Some((offset, len)) = slotted.place(slot) else { return };
    page.put_word(SLOTS_AT / 8 + slot, 0);
    if offset == slotted.heap_start() {
        page.put_u16(HEAP_AT, ((offset + piece(len)).min(page.view().len_bytes()) / 8) as u16);
    } else {
        add_garbage(page, piece(len));
    }
}

fn write(page: PageMut, slot: usize, at: usize, bytes: &[u8]) {
    page.put_bytes(at, bytes);
    page.put_word(
        SLOTS_AT / 8 + slot,
        IN_USE | ((at as u64 / 8) & 0xffff) << 32 | bytes.len() as u64 & 0xffff_ffff,
    );
}

fn add_garbage(page: PageMut, bytes: usize) {
    let garbage = page.view().u16_at(GARBAGE_AT);
    page.put_u16(GARBAGE_AT, garbage.saturating_add((bytes / 8) as u16));
}

/// Takes `bytes` from the heap, collecting garbage if the gap has no room for `need`.
fn allocate(page: PageMut, need: usize, bytes: usize) -> usize {
    if Slotted::new(page.view()).gap_bytes() < need {
        collect_garbage(page);
    }
    let at = Slotted::new(page.view()).heap_start().saturating_sub(bytes);
    page.put_u16(HEAP_AT, (at / 8) as u16);
    page.fill_zero((at + bytes).saturating_sub(8), if bytes == 0 { 0 } else { 8 });
    at
}

fn collect_garbage(page: PageMut) {
    let mut bytes = vec![0; page.view().len_bytes()];
    page.view().copy_to(0, &mut bytes);
    let words: Vec<Word> = (0..bytes.len() / 8).map(|_| Word::new(0)).collect();
    load_words(&bytes, &words);
    let old = Slotted::new(View::new(&words));
    let slots_end = SLOTS_AT + 8 * old.count;
    page.fill_zero(slots_end, bytes.len());
    let mut at = bytes.len();
    for slot in 0..old.count {
        let Some((offset, len)) = old.place(slot) else { continue };
        let (offset, len) = (offset.min(bytes.len()), len.min(bytes.len() - offset.min(bytes.len())));
        at = at.saturating_sub(piece(len)).max(slots_end);
        write(page, slot, at, &bytes[offset..offset + len]);
    }
    page.put_u16(HEAP_AT, (at / 8) as u16);
    page.put_u16(GARBAGE_AT, 0);
}
