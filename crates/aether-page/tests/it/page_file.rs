//! Does a page file give back what it was given, and refuse what it is not?

use crate::support::page_sizes;
use aether_page::types::{ErrorKind, FileId, PageNo, PageSize, Psn, StoreId};
use aether_page::vfs::{Create, MemoryVfs, OpenOptions, Vfs};
use aether_page::{
    PageFile, PageMut, PageOp, PageType, copy_for_write, header, is_never_written, seal, verify,
};
use proptest::prelude::*;
use std::path::Path;

const STORE: StoreId = StoreId::new([7; 16]);
const ID: FileId = FileId::new(5);

fn path() -> &'static Path {
    Path::new("pages-00000005")
}

fn sealed(page: PageNo, size: PageSize) -> Vec<u8> {
    let words: Vec<_> = (0..size.words()).map(|_| aether_page::sync::word::Word::new(0)).collect();
    let memory = PageMut::new(&words);
    let op = PageOp::SlottedInit { page_type: PageType::Slotted, owner: page.get(), link: 0, aux: 0 };
    op.apply(memory, ID, page);
    header::set_psn(memory, Psn::new(3));
    let mut bytes = vec![0; size.bytes()];
    copy_for_write(memory.view(), &mut bytes);
    seal(&mut bytes, STORE.seed());
    bytes
}

proptest! {
    #![proptest_config(crate::support::cases(10))]

    #[test]
    fn pages_come_back_after_reopening(size in page_sizes(), first in 1u64..20) {
        let vfs = MemoryVfs::new();
        let file = PageFile::create(&vfs, path(), STORE, ID, size).unwrap();
        let pages = [PageNo::new(first), PageNo::new(first + 1)];
        file.write(pages[0], &pages.map(|page| sealed(page, size)).concat()).unwrap();
        file.sync().unwrap();
        drop(file);
        let file = PageFile::open(&vfs, path(), STORE, ID).unwrap();
        prop_assert_eq!((file.page_size(), file.id(), file.store()), (size, ID, STORE));
        prop_assert_eq!(file.size_pages().unwrap(), first + 2);
        let mut bytes = vec![1; size.bytes()];
        for page in pages {
            file.read(page, &mut bytes).unwrap();
            prop_assert!(bytes == sealed(page, size));
            verify(&bytes, STORE.seed(), ID, page).unwrap();
            prop_assert!(verify(&bytes, STORE.seed(), ID, page.offset(1)).is_err());
        }
        for unwritten in [first + 2, first + 1000, PageNo::END - 1] {
            bytes.fill(1);
            file.read(PageNo::new(unwritten), &mut bytes).unwrap();
            prop_assert!(is_never_written(&bytes));
        }
    }
}

#[test]
fn a_file_grows_and_does_not_shrink() {
    let vfs = MemoryVfs::new();
    let file = PageFile::create(&vfs, path(), STORE, ID, PageSize::MIN).unwrap();
    assert_eq!(file.size_pages().unwrap(), 1);
    file.grow_to(64).unwrap();
    file.grow_to(8).unwrap();
    assert_eq!(file.size_pages().unwrap(), 64);
    assert_eq!(file.grow_to(PageNo::END + 1).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_page_cut_short_reads_as_zeros_behind_the_cut() {
    let vfs = MemoryVfs::new();
    let file = PageFile::create(&vfs, path(), STORE, ID, PageSize::MIN).unwrap();
    file.write(PageNo::new(1), &[5; 4096]).unwrap();
    vfs.open(path(), OpenOptions::write(Create::No)).unwrap().set_size(4096 + 100).unwrap();
    let mut bytes = vec![1; 4096];
    file.read(PageNo::new(1), &mut bytes).unwrap();
    assert_eq!((&bytes[..100], &bytes[100..]), (&[5; 100][..], &[0; 3996][..]));
}

#[test]
fn what_is_not_the_file_is_refused() {
    let vfs = MemoryVfs::new();
    let kind = |error: aether_page::types::Error| error.kind();
    assert_eq!(PageFile::open(&vfs, path(), STORE, ID).map_err(kind).err(), Some(ErrorKind::NotFound));
    let file = PageFile::create(&vfs, path(), STORE, ID, PageSize::MAX).unwrap();
    let again = PageFile::create(&vfs, path(), STORE, ID, PageSize::MAX);
    assert_eq!(again.map_err(kind).err(), Some(ErrorKind::AlreadyExists));
    let other = PageFile::open(&vfs, path(), StoreId::new([8; 16]), ID).err().unwrap();
    assert_eq!((other.kind(), other.place().file), (ErrorKind::Corruption, Some(ID)));
    assert!(other.to_string().contains("belongs to store"), "{other}");
    let other = PageFile::open(&vfs, path(), STORE, FileId::new(6)).err().unwrap();
    assert!(other.to_string().contains("calls itself page 0 of file 5"), "{other}");
    assert_eq!(file.write(PageNo::new(1), &[0; 100]).map_err(kind), Err(ErrorKind::InvalidInput));
    assert_eq!(file.read(PageNo::new(1), &mut [0; 100]).map_err(kind), Err(ErrorKind::InvalidInput));
    let beyond = file.write(PageNo::new(PageNo::END - 1), &vec![0; 2 * 65536]);
    assert_eq!(beyond.map_err(kind), Err(ErrorKind::InvalidInput));
    vfs.open(path(), OpenOptions::write(Create::No)).unwrap().set_size(10_000).unwrap();
    assert_eq!(PageFile::open(&vfs, path(), STORE, ID).map_err(kind).err(), Some(ErrorKind::Corruption));
}
