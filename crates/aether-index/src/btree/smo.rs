//! Structural changes: cleaning, splits, merges. Each is one mini-transaction that belongs to no user transaction
//! and is never undone.
//!
//! Latches are taken downward (parent, then children from left to right), by upgrading what the descent read: if
//! anything has changed since, the attempt is dropped and begins again, so that nobody waits for anybody.

use super::descend::{Found, Towards};
use super::{BTree, FILE, MTR_BYTES, Stop, retry};
use aether_page::node::{Node, NodeImage, SplitPlan};
use aether_page::{Clean, PageOp, Swip};
use aether_txn::recovery::Mtr;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive};
use aether_types::{Error, Result};
use std::borrow::Cow;

/// A leaf that is less full than this, in percent, looks for a sibling to merge with.
const SPARSE_PERCENT: usize = 30;
/// A merge must leave this much room, in percent, so that the next insert does not split again.
const MERGED_PERCENT_MAX: usize = 80;

impl BTree {
    /// Makes room for a row in the leaf of `key`: removes versions and ghosts that nobody needs, else splits.
    pub(crate) fn make_room(&self, key: &[u8], value_len: usize) -> Result<()> {
        let enough = retry(|| self.try_clean(key, value_len))?;
        if enough { Ok(()) } else { self.split(key, 0) }
    }

    /// Strips and purges what is forgotten (T4); true if the row has room then.
    fn try_clean(&self, key: &[u8], value_len: usize) -> Result<bool, Stop> {
        let mut mtr = self.store().mtr(self.stream(), MTR_BYTES)?;
        let leaf = self.leaf(Towards::Key(key), &Access::Normal)?.upgrade()?;
        let rows = self.cleanable(&Node::new(leaf.view()));
        let page = mtr.add(leaf);
        if rows.is_empty() {
            return Ok(false);
        }
        mtr.op(page, PageOp::LeafClean { rows: Cow::Owned(rows) })?;
        mtr.commit();
        let after = self.leaf(Towards::Key(key), &Access::Normal)?.node;
        let node = Node::new(after.view());
        let fits = match node.search(key) {
            Ok(slot) => node.fits_update(slot, value_len, true),
            Err(_) => node.fits_insert(key.len(), value_len, true),
        };
        // A third free: cleaning that gains less is only a way to split a little later.
        let worth = node.fill_percent() <= 85;
        after.validate()?;
        Ok(fits && worth)
    }

    /// Rows with a version that nobody needs; slots ascend.
    fn cleanable(&self, node: &Node<'_>) -> Vec<(usize, Clean)> {
        let manager = self.manager();
        let clean = |slot| {
            let flags = node.flags(slot);
            let forgotten = node.version(slot).is_none_or(|(writer, _)| manager.is_forgotten(writer));
            match (forgotten, flags.is_ghost(), flags.is_versioned()) {
                (true, true, _) => Some((slot, Clean::Remove)),
                (true, false, true) => Some((slot, Clean::StripVersion)),
                _ => None,
            }
        };
        (0..node.count()).filter_map(clean).collect()
    }

    /// Splits the node of `level` on the way to `key`, its parents first if they have no room.
    fn split(&self, key: &[u8], level: u8) -> Result<()> {
        loop {
            match retry(|| self.try_split(key, level))? {
                Split::Done => return Ok(()),
                Split::ParentFull => self.split(key, level + 1)?,
            }
        }
    }

    fn try_split(&self, key: &[u8], level: u8) -> Result<Split, Stop> {
        let mtr = self.store().mtr(self.stream(), MTR_BYTES)?;
        let Found { node, parent } = self.node_at(Towards::Key(key), level, &Access::Normal)?;
        match parent {
            None => self.split_root(mtr, node.upgrade()?, key),
            Some((parent, index)) => {
                let parent = parent.upgrade()?;
                self.split_child(mtr, parent, index, node.upgrade()?, key)
            }
        }
    }

