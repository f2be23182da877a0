//! Applying an operation; running and redo use this same function.

use super::{Clean, PageOp};
use crate::header::{self, HEADER_BYTES, TYPE_AT};
use crate::node::{cut_node, store_image};
use crate::{PageMut, PageType, Swip, fixed, node, overflow, radix, slotted, space_map};
use aether_types::{FileId, PageNo};

impl PageOp<'_> {
    /// Changes the page. After a successful [`check`](PageOp::check) against the same bytes this cannot fail; it
    /// never panics. The PSN stays as it is. `file` and `page_no` are those of the page: init operations write them
    /// into the header, which need not hold them yet.
    pub fn apply(&self, page: PageMut, file: FileId, page_no: PageNo) {
        if self.is_init() {
            return self.apply_init(page, file, page_no);
        }
        match self {
            PageOp::SlotInsert { slot, bytes } => slotted::insert(page, *slot, bytes),
            PageOp::SlotReplace { slot, bytes } => slotted::replace(page, *slot, bytes),
            PageOp::SlotDelete { slot } => slotted::delete(page, *slot),
            PageOp::SlottedHeader { link, aux } => slotted::set_header(page, *link, *aux),
            PageOp::FixedSet { index, bytes } => fixed::set(page, *index, bytes),
            PageOp::FixedClear { index } => fixed::clear(page, *index),
            PageOp::LeafInsert { slot, key, row } => node::insert_row(page, *slot, key, row),
            PageOp::LeafUpdate { slot, row } => node::update_row(page, *slot, row),
            PageOp::LeafRemove { slot } => node::remove_entry(page, *slot),
            PageOp::LeafClean { rows } => clean(page, rows),
            PageOp::InnerSplit { slot, key, right } => node::split_child(page, *slot, key, *right),
            PageOp::InnerMerge { slot } => node::merge_child(page, *slot),
            PageOp::NodeCut { count, upper } => cut_node(page, *count, upper),
            PageOp::MapSet { first, count, state, psn_floor } => {
                space_map::set(page, *first, *count, *state, *psn_floor);
            }
            PageOp::InnerChild { index, page: child } => node::set_child(page, *index, Swip::new(*child)),
            PageOp::RadixSplit { symbol, right } => radix::split(page, *symbol, *right),
            PageOp::RadixMerge { symbol } => radix::merge(page, *symbol),
            PageOp::RadixChild { index, page: child } => radix::set_child(page, *index, *child),
            _ => {}
        }
    }

    fn apply_init(&self, page: PageMut, file: FileId, page_no: PageNo) {
        header::place(page, self.type_after(page).code(), file, page_no);
        page.put_word(header::CHECKSUM_AT / 8, 0);
        page.fill_zero(HEADER_BYTES, page.view().len_bytes());
        match self {
            PageOp::Image { bytes } => {
                page.put_bytes(HEADER_BYTES, bytes.get(HEADER_BYTES - TYPE_AT..).unwrap_or_default());
            }
            PageOp::SlottedInit { owner, link, aux, .. } => slotted::init(page, *owner, *link, *aux),
            PageOp::FixedInit { record_size, owner, link } => fixed::init(page, *record_size, *owner, *link),
            PageOp::NodeInit(image) => store_image(page, image),
            PageOp::MapInit { first, covered } => space_map::init(page, *first, *covered),
            PageOp::OverflowInit { index, first, bytes } => overflow::init(page, *index, *first, bytes),
            PageOp::RadixInit(image) => radix::store_image(page, image),
            _ => {}
        }
    }

    /// The type of the page after the operation.
    fn type_after(&self, page: PageMut) -> PageType {
        let code_in = |bytes: &[u8]| bytes.first().and_then(|code| PageType::from_code(*code));
        match self {
            PageOp::Image { bytes } => code_in(bytes).unwrap_or(PageType::Unwritten),
            PageOp::SlottedInit { page_type, .. } => *page_type,
            PageOp::FixedInit { .. } => PageType::Fixed,
            PageOp::NodeInit(image) if image.is_leaf() => PageType::Leaf,
            PageOp::NodeInit(_) => PageType::Inner,
            PageOp::MapInit { .. } => PageType::SpaceMap,
            PageOp::OverflowInit { .. } => PageType::Overflow,
            PageOp::RadixInit(_) => PageType::Radix,
            _ => PageType::from_code(header::page_type(page.view())).unwrap_or(PageType::Unwritten),
        }
    }
}

/// Slots are those from before the operation: what goes is taken from the end.
fn clean(page: PageMut, rows: &[(usize, Clean)]) {
    for (slot, what) in rows.iter().rev() {
        match what {
            Clean::StripVersion => node::strip_version(page, *slot),
            Clean::Remove => node::remove_entry(page, *slot),
        }
    }
}
