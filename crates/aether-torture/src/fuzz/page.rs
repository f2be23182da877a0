//! Target `page`: any bytes as a page of any kind, and any operations on it.
//!
//! | bytes of the input | meaning |
//! |---|---|
//! | 1 | page size |
//! | the rest | page operations, as the log has them; often an image first, then changes of it; what is behind the last is a key to look for |

use super::input::Input;
use super::{disk, expect_damage};
use crate::shape;
use aether_kv::buffer::page::fixed::Fixed;
use aether_kv::buffer::page::node::{Node, NodeImage};
use aether_kv::buffer::page::slotted::Slotted;
use aether_kv::buffer::page::sync::word::Word;
use aether_kv::buffer::page::{
    PageFile, PageMut, PageOp, PageType, View, check_page, copy_for_write, header, load_words, overflow,
    seal, space_map, verify,
};
use aether_types::{FileId, PageNo, PageSize, Psn, Reader, StoreId};

const FILE: FileId = FileId::new(1);
const PAGE: PageNo = PageNo::new(77);
const SEED: u64 = 5;
/// The offset of the store's id in the header of a page file.
const STORE_AT: usize = 56;
/// Operations that are applied at the most.
const OPS_MAX: usize = 64;
/// Entries of a page that are read one by one.
const READ_MAX: usize = 64;

/// A page in memory.
struct Sheet(Vec<Word>);

impl Sheet {
    fn of(bytes: &[u8]) -> Self {
        let words: Vec<Word> = (0..bytes.len() / 8).map(|_| Word::new(0)).collect();
        load_words(bytes, &words);
        Self(words)
    }

    fn view(&self) -> View<'_> {
        View::new(&self.0)
    }

    fn page(&self) -> PageMut<'_> {
        PageMut::new(&self.0)
    }

    /// All bytes as they would be written.
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.view().len_bytes()];
        copy_for_write(self.view(), &mut bytes);
        bytes
    }
}

/// Makes a page by operations, and reads it in every way there is when it is new and in the end.
pub fn page(data: &[u8]) {
    let mut input = Input::new(data);
    let size = PageSize::new(4096 << (input.byte() % 5)).expect("one of the five sizes");
    let rest = input.rest();
    let mut reader = Reader::new(rest);
    let (sheet, mut key) = (Sheet::of(&vec![0; size.bytes()]), &b"key"[..]);
    for _ in 0..OPS_MAX {
        let from = reader.position();
        match PageOp::decode(&mut reader, size) {
            Ok(op) => step(&sheet, &op, size),
            Err(error) => {
                expect_damage("an operation", &error);
                key = &rest[from..];
                break;
            }
        }
    }
    read(&sheet, key);
    seal_and_verify(&sheet);
}

/// An operation that the check accepts is the same when it comes from the log, keeps a sound page sound, and leaves
/// the PSN alone.
fn step(sheet: &Sheet, op: &PageOp<'_>, size: PageSize) {
    let mut log = Vec::new();
    op.encode(&mut log);
    let mut reader = Reader::new(&log);
    let logged = PageOp::decode(&mut reader, size).unwrap_or_else(|error| panic!("{error}: {op:?}"));
    assert!(logged == *op && reader.finish().is_ok(), "{op:?} comes back as {logged:?}");
    if op.check(sheet.view()).is_err() {
        return;
    }
    let was_sound = check_page(sheet.view()).is_empty();
    let (copy, psn) = (Sheet::of(&sheet.bytes()), header::psn(sheet.view()));
    op.apply(sheet.page(), FILE, PAGE);
    assert_eq!(header::psn(sheet.view()), psn, "{op:?} changes the PSN");
    logged.into_owned().apply(copy.page(), FILE, PAGE);
    assert!(copy.bytes() == sheet.bytes(), "redo of {op:?} differs");
    let is_image = matches!(op, PageOp::Image { .. });
    if !is_image && (was_sound || op.is_init()) {
        assert_eq!(check_page(sheet.view()), Vec::<String>::new(), "after {op:?}");
    }
    if op.is_init() {
        read(sheet, b"key");
    }
}

/// Every reading of a page, whatever its type says it is.
fn read(sheet: &Sheet, key: &[u8]) {
    let view = sheet.view();
    let problems = check_page(view);
    read_node(view, key);
    if problems.is_empty() && Node::new(view).is_node() {
        sound_node(view);
    }
    read_records(view);
    read_map(view);
    let mut out = Vec::new();
    overflow::bytes_into(view, &mut out);
    assert!(out.len() == overflow::len(view) && out.len() <= view.len_bytes());
    let _ = (overflow::index(view), overflow::first(view));
}

fn read_node(view: View<'_>, key: &[u8]) {
    let node = Node::new(view);
    let slot = node.search(key).unwrap_or_else(|slot| slot);
    assert!(slot <= node.count() && node.child_index(key) <= node.count() + 1);
    let (mut out, mut few) = (Vec::new(), [0; 30]);
    for slot in [slot, node.count(), usize::MAX - 1].into_iter().chain(0..node.count().min(READ_MAX)) {
        out.clear();
        node.key_into(slot, &mut out);
        node.value_into(slot, &mut out);
        assert!(out.len() <= 3 * view.len_bytes() && node.value_copy(slot, &mut few) <= few.len());
        let _ = (node.flags(slot), node.version(slot), node.value_len(slot), node.key_len(slot));
        let _ = (node.compare_key(slot, key), node.child(slot).page(), node.fits_update(slot, 10, true));
    }
    let _ = (node.in_fences(key), node.lower(), node.upper(), node.tree(), node.fill_percent());
    let _ = (node.fits_insert(10, 10, true), node.live_count(), node.free_bytes(), node.level());
    for ascending in [false, true] {
        if let Some(plan) = node.split_point(key, ascending) {
            let _ = node.right_half(&plan).size_bytes();
        }
    }
    let _ = (node.whole().count(), node.merged(&node).is_some());
}

