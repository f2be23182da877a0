//! Splits and merges. Each is one mini-transaction that belongs to no user transaction and is never undone. Latches are taken downward, by
//! upgrading what the descent read.

use super::Directory;
use crate::rows::{FILE, Found, Leaves, Stop, Towards, has_room, is_sparse, merged_leaves, mtr_bytes, retry};
use aether_page::node::{Node, NodeImage, SplitPlan};
use aether_page::radix::{Radix, RadixImage, separator, symbol_at};
use aether_page::{PageOp, Swip};
use aether_txn::recovery::Mtr;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Exclusive, Optimistic};
use aether_types::{Error, PageNo, Result};
use std::borrow::Cow;

/// Where a leaf is cut: at a symbol behind a path.
struct Cut {
    /// Rows that stay left.
    slot: usize,
    symbol: usize,
}

impl Cut {
    fn plan(&self, path: &[u8]) -> SplitPlan {
        SplitPlan { count: self.slot, separator: separator(path, self.symbol) }
    }

    fn halves(&self, node: &Node<'_>, path: &[u8]) -> [NodeImage<'static>; 2] {
        let plan = self.plan(path);
        let left = node.image_of(0..plan.count, node.lower().as_deref(), Some(&plan.separator), plan.count);
        [left, node.right_half(&plan)]
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
        let (path, cut) = fork(&node, key)?;
        let [left, right] = cut.halves(&node, &path);
        let root = mtr.add(root);
        let (left_page, right_page) = (mtr.allocate()?, mtr.allocate()?);
        let children = [left_page, right_page].map(|page| mtr.page_no(page));
        mtr.op(left_page, PageOp::NodeInit(left))?;
        mtr.op(right_page, PageOp::NodeInit(right))?;
        mtr.op(root, PageOp::RadixInit(RadixImage::fork(self.id(), path, cut.symbol, children)))?;
        mtr.commit();
        Ok(())
    }

    /// Splits a leaf at a symbol of its parent. If its keys do not differ there, it becomes two below a node of their own.
    fn split_below<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        index: usize,
        leaf: Exclusive<'s>,
        key: &[u8],
    ) -> Result<(), Stop> {
        let node = Node::new(leaf.view());
        let above = Radix::new(parent.view()).path();
        let at_parent = find_cut(&node, &above, key).filter(|cut| self.fits(&node, &above, cut));
        let is_fork = at_parent.is_none();
        let (path, cut) = at_parent.map_or_else(|| fork(&node, key), |cut| Ok((above, cut)))?;
        let SplitPlan { count, separator } = cut.plan(&path);
        let [_, right] = cut.halves(&node, &path);
        let (parent, leaf) = (mtr.add(parent), mtr.add(leaf));
        let new = mtr.allocate()?;
        let between = is_fork.then(|| mtr.allocate()).transpose()?;
        let children = [leaf, new].map(|page| mtr.page_no(page));
        mtr.op(new, PageOp::NodeInit(right))?;
        mtr.op(leaf, PageOp::NodeCut { count, upper: Cow::Owned(separator) })?;
        if let Some(between) = between {
            let page = mtr.page_no(between);
            mtr.op(between, PageOp::RadixInit(RadixImage::fork(self.id(), path, cut.symbol, children)))?;
            mtr.op(parent, PageOp::RadixChild { index, page })?;
        } else {
            mtr.op(parent, PageOp::RadixSplit { symbol: cut.symbol, right: children[1] })?;
        }
        mtr.commit();
        Ok(())
    }

    /// Have both halves room for the separator as their fence? At the path that all keys share they have, for it is no longer than a key
    /// that goes to the other half; at another path it may be.
    fn fits(&self, node: &Node<'_>, path: &[u8], cut: &Cut) -> bool {
        let room = self.store().page_size().bytes();
        cut.halves(node, path).iter().all(|half| half.size_bytes() <= room)
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

fn whole_key(node: &Node<'_>, slot: usize) -> Vec<u8> {
    let mut key = Vec::new();
    node.key_into(slot, &mut key);
    key
}

/// The keys of a leaf. With a single row the key that has found no room is one more: the cut is between the two.
fn keys(node: &Node<'_>, incoming: &[u8]) -> Vec<Vec<u8>> {
    let mut keys: Vec<Vec<u8>> = (0..node.count()).map(|slot| whole_key(node, slot)).collect();
    if let [only] = &keys[..] {
        let at = usize::from(only[..] < *incoming);
        keys.insert(at, incoming.to_vec());
    }
    keys
}

/// A path that all keys of a leaf share, the longest, and where to cut there.
fn fork(node: &Node<'_>, incoming: &[u8]) -> Result<(Vec<u8>, Cut), Stop> {
    let cannot = || Stop::Fail(Error::corruption("a full leaf cannot be split").at_key(incoming));
    let keys = keys(node, incoming);
    let (first, last) = keys.first().zip(keys.last()).ok_or_else(cannot)?;
    let common = first.iter().zip(last).take_while(|(a, b)| a == b).count();
    let path = first[..common].to_vec();
    let cut = find_cut(node, &path, incoming).ok_or_else(cannot)?;
    Ok((path, cut))
}

/// The place nearest to the middle where a key begins with the path and differs there from the one before; none if there is none. Of the
/// last leaf, when it grows at its end, the last one: that leaves a full leaf behind.
fn find_cut(node: &Node<'_>, path: &[u8], incoming: &[u8]) -> Option<Cut> {
    let keys = keys(node, incoming);
    let grows = node.upper().is_none() && keys.last().is_some_and(|last| last[..] <= *incoming);
    let target = if grows { keys.len() } else { keys.len() / 2 };
    let symbol = |key: &Vec<u8>| key.starts_with(path).then(|| symbol_at(key, path.len()));
    let cuts = (1..keys.len()).filter_map(|at| {
        let here = symbol(&keys[at])?;
        (symbol(&keys[at - 1]) != Some(here)).then_some((at, here))
    });
    let (at, symbol) = cuts.min_by_key(|(at, _)| at.abs_diff(target))?;
    // A single row stays left if it is the smaller key.
    let slot = if node.count() == 1 { usize::from(whole_key(node, 0)[..] < *incoming) } else { at };
    Some(Cut { slot, symbol })
}
