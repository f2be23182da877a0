//! Structural changes: splits and merges. Each is one mini-transaction that belongs to no user transaction
//! and is never undone.
//!
//! Latches are taken downward (parent, then children from left to right), by upgrading what the descent read: if
//! anything has changed since, the attempt is dropped and begins again, so that nobody waits for anybody.

use super::Tree;
use crate::rows::{
    FILE, Found, Leaves, Stop, Towards, has_room, is_sparse, leaves_room, merged_leaves, mtr_bytes, retry,
    split_plan,
};
use crate::trace;
use aether_page::PageOp;
use aether_page::node::{Node, NodeImage};
use aether_txn::recovery::Mtr;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive, Optimistic};
use aether_types::Result;
use std::borrow::Cow;

impl Tree {
    /// Splits the node of `level` on the way to `key` unless it has the room needed by now, its parents first if they have
    /// none.
    pub(super) fn split_node(&self, key: &[u8], level: u8, need: Need) -> Result<()> {
        loop {
            match retry(|| self.try_split(key, level, need))? {
                Split::Done => return Ok(()),
                Split::ParentFull { separator_len } => {
                    self.split_node(key, level + 1, Need::Separator { len: separator_len })?;
                }
            }
        }
    }

    fn try_split(&self, key: &[u8], level: u8, need: Need) -> Result<Split, Stop> {
        let mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let Found { node, parent } = self.node_at(Towards::Key(key), level, &Access::Normal)?;
        // Another thread may have split it since it was found full.
        let is_met = need.is_met(&Node::new(node.view()), key);
        if is_met {
            trace::has_room(level, || node.validate())?;
            return Ok(Split::Done);
        }
        node.validate()?;
        match parent {
            None => {
                let root = trace::latch_for_split(level, || node.upgrade())?;
                self.split_root(mtr, root, key)
            }
            Some((parent, index)) => {
                let parent = trace::latch_for_split(level, || parent.upgrade())?;
                let child = trace::latch_child(|| node.upgrade())?;
                self.split_child(mtr, parent, index, child, key)
            }
        }
    }

    /// A root that is full becomes the parent of two new nodes; it never moves.
    fn split_root<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        root: Exclusive<'s>,
        key: &[u8],
    ) -> Result<Split, Stop> {
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
        let new = [mtr.page_no(left_page), mtr.page_no(right_page)];
        image.push_child(&plan.separator, new[0]);
        mtr.op(root, PageOp::NodeInit(image))?;
        trace::split(trace::first_byte(&plan.separator), new, || mtr.commit());
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
            return Ok(Split::ParentFull { separator_len: plan.separator.len() });
        }
        let stored = above.strip(&plan.separator).to_vec();
        let right = node.right_half(&plan);
        let (parent, child) = (mtr.add(parent), mtr.add(child));
        let new = mtr.allocate()?;
        let (right_no, first) = (mtr.page_no(new), trace::first_byte(&plan.separator));
        mtr.op(new, PageOp::NodeInit(right))?;
        mtr.op(child, PageOp::NodeCut { count: plan.count, upper: Cow::Owned(plan.separator) })?;
        mtr.op(parent, PageOp::InnerSplit { slot: index, key: Cow::Owned(stored), right: right_no })?;
        trace::split(first, [right_no; 2], || mtr.commit());
        Ok(Split::Done)
    }

    /// Merges the leaf of `key` with a sibling under the same parent, if both together leave room.
    pub(super) fn merge_if_sparse(&self, key: &[u8]) -> Result<()> {
        let mut level = 0;
        while retry(|| self.try_merge(key, level))? {
            level += 1;
        }
        Ok(())
    }

    /// True if a merge was made: then the parent may be sparse too.
    fn try_merge(&self, key: &[u8], level: u8) -> Result<bool, Stop> {
        let Found { node, parent } = self.node_at(Towards::Key(key), level, &Access::Normal)?;
        let Some((parent, index)) = parent else {
            trace::no_merge(level);
            return Ok(false);
        };
        let (sparse, siblings) = (is_sparse(&Node::new(node.view())), Node::new(parent.view()).count());
        node.validate()?;
        parent.validate()?;
        if !sparse {
            trace::no_merge(level);
            return Ok(false);
        }
        // With the left sibling, then with the right one: a leaf that was emptied earlier may be either.
        let pairs = [index.checked_sub(1), (index < siblings).then_some(index)];
        for left in pairs.into_iter().flatten() {
            if let Some(merged) = self.try_merge_pair(&parent, left, level)? {
                return Ok(merged);
            }
        }
        Ok(false)
    }

    /// `None`: both together leave too little room; else true unless the tree's root was the last to merge.
    fn try_merge_pair(&self, parent: &Optimistic<'_>, left: usize, level: u8) -> Result<Option<bool>, Stop> {
        let above = Node::new(parent.view());
        let children = [above.child(left), above.child(left + 1)];
        parent.validate()?;
        // Log room first, then latches, downward.
        let mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let parent = trace::latch_for_merge(level, left, || parent.upgrade())?;
        let latch = |child| trace::latch_sibling(child, || self.pool().exclusive(FILE, child));
        let [left_page, right_page] = children.map(latch);
        self.merge(mtr, parent, left, left_page?, right_page?)
    }

    fn merge<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        index: usize,
        left: Exclusive<'s>,
        right: Exclusive<'s>,
    ) -> Result<Option<bool>, Stop> {
        let Some(image) = self.merged(&Node::new(left.view()), &Node::new(right.view())) else {
            trace::merge(false, || ());
            return Ok(None);
        };
        let above = Node::new(parent.view());
        if above.count() == 1 && parent.page_no() == self.root() {
            return self.collapse_root(mtr, parent, image, left, right).map(Some);
        }
        let (parent, left, right) = (mtr.add(parent), mtr.add(left), mtr.add(right));
        mtr.op(left, PageOp::NodeInit(image))?;
        mtr.op(parent, PageOp::InnerMerge { slot: index })?;
        mtr.free(right)?;
        trace::merge(true, || mtr.commit());
        Ok(Some(true))
    }

    fn merged(&self, left: &Node<'_>, right: &Node<'_>) -> Option<NodeImage<'static>> {
        if left.is_leaf() {
            return merged_leaves(self, left, right);
        }
        let image = left.merged(right)?;
        leaves_room(&image, [left, right], self.store().page_size()).then_some(image)
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
        trace::merge(true, || mtr.commit());
        Ok(false)
    }
}

enum Split {
    Done,
    ParentFull { separator_len: usize },
}

/// What there must be room for.
#[derive(Clone, Copy)]
pub(super) enum Need {
    /// The row in its leaf.
    Row { value_len: usize },
    /// A separator in an inner node.
    Separator { len: usize },
}

impl Need {
    fn is_met(self, node: &Node<'_>, key: &[u8]) -> bool {
        match self {
            Self::Row { value_len } => has_room(node, key, value_len),
            // A leaf where an inner node was: the tree is lower by now.
            Self::Separator { len } => node.is_leaf() || node.fits_insert(len, 0, false),
        }
    }
}
