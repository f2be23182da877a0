//! Splits and merges. Each is one mini-transaction that belongs to no user transaction and is never undone. Latches are taken downward, by
//! upgrading what the descent read.

use super::Directory;
use crate::rows::{FILE, Found, Leaves, Stop, Towards, has_room, is_sparse, merged_leaves, mtr_bytes, retry};
use aether_page::node::{Node, SplitPlan};
use aether_page::radix::{Radix, RadixImage, separator, symbol_at};
use aether_page::{PageOp, Swip};
use aether_txn::recovery::Mtr;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive, Optimistic};
use aether_types::{Error, PageNo, Result};
use std::borrow::Cow;

/// Where a leaf is cut: at a symbol behind a path.
struct Cut {
    slot: usize,
    symbol: usize,
}

impl Cut {
    fn plan(&self, path: &[u8]) -> SplitPlan {
        SplitPlan { count: self.slot, separator: separator(path, self.symbol) }
    }
}

impl Directory {
    /// Splits the leaf of `key`, unless it has room by now.
    pub(super) fn split_leaf(&self, key: &[u8], value_len: usize) -> Result<()> {
        retry(|| self.try_split(key, value_len))
    }

    fn try_split(&self, key: &[u8], value_len: usize) -> Result<(), Stop> {
        let mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let Found { node, parent } = self.leaf(Towards::Key(key), &Access::Normal)?;
        let has_room = has_room(&Node::new(node.view()), key, value_len);
        node.validate()?;
        if has_room {
            return Ok(());
        }
        match parent {
            None => self.split_root(mtr, node.upgrade()?, key),
            Some((parent, index)) => {
                let parent = parent.upgrade()?;
                let leaf = node.upgrade()?;
                self.split_below(mtr, parent, index, leaf, key)
            }
        }
    }

    /// A root that is a full leaf becomes a radix node over two new leaves; it never moves.
    fn split_root<'s>(&'s self, mut mtr: Mtr<'s, '_>, root: Exclusive<'s>, key: &[u8]) -> Result<(), Stop> {
        let node = Node::new(root.view());
        let path = common_path(&node, key)?;
        let cut = find_cut(&node, &path, key).ok_or_else(|| cannot_split(key))?;
        let plan = cut.plan(&path);
        let left = node.image_of(0..plan.count, node.lower().as_deref(), Some(&plan.separator), plan.count);
        let right = node.right_half(&plan);
        let root = mtr.add(root);
        let (left_page, right_page) = (mtr.allocate()?, mtr.allocate()?);
        let children = [left_page, right_page].map(|page| mtr.page_no(page));
        mtr.op(left_page, PageOp::NodeInit(left))?;
        mtr.op(right_page, PageOp::NodeInit(right))?;
        mtr.op(root, PageOp::RadixInit(RadixImage::fork(self.id(), path, cut.symbol, children)))?;
        mtr.commit();
        Ok(())
    }

    /// Splits a leaf at a symbol of its parent; if its keys do not differ there, a new node takes its place.
    fn split_below<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        index: usize,
        leaf: Exclusive<'s>,
        key: &[u8],
    ) -> Result<(), Stop> {
        let (node, above) = (Node::new(leaf.view()), Radix::new(parent.view()));
        let path = above.path();
        let at_parent = find_cut(&node, &path, key);
        let (path, cut) = match at_parent {
            Some(cut) => (path, (cut, true)),
            None => {
                let path = common_path(&node, key)?;
                let cut = find_cut(&node, &path, key).ok_or_else(|| cannot_split(key))?;
                (path, (cut, false))
            }
        };
        let (cut, is_at_parent) = cut;
        let plan = cut.plan(&path);
        let right = node.right_half(&plan);
        let (parent, leaf) = (mtr.add(parent), mtr.add(leaf));
        let new = mtr.allocate()?;
        let children = [mtr.page_no(leaf), mtr.page_no(new)];
        let fork = if is_at_parent { None } else { Some(mtr.allocate()?) };
        mtr.op(new, PageOp::NodeInit(right))?;
        mtr.op(leaf, PageOp::NodeCut { count: plan.count, upper: Cow::Owned(plan.separator) })?;
        match fork {
            None => mtr.op(parent, PageOp::RadixSplit { symbol: cut.symbol, right: children[1] })?,
            Some(fork) => {
                let page = mtr.page_no(fork);
                let image = RadixImage::fork(self.id(), path, cut.symbol, children);
                mtr.op(fork, PageOp::RadixInit(image))?;
                mtr.op(parent, PageOp::RadixChild { index, page })?;
            }
        }
        mtr.commit();
        Ok(())
    }

    /// Merges the leaf of `key` with a leaf beside it under the same node, if both together leave room, and again while that is
    /// sparse.
    pub(super) fn merge_if_sparse(&self, key: &[u8]) -> Result<()> {
        while retry(|| self.try_merge(key))? {}
        Ok(())
    }

    fn try_merge(&self, key: &[u8]) -> Result<bool, Stop> {
        let Found { node, parent } = self.leaf(Towards::Key(key), &Access::Normal)?;
        let Some((parent, index)) = parent else { return Ok(false) };
        let (sparse, count) = (is_sparse(&Node::new(node.view())), Radix::new(parent.view()).count());
        node.validate()?;
        parent.validate()?;
        if !sparse {
            return Ok(false);
        }
        let pairs = [index.checked_sub(1), (index < count).then_some(index)];
        for left in pairs.into_iter().flatten() {
            if self.try_merge_pair(&parent, left)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn try_merge_pair(&self, parent: &Optimistic<'_>, left: usize) -> Result<bool, Stop> {
        let above = Radix::new(parent.view());
        let children = [above.child(left), above.child(left + 1)];
        parent.validate()?;
        // Log room first, then latches, downward.
        let mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let parent = parent.upgrade()?;
        let [left_page, right_page] = children.map(|child: Swip| self.pool().exclusive(FILE, child));
        self.merge_pair(mtr, parent, left, left_page?, right_page?)
    }

    /// The last two leaves of a node become that node's page.
    fn merge_pair<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        index: usize,
        left: Exclusive<'s>,
        right: Exclusive<'s>,
    ) -> Result<bool, Stop> {
        let nodes = [Node::new(left.view()), Node::new(right.view())];
        if nodes.iter().any(|node| !node.is_node() || !node.is_leaf()) {
            return Ok(false);
        }
        let Some(image) = merged_leaves(self, &nodes[0], &nodes[1]) else { return Ok(false) };
        let above = Radix::new(parent.view());
        let is_last = above.count() == 1;
        let symbol = above.symbols().nth(index);
        let (parent, left, right) = (mtr.add(parent), mtr.add(left), mtr.add(right));
        if is_last {
            mtr.op(parent, PageOp::NodeInit(image))?;
            let mut freed = [left, right].map(|page| (mtr.page_no(page), page));
            freed.sort_unstable_by_key(|(number, _): &(PageNo, _)| *number);
            freed.into_iter().try_for_each(|(_, page)| mtr.free(page))?;
        } else {
            let symbol = symbol.ok_or_else(|| Error::corruption("a radix node without its symbols"))?;
            mtr.op(left, PageOp::NodeInit(image))?;
            mtr.op(parent, PageOp::RadixMerge { symbol })?;
            mtr.free(right)?;
        }
        mtr.commit();
        Ok(true)
    }
}