    /// A root that is full becomes the parent of two new nodes; it never moves.
    fn split_root<'s>(&'s self, mut mtr: Mtr<'s, '_>, root: Exclusive<'s>, key: &[u8]) -> Result<Split, Stop> {
        let node = Node::new(root.view());
        let plan = split_plan(&node, key)?;
        let left = node.image_of(0..plan.count, node.lower().as_deref(), Some(&plan.separator), plan.count);
        let right = node.right_half(&plan);
        let (level, tree) = (node.level() + 1, node.tree());
        let root = mtr.add(root);
        let (left_page, right_page) = (mtr.allocate()?, mtr.allocate()?);
        mtr.op(left_page, PageOp::NodeInit(left))?;
        mtr.op(right_page, PageOp::NodeInit(right))?;
        let mut image = NodeImage::inner(tree, level, None, None, mtr.page_no(right_page));
        image.push_child(&plan.separator, mtr.page_no(left_page));
        mtr.op(root, PageOp::NodeInit(image))?;
        mtr.commit();
        Ok(Split::Done)
    }

    fn split_child<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        index: usize,
        child: Exclusive<'s>,
        key: &[u8],
    ) -> Result<Split, Stop> {
        let node = Node::new(child.view());
        let plan = split_plan(&node, key)?;
        let above = Node::new(parent.view());
        if !above.fits_insert(plan.separator.len(), 0, false) {
            return Ok(Split::ParentFull);
        }
        let stored = above.strip(&plan.separator).to_vec();
        let right = node.right_half(&plan);
        let (parent, child) = (mtr.add(parent), mtr.add(child));
        let new = mtr.allocate()?;
        let right_no = mtr.page_no(new);
        mtr.op(new, PageOp::NodeInit(right))?;
        mtr.op(child, PageOp::NodeCut { count: plan.count, upper: Cow::Owned(plan.separator) })?;
        mtr.op(parent, PageOp::InnerSplit { slot: index, key: Cow::Owned(stored), right: right_no })?;
        mtr.commit();
        Ok(Split::Done)
    }

    /// Merges the leaf of `key` with a sibling under the same parent, if both together leave room.
    pub(crate) fn merge_if_sparse(&self, key: &[u8]) -> Result<()> {
        let mut level = 0;
        while retry(|| self.try_merge(key, level))? {
            level += 1;
        }
        Ok(())
    }

    /// True if a merge was made: then the parent may be sparse too.
    fn try_merge(&self, key: &[u8], level: u8) -> Result<bool, Stop> {
        let Found { node, parent } = self.node_at(Towards::Key(key), level, &Access::Normal)?;
        let Some((parent, index)) = parent else { return Ok(false) };
        let (above, here) = (Node::new(parent.view()), Node::new(node.view()));
        let sparse = self.is_sparse(&here);
        let left = if index < above.count() { index } else { index.wrapping_sub(1) };
        let (children, alone) = ([above.child(left), above.child(left.wrapping_add(1))], above.count() == 0);
        node.validate()?;
        parent.validate()?;
        if !sparse || alone {
            return Ok(false);
        }
        // Log room first, then latches.
        let mtr = self.store().mtr(self.stream(), MTR_BYTES)?;
        let parent = parent.upgrade()?;
        let [left_page, right_page] = children.map(|child| self.pool().exclusive(FILE, child));
        self.merge(mtr, parent, left, left_page?, right_page?)
    }

    /// Sparse by what would be left after cleaning.
    fn is_sparse(&self, node: &Node<'_>) -> bool {
        let purged = if node.is_leaf() { node.count().saturating_sub(node.live_count()) } else { 0 };
        let share = node.fill_percent() * (node.count() - purged) / node.count().max(1);
        share < SPARSE_PERCENT
    }

    fn merge<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        index: usize,
        left: Exclusive<'s>,
        right: Exclusive<'s>,
    ) -> Result<bool, Stop> {
        let page_bytes = self.store().page_size().bytes();
        let merged = Node::new(left.view()).merged(&Node::new(right.view()));
        let fits = |image: &NodeImage<'_>| image.size_bytes() * 100 <= page_bytes * MERGED_PERCENT_MAX;
        let Some(image) = merged.filter(fits) else { return Ok(false) };
        let above = Node::new(parent.view());
        if above.count() == 1 && parent.page_no() == self.root() {
            return self.collapse_root(mtr, parent, image, left, right);
        }
        let (parent, left, right) = (mtr.add(parent), mtr.add(left), mtr.add(right));
        mtr.op(left, PageOp::NodeInit(image))?;
        mtr.op(parent, PageOp::InnerMerge { slot: index })?;
        mtr.free(right)?;
        mtr.commit();
        Ok(true)
    }

    /// The root's last two children become the root: the tree is one level lower.
    fn collapse_root<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        root: Exclusive<'s>,
        image: NodeImage<'static>,
        left: Exclusive<'s>,
        right: Exclusive<'s>,
    ) -> Result<bool, Stop> {
        let (root, left, right) = (mtr.add(root), mtr.add(left), mtr.add(right));
        mtr.op(root, PageOp::NodeInit(image))?;
        mtr.free(left)?;
        mtr.free(right)?;
        mtr.commit();
        Ok(false)
    }

    /// The height of the tree: 1 for a single leaf.
    pub fn height(&self) -> Result<u32> {
        let root = self.pool().shared(FILE, Swip::new(self.root()))?;
        Ok(u32::from(Node::new(root.view()).level()) + 1)
    }
}

enum Split {
    Done,
    ParentFull,
}

fn split_plan(node: &Node<'_>, key: &[u8]) -> Result<SplitPlan, Stop> {
    // Inserts at the end of the last leaf look like ascending ones: leave a full leaf behind.
    let ascending = node.upper().is_none();
    let plan = node.split_point(key, ascending).or_else(|| node.split_point(key, false));
    plan.ok_or_else(|| Stop::Fail(Error::corruption("a full node cannot be split").at_key(key)))
}
