//! Giving pages back: extents of values nobody needs, and leaves.

use super::extents::{Extent, Extents};
use super::{FILE, Leaves, Rows, empty_root, mtr_bytes};
use aether_page::node::Node;
use aether_page::overflow::Stub;
use aether_page::{Swip, header};
use aether_sync::Arc;
#[cfg(all(feature = "btree", feature = "skiplist"))]
use aether_txn::recovery::Mtr;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{ActiveTxn, Store};
use aether_txn::{TxnManager, UndoRecord};
use aether_types::{ErrorKind, PageNo, Psn, Result};

/// Extents freed in one group: each may have a map page of its own, and all these are latched together.
const GROUP_EXTENTS: usize = 8;

/// Frees the extents that an undo record lists, and moves the undo head, in one group.
pub fn undo_extents(manager: &Arc<TxnManager>, txn: &ActiveTxn, record: &UndoRecord<'_>) -> Result<()> {
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
pub(crate) fn highest_psn(store: &Store, extents: &[Extent], least: Psn) -> Result<Psn> {
    extents.iter().try_fold(least.next(), |highest, (first, _)| Ok(highest.max(psn_of(store, *first)?)))
}

/// The sequence number of a page, to free it with; 0 if it cannot be read.
pub fn psn_of(store: &Store, page: PageNo) -> Result<Psn> {
    match store.pool().shared(FILE, Swip::new(page)) {
        Ok(guard) => Ok(header::psn(guard.view())),
        Err(error) if error.kind() == ErrorKind::Corruption => Ok(Psn::new(0)),
        Err(error) => Err(error),
    }
}

/// Frees the extents behind a stub that no version refers to any more. Blocks; holds no latch before.
pub fn free_value(store: &Store, stub: &[u8]) -> Result<()> {
    free_extents(store, Extents::of(store, &Stub::decode(stub)?)?.sorted())
}

/// Frees the first few of `extents`, which rise, in the group that removes what refers to them; leaves the rest there, for
/// [`free_extents`].
#[cfg(all(feature = "btree", feature = "skiplist"))]
pub(crate) fn free_some(mtr: &mut Mtr<'_, '_>, extents: &mut Vec<Extent>, floor: Psn) -> Result<()> {
    let later = extents.split_off(extents.len().min(GROUP_EXTENTS));
    extents.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
    *extents = later;
    Ok(())
}

/// Frees extents that nothing refers to, in rising order, a few to a group. A crash in between loses the rest's space.
pub(crate) fn free_extents(store: &Store, extents: Vec<Extent>) -> Result<()> {
    for some in extents.chunks(GROUP_EXTENTS) {
        let floor = highest_psn(store, some, Psn::new(0))?;
        let mut mtr = store.mtr(store.pick_stream(), mtr_bytes(store))?;
        some.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
        mtr.commit();
    }
    Ok(())
}

impl<L: Leaves> Rows<L> {
    /// Frees every page of the index, the root too. Nobody else uses it any more. Blocks.
    pub fn free_all(&self) -> Result<()> {
        self.clear()?;
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let root = mtr.add(self.pool().exclusive(FILE, Swip::new(self.root()))?);
        mtr.free(root)?;
        mtr.commit();
        Ok(())
    }
}

/// Empties a leaf and frees the extents of its rows: in one group if they are few. For
/// [`Leaves::clear`]. Blocks.
pub fn empty_leaf<L: Leaves>(index: &L, page: PageNo) -> Result<()> {
    let store = index.store();
    let mut extents = Vec::new();
    for stub in stubs(store, page)? {
        extents.extend(Extents::of(store, &Stub::decode(&stub)?)?.sorted());
    }
    if extents.is_empty() {
        return Ok(());
    }
    extents.sort_unstable();
    let later = extents.split_off(extents.len().min(GROUP_EXTENTS));
    let floor = highest_psn(store, &extents, Psn::new(0))?;
    let mut mtr = store.mtr(index.stream(), mtr_bytes(store))?;
    let leaf = mtr.add(store.pool().exclusive(FILE, Swip::new(page))?);
    mtr.op(leaf, empty_root(index.id()))?;
    extents.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))?;
    mtr.commit();
    free_extents(store, later)
}

/// The stubs of a leaf's large values.
fn stubs(store: &Store, page: PageNo) -> Result<Vec<Vec<u8>>> {
    let guard = store.pool().shared(FILE, Swip::new(page))?;
    let node = Node::new(guard.view());
    let stubs = (0..node.count()).filter(|slot| node.flags(*slot).is_overflow());
    Ok(stubs.map(|slot| node.row(slot).value.into_owned()).collect())
}
