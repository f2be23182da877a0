//! Putting a whole node into a page.

use super::edit::{write_child, write_row, write_upper_child};
use super::image::{Entry, common_prefix};
use super::layout::{
    COUNT_AT, FLAGS_AT, Flags, LEVEL_AT, LIVE_AT, LOWER_AT, NO_LOWER, PREFIX_AT, SLOTS_AT, Slot, TREE_AT,
    UPPER_AT, inner_entry_bytes, leaf_entry_bytes, round8,
};
use super::space::{Copy, keep_first, refresh_hints, set_heap_start};
use super::{Node, NodeImage};
use crate::header::HEADER_BYTES;
use crate::{PageMut, Swip};

/// Makes the body of the page the image; the page's header stays.
pub(crate) fn store_image(page: PageMut, image: &NodeImage) {
    page.fill_zero(HEADER_BYTES, page.view().len_bytes());
    page.put_bytes(LEVEL_AT, &[image.level]);
    page.put_bytes(FLAGS_AT, &[image.fence_flags()]);
    page.put_u16(PREFIX_AT, image.prefix_len() as u16);
    page.put_u32(TREE_AT, image.tree);
    write_upper_child(page, Swip::new(image.upper_child));
    let mut heap = Heap { page, at: page.view().len_bytes() };
    heap.fence(LOWER_AT, image.lower.as_deref());
    heap.fence(UPPER_AT, image.upper.as_deref());
    let live = heap.entries(image);
    let at = heap.at;
    set_heap_start(page, at);
    page.put_u16(COUNT_AT, image.count as u16);
    page.put_u16(LIVE_AT, live);
    refresh_hints(page);
}

struct Heap<'a> {
    page: PageMut<'a>,
    at: usize,
}

impl Heap<'_> {
    fn take(&mut self, bytes: usize) -> usize {
        self.at = self.at.saturating_sub(bytes);
        self.at
    }

    fn fence(&mut self, describe_at: usize, fence: Option<&[u8]>) {
        let Some(key) = fence.filter(|key| !key.is_empty()) else { return };
        let at = self.take(round8(key.len()));
        self.page.put_bytes(at, key);
        self.page.put_u16(describe_at, (at / 8) as u16);
        self.page.put_u16(describe_at + 2, key.len() as u16);
    }

    /// Writes all entries; returns how many are live.
    fn entries(&mut self, image: &NodeImage) -> u16 {
        let mut live = 0;
        for (index, (key, entry)) in image.entries().enumerate() {
            let slot = self.entry(key, &entry);
            self.page.put_word(SLOTS_AT / 8 + index, slot.0);
            live += u16::from(!slot.flags().is_ghost());
        }
        live
    }

    fn entry(&mut self, key: &[u8], entry: &Entry) -> Slot {
        match entry {
            Entry::Row(row) => {
                let at = self.take(leaf_entry_bytes(key.len(), row.value.len(), row.version.is_some()));
                write_row(self.page, at, key, row);
                Slot::new(key, at, row.flags())
            }
            Entry::Child(child) => {
                let at = self.take(inner_entry_bytes(key.len()));
                write_child(self.page, at, key, Swip::new(*child));
                Slot::new(key, at, Flags::default())
            }
        }
    }
}

/// Keeps the first `count` entries under a new upper fence. Of an inner node the child after them becomes the upper
/// child, and the children keep their hints.
pub(crate) fn cut_node(page: PageMut, count: usize, upper: &[u8]) {
    let copy = Copy::of(page.view());
    let old = Node::new(copy.view());
    let lower = old.lower();
    if lower.as_ref().map_or(0, |lower| common_prefix(lower, upper)) == old.prefix_len() {
        page.put_bytes(FLAGS_AT, &[if lower.is_none() { NO_LOWER } else { 0 }]);
        keep_first(page, &old, count, upper);
        if !old.is_leaf() {
            write_upper_child(page, old.child(count));
        }
        return;
    }
    // Keys lose what they share more.
    store_image(page, &old.first(count, upper));
    if old.is_leaf() {
        return;
    }
    let new = Node::new(page.view());
    for index in 0..=new.count() {
        page.put_word(new.child_word_offset(index), old.child(index.min(count)).word());
    }
}