fn cannot_split(key: &[u8]) -> Stop {
    Stop::Fail(Error::corruption("a full leaf cannot be split").at_key(key))
}

fn whole_key(node: &Node<'_>, slot: usize) -> Vec<u8> {
    let mut key = Vec::new();
    node.key_into(slot, &mut key);
    key
}

/// What all keys of a leaf begin with: its first and its last.
fn common_path(node: &Node<'_>, key: &[u8]) -> Result<Vec<u8>, Stop> {
    let last = node.count().checked_sub(1).filter(|last| *last > 0).ok_or_else(|| cannot_split(key))?;
    let (mut first, last) = (whole_key(node, 0), whole_key(node, last));
    let common = first.iter().zip(&last).take_while(|(a, b)| a == b).count();
    first.truncate(common);
    Ok(first)
}

/// The slot nearest to the middle whose key begins with the path and differs there from the one before; none if there is none. Of the last
/// leaf, which grows at its end, the last one: that leaves a full leaf behind.
fn find_cut(node: &Node<'_>, path: &[u8], key: &[u8]) -> Option<Cut> {
    let count = node.count();
    let grows = node.upper().is_none() && whole_key(node, count.checked_sub(1)?)[..] < *key;
    let target = if grows { count } else { count / 2 };
    let mut best: Option<Cut> = None;
    let mut before = None;
    for slot in 0..count {
        let key = whole_key(node, slot);
        let symbol = key.starts_with(path).then(|| symbol_at(&key, path.len()));
        let found = symbol.filter(|_| slot > 0 && symbol != before);
        before = symbol;
        let nearer = |best: &Cut| slot.abs_diff(target) < best.slot.abs_diff(target);
        if let Some(symbol) = found.filter(|_| best.as_ref().is_none_or(nearer)) {
            best = Some(Cut { slot, symbol });
        }
    }
    best
}