/// What holds for a node without a broken rule: each key is found where it is, and a copy and the halves of a split
/// are sound again.
fn sound_node(view: View<'_>) {
    let node = Node::new(view);
    let mut key = Vec::new();
    for slot in 0..node.count() {
        key.clear();
        node.key_into(slot, &mut key);
        assert_eq!(node.search(&key), Ok(slot), "key {key:02x?}");
        assert!(node.in_fences(&key), "key {key:02x?} is outside the fences");
    }
    made_anew(&node.whole(), view.len_bytes());
    let Some(plan) = node.split_point(&key, false) else { return };
    made_anew(&node.right_half(&plan), view.len_bytes());
    let left = Sheet::of(&Sheet(view.to_words()).bytes());
    let cut = PageOp::NodeCut { count: plan.count, upper: plan.separator.into() };
    cut.check(left.view()).unwrap_or_else(|error| panic!("{error}: {cut:?}"));
    cut.apply(left.page(), FILE, PAGE);
    assert_eq!(check_page(left.view()), Vec::<String>::new(), "after {cut:?}");
}

/// The image makes a sound node on a page of its own.
fn made_anew(image: &NodeImage<'static>, page_bytes: usize) {
    let other = Sheet::of(&vec![0; page_bytes]);
    let op = PageOp::NodeInit(image.clone());
    op.check(other.view()).unwrap_or_else(|error| panic!("{error}: {op:?}"));
    op.apply(other.page(), FILE, PAGE);
    assert_eq!(check_page(other.view()), Vec::<String>::new(), "after {op:?}");
}

fn read_records(view: View<'_>) {
    let (slotted, fixed, mut out) = (Slotted::new(view), Fixed::new(view), Vec::new());
    for index in (0..slotted.count().max(fixed.capacity()).min(READ_MAX)).chain([usize::MAX]) {
        out.clear();
        assert_eq!(slotted.bytes_into(index, &mut out), slotted.len(index).is_some());
        fixed.record_into(index, &mut out);
        assert!(out.len() <= 2 * view.len_bytes());
        let _ = (slotted.fits_insert(index, 9), slotted.fits_replace(index, 9));
    }
    let _ = (slotted.first_free(), slotted.is_empty(), slotted.free_bytes(), slotted.owner(), slotted.aux());
    let _ = (fixed.first_free(0), fixed.in_use(), fixed.owner(), fixed.link(), slotted.link());
}

fn read_map(view: View<'_>) {
    let covered = space_map::covered(view);
    for (from, count) in [(0, 1), (3, 5), (usize::MAX, usize::MAX)] {
        let found = space_map::find_free(view, from, count);
        assert!(found.is_none_or(|first| first >= from && first + count.max(1) <= covered));
    }
    for index in (0..covered.min(READ_MAX)).chain([usize::MAX]) {
        let _ = space_map::state(view, index);
    }
    let _ = (space_map::first_page(view), space_map::psn_floor(view), space_map::free_count(view));
}

/// A sealed page passes in its place, and in no other; as the header of a file it is taken or refused.
fn seal_and_verify(sheet: &Sheet) {
    header::set_psn(sheet.page(), Psn::new(9));
    let mut bytes = sheet.bytes();
    let (file, page) = (header::file(sheet.view()), header::page_no(sheet.view()));
    seal(&mut bytes, SEED);
    verify(&bytes, SEED, file, page).unwrap_or_else(|error| panic!("a sealed page: {error}"));
    assert!(verify(&bytes, SEED, file, page.offset(1)).is_err(), "a page passes in another's place");
    let at = usize::from(bytes[9]) * 16;
    bytes[at] ^= 1;
    assert!(verify(&bytes, SEED, file, page).is_err(), "bit 0 of byte {at} is flipped");
    if header::is_type(sheet.view(), PageType::FileHeader) {
        open_file(sheet, bytes.len());
    }
}

/// The page as the header of a file, sealed for its place.
fn open_file(sheet: &Sheet, page_bytes: usize) {
    sheet.page().put_u64(header::PAGE_NO_AT, 0);
    let mut bytes = sheet.bytes();
    let mut id = [0; 16];
    id.copy_from_slice(&bytes[STORE_AT..STORE_AT + 16]);
    let store = StoreId::new(id);
    seal(&mut bytes, store.seed());
    let (env, path) = (disk::empty(), shape::home().join("pages"));
    disk::put(&env, "pages", &bytes);
    let size = PageSize::new(page_bytes).expect("the size of a page");
    match PageFile::open(&*env.vfs, &path, store, FILE, size) {
        Ok(file) => assert_eq!(file.size_pages().ok(), Some(1)),
        Err(error) => expect_damage("the header of a page file", &error),
    }
}