#[cfg(test)]
mod tests {
    use super::super::edit::{insert_row, remove_entry, set_child, split_child, update_row};
    use super::*;
    use crate::node::Row;
    use aether_sync::word::Word;
    use aether_types::PageNo;

    const BYTES: usize = 4096;

    fn page_of(image: &NodeImage) -> Vec<Word> {
        let words: Vec<Word> = (0..BYTES / 8).map(|_| Word::new(0)).collect();
        store_image(PageMut::new(&words), image);
        words
    }

    fn read(words: &[Word]) -> Vec<u64> {
        (0..words.len()).map(|index| PageMut::new(words).view().word(index)).collect()
    }

    /// A cut is what writing the node anew would be, word for word; returns whether it was packed in place.
    fn check_cut(words: &[Word], count: usize, upper: &[u8]) -> bool {
        let node = Node::new(PageMut::new(words).view());
        let (image, before) = (node.first(count, upper), Copy::of(node.view()));
        let children: Vec<Swip> = match node.is_leaf() {
            true => Vec::new(),
            false => (0..=count).map(|index| node.child(index)).collect(),
        };
        assert!(node.cut_bytes(count, upper) >= image.size_bytes());
        let anew = page_of(&image);
        children
            .into_iter()
            .enumerate()
            .for_each(|(index, child)| set_child(PageMut::new(&anew), index, child));
        cut_node(PageMut::new(words), count, upper);
        assert_eq!(read(words), read(&anew), "{count} entries below {upper:?}");
        image.prefix_len() == Node::new(before.view()).prefix_len()
    }

    #[test]
    #[cfg_attr(miri, ignore = "slow there; the inner node below goes the same way")]
    fn a_cut_leaf_is_what_writing_it_anew_would_be() {
        let mut packed = [0; 2];
        for (lower, upper) in [(None, None), (Some(&b"user1"[..]), Some(&b"user9"[..])), (Some(b"a"), None)] {
            for count in 0..12 {
                let words = page_of(&NodeImage::leaf(7, lower, upper));
                let page = PageMut::new(&words);
                let key = |number: usize| format!("user1{number:03}").into_bytes();
                let shared = Node::new(page.view()).prefix_len();
                let version = |number: u64| {
                    Row::versioned(aether_types::TxnId::new(number), crate::UndoPtr::none(), b"version")
                };
                (0..14).for_each(|at| insert_row(page, at, &key(at)[shared..], &Row::bare(&vec![3; at * 5])));
                // Garbage, rows that shrank and grew, and a ghost.
                remove_entry(page, 4);
                update_row(page, 2, &Row::bare(b"x"));
                update_row(page, 5, &version(9));
                update_row(page, 7, &Row { ghost: true, ..version(8) });
                let keys = |at: usize| Node::new(page.view()).whole_key(at);
                let fence =
                    if count % 2 == 0 { keys(count) } else { keys(count)[..keys(count).len() - 1].to_vec() };
                let fence = if count > 0 && fence <= keys(count - 1) { keys(count) } else { fence };
                packed[usize::from(check_cut(&words, count, &fence))] += 1;
            }
        }
        assert!(cfg!(miri) || packed.iter().all(|times| *times > 5), "{packed:?}");
    }

    #[test]
    fn a_cut_inner_node_keeps_the_words_of_its_children() {
        let mut packed = [0; 2];
        for lower in [None, Some(&b"k1"[..])] {
            // Each is slow in Miri, and the next has nothing new for it.
            for count in (1..9).step_by(if cfg!(miri) { 8 } else { 1 }) {
                let words = page_of(&NodeImage::inner(7, 1, lower, Some(b"k5"), PageNo::new(9)));
                let page = PageMut::new(&words);
                let shared = Node::new(page.view()).prefix_len();
                for at in 0..10 {
                    let key = format!("k1{at:02}").into_bytes();
                    split_child(page, at, &key[shared..], PageNo::new(100 + at as u64));
                    // A word that is more than a page number: a hint.
                    let child = Node::new(page.view()).child(at);
                    set_child(page, at, Swip::from_word(child.word() | 5 << 48));
                }
                remove_entry(page, 3);
                let fence = Node::new(page.view()).whole_key(count);
                packed[usize::from(check_cut(&words, count, &fence))] += 1;
            }
        }
        assert!(cfg!(miri) || packed.iter().all(|times| *times > 5), "{packed:?}");
    }
}
