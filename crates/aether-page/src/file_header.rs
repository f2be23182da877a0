//! Page 0 of a page file: what the file is, and of which store.

use crate::header::{self, PageType};
use crate::seal::{u32_at, u64_at};
use crate::{PageMut, copy_for_write, seal, verify};
use aether_sync::word::Word;
use aether_types::{Error, ErrorKind, FileId, PageNo, PageSize, Psn, Result, StoreId};

/// Offset of the magic.
pub const MAGIC_AT: usize = 32;
/// Offset of the format version.
pub const VERSION_AT: usize = 40;
/// Offset of the required features.
pub const REQUIRED_AT: usize = 44;
/// Offset of the optional features.
pub const OPTIONAL_AT: usize = 48;
/// Offset of the page size.
pub const PAGE_SIZE_AT: usize = 52;
/// Offset of the store id.
pub const STORE_AT: usize = 56;

/// What a page file starts with, behind the page header.
pub const MAGIC: [u8; 8] = *b"AETHPAGE";
/// The format version that this build writes, and the only one it knows.
pub const VERSION: u32 = 1;
/// The required features that this build knows: none yet.
pub const FEATURES: u32 = 0;

/// What the header of a page file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileHeader {
    /// The store that the file belongs to.
    pub store: StoreId,
    /// The file's id.
    pub file: FileId,
    /// The size of its pages.
    pub page_size: PageSize,
}

impl FileHeader {
    /// Page 0, sealed.
    pub fn to_page(&self) -> Vec<u8> {
        let words: Vec<Word> = (0..self.page_size.words()).map(|_| Word::new(0)).collect();
        let page = PageMut::new(&words);
        header::init(page, PageType::FileHeader, self.file, PageNo::new(0), Psn::new(1));
        page.put_bytes(MAGIC_AT, &MAGIC);
        page.put_u32(VERSION_AT, VERSION);
        page.put_u32(REQUIRED_AT, FEATURES);
        page.put_u32(PAGE_SIZE_AT, self.page_size.bytes() as u32);
        page.put_bytes(STORE_AT, &self.store.bytes());
        let mut bytes = vec![0; self.page_size.bytes()];
        copy_for_write(page.view(), &mut bytes);
        seal(&mut bytes, self.store.seed());
        bytes
    }

    /// The page size that the first bytes of a file name (at least 72 of them), so that the whole page can be read.
    ///
    /// # Errors
    /// `Corruption` if this is no page file; `Unsupported` for a version or feature that this build does not know.
    pub fn page_size_in(bytes: &[u8]) -> Result<PageSize> {
        if u64_at(bytes, MAGIC_AT) != u64::from_le_bytes(MAGIC) {
            return Err(Error::corruption("not a page file: the magic is missing"));
        }
        let (version, required) = (u32_at(bytes, VERSION_AT), u32_at(bytes, REQUIRED_AT));
        if version != VERSION {
            return Err(unsupported(format!("page file format {version}; this build knows {VERSION}")));
        }
        if required & !FEATURES != 0 {
            return Err(unsupported(format!(
                "the page file needs features {required:#x}, unknown to this build"
            )));
        }
        PageSize::new(u32_at(bytes, PAGE_SIZE_AT) as usize)
            .map_err(|error| error.as_kind(ErrorKind::Corruption))
    }

    /// Reads page 0 of `file` of `store`.
    ///
    /// # Errors
    /// As [`page_size_in`](Self::page_size_in); `Corruption` if the page is damaged, or of another store or file.
    pub fn of_page(bytes: &[u8], store: StoreId, file: FileId) -> Result<FileHeader> {
        let page_size = Self::page_size_in(bytes)?;
        let found = bytes.get(STORE_AT..).and_then(|rest| rest.first_chunk()).map(|id| StoreId::new(*id));
        if let Some(other) = found.filter(|found| *found != store) {
            return Err(Error::corruption(format!("the file belongs to store {other}, not to {store}")));
        }
        let page =
            bytes.get(..page_size.bytes()).ok_or_else(|| Error::corruption("the file ends in its header"))?;
        verify(page, store.seed(), file, PageNo::new(0))?;
        Ok(FileHeader { store, file, page_size })
    }
}

fn unsupported(what: String) -> Error {
    Error::new(ErrorKind::Unsupported, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId::new(*b"0123456789abcdef");
    const FILE: FileId = FileId::new(3);

    fn kind_of(bytes: &[u8]) -> ErrorKind {
        FileHeader::of_page(bytes, STORE, FILE).unwrap_err().kind()
    }

    #[test]
    fn the_header_comes_back() {
        for size in [4096u32, 65536] {
            let header =
                FileHeader { store: STORE, file: FILE, page_size: PageSize::new(size as usize).unwrap() };
            let page = header.to_page();
            assert_eq!((&page[32..40], &page[40..56]), (&b"AETHPAGE"[..], &layout(size)[..]));
            assert_eq!((page[16], &page[56..72]), (1, &STORE.bytes()[..]));
            assert_eq!(FileHeader::of_page(&page, STORE, FILE).unwrap(), header);
        }
    }

    fn layout(size: u32) -> Vec<u8> {
        [1, 0, 0, size].iter().flat_map(|number: &u32| number.to_le_bytes()).collect()
    }

    #[test]
    fn foreign_and_damaged_headers_are_told_apart() {
        let header = FileHeader { store: STORE, file: FILE, page_size: PageSize::MIN };
        let with = |at: usize, byte: u8| {
            let mut page = header.to_page();
            page[at] = byte;
            page
        };
        assert_eq!(kind_of(&with(MAGIC_AT, 0)), ErrorKind::Corruption);
        assert_eq!(kind_of(&with(VERSION_AT, 2)), ErrorKind::Unsupported);
        assert_eq!(kind_of(&with(REQUIRED_AT + 3, 0x80)), ErrorKind::Unsupported);
        assert_eq!(kind_of(&with(PAGE_SIZE_AT, 1)), ErrorKind::Corruption);
        assert_eq!(kind_of(&with(STORE_AT, 1)), ErrorKind::Corruption);
        assert_eq!(kind_of(&with(4000, 1)), ErrorKind::Corruption);
        assert_eq!(kind_of(&header.to_page()[..2000]), ErrorKind::Corruption);
        assert_eq!(kind_of(&[]), ErrorKind::Corruption);
        let page = header.to_page();
        assert!(FileHeader::of_page(&page, STORE, FileId::new(4)).is_err());
        let optional = FileHeader::of_page(&with(OPTIONAL_AT, 1), STORE, FILE).unwrap_err();
        assert!(optional.what().contains("checksum"), "an unknown optional feature is no reason, damage is");
    }
}
