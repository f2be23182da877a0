//! Splits: of a leaf, whose right half gets an entry; of a directory page, whose upper entries go to a new one behind it; of the root, when it
//! is the only leaf. Each is one mini-transaction. Log room comes first, then latches, by upgrading what was read.

use crate::Directory;
use crate::page::{Entry, entries, init, next};
use aether_index::rows::{Found, Leaves, Stop, Towards, has_room, retry, split_plan};
use aether_index::txn::recovery::Mtr;
use aether_index::txn::recovery::wal::buffer::page::PageOp;
use aether_index::txn::recovery::wal::buffer::page::node::Node;
use aether_index::txn::recovery::wal::buffer::page::slotted::Slotted;
use aether_index::txn::recovery::wal::buffer::{Access, Exclusive};
use aether_types::{PageNo, Result};
use std::borrow::Cow;

/// How an attempt to split a leaf ended.
enum Split {
    Done,
    /// The directory page has no room for an entry with a key of this length.
    DirectoryFull(usize),
}

impl Directory {
    pub(crate) fn split_leaf(&self, key: &[u8], value_len: usize) -> Result<()> {
        while let Split::DirectoryFull(key_len) = retry(|| self.try_split(key, value_len))? {
            retry(|| self.try_split_page(key, key_len))?;
        }
        Ok(())
    }

    fn mtr(&self) -> Result<Mtr<'_, 'static>> {
        self.store().mtr(self.stream(), self.store().group_bytes())
    }

    fn try_split(&self, key: &[u8], value_len: usize) -> Result<Split, Stop> {
        let mtr = self.mtr()?;
        let Found { node, parent } = self.find(Towards::Key(key), &Access::Normal)?;
        let is_met = has_room(&Node::new(node.view()), key, value_len);
        node.validate()?;
        match parent {
            _ if is_met => Ok(Split::Done),
            None => self.split_root(mtr, node.upgrade()?, key),
            Some((parent, _)) => {
                let parent = parent.upgrade()?;
                self.split_child(mtr, parent, node.upgrade()?, key)
            }
        }
    }

    /// The root becomes a directory page with two new leaves.
    fn split_root<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        root: Exclusive<'s>,
        key: &[u8],
    ) -> Result<Split, Stop> {
        let node = Node::new(root.view());
        let plan = split_plan(&node, key)?;
        let left = node.image_of(0..plan.count, None, Some(&plan.separator), plan.count);
        let right = node.right_half(&plan);
        let root = mtr.add(root);
        let (left_page, right_page) = (mtr.allocate()?, mtr.allocate()?);
        let children = [(&[][..], left_page), (&plan.separator[..], right_page)];
        let bytes = children.map(|(from, page)| Entry::bytes(from, mtr.page_no(page)));
        mtr.op(left_page, PageOp::NodeInit(left))?;
        mtr.op(right_page, PageOp::NodeInit(right))?;
        mtr.op(root, init(self.id(), 0))?;
        for (slot, bytes) in bytes.into_iter().enumerate() {
            mtr.op(root, PageOp::SlotInsert { slot, bytes })?;
        }
        mtr.commit();
        Ok(Split::Done)
    }

    fn split_child<'s>(
        &'s self,
        mut mtr: Mtr<'s, '_>,
        parent: Exclusive<'s>,
        leaf: Exclusive<'s>,
        key: &[u8],
    ) -> Result<Split, Stop> {
        let node = Node::new(leaf.view());
        let plan = split_plan(&node, key)?;
        let above = Slotted::new(parent.view());
        let slot = above.first_free();
        if !above.fits_insert(slot, 8 + plan.separator.len()) {
            return Ok(Split::DirectoryFull(plan.separator.len()));
        }
        let right = node.right_half(&plan);
        let (parent, leaf) = (mtr.add(parent), mtr.add(leaf));
        let new = mtr.allocate()?;
        let bytes = Entry::bytes(&plan.separator, mtr.page_no(new));
        mtr.op(new, PageOp::NodeInit(right))?;
        mtr.op(leaf, PageOp::NodeCut { count: plan.count, upper: Cow::Owned(plan.separator) })?;
        mtr.op(parent, PageOp::SlotInsert { slot, bytes })?;
        mtr.commit();
        Ok(Split::Done)
    }

    /// Gives the upper half of the entries on the way to `key` to a new page, unless there is room by now.
    fn try_split_page(&self, key: &[u8], key_len: usize) -> Result<(), Stop> {
        let mut mtr = self.mtr()?;
        let Some((page, _)) = self.find(Towards::Key(key), &Access::Normal)?.parent else { return Ok(()) };
        let page = page.upgrade()?;
        let slotted = Slotted::new(page.view());
        if slotted.fits_insert(slotted.first_free(), 8 + key_len) {
            return Ok(());
        }
        let (mut entries, behind) = (entries(page.view()), next(page.view()));
        let moved = entries.split_off(entries.len() / 2);
        let page = mtr.add(page);
        let new = mtr.allocate()?;
        let link = mtr.page_no(new).get();
        mtr.op(new, init(self.id(), behind.map_or(0, PageNo::get)))?;
        for (slot, entry) in moved.into_iter().enumerate() {
            mtr.op(new, PageOp::SlotInsert { slot, bytes: Entry::bytes(&entry.from, entry.child) })?;
            mtr.op(page, PageOp::SlotDelete { slot: entry.slot })?;
        }
        mtr.op(page, PageOp::SlottedHeader { link, aux: 0 })?;
        mtr.commit();
        Ok(())
    }
}
