//! A directory page: a slotted page. Its owner is the index, its link the next directory page; a slot holds a child's page number
//! (8, little-endian) and the key from which on the child has the rows, nothing for the first of all.

use aether_index::rows::Towards;
use aether_index::txn::recovery::wal::buffer::page::slotted::Slotted;
use aether_index::txn::recovery::wal::buffer::page::{PageOp, PageType, View, header};
use aether_types::PageNo;
use std::borrow::Cow;

/// A child, and where its rows begin.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Entry {
    pub(crate) from: Vec<u8>,
    pub(crate) child: PageNo,
    pub(crate) slot: usize,
}

impl Entry {
    pub(crate) fn bytes(from: &[u8], child: PageNo) -> Cow<'static, [u8]> {
        Cow::Owned([&child.get().to_le_bytes()[..], from].concat())
    }

    /// True if the rows that `towards` leads to lie here or in a child behind.
    pub(crate) fn is_on_the_way(&self, towards: Towards<'_>) -> bool {
        match towards {
            Towards::Key(key) => &self.from[..] <= key,
            Towards::Below(key) => &self.from[..] < key || self.from.is_empty(),
            Towards::Last => true,
        }
    }
}

/// An empty directory page.
pub(crate) fn init(index: u32, link: u64) -> PageOp<'static> {
    PageOp::SlottedInit { page_type: PageType::Slotted, owner: u64::from(index), link, aux: 0 }
}

/// True if the page is a directory page of the index.
pub(crate) fn is_directory(view: View<'_>, index: u32) -> bool {
    header::is_type(view, PageType::Slotted) && Slotted::new(view).owner() == u64::from(index)
}

/// Its entries in the order of their keys. Any page will do: garbage in gives garbage out.
pub(crate) fn entries(view: View<'_>) -> Vec<Entry> {
    let slotted = Slotted::new(view);
    let entry = |slot| {
        let mut bytes = Vec::new();
        slotted.bytes_into(slot, &mut bytes);
        let child = u64::from_le_bytes(*bytes.first_chunk()?) % PageNo::END;
        Some(Entry { from: bytes.split_off(8), child: PageNo::new(child), slot })
    };
    let mut entries: Vec<Entry> = (0..slotted.count()).filter_map(entry).collect();
    entries.sort();
    entries
}

/// The next directory page.
pub(crate) fn next(view: View<'_>) -> Option<PageNo> {
    Some(Slotted::new(view).link() % PageNo::END).filter(|link| *link > 0).map(PageNo::new)
}
