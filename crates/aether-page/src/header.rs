//! The 32 bytes that every page starts with.

use crate::{PageMut, View};
use aether_types::{Error, FileId, PageNo, Psn, Result};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 32;
/// Offset of the checksum.
pub const CHECKSUM_AT: usize = 0;
/// Offset of the PSN.
pub const PSN_AT: usize = 8;
/// Offset of the page type.
pub const TYPE_AT: usize = 16;
/// Offset of the file id.
pub const FILE_AT: usize = 20;
/// Offset of the page number.
pub const PAGE_NO_AT: usize = 24;

/// What a page holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(u8)]
pub enum PageType {
    /// Never written: all zeros.
    Unwritten = 0,
    /// The file's header, page 0.
    FileHeader = 1,
    /// The space map.
    SpaceMap = 2,
    /// Slotted.
    Slotted = 3,
    /// Slotted, holding before-images.
    Undo = 4,
    /// Records of one size.
    Fixed = 5,
    /// A leaf of a B+tree.
    Leaf = 6,
    /// An inner node of a B+tree.
    Inner = 7,
    /// Part of a large value.
    Overflow = 8,
    /// A node of a radix directory.
    Radix = 9,
}

impl PageType {
    /// The type with this code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        use PageType::*;
        [Unwritten, FileHeader, SpaceMap, Slotted, Undo, Fixed, Leaf, Inner, Overflow, Radix]
            .get(code as usize)
            .copied()
    }

    /// The code as stored.
    pub fn code(self) -> u8 {
        self as u8
    }
}

/// The code of the page type; see [`PageType::from_code`].
#[inline]
pub fn page_type(view: View) -> u8 {
    view.word(TYPE_AT / 8) as u8
}

/// True if the page is of type `wanted`.
#[inline]
pub fn is_type(view: View, wanted: PageType) -> bool {
    page_type(view) == wanted.code()
}

/// Fails unless the page is of type `wanted`.
pub(crate) fn expect_type(view: View, wanted: PageType) -> Result<()> {
    if is_type(view, wanted) {
        return Ok(());
    }
    Err(Error::corruption(format!("a page of type {} where {wanted:?} is needed", page_type(view))))
}

/// The page sequence number.
#[inline]
pub fn psn(view: View) -> Psn {
    Psn::new(view.word(PSN_AT / 8))
}

/// The page sequence number of a page in bytes, as files have it.
///
/// # Panics
/// If there is no whole header.
pub fn psn_in(bytes: &[u8]) -> Psn {
    let at = bytes[PSN_AT..].first_chunk().expect("a page has a header");
    Psn::new(u64::from_le_bytes(*at))
}

/// Sets the page sequence number.
#[inline]
pub fn set_psn(page: PageMut, psn: Psn) {
    page.put_word(PSN_AT / 8, psn.get());
}

/// The file that the page says it belongs to.
#[inline]
pub fn file(view: View) -> FileId {
    FileId::new(view.u32_at(FILE_AT))
}

/// The page number that the page says it has.
#[inline]
pub fn page_no(view: View) -> PageNo {
    PageNo::new(view.word(PAGE_NO_AT / 8))
}

/// Makes an empty page: header as given, checksum and body zero.
pub fn init(page: PageMut, page_type: PageType, file: FileId, page_no: PageNo, psn: Psn) {
    page.put_word(CHECKSUM_AT / 8, 0);
    set_psn(page, psn);
    place(page, page_type.code(), file, page_no);
    page.fill_zero(HEADER_BYTES, page.view().len_bytes());
}

/// Sets type, file and page number and nothing else.
pub(crate) fn place(page: PageMut, type_code: u8, file: FileId, page_no: PageNo) {
    page.put_word(TYPE_AT / 8, u64::from(type_code) | u64::from(file.get()) << 32);
    page.put_word(PAGE_NO_AT / 8, page_no.get());
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_sync::word::Word;

    #[test]
    fn the_layout_is_that_of_the_format() {
        let words: Vec<Word> = (0..512).map(|_| Word::new(u64::MAX)).collect();
        let page = PageMut::new(&words);
        init(page, PageType::Leaf, FileId::new(0x0a0b_0c0d), PageNo::new(0x11_2233_4455), Psn::new(9));
        let mut bytes = [0; 4096];
        page.view().copy_to(0, &mut bytes);
        assert_eq!(psn_in(&bytes), Psn::new(9));
        assert_eq!(bytes[0..8], [0; 8]);
        assert_eq!(bytes[8..16], [9, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[16..24], [6, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a]);
        assert_eq!(bytes[24..32], [0x55, 0x44, 0x33, 0x22, 0x11, 0, 0, 0]);
        assert!(bytes[32..].iter().all(|byte| *byte == 0));
        assert_eq!(PageType::from_code(page_type(page.view())), Some(PageType::Leaf));
        assert_eq!(file(page.view()).get(), 0x0a0b_0c0d);
        assert_eq!(page_no(page.view()).get(), 0x11_2233_4455);
        assert!((0..=9).all(|code| PageType::from_code(code).map(PageType::code) == Some(code)));
        assert!(PageType::from_code(10).is_none());
    }
}
