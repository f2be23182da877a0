//! A node of a radix directory: from one byte of the key to a child.
//!
//! A node has a path, and separators, each of which is the path and one symbol: 0 for nothing more, else one byte, which is the symbol
//! less 1. Child i holds the keys of the node from separator i - 1 on and below separator i. All separators begin with the path, so
//! keys that do not lie before the first or behind the last: nothing is skipped unseen, though paths are compressed. Which
//! symbols there are is a bitmap, and a child's index the number of bits up to the key's symbol: five words, whatever the fan-out.
//!
//! [`Radix`] reads, under a latch or optimistically; [`PageOp`](crate::PageOp) changes; [`RadixImage`] is a whole node on its way into
//! a page.

use crate::op::check::key_bytes_max;
use crate::{PageMut, PageType, Swip, View, header};
use aether_types::{PageNo, PageSize, Reader, Result, Writer};
use core::cmp::Ordering;
use std::borrow::Cow;

use crate::node::image::page_no;

/// Offset of the count of separators.
pub const COUNT_AT: usize = 32;
/// Offset of the path's length.
pub const PATH_LEN_AT: usize = 34;
/// Offset of the tree id.
pub const TREE_AT: usize = 36;
/// Offset of the bitmap of symbols.
pub const SYMBOLS_AT: usize = 40;
/// Offset of the path; children follow at the next word.
pub const PATH_AT: usize = 80;

/// Symbols that there can be: the end of the path, and every byte.
pub const SYMBOLS: usize = 257;
const BITMAP_WORDS: usize = (PATH_AT - SYMBOLS_AT) / 8;

/// The symbol of a key at a depth that it reaches.
#[inline]
pub fn symbol_at(key: &[u8], depth: usize) -> usize {
    key.get(depth).map_or(0, |byte| usize::from(*byte) + 1)
}

/// A separator: the path and a symbol.
pub fn separator(path: &[u8], symbol: usize) -> Vec<u8> {
    let mut key = path.to_vec();
    key.extend(symbol.checked_sub(1).map(|byte| byte as u8));
    key
}

/// Offset of the first child behind a path of this length.
#[inline]
pub(crate) fn children_at(path_len: usize) -> usize {
    PATH_AT + path_len.next_multiple_of(8)
}

/// A radix node to read. The count and the length of the path are taken once, at [`Radix::new`].
#[derive(Clone, Copy)]
pub struct Radix<'a> {
    view: View<'a>,
    count: usize,
    path_len: usize,
}

impl<'a> Radix<'a> {
    /// Reads the page as a radix node. Any page will do: garbage in gives garbage out.
    #[inline]
    pub fn new(view: View<'a>) -> Self {
        let shape = view.word(COUNT_AT / 8);
        let path_len = usize::from((shape >> 16) as u16).min(view.len_bytes());
        Self { view, count: usize::from(shape as u16).min(SYMBOLS), path_len }
    }

    /// True if the page is a radix node.
    #[inline]
    pub fn is_radix(&self) -> bool {
        header::is_type(self.view, PageType::Radix)
    }

    /// Separators; there is one child more.
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The index that the node belongs to.
    #[inline]
    pub fn tree(&self) -> u32 {
        self.view.u32_at(TREE_AT)
    }

    /// Bytes of the path.
    #[inline]
    pub fn path_len(&self) -> usize {
        self.path_len
    }

    /// A copy of the path.
    pub fn path(&self) -> Vec<u8> {
        let mut path = Vec::new();
        self.view.append_to(PATH_AT, self.path_len, &mut path);
        path
    }

    /// The child for `key`: as many as there are separators at or below it.
    #[inline]
    pub fn child_index(&self, key: &[u8]) -> usize {
        match self.compare_path(key) {
            Ordering::Less => self.count,
            Ordering::Equal => self.rank(symbol_at(key, self.path_len) + 1),
            Ordering::Greater => 0,
        }
    }

