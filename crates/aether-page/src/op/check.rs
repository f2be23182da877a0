//! Would an operation apply cleanly? Asked before anything of its group is logged, and again by redo.

use super::{Clean, PageOp};
use crate::fixed::{self, Fixed};
use crate::header::{self, TYPE_AT, expect_type};
use crate::node::layout::head_of;
use crate::node::{Entry, Node, NodeImage, Row};
use crate::radix::{Radix, SYMBOLS};
use crate::slotted::Slotted;
use crate::{PageType, View, overflow, space_map};
use aether_types::{Error, PageNo, Result};

/// Fails with `what` unless `holds`.
fn need(holds: bool, what: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Error::corruption(what()).at_offset(0)) }
}

impl PageOp<'_> {
    /// Would the operation apply cleanly: type, slot, room and the order of neighbouring keys.
    ///
    /// # Errors
    /// `Corruption` saying what does not fit. File and page are the caller's to name.
    pub fn check(&self, view: View) -> Result<()> {
        match self {
            PageOp::Image { bytes } => check_image(view, bytes),
            PageOp::SlottedInit { page_type, .. } => {
                need(matches!(page_type, PageType::Slotted | PageType::Undo), || "not a slotted type".into())
            }
            PageOp::SlotInsert { slot, bytes } => {
                let slotted = slotted(view)?;
                need(slotted.fits_insert(*slot, bytes.len()), || {
                    format!("slot {slot} is taken or out of range, or {} bytes have no room", bytes.len())
                })
            }
            PageOp::SlotReplace { slot, bytes } => {
                let slotted = slotted(view)?;
                need(slotted.fits_replace(*slot, bytes.len()), || {
                    format!("slot {slot} is free, or {} bytes have no room", bytes.len())
                })
            }
            PageOp::SlotDelete { slot } => {
                let slotted = slotted(view)?;
                need(slotted.len(*slot).is_some(), || format!("slot {slot} is free"))
            }
            PageOp::SlottedHeader { .. } => slotted(view).map(drop),
            PageOp::FixedInit { record_size, .. } => check_record_size(view, *record_size),
            PageOp::FixedSet { index, bytes } => check_fixed_set(view, *index, bytes.len()),
            PageOp::FixedClear { index } => {
                expect_type(view, PageType::Fixed)?;
                need(Fixed::new(view).is_used(*index), || format!("record {index} is free"))
            }
            PageOp::MapInit { covered, .. } => {
                need(*covered <= space_map::entries_in(view.len_bytes()), || {
                    format!("{covered} pages in one map")
                })
            }
            PageOp::MapSet { first, count, .. } => check_map_set(view, *first, *count),
            PageOp::OverflowInit { bytes, first, .. } => {
                need(first.get() != 0, || "an extent at page 0".into())?;
                let room = view.len_bytes().saturating_sub(overflow::BYTES_AT);
                need(bytes.len() <= room, || format!("{} bytes in one overflow page", bytes.len()))
            }
            node => node.check_node(view),
        }
    }

    fn check_node(&self, view: View) -> Result<()> {
        match self {
            PageOp::NodeInit(image) => check_node_image(view, image),
            PageOp::LeafInsert { slot, key, row } => check_leaf_insert(leaf(view)?, *slot, key, row),
            PageOp::LeafUpdate { slot, row } => {
                let node = leaf(view)?;
                check_slot(node, *slot)?;
                need(node.fits_update(*slot, row.value.len(), row.version.is_some()), || no_room(node))
            }
            PageOp::LeafRemove { slot } => check_slot(leaf(view)?, *slot),
            PageOp::LeafClean { rows } => check_clean(leaf(view)?, rows),
            PageOp::InnerSplit { slot, key, right } => {
                let node = inner(view)?;
                check_reference(*right)?;
                check_position(node, *slot, key)?;
                need(node.fits_insert(node.prefix_len() + key.len(), 0, false), || no_room(node))
            }
            PageOp::InnerMerge { slot } => check_slot(inner(view)?, *slot),
            PageOp::NodeCut { count, upper } => check_cut(view, *count, upper),
            PageOp::InnerChild { index, page } => check_child(inner(view)?, *index, *page),
            radix => radix.check_radix(view),
        }
    }

    fn check_radix(&self, view: View) -> Result<()> {
        match self {
            PageOp::RadixInit(image) => image.fault(view).map_or(Ok(()), |what| need(false, || what)),
            PageOp::RadixSplit { symbol, right } => {
                let node = radix(view)?;
                check_reference(*right)?;
                let is_new = *symbol < SYMBOLS && !node.has_symbol(*symbol);
                need(is_new, || format!("symbol {symbol} of a radix node is taken, or none"))?;
                need(node.fits_child(), || "no room for one child more".into())
            }
            PageOp::RadixMerge { symbol } => {
                let node = radix(view)?;
                let fits = node.has_symbol(*symbol) && node.count() > 1;
                need(fits, || format!("a radix node cannot lose symbol {symbol}"))
            }
            PageOp::RadixChild { index, page } => {
                let count = radix(view)?.count();
                need(*index <= count, || format!("child {index} of {count}"))?;
                check_reference(*page)
            }
            _ => Ok(()),
        }
    }
}

