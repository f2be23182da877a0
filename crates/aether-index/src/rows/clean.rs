//! Room in leaves: cleaning, and what splits and merges of leaves are decided by.

use super::{Leaves, Rows, Stop, Towards, mtr_bytes, retry};
use crate::trace;
use aether_page::node::{Node, NodeImage, SplitPlan};
use aether_page::{Clean, PageOp};
use aether_trace::planted;
use aether_txn::TxnManager;
use aether_txn::recovery::wal::buffer::Access;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Error, PageSize, Result};
use std::borrow::Cow;

/// A node that is less full than this, in percent, looks for a neighbour to merge with.
const SPARSE_PERCENT: usize = 30;
/// A merge must leave this much room, in percent, so that the next insert does not split again.
const MERGED_PERCENT_MAX: usize = 80;
/// A leaf that was full has room again if it is no fuller than this, in percent.
const FILL_PERCENT_MAX: usize = 85;

impl<L: Leaves> Rows<L> {
    /// Makes room for a row in the leaf of `key`: removes versions and ghosts that nobody needs, else splits.
    pub(super) fn make_room(&self, key: &[u8], value_len: usize) -> Result<()> {
        let enough = retry(|| self.try_clean(key, value_len))?;
        if enough { Ok(()) } else { self.split(key, value_len) }
    }

    /// Strips and purges what is forgotten (T4); true if the row has room then.
    fn try_clean(&self, key: &[u8], value_len: usize) -> Result<bool, Stop> {
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let leaf = self.leaf(Towards::Key(key), &Access::Normal)?.upgrade()?;
        let rows = cleanable(self.manager(), &Node::new(leaf.view()));
        for (slot, _) in rows.iter().filter(|(_, clean)| *clean == Clean::StripVersion) {
            trace::strip_row(|| Node::new(leaf.view()).version(*slot).map(|(writer, _)| writer));
        }
        let page = mtr.add(leaf);
        if rows.is_empty() {
            return Ok(false);
        }
        mtr.op(page, PageOp::LeafClean { rows: Cow::Owned(rows) })?;
        mtr.commit();
        let after = self.leaf(Towards::Key(key), &Access::Normal)?.node;
        let node = Node::new(after.view());
        let enough = has_room(&node, key, value_len);
        if enough {
            trace::has_room(0, || after.validate())?;
        } else {
            after.validate()?;
        }
        Ok(enough)
    }
}

/// Has a leaf that was full room by now for a row? Cleaning that gains less is only a way to split a little later.
pub fn has_room(leaf: &Node<'_>, key: &[u8], value_len: usize) -> bool {
    if leaf.fill_percent() > FILL_PERCENT_MAX {
        return false;
    }
    match leaf.search(key) {
        Ok(slot) => leaf.fits_update(slot, value_len, true),
        Err(_) => leaf.fits_insert(key.len(), value_len, true),
    }
}

/// Where a full node is split, to make room at `key`.
///
/// # Errors
/// `Corruption` for a node that cannot be split: no sound one is full of less than two rows.
pub fn split_plan(node: &Node<'_>, key: &[u8]) -> Result<SplitPlan, Stop> {
    // Inserts at the end of the last leaf look like ascending ones: leave a full leaf behind.
    let ascending = node.upper().is_none();
    let plan = node.split_point(key, ascending).or_else(|| node.split_point(key, false));
    plan.ok_or_else(|| Stop::Fail(Error::corruption("a full node cannot be split").at_key(key)))
}

/// Sparse by what would be left after cleaning: worth a merge.
pub fn is_sparse(node: &Node<'_>) -> bool {
    let purged = if node.is_leaf() { node.count().saturating_sub(node.live_count()) } else { 0 };
    let share = node.fill_percent() * (node.count() - purged) / node.count().max(1);
    share < SPARSE_PERCENT
}

/// Both leaves as one, without what nobody needs, if that leaves room, or if one of them is empty.
pub fn merged_leaves<L: Leaves>(index: &L, left: &Node<'_>, right: &Node<'_>) -> Option<NodeImage<'static>> {
    let mut image = NodeImage::leaf(index.id(), left.lower().as_deref(), right.upper().as_deref());
    let mut key = Vec::new();
    let nodes = if planted("merge-loses-the-right") { &[left][..] } else { &[left, right] };
    for node in nodes {
        let cleaning = cleanable(index.manager(), node);
        for slot in 0..node.count() {
            let mut row = node.row(slot);
            match cleaning.iter().find(|(other, _)| *other == slot) {
                Some((_, Clean::Remove)) => continue,
                Some((_, Clean::StripVersion)) => row.version = None,
                None => {}
            }
            key.clear();
            node.key_into(slot, &mut key);
            image.push_row(&key, &row);
        }
    }
    leaves_room(&image, [left, right], index.store().page_size()).then_some(image)
}

/// Does the merged image of two nodes leave room, or is one of them empty?
pub(crate) fn leaves_room(image: &NodeImage<'_>, of: [&Node<'_>; 2], page_size: PageSize) -> bool {
    let percent = if of.iter().any(|node| node.live_count() == 0) { 100 } else { MERGED_PERCENT_MAX };
    image.size_bytes() * 100 <= page_size.bytes() * percent
}

/// Rows with a version that nobody needs; slots ascend.
fn cleanable(manager: &TxnManager, node: &Node<'_>) -> Vec<(usize, Clean)> {
    let clean = |slot| {
        let flags = node.flags(slot);
        let is_settled = |writer| planted("strip-what-is-settled") && manager.is_settled(writer);
        let is_forgotten = |writer| manager.is_forgotten(writer) || is_settled(writer);
        let forgotten = node.version(slot).is_none_or(|(writer, _)| is_forgotten(writer));
        match (forgotten, flags.is_ghost(), flags.is_versioned()) {
            (true, true, _) => Some((slot, Clean::Remove)),
            (true, false, true) => Some((slot, Clean::StripVersion)),
            _ => None,
        }
    };
    (0..node.count()).filter_map(clean).collect()
}