    /// The child with the largest key below `key`: as many as there are separators below it.
    pub fn child_index_below(&self, key: &[u8]) -> usize {
        let symbol = symbol_at(key, self.path_len);
        let may_be_separator = key.len() <= self.path_len + 1;
        match self.compare_path(key) {
            Ordering::Equal if may_be_separator => self.rank(symbol),
            _ => self.child_index(key),
        }
    }

    /// The path beside as many bytes of the key.
    #[inline]
    fn compare_path(&self, key: &[u8]) -> Ordering {
        self.view.compare(PATH_AT, self.path_len, &key[..key.len().min(self.path_len)])
    }

    /// Symbols below `end`.
    #[inline]
    fn rank(&self, end: usize) -> usize {
        let (words, bits) = (end / 64, end % 64);
        let word = |index: usize| self.view.word(SYMBOLS_AT / 8 + index);
        let whole: u32 = (0..words.min(BITMAP_WORDS)).map(|index| word(index).count_ones()).sum();
        let rest = if words < BITMAP_WORDS { (word(words) & ((1 << bits) - 1)).count_ones() } else { 0 };
        ((whole + rest) as usize).min(self.count)
    }

    /// Is there a separator with this symbol?
    #[inline]
    pub fn has_symbol(&self, symbol: usize) -> bool {
        symbol < SYMBOLS && self.view.word(SYMBOLS_AT / 8 + symbol / 64) >> (symbol % 64) & 1 == 1
    }

    /// The symbols, ascending.
    pub fn symbols(&self) -> impl Iterator<Item = usize> + use<'a> {
        let this = *self;
        (0..SYMBOLS).filter(move |symbol| this.has_symbol(*symbol))
    }

    /// The separator between children `index` and `index + 1`.
    pub fn separator(&self, index: usize) -> Option<Vec<u8>> {
        self.symbols().nth(index).map(|symbol| separator(&self.path(), symbol))
    }

    /// The child at `index`, which is at most the count.
    #[inline]
    pub fn child(&self, index: usize) -> Swip {
        Swip::from_word(self.view.word(self.child_word_offset(index)))
    }

    /// All children, in order.
    pub fn children(&self) -> impl Iterator<Item = Swip> + use<'a> {
        let this = *self;
        (0..=self.count).map(move |index| this.child(index))
    }

    /// Which word of the page holds the child at `index`, for whoever repairs its hint.
    #[inline]
    pub fn child_word_offset(&self, index: usize) -> usize {
        children_at(self.path_len) / 8 + index
    }

    /// Room for one child more?
    pub(crate) fn fits_child(&self) -> bool {
        self.count < SYMBOLS && children_at(self.path_len) + 8 * (self.count + 2) <= self.view.len_bytes()
    }
}

/// A whole radix node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RadixImage<'a> {
    tree: u32,
    path: Cow<'a, [u8]>,
    first: PageNo,
    /// Symbols, ascending, each with the child behind its separator.
    rest: Cow<'a, [(usize, PageNo)]>,
}

impl<'a> RadixImage<'a> {
    /// A node of the index `tree` with two children.
    pub fn fork(tree: u32, path: Vec<u8>, symbol: usize, children: [PageNo; 2]) -> Self {
        let rest = Cow::Owned(vec![(symbol, children[1])]);
        Self { tree, path: Cow::Owned(path), first: children[0], rest }
    }

    /// The bytes of it in a page.
    pub fn size_bytes(&self) -> usize {
        children_at(self.path.len()) + 8 * (self.rest.len() + 1)
    }

