//! Giving pages back: extents of values nobody needs, and whole trees.
//!
//! A tree is freed from below, in groups that free a node's children and make the node an empty leaf: after a
//! crash in between, the walk begins again and meets no page that is free already.

use super::{BTree, FILE, mtr_bytes};
use aether_page::node::{Node, NodeImage};
use aether_page::overflow::Stub;
use aether_page::{PageOp, Swip, header};
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{ActiveTxn, Mtr, Store};
use aether_txn::{TxnManager, UndoRecord};
use aether_types::{ErrorKind, PageNo, Psn, Result};

/// Frees the extents that an undo record lists, and moves the undo head, in one group.
pub(crate) fn undo_extents(
    manager: &Arc<TxnManager>,
    txn: &ActiveTxn,
    record: &UndoRecord<'_>,
) -> Result<()> {
    let store = manager.store();
    let stub = Stub::decode(record.value)?;
    let floor = highest_psn(store, &stub, Psn::new(stub.checksum))?;
    let mut mtr = store.mtr(txn.stream(), mtr_bytes(store))?;
    stub.extents.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
    mtr.in_txn(txn, record.previous);
    mtr.commit();
    Ok(())
}

/// No page of the extents has a higher sequence number: all begin their lives at one above the floor. Pages that
/// were never filled count for nothing.
fn highest_psn(store: &Store, stub: &Stub, least: Psn) -> Result<Psn> {
    let mut highest = least.next();
    for (first, _) in &stub.extents {
        highest = highest.max(psn_of(store, *first)?);
    }
    Ok(highest)
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
    let mut mtr = store.mtr(store.pick_stream(), mtr_bytes(store))?;
    free_stub(store, &mut mtr, stub)?;
    mtr.commit();
    Ok(())
}

fn free_stub(store: &Store, mtr: &mut Mtr<'_, '_>, stub: &[u8]) -> Result<()> {
    let stub = Stub::decode(stub)?;
    let floor = highest_psn(store, &stub, Psn::new(0))?;
    let mut extents = stub.extents;
    extents.sort_unstable();
    extents.into_iter().try_for_each(|(first, pages)| mtr.free_run(first, pages, floor))
}

impl BTree {
    /// Frees every page of the tree but the root, which becomes an empty leaf. Nobody else uses the tree. Blocks.
    pub fn clear(&self) -> Result<()> {
        self.empty_node(self.root())
    }

    /// Frees every page of the tree, the root too. Nobody else uses the tree any more. Blocks.
    pub fn free_all(&self) -> Result<()> {
        self.empty_node(self.root())?;
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let root = mtr.add(self.pool().exclusive(FILE, Swip::new(self.root()))?);
        mtr.free(root)?;
        mtr.commit();
        Ok(())
    }

    /// Frees everything below a node and makes it an empty leaf.
    fn empty_node(&self, page: PageNo) -> Result<()> {
        let (level, children) = {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            let children = if node.is_leaf() { 0 } else { node.count() + 1 };
            (node.level(), (0..children).map(|index| node.child(index).page()).collect::<Vec<_>>())
        };
        if level == 0 {
            return self.empty_leaf(page);
        }
        children.iter().try_for_each(|child| self.empty_node(*child))?;
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

    /// Frees the extents of a leaf's rows, then its rows.
    fn empty_leaf(&self, page: PageNo) -> Result<()> {
        let stubs = {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            let stubs = (0..node.count()).filter(|slot| node.flags(*slot).is_overflow());
            stubs.map(|slot| node.row(slot).value.into_owned()).collect::<Vec<_>>()
        };
        if stubs.is_empty() {
            return Ok(());
        }
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let leaf = mtr.add(self.pool().exclusive(FILE, Swip::new(page))?);
        mtr.op(leaf, PageOp::NodeInit(NodeImage::leaf(self.id(), None, None)))?;
        let mut extents = Vec::new();
        for stub in &stubs {
            let stub = Stub::decode(stub)?;
            let floor = highest_psn(self.store(), &stub, Psn::new(0))?;
            extents.extend(stub.extents.iter().map(|(first, pages)| (*first, *pages, floor)));
        }
        extents.sort_unstable();
        extents.into_iter().try_for_each(|(first, pages, floor)| mtr.free_run(first, pages, floor))?;
        mtr.commit();
        Ok(())
    }
}
