//! Giving pages back: extents of values nobody needs, and whole trees.
//!
//! A tree is freed from below, in groups that free a node's children and make the node an empty leaf: after a
//! crash in between, the walk begins again and meets no page that is free already.

use super::extents::{Extent, Extents};
use super::{BTree, FILE, mtr_bytes};
use aether_page::node::{Node, NodeImage};
use aether_page::overflow::Stub;
use aether_page::{PageOp, Swip, header};
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{ActiveTxn, Store};
use aether_txn::{TxnManager, UndoRecord};
use aether_types::{Error, ErrorKind, PageNo, Psn, Result};

/// Extents freed in one group: each may have a map page of its own, and all these are latched together.
const GROUP_EXTENTS: usize = 8;

/// Frees the extents that an undo record lists, and moves the undo head, in one group.
pub(crate) fn undo_extents(
    manager: &Arc<TxnManager>,
    txn: &ActiveTxn,
    record: &UndoRecord<'_>,
) -> Result<()> {
    let store = manager.store();
    let stub = Stub::decode(record.value)?;
    let floor = highest_psn(store, &stub.extents, Psn::new(stub.checksum))?;
    let mut mtr = store.mtr(txn.stream(), mtr_bytes(store))?;
    stub.extents.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
    mtr.in_txn(txn, record.previous);
    mtr.commit();
    Ok(())
}

/// No page of the extents has a higher sequence number: all begin their lives at one above the floor. Pages that
/// were never filled count for nothing.
fn highest_psn(store: &Store, extents: &[Extent], least: Psn) -> Result<Psn> {
    extents.iter().try_fold(least.next(), |highest, (first, _)| Ok(highest.max(psn_of(store, *first)?)))
}

fn psn_of(store: &Store, page: PageNo) -> Result<Psn> {
    match store.pool().shared(FILE, Swip::new(page)) {
        Ok(guard) => Ok(header::psn(guard.view())),
        Err(error) if error.kind() == ErrorKind::Corruption => Ok(Psn::new(0)),
        Err(error) => Err(error),
    }
}

/// Frees the extents behind a stub that no version refers to any more. Blocks; holds no latch before.
pub(crate) fn free_value(store: &Store, stub: &[u8]) -> Result<()> {
    free_extents(store, Extents::of(store, &Stub::decode(stub)?)?.sorted())
}

/// Frees extents that nothing refers to, in rising order, a few to a group. A crash in between loses the rest's space.
fn free_extents(store: &Store, extents: Vec<Extent>) -> Result<()> {
    for some in extents.chunks(GROUP_EXTENTS) {
        let floor = highest_psn(store, some, Psn::new(0))?;
        let mut mtr = store.mtr(store.pick_stream(), mtr_bytes(store))?;
        some.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
        mtr.commit();
    }
    Ok(())
}

impl BTree {
    /// Frees every page of the tree but the root, which becomes an empty leaf. Nobody else uses the tree. Blocks.
    pub fn clear(&self) -> Result<()> {
        self.empty_node(self.root(), None)
    }

    /// Frees every page of the tree, the root too. Nobody else uses the tree any more. Blocks.
    pub fn free_all(&self) -> Result<()> {
        self.empty_node(self.root(), None)?;
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let root = mtr.add(self.pool().exclusive(FILE, Swip::new(self.root()))?);
        mtr.free(root)?;
        mtr.commit();
        Ok(())
    }

    /// Frees everything below a node, itself below a node of level `above`, and makes it an empty leaf.
    fn empty_node(&self, page: PageNo, above: Option<u8>) -> Result<()> {
        let (level, children) = {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            // What is emptied is lost: a reference that leads elsewhere must not take another's pages along.
            let is_ours = node.is_node() && node.tree() == self.id();
            if !is_ours || above.is_some_and(|above| node.level() >= above) {
                let what = format!("a reference of tree {} leads to a page of another", self.id());
                return Err(Error::corruption(what).at_file(FILE).at_page(page));
            }
            let children = if node.is_leaf() { 0 } else { node.count() + 1 };
            (node.level(), (0..children).map(|index| node.child(index).page()).collect::<Vec<_>>())
        };
        if level == 0 {
            return self.empty_leaf(page);
        }
        children.iter().try_for_each(|child| self.empty_node(*child, Some(level)))?;
        let psns = children.iter().map(|child| psn_of(self.store(), *child)).collect::<Result<Vec<_>>>()?;
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let node = mtr.add(self.pool().exclusive(FILE, Swip::new(page))?);
        mtr.op(node, PageOp::NodeInit(NodeImage::leaf(self.id(), None, None)))?;
        let mut freed: Vec<_> = children.into_iter().zip(psns).collect();
        freed.sort_unstable();
        freed.into_iter().try_for_each(|(child, psn)| mtr.free_run(child, 1, psn))?;
        mtr.commit();
        Ok(())
    }

    /// Empties a leaf and frees the extents of its rows: in one group if they are few.
    fn empty_leaf(&self, page: PageNo) -> Result<()> {
        let store = self.store();
        let mut extents = Vec::new();
        for stub in self.stubs(page)? {
            extents.extend(Extents::of(store, &Stub::decode(&stub)?)?.sorted());
        }
        if extents.is_empty() {
            return Ok(());
        }
        extents.sort_unstable();
        let later = extents.split_off(extents.len().min(GROUP_EXTENTS));
        let floor = highest_psn(store, &extents, Psn::new(0))?;
        let mut mtr = store.mtr(self.stream(), mtr_bytes(store))?;
        let leaf = mtr.add(self.pool().exclusive(FILE, Swip::new(page))?);
        mtr.op(leaf, PageOp::NodeInit(NodeImage::leaf(self.id(), None, None)))?;
        extents.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
        mtr.commit();
        free_extents(store, later)
    }

    /// The stubs of a leaf's large values.
    fn stubs(&self, page: PageNo) -> Result<Vec<Vec<u8>>> {
        let guard = self.pool().shared(FILE, Swip::new(page))?;
        let node = Node::new(guard.view());
        let stubs = (0..node.count()).filter(|slot| node.flags(*slot).is_overflow());
        Ok(stubs.map(|slot| node.row(slot).value.into_owned()).collect())
    }
}