    pub(crate) fn into_owned(self) -> RadixImage<'static> {
        let Self { tree, path, first, rest } = self;
        RadixImage { tree, path: Cow::Owned(path.into_owned()), first, rest: Cow::Owned(rest.into_owned()) }
    }

    /// Tree, path, first child, count, then per separator symbol and child.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.put_varint(u64::from(self.tree));
        out.put_string(&self.path);
        out.put_varint(self.first.get());
        out.put_varint(self.rest.len() as u64);
        for (symbol, child) in self.rest.iter() {
            out.put_varint(*symbol as u64);
            out.put_varint(child.get());
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'a>, size: PageSize) -> Result<Self> {
        let tree = reader.varint_below(1 << 32)? as u32;
        let len = reader.varint_below(size.bytes() as u64)?;
        let path = Cow::Borrowed(reader.bytes(len as usize)?);
        let first = page_no(reader)?;
        let count = reader.varint_below(SYMBOLS as u64 + 1)?;
        let one = |reader: &mut Reader<'a>| Ok((read_symbol(reader)?, page_no(reader)?));
        let rest = (0..count).map(|_| one(reader)).collect::<Result<Vec<_>>>()?;
        Ok(Self { tree, path, first, rest: Cow::Owned(rest) })
    }

    /// What is wrong with it, for a page of `view`'s size; none if nothing is.
    pub(crate) fn fault(&self, view: View) -> Option<String> {
        let is_page = |page: PageNo| (1..PageNo::END).contains(&page.get());
        let sound = self.rest.iter().all(|(symbol, child)| *symbol < SYMBOLS && is_page(*child));
        let rules = [
            (self.size_bytes() <= view.len_bytes(), "a radix node larger than its page"),
            (!self.rest.is_empty(), "a radix node with one child"),
            (sound && is_page(self.first), "a child or a symbol that cannot be"),
            (self.rest.is_sorted_by(|a, b| a.0 < b.0), "symbols out of order"),
            (self.path.len() < key_bytes_max(view), "a path as long as a key may be"),
        ];
        rules.into_iter().find(|(holds, _)| !holds).map(|(_, what)| what.to_owned())
    }
}

pub(crate) fn read_symbol(reader: &mut Reader<'_>) -> Result<usize> {
    Ok(reader.varint_below(SYMBOLS as u64)? as usize)
}

/// Writes the body; the rest is zero already.
pub(crate) fn store_image(page: PageMut, image: &RadixImage<'_>) {
    page.put_u16(COUNT_AT, image.rest.len() as u16);
    page.put_u16(PATH_LEN_AT, image.path.len() as u16);
    page.put_u32(TREE_AT, image.tree);
    page.put_bytes(PATH_AT, &image.path);
    let first = children_at(image.path.len()) / 8;
    page.put_word(first, Swip::new(image.first).word());
    for (index, (symbol, child)) in image.rest.iter().enumerate() {
        flip(page, *symbol);
        page.put_word(first + 1 + index, Swip::new(*child).word());
    }
}

/// Adds a separator; `right` comes behind it.
pub(crate) fn split(page: PageMut, symbol: usize, right: PageNo) {
    let node = Radix::new(page.view());
    let (index, count) = (node.rank(symbol), node.count);
    let at = node.child_word_offset(index + 1);
    page.move_words(at, at + 1, count.saturating_sub(index));
    page.put_word(at, Swip::new(right).word());
    page.put_u16(COUNT_AT, (count + 1) as u16);
    flip(page, symbol);
}

/// Takes a separator away, and the child behind it.
pub(crate) fn merge(page: PageMut, symbol: usize) {
    let node = Radix::new(page.view());
    let (index, count) = (node.rank(symbol), node.count);
    let at = node.child_word_offset(index + 1);
    page.move_words(at + 1, at, count.saturating_sub(index + 1));
    page.put_word(node.child_word_offset(count), 0);
    page.put_u16(COUNT_AT, count.saturating_sub(1) as u16);
    flip(page, symbol);
}

/// Replaces the child at `index`.
pub(crate) fn set_child(page: PageMut, index: usize, child: PageNo) {
    let node = Radix::new(page.view());
    page.put_word(node.child_word_offset(index), Swip::new(child).word());
}

fn flip(page: PageMut, symbol: usize) {
    let index = SYMBOLS_AT / 8 + symbol / 64;
    page.put_word(index, page.view().word(index) ^ 1 << (symbol % 64));
}

