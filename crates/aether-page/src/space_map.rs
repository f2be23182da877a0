//! The space map: which pages of a file are free.
//!
//! Page 0 is the file's header. With n entries per map page the maps are at 1, 1 + (n + 1), 1 + 2 (n + 1), ..; each
//! covers the n pages after it.

use crate::{PageMut, View};
use aether_types::{PageNo, PageSize, Psn};

/// Offset of the first page covered.
pub const FIRST_AT: usize = 32;
/// Offset of the PSN floor.
pub const PSN_FLOOR_AT: usize = 40;
/// Offset of the count of free pages.
pub const FREE_AT: usize = 48;
/// Offset of the count of pages covered.
pub const COVERED_AT: usize = 52;
/// Offset of the entries.
pub const ENTRIES_AT: usize = 64;

/// What a page is used for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum PageState {
    /// Free.
    Free = 0,
    /// A page of its own.
    Used = 1,
    /// The first page of an extent.
    ExtentFirst = 2,
    /// Another page of an extent.
    ExtentRest = 3,
}

impl PageState {
    /// From the two bits as stored.
    pub fn from_bits(bits: u16) -> Self {
        [Self::Free, Self::Used, Self::ExtentFirst, Self::ExtentRest][usize::from(bits & 3)]
    }

    /// The code as stored.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// Pages covered by one map page at the most.
pub const fn entries_per_page(page_size: PageSize) -> usize {
    entries_in(page_size.bytes())
}

pub(crate) const fn entries_in(page_bytes: usize) -> usize {
    page_bytes.saturating_sub(ENTRIES_AT) / 2
}

/// The map page that covers `page`, and the entry's index. `None` for the file's header and the map pages.
pub fn map_page_of(page: PageNo, page_size: PageSize) -> Option<(PageNo, usize)> {
    let (stride, place) = (entries_per_page(page_size) as u64 + 1, page.get().checked_sub(1)?);
    let index = (place % stride).checked_sub(1)?;
    Some((PageNo::new(page.get() - 1 - index), index as usize))
}

/// The map page after `map`.
pub fn next_map_page(map: PageNo, page_size: PageSize) -> PageNo {
    map.offset(entries_per_page(page_size) as u64 + 1)
}

/// The first map page of every file.
pub const FIRST_MAP_PAGE: PageNo = PageNo::new(1);

/// The first page covered.
pub fn first_page(view: View) -> PageNo {
    PageNo::new(view.word(FIRST_AT / 8))
}

/// No page covered has ever had a higher PSN in a life that ended.
pub fn psn_floor(view: View) -> Psn {
    Psn::new(view.word(PSN_FLOOR_AT / 8))
}

/// Free pages.
pub fn free_count(view: View) -> usize {
    view.u32_at(FREE_AT) as usize
}

/// Pages covered.
pub fn covered(view: View) -> usize {
    (view.u32_at(COVERED_AT) as usize).min(entries_in(view.len_bytes()))
}

/// What the page at `index` is used for; beyond the pages covered, [`PageState::Used`].
pub fn state(view: View, index: usize) -> PageState {
    if index < covered(view) { PageState::from_bits(entry(view, index)) } else { PageState::Used }
}

/// The first of `count` consecutive free pages, at index `from` or above.
pub fn find_free(view: View, from: usize, count: usize) -> Option<usize> {
    let (mut index, mut run, end) = (from, 0, covered(view));
    while index < end {
        if index.is_multiple_of(4) && none_free(view.word((ENTRIES_AT + 2 * index) / 8)) {
            (index, run) = (index + 4, 0);
            continue;
        }
        run = if state(view, index) == PageState::Free { run + 1 } else { 0 };
        index += 1;
        if run >= count.max(1) {
            return Some(index - run);
        }
    }
    None
}

/// True if none of the four entries in a word is free.
fn none_free(word: u64) -> bool {
    let low_bit_of_each = 0x0001_0001_0001_0001;
    (word | word >> 1) & low_bit_of_each == low_bit_of_each
}

fn entry(view: View, index: usize) -> u16 {
    view.u16_at(index.saturating_mul(2).saturating_add(ENTRIES_AT))
}

/// Writes the body of a map of free pages; the rest is zero already.
pub(crate) fn init(page: PageMut, first: PageNo, covered: usize) {
    page.put_word(FIRST_AT / 8, first.get());
    page.put_u32(FREE_AT, covered as u32);
    page.put_u32(COVERED_AT, covered as u32);
}

/// Sets the state of `count` pages from `first` on and raises the floor.
pub(crate) fn set(page: PageMut, first: usize, count: usize, state_to: PageState, floor: Psn) {
    let mut free = free_count(page.view());
    for index in first..first.saturating_add(count).min(covered(page.view())) {
        let was_free = state(page.view(), index) == PageState::Free;
        free = free.saturating_sub(usize::from(was_free)) + usize::from(state_to == PageState::Free);
        page.put_u16(ENTRIES_AT + 2 * index, u16::from(state_to.code()));
    }
    page.put_u32(FREE_AT, free as u32);
    page.put_word(PSN_FLOOR_AT / 8, psn_floor(page.view()).max(floor).get());
}
