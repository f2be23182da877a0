//! A page of records of one size, with a bitmap of those in use.

use crate::{PageMut, View};
use aether_types::PageSize;

/// Offset of the record size.
pub const RECORD_SIZE_AT: usize = 32;
/// Offset of the capacity.
pub const CAPACITY_AT: usize = 36;
/// Offset of the count of records in use.
pub const IN_USE_AT: usize = 40;
/// Offset of the owner.
pub const OWNER_AT: usize = 48;
/// Offset of the link.
pub const LINK_AT: usize = 56;
/// Offset of the bitmap.
pub const BITMAP_AT: usize = 64;

/// How many records of `record_size` bytes (a multiple of 8, not 0) a page holds.
pub fn capacity_for(page_size: PageSize, record_size: usize) -> usize {
    capacity_in(page_size.bytes(), record_size)
}

/// In units of words: each group of up to 64 records has one word of bitmap.
pub(crate) fn capacity_in(page_bytes: usize, record_size: usize) -> usize {
    let (room, record) = (page_bytes.saturating_sub(BITMAP_AT) / 8, (record_size / 8).max(1));
    let group = 64 * record + 1;
    let rest = (room % group).saturating_sub(1) / record;
    room / group * 64 + rest
}

fn bitmap_bytes(capacity: usize) -> usize {
    capacity.div_ceil(64) * 8
}

/// A page of fixed-size records to read.
#[derive(Clone, Copy)]
pub struct Fixed<'a> {
    view: View<'a>,
    record_size: usize,
    capacity: usize,
}

impl<'a> Fixed<'a> {
    /// Reads the page as one of fixed-size records.
    pub fn new(view: View<'a>) -> Self {
        let record_size = view.u32_at(RECORD_SIZE_AT) as usize;
        let capacity = (view.u32_at(CAPACITY_AT) as usize).min(capacity_in(view.len_bytes(), record_size));
        Self { view, record_size, capacity }
    }

    /// Bytes in a record.
    pub fn record_size(&self) -> usize {
        self.record_size
    }

    /// Records that the page can hold.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Records in use.
    pub fn in_use(&self) -> usize {
        self.view.u32_at(IN_USE_AT) as usize
    }

    /// Whom the page belongs to.
    pub fn owner(&self) -> u64 {
        self.view.word(OWNER_AT / 8)
    }

    /// The next page; 0: none.
    pub fn link(&self) -> u64 {
        self.view.word(LINK_AT / 8)
    }

    /// True if the record is in use.
    pub fn is_used(&self, index: usize) -> bool {
        index < self.capacity && self.view.word(BITMAP_AT / 8 + index / 64) >> (index % 64) & 1 == 1
    }

    /// The first record from `from` on that is free.
    pub fn first_free(&self, from: usize) -> Option<usize> {
        (from..self.capacity).find(|index| !self.is_used(*index))
    }

    /// Appends the record's bytes to `out`; false if it is free.
    pub fn record_into(&self, index: usize, out: &mut Vec<u8>) -> bool {
        let used = self.is_used(index);
        if used {
            self.view.append_to(self.offset(index), self.record_size, out);
        }
        used
    }

    fn offset(&self, index: usize) -> usize {
        BITMAP_AT + bitmap_bytes(self.capacity) + index.saturating_mul(self.record_size)
    }
}

/// The words of the header as an empty page has them; the rest is zero already.
pub(crate) fn init(page: PageMut, record_size: usize, owner: u64, link: u64) {
    page.put_u32(RECORD_SIZE_AT, record_size as u32);
    page.put_u32(CAPACITY_AT, capacity_in(page.view().len_bytes(), record_size) as u32);
    page.put_word(OWNER_AT / 8, owner);
    page.put_word(LINK_AT / 8, link);
}

/// Writes a record; bytes that are not given become 0.
pub(crate) fn set(page: PageMut, index: usize, bytes: &[u8]) {
    let fixed = Fixed::new(page.view());
    let at = fixed.offset(index);
    page.put_bytes(at, bytes);
    page.fill_zero(at.saturating_add(bytes.len()), fixed.record_size.saturating_sub(bytes.len()));
    mark(page, index, true);
}

/// Frees a record; its bytes become 0.
pub(crate) fn clear(page: PageMut, index: usize) {
    let fixed = Fixed::new(page.view());
    page.fill_zero(fixed.offset(index), fixed.record_size);
    mark(page, index, false);
}

fn mark(page: PageMut, index: usize, used: bool) {
    let fixed = Fixed::new(page.view());
    let (was, in_use) = (fixed.is_used(index), fixed.in_use() as u32);
    let (word, bit) = (BITMAP_AT / 8 + index / 64, 1 << (index % 64));
    let old = page.view().word(word);
    page.put_word(word, if used { old | bit } else { old & !bit });
    page.put_u32(IN_USE_AT, in_use.saturating_sub(u32::from(was)).saturating_add(u32::from(used)));
}