/// The rules of a radix node.
pub(crate) fn faults(view: View) -> Vec<String> {
    let node = Radix::new(view);
    let (stored, path_len) = (view.u16_at(COUNT_AT), usize::from(view.u16_at(PATH_LEN_AT)));
    let marked: u32 = (0..BITMAP_WORDS).map(|index| view.word(SYMBOLS_AT / 8 + index).count_ones()).sum();
    let is_page = |child: Swip| (1..PageNo::END).contains(&child.page().get());
    let padding = (PATH_AT + path_len..children_at(path_len)).all(|at| view.u16_at(at) as u8 == 0);
    let rules = [
        (path_len < key_bytes_max(view), "a path as long as a key may be"),
        (stored > 0 && usize::from(stored) == node.count, "a count of separators that cannot be"),
        (children_at(path_len) + 8 * (node.count + 1) <= view.len_bytes(), "children beyond the page"),
        (marked as usize == node.count && node.symbols().count() == node.count, "other symbols than counted"),
        (node.children().all(is_page), "a child that cannot be"),
        (padding, "bytes behind the path"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PageOp;
    use aether_sync::word::Word;
    use aether_types::FileId;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SIZE: usize = 4096;

    fn page() -> Vec<Word> {
        (0..SIZE / 8).map(|_| Word::new(0)).collect()
    }

    fn apply(words: &[Word], op: &PageOp<'_>) {
        op.check(View::new(words)).unwrap();
        let mut bytes = Vec::new();
        op.encode(&mut bytes);
        let again = PageOp::decode(&mut Reader::new(&bytes), PageSize::MIN).unwrap();
        assert_eq!(&again, op);
        again.apply(PageMut::new(words), FileId::new(1), PageNo::new(9));
        assert_eq!(crate::check_page(View::new(words)), Vec::<String>::new());
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(0u8), Just(b'a'), Just(b'b'), Just(255u8)];
        proptest::collection::vec(byte, 0..6)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 1 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

        /// A map from separators to children is the model; the child of a key is that of the last separator at or below it.
        #[test]
        fn a_node_routes_as_its_separators_say(path in key(), steps in proptest::collection::vec((0..SYMBOLS, any::<bool>()), 1..if cfg!(miri) { 4 } else { 600 }), keys in proptest::collection::vec(key(), if cfg!(miri) { 2 } else { 20 })) {
            let words = page();
            let mut model = BTreeMap::from([(steps[0].0, 2u64)]);
            apply(&words, &PageOp::RadixInit(RadixImage::fork(7, path.clone(), steps[0].0, [1, 2].map(PageNo::new))));
            for (number, (symbol, add)) in steps.iter().enumerate() {
                let child = 10 + number as u64;
                match (model.contains_key(symbol), add) {
                    (false, true) => {
                        model.insert(*symbol, child);
                        apply(&words, &PageOp::RadixSplit { symbol: *symbol, right: PageNo::new(child) });
                    }
                    (true, true) => {
                        let index = model.range(..=symbol).count();
                        model.insert(*symbol, child);
                        apply(&words, &PageOp::RadixChild { index, page: PageNo::new(child) });
                    }
                    (true, false) if model.len() > 1 => {
                        model.remove(symbol);
                        apply(&words, &PageOp::RadixMerge { symbol: *symbol });
                    }
                    _ => {}
                }
            }
            let node = Radix::new(View::new(&words));
            prop_assert_eq!(node.tree(), 7);
            let wanted: Vec<(Vec<u8>, u64)> = model.iter().map(|(symbol, child)| (separator(&path, *symbol), *child)).collect();
            for key in keys.iter().chain(wanted.iter().map(|(key, _)| key)) {
                let at = wanted.partition_point(|(separator, _)| separator <= key);
                let below = wanted.partition_point(|(separator, _)| separator < key);
                prop_assert_eq!((node.child_index(key), node.child_index_below(key)), (at, below));
                let child = at.checked_sub(1).map_or(1, |at| wanted[at].1);
                prop_assert_eq!(node.child(at).page().get(), child);
            }
            prop_assert!((0..wanted.len()).all(|index| node.separator(index).as_ref() == Some(&wanted[index].0)));
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 200), key in key()) {
            let words = page();
            crate::load_words(&bytes, &words);
            PageMut::new(&words).put_word(header::TYPE_AT / 8, u64::from(PageType::Radix.code()));
            let node = Radix::new(View::new(&words));
            let _ = (node.child_index(&key), node.child_index_below(&key), node.path(), node.children().count());
            let _ = (crate::check_page(View::new(&words)), node.separator(0));
            let mut out = vec![0; SIZE];
            crate::copy_for_write(View::new(&words), &mut out);
            let ops = [PageOp::RadixSplit { symbol: 3, right: PageNo::new(5) }, PageOp::RadixMerge { symbol: 3 }];
            for op in ops {
                let _ = op.check(View::new(&words));
                op.apply(PageMut::new(&words), FileId::new(1), PageNo::new(9));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let words = page();
        let view = View::new(&words);
        let pages = [1, 2].map(PageNo::new);
        let long = PageOp::RadixInit(RadixImage::fork(7, vec![1; key_bytes_max(view)], 0, pages));
        assert!(long.check(view).is_err());
        let nobody = PageOp::RadixInit(RadixImage::fork(7, Vec::new(), 0, [1, 0].map(PageNo::new)));
        assert!(nobody.check(view).is_err());
        assert!(PageOp::RadixMerge { symbol: 1 }.check(view).is_err(), "no radix node");
        apply(&words, &PageOp::RadixInit(RadixImage::fork(7, b"path".to_vec(), 5, pages)));
        let refused = [
            PageOp::RadixSplit { symbol: 5, right: PageNo::new(3) },
            PageOp::RadixSplit { symbol: SYMBOLS, right: PageNo::new(3) },
            PageOp::RadixSplit { symbol: 6, right: PageNo::new(0) },
            PageOp::RadixMerge { symbol: 4 },
            PageOp::RadixMerge { symbol: 5 },
            PageOp::RadixChild { index: 2, page: PageNo::new(3) },
            PageOp::LeafRemove { slot: 0 },
        ];
        assert!(refused.iter().all(|op| op.check(view).is_err()));
    }

    #[test]
    #[cfg_attr(miri, ignore = "too slow, and no step that others have not")]
    fn every_symbol_fits_beside_the_longest_path() {
        let words = page();
        let path = vec![1; key_bytes_max(View::new(&words)) - 1];
        apply(&words, &PageOp::RadixInit(RadixImage::fork(7, path, 0, [1, 2].map(PageNo::new))));
        for symbol in 1..SYMBOLS {
            apply(&words, &PageOp::RadixSplit { symbol, right: PageNo::new(symbol as u64 + 2) });
        }
        assert_eq!(Radix::new(View::new(&words)).count(), SYMBOLS);
    }

    #[test]
    fn counts_and_symbols_that_cannot_be_are_found() {
        let damaged = |damage: &dyn Fn(PageMut)| {
            let words = page();
            apply(&words, &PageOp::RadixInit(RadixImage::fork(7, Vec::new(), 5, [1, 2].map(PageNo::new))));
            damage(PageMut::new(&words));
            faults(View::new(&words))
        };
        let count = |page: PageMut, count: u64| {
            let shape = page.view().word(COUNT_AT / 8);
            page.put_word(COUNT_AT / 8, shape & !0xffff | count);
        };
        assert_eq!(damaged(&|_| ()), Vec::<String>::new());
        let wrong_count = "a count of separators that cannot be".to_owned();
        assert!(damaged(&|page| count(page, 0)).contains(&wrong_count));
        assert!(damaged(&|page| count(page, SYMBOLS as u64 + 1)).contains(&wrong_count));
        let other_symbols = ["other symbols than counted"];
        assert_eq!(damaged(&|page| flip(page, 5)), other_symbols);
        assert_eq!(damaged(&|page| flip(page, 9)), other_symbols);
        // As many marks as are counted, but one of them is no symbol.
        assert_eq!(
            damaged(&|page| [5, SYMBOLS + 3].into_iter().for_each(|mark| flip(page, mark))),
            other_symbols
        );
    }
}