fn radix(view: View<'_>) -> Result<Radix<'_>> {
    expect_type(view, PageType::Radix)?;
    Ok(Radix::new(view))
}

fn check_image(view: View, bytes: &[u8]) -> Result<()> {
    need(bytes.len() + TYPE_AT <= view.len_bytes(), || "an image larger than its page".into())?;
    let known = bytes.first().is_none_or(|code| PageType::from_code(*code).is_some());
    need(known, || "an image of an unknown page type".into())
}

fn slotted(view: View<'_>) -> Result<Slotted<'_>> {
    let fits = header::is_type(view, PageType::Slotted) || header::is_type(view, PageType::Undo);
    need(fits, || format!("a page of type {} is not slotted", header::page_type(view)))?;
    Ok(Slotted::new(view))
}

fn check_record_size(view: View, record_size: usize) -> Result<()> {
    let fits = record_size > 0 && record_size.is_multiple_of(8);
    need(fits && fixed::capacity_in(view.len_bytes(), record_size) > 0, || {
        format!("records of {record_size} bytes")
    })
}

fn check_fixed_set(view: View, index: usize, len: usize) -> Result<()> {
    expect_type(view, PageType::Fixed)?;
    let fixed = Fixed::new(view);
    let fits = index < fixed.capacity() && len <= fixed.record_size();
    need(fits, || format!("{len} bytes for record {index} of {}", fixed.capacity()))
}

fn check_map_set(view: View, first: usize, count: usize) -> Result<()> {
    expect_type(view, PageType::SpaceMap)?;
    let covered = space_map::covered(view);
    let fits = first <= covered && count <= covered - first;
    need(fits, || format!("{count} pages from {first} on in a map of {covered}"))
}

fn leaf(view: View<'_>) -> Result<Node<'_>> {
    expect_type(view, PageType::Leaf)?;
    let node = Node::new(view);
    need(node.is_leaf(), || "a leaf of another level than 0".into())?;
    Ok(node)
}

fn inner(view: View<'_>) -> Result<Node<'_>> {
    expect_type(view, PageType::Inner)?;
    let node = Node::new(view);
    need(!node.is_leaf(), || "an inner node of level 0".into())?;
    Ok(node)
}

fn no_room(node: Node) -> String {
    format!("no room: {} bytes are free", node.free_bytes())
}

fn check_slot(node: Node, slot: usize) -> Result<()> {
    need(slot < node.count(), || format!("slot {slot} of {}", node.count()))
}

/// A new stored key at `slot` must lie between its neighbours.
fn check_position(node: Node, slot: usize, key: &[u8]) -> Result<()> {
    need(slot <= node.count(), || format!("slot {slot} of {}", node.count()))?;
    let len = node.prefix_len() + key.len();
    let max = key_bytes_max(node.view());
    need(len <= max, || format!("a key of {len} bytes where {max} are allowed"))?;
    let head = head_of(key);
    let after = match slot.checked_sub(1) {
        Some(left) => node.compare_slot(node.slot(left), head, key).is_lt(),
        None => node.may_come_first(key),
    };
    let before = match slot < node.count() {
        true => node.compare_slot(node.slot(slot), head, key).is_gt(),
        false => node.may_come_last(key),
    };
    need(after && before, || format!("a key out of order at slot {slot}"))
}

/// As `limits::key_bytes_max`, for pages of any size.
pub(crate) fn key_bytes_max(view: View) -> usize {
    (view.len_bytes() / 4).saturating_sub(64)
}

fn check_leaf_insert(node: Node, slot: usize, key: &[u8], row: &Row) -> Result<()> {
    check_position(node, slot, key)?;
    let fits = node.fits_insert(node.prefix_len() + key.len(), row.value.len(), row.version.is_some());
    need(fits, || no_room(node))
}

fn check_clean(node: Node, rows: &[(usize, Clean)]) -> Result<()> {
    need(rows.is_sorted_by(|a, b| a.0 < b.0), || "slots to clean do not ascend".into())?;
    for (slot, what) in rows {
        check_slot(node, *slot)?;
        let fits = *what == Clean::Remove || node.flags(*slot).is_versioned();
        need(fits, || format!("no version to strip at slot {slot}"))?;
    }
    Ok(())
}

fn check_child(node: Node, index: usize, page: PageNo) -> Result<()> {
    need(index <= node.count(), || format!("child {index} of {}", node.count()))?;
    check_reference(page)
}

/// Page 0 is the file's header: nobody's child.
fn check_reference(page: PageNo) -> Result<()> {
    need((1..PageNo::END).contains(&page.get()), || format!("{page} cannot be a child"))
}

/// The kept entries must lie below the new fence, and the new fence not above the old.
fn check_cut(view: View, count: usize, upper: &[u8]) -> Result<()> {
    let node = if header::is_type(view, PageType::Leaf) { leaf(view)? } else { inner(view)? };
    let end = node.count() + usize::from(node.is_leaf());
    need(count < end, || format!("{count} entries of {} cannot be kept", node.count()))?;
    need(upper.len() <= key_bytes_max(view), || "a fence longer than a key may be".into())?;
    need(node.lower().is_none_or(|lower| lower[..] < *upper), || {
        "the new fence is not above the lower one".into()
    })?;
    need(node.upper().is_none_or(|old| *upper <= old[..]), || "the new fence is above the old one".into())?;
    let mut last = Vec::new();
    if count > 0 {
        node.key_into(count - 1, &mut last);
    }
    need(count == 0 || last[..] < *upper, || "a kept key is not below the new fence".into())?;
    need(!upper.is_empty(), || "nothing lies below the new fence".into())?;
    if !node.is_leaf() {
        check_reference(node.child(count).page())?;
    }
    let bytes = node.cut_bytes(count, upper);
    need(bytes <= view.len_bytes(), || format!("a node of {bytes} bytes"))
}

fn check_node_image(view: View, image: &NodeImage) -> Result<()> {
    need(image.size_bytes() <= view.len_bytes(), || format!("a node of {} bytes", image.size_bytes()))?;
    check_fences(view, image)?;
    let (prefix, mut before) = (image.prefix_len(), None);
    match image.upper_child() {
        none if image.is_leaf() => need(none.get() == 0, || "a leaf with an upper child".into())?,
        child => check_reference(child)?,
    }
    for (key, entry) in image.entries() {
        if let Entry::Child(page) = entry {
            check_reference(page)?;
        }
        need(prefix + key.len() <= key_bytes_max(view), || "a key is too long".into())?;
        need(before.is_none_or(|before| before < key), || "keys out of order".into())?;
        let value_len = if let Entry::Row(row) = &entry { row.value.len() } else { 0 };
        need(value_len <= usize::from(u16::MAX), || "a value is too long".into())?;
        before = Some(key);
    }
    check_keys_in_fences(image)
}

fn check_fences(view: View, image: &NodeImage) -> Result<()> {
    let len = |fence: Option<&[u8]>| fence.map_or(0, <[u8]>::len);
    let longest = len(image.lower_fence()).max(len(image.upper_fence()));
    need(longest <= key_bytes_max(view), || "a fence longer than a key may be".into())?;
    let ordered = match (image.lower_fence(), image.upper_fence()) {
        (Some(lower), Some(upper)) => lower < upper,
        (None, Some(upper)) => !upper.is_empty(),
        _ => true,
    };
    need(ordered, || "the fences are out of order".into())
}

/// Stored keys are compared with what the fences have behind the prefix.
fn check_keys_in_fences(image: &NodeImage) -> Result<()> {
    let prefix = image.prefix_len();
    let stored = |fence: Option<&[u8]>| fence.map(|key| key[prefix..].to_vec());
    let (lower, upper) = (stored(image.lower_fence()), stored(image.upper_fence()));
    let first = image.entries().next().map(|(key, _)| key.to_vec());
    let last = image.entries().last().map(|(key, _)| key.to_vec());
    let above = first.is_none_or(|first| match lower {
        Some(lower) => lower < first || image.is_leaf() && lower == first,
        None => image.is_leaf() || !first.is_empty(),
    });
    need(above && last.zip(upper).is_none_or(|(last, upper)| last < upper), || {
        "keys beyond the fences".into()
    })
}
