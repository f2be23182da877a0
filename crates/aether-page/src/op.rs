//! The closed set of page changes.
//!
//! A log group carries operations; running and redo apply them with the same function. The order is: `check` all
//! (against the page as it will be met), log, `apply` all. `apply` cannot fail and does not touch the PSN; the
//! caller stamps it (P2).

mod apply;
pub(crate) mod check;
mod codec;

use crate::node::{NodeImage, Row};
use crate::radix::RadixImage;
use crate::space_map::PageState;
use crate::{PageType, View, copy_for_write, header};
use aether_types::{PageNo, Psn};
use std::borrow::Cow;

/// What to do with a row in [`PageOp::LeafClean`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Clean {
    /// Make it a bare row.
    StripVersion,
    /// Remove it.
    Remove,
}

/// A change of one page; one variant per row of the table in `docs/formats.md`.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // the fields are those of the table
pub enum PageOp<'a> {
    /// The whole page from offset 16 on; zeros at the end left out; hints 0.
    Image { bytes: Cow<'a, [u8]> },
    /// An empty slotted page; the type is `Slotted` or `Undo`.
    SlottedInit { page_type: PageType, owner: u64, link: u64, aux: u64 },
    /// Bytes into a free slot, or into a new one at the count.
    SlotInsert { slot: usize, bytes: Cow<'a, [u8]> },
    /// Other bytes into a slot.
    SlotReplace { slot: usize, bytes: Cow<'a, [u8]> },
    /// Frees a slot; the others keep their numbers.
    SlotDelete { slot: usize },
    /// Sets link and aux of a slotted page.
    SlottedHeader { link: u64, aux: u64 },
    /// An empty page of fixed-size records.
    FixedInit { record_size: usize, owner: u64, link: u64 },
    /// Writes a record; bytes not given become 0.
    FixedSet { index: usize, bytes: Cow<'a, [u8]> },
    /// Frees a record.
    FixedClear { index: usize },
    /// A whole node.
    NodeInit(NodeImage<'a>),
    /// A new row at `slot`. The key is stored: without the prefix.
    LeafInsert { slot: usize, key: Cow<'a, [u8]>, row: Row<'a> },
    /// Another value, version and flags for the row at `slot`.
    LeafUpdate { slot: usize, row: Row<'a> },
    /// Removes the row at `slot`.
    LeafRemove { slot: usize },
    /// Strips or removes rows; slots ascend and are those from before the operation.
    LeafClean { rows: Cow<'a, [(usize, Clean)]> },
    /// A new separator (stored: without the prefix) at `slot`; the child there stays left of it, `right` comes to
    /// its right.
    InnerSplit { slot: usize, key: Cow<'a, [u8]>, right: PageNo },
    /// The separator at `slot` goes; the child there takes the place of the one after it.
    InnerMerge { slot: usize },
    /// Keeps the first `count` entries; `upper` (whole) is the new upper fence.
    NodeCut { count: usize, upper: Cow<'a, [u8]> },
    /// A map of free pages.
    MapInit { first: PageNo, covered: usize },
    /// Sets the state of `count` pages from index `first` on, and raises the PSN floor.
    MapSet { first: usize, count: usize, state: PageState, psn_floor: Psn },
    /// A page of a large value.
    OverflowInit { index: u32, first: PageNo, bytes: Cow<'a, [u8]> },
    /// Replaces the child at `index` (count: the upper child).
    InnerChild { index: usize, page: PageNo },
    /// A whole radix node.
    RadixInit(RadixImage<'a>),
    /// A new separator with this symbol; the child there stays left of it, `right` comes to its right.
    RadixSplit { symbol: usize, right: PageNo },
    /// The separator with this symbol goes, and the child to its right.
    RadixMerge { symbol: usize },
    /// Replaces the child at `index` of a radix node.
    RadixChild { index: usize, page: PageNo },
}

/// The codes of the operations.
mod code {
    pub(super) const IMAGE: u8 = 1;
    pub(super) const SLOTTED_INIT: u8 = 2;
    pub(super) const SLOT_INSERT: u8 = 3;
    pub(super) const SLOT_REPLACE: u8 = 4;
    pub(super) const SLOT_DELETE: u8 = 5;
    pub(super) const SLOTTED_HEADER: u8 = 6;
    pub(super) const FIXED_INIT: u8 = 7;
    pub(super) const FIXED_SET: u8 = 8;
    pub(super) const FIXED_CLEAR: u8 = 9;
    pub(super) const NODE_INIT: u8 = 10;
    pub(super) const LEAF_INSERT: u8 = 11;
    pub(super) const LEAF_UPDATE: u8 = 12;
    pub(super) const LEAF_REMOVE: u8 = 13;
    pub(super) const LEAF_CLEAN: u8 = 14;
    pub(super) const INNER_SPLIT: u8 = 15;
    pub(super) const INNER_MERGE: u8 = 16;
    pub(super) const NODE_CUT: u8 = 17;
    pub(super) const MAP_INIT: u8 = 18;
    pub(super) const MAP_SET: u8 = 19;
    pub(super) const OVERFLOW_INIT: u8 = 20;
    pub(super) const INNER_CHILD: u8 = 21;
    pub(super) const RADIX_INIT: u8 = 22;
    pub(super) const RADIX_SPLIT: u8 = 23;
    pub(super) const RADIX_MERGE: u8 = 24;
    pub(super) const RADIX_CHILD: u8 = 25;
}

impl<'a> PageOp<'a> {
    /// The image of a page, as it would be written.
    pub fn image_of(view: View) -> PageOp<'static> {
        let mut bytes = vec![0; view.len_bytes()];
        copy_for_write(view, &mut bytes);
        let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end);
        bytes.drain(..header::TYPE_AT.min(end));
        PageOp::Image { bytes: Cow::Owned(bytes) }
    }

    /// True if the operation needs nothing of the old bytes and may follow any PSN below its own (P2).
    pub fn is_init(&self) -> bool {
        matches!(
            self,
            PageOp::Image { .. }
                | PageOp::SlottedInit { .. }
                | PageOp::FixedInit { .. }
                | PageOp::NodeInit(_)
                | PageOp::MapInit { .. }
                | PageOp::OverflowInit { .. }
                | PageOp::RadixInit(_)
        )
    }

    /// The same operation, owning its bytes.
    pub fn into_owned(self) -> PageOp<'static> {
        use PageOp::*;
        match self {
            Image { bytes } => Image { bytes: owned(bytes) },
            SlotInsert { slot, bytes } => SlotInsert { slot, bytes: owned(bytes) },
            SlotReplace { slot, bytes } => SlotReplace { slot, bytes: owned(bytes) },
            FixedSet { index, bytes } => FixedSet { index, bytes: owned(bytes) },
            NodeInit(image) => NodeInit(image.into_owned()),
            LeafInsert { slot, key, row } => LeafInsert { slot, key: owned(key), row: row.into_owned() },
            LeafUpdate { slot, row } => LeafUpdate { slot, row: row.into_owned() },
            LeafClean { rows } => LeafClean { rows: Cow::Owned(rows.into_owned()) },
            InnerSplit { slot, key, right } => InnerSplit { slot, key: owned(key), right },
            NodeCut { count, upper } => NodeCut { count, upper: owned(upper) },
            OverflowInit { index, first, bytes } => OverflowInit { index, first, bytes: owned(bytes) },
            SlottedInit { page_type, owner, link, aux } => SlottedInit { page_type, owner, link, aux },
            SlotDelete { slot } => SlotDelete { slot },
            SlottedHeader { link, aux } => SlottedHeader { link, aux },
            FixedInit { record_size, owner, link } => FixedInit { record_size, owner, link },
            FixedClear { index } => FixedClear { index },
            LeafRemove { slot } => LeafRemove { slot },
            InnerMerge { slot } => InnerMerge { slot },
            MapInit { first, covered } => MapInit { first, covered },
            MapSet { first, count, state, psn_floor } => MapSet { first, count, state, psn_floor },
            InnerChild { index, page } => InnerChild { index, page },
            RadixInit(image) => RadixInit(image.into_owned()),
            RadixSplit { symbol, right } => RadixSplit { symbol, right },
            RadixMerge { symbol } => RadixMerge { symbol },
            RadixChild { index, page } => RadixChild { index, page },
        }
    }
}

fn owned(bytes: Cow<[u8]>) -> Cow<'static, [u8]> {
    Cow::Owned(bytes.into_owned())
}
