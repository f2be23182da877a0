//! Giving pages back: extents of values nobody needs, and leaves.

use super::extents::{Extent, Extents};
use super::{FILE, Leaves, Rows, Stop, Towards, empty_root, mtr_bytes, retry};
use crate::traits::Index;
use aether_page::node::Node;
use aether_page::overflow::Stub;
use aether_page::{PageOp, Swip, header};
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::Access;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{ActiveTxn, Mtr, Store};
use aether_txn::{TxnManager, UndoRecord};
use aether_types::{Error, ErrorKind, Lv, PageNo, Psn, Result};

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

/// A row that lists extents to be freed in one group, for [`Rows::remove_with_extents`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// The key of the row.
    pub key: Vec<u8>,
    /// First page and page count of each.
    pub extents: Vec<(PageNo, u64)>,
}

/// The extents behind a stub, in rising order, as many together as one group frees. Blocks for a list of extents.
///
/// # Errors
/// `Corruption`.
pub fn extents_by_group(store: &Store, stub: &[u8]) -> Result<Vec<Vec<(PageNo, u64)>>> {
    let all = Extents::of(store, &Stub::decode(stub)?)?.sorted();
    Ok(all.chunks(GROUP_EXTENTS).map(<[_]>::to_vec).collect())
}

/// Frees the extents behind stubs that no version refers to any more. Blocks; holds no latch before.
///
/// # Errors
/// The first, of a stub whose extents stay in use; the others are freed all the same.
pub fn free_values(store: &Store, stubs: &[Vec<u8>]) -> Result<()> {
    let (mut all, mut failed) = (Vec::new(), Ok(()));
    for stub in stubs {
        match Stub::decode(stub).and_then(|stub| Extents::of(store, &stub)) {
            Ok(extents) => all.extend(extents.sorted()),
            Err(error) => failed = failed.and(Err(error)),
        }
    }
    all.sort_unstable();
    free_extents(store, all)?;
    failed
}

/// Frees the first few of `extents`, which rise, in the group that removes what refers to them; leaves the rest there, for
/// [`free_extents`].
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
    /// Frees the root as part of a group; as [`Index::free_root`].
    pub fn free_root(&self, mtr: &mut Mtr<'_, '_>) -> Result<()> {
        let root = mtr.add(mtr.store().pool().exclusive(FILE, Swip::new(self.root()))?);
        mtr.free(root)
    }

    /// Takes the row of `key` out, for everybody, and frees the root of `index`, which has nothing else left: in one group, so that a crash
    /// loses no root that is on no list, and lists none that is free. The row is committed, durable, and nobody changes it. Blocks.
    ///
    /// # Errors
    /// `Corruption` without the row, or with one that is not settled; those of pages and of the log. Then nothing has changed.
    pub fn remove_with_root(&self, key: &[u8], index: &dyn Index) -> Result<()> {
        retry(|| self.try_remove_with(&[key], &|mtr, _| index.free_root(mtr)))?;
        self.merge(key)
    }

    /// Takes rows that list extents out, for everybody, and frees their extents: as [`Rows::remove_with_root`]. Rows of keys that rise, each
    /// with its extents, which rise and nobody refers to; the first of them that stand in one leaf and fit a group. Returns how many.
    ///
    /// # Errors
    /// As there.
    pub fn remove_with_extents(&self, rows: &[Listed]) -> Result<usize> {
        let Some(first) = rows.first() else { return Ok(0) };
        let mut sum = 0;
        let fitting = rows.iter().take_while(|row| {
            sum += row.extents.len().max(1);
            sum <= GROUP_EXTENTS
        });
        let rows = &rows[..fitting.count().max(1)];
        let mut floor = Psn::new(0);
        for row in rows {
            floor = floor.max(highest_psn(self.store(), &row.extents, floor)?);
        }
        let keys: Vec<&[u8]> = rows.iter().map(|row| &row.key[..]).collect();
        let free = |mtr: &mut Mtr<'_, '_>, found: usize| {
            let mut extents: Vec<Extent> = rows[..found].iter().flat_map(|row| row.extents.clone()).collect();
            extents.sort_unstable();
            extents.iter().try_for_each(|(first, pages)| mtr.free_run(*first, *pages, floor))
        };
        let (found, is_empty) = retry(|| self.try_remove_with(&keys, &free))?;
        // Rows come and go here, as many as before: a leaf that is merely sparse will be split again.
        if is_empty {
            self.merge(&first.key)?;
        }
        Ok(found)
    }

    /// Takes out those of the rows that stand in the leaf of the first; `free` frees in the same group what they list. How many they were,
    /// and whether no row is left in that leaf.
    fn try_remove_with(
        &self,
        keys: &[&[u8]],
        free: &impl Fn(&mut Mtr<'_, '_>, usize) -> Result<()>,
    ) -> Result<(usize, bool), Stop> {
        let mut mtr = self.store().mtr(self.stream(), mtr_bytes(self.store()))?;
        let leaf = self.leaf(Towards::Key(keys[0]), &Access::Normal)?.upgrade()?;
        let (node, mut slots) = (Node::new(leaf.view()), Vec::with_capacity(keys.len()));
        for key in keys {
            let wrong = |what: &str| Error::corruption(what).at_file(FILE).at_key(key);
            // Keys are stored without what all of a leaf share: one of another leaf may look like one of this.
            let slot = if node.in_fences(key) { node.search(key).ok() } else { None };
            let Some(slot) = slot.filter(|slot| !node.flags(*slot).is_ghost()) else {
                if slots.is_empty() {
                    return Err(wrong("a row that lists what is to be freed is missing").into());
                }
                break;
            };
            if node.version(slot).is_some_and(|(writer, _)| !self.manager().is_settled(writer)) {
                // What crashes may undo is not taken out for good; whoever calls has waited for its transaction.
                return Err(wrong("a row that lists what is to be freed is not settled").into());
            }
            slots.push(slot);
        }
        let is_empty = node.count() == slots.len();
        let leaf = mtr.add(leaf);
        slots.iter().rev().try_for_each(|slot| mtr.op(leaf, PageOp::LeafRemove { slot: *slot }))?;
        free(&mut mtr, slots.len())?;
        mtr.commit();
        Ok((slots.len(), is_empty))
    }
}

/// Frees the children of the node `page`, which are empty leaves, and makes the node one, in one group. That group is lost with those that have
/// emptied the children: they say what has been freed below. Blocks.
pub(crate) fn collapse<L: Leaves>(index: &L, page: PageNo, children: &[PageNo]) -> Result<()> {
    let (store, mut freed, mut deps) = (index.store(), Vec::with_capacity(children.len()), Lv::ZERO);
    for child in children {
        let guard = store.pool().shared(FILE, Swip::new(*child))?;
        deps.join(&guard.page_lv());
        freed.push((*child, header::psn(guard.view())));
    }
    freed.sort_unstable();
    let mut mtr = store.mtr(index.stream(), mtr_bytes(store))?;
    mtr.depend(&deps);
    let node = mtr.add(store.pool().exclusive(FILE, Swip::new(page))?);
    mtr.op(node, empty_root(index.id()))?;
    freed.into_iter().try_for_each(|(child, psn)| mtr.free_run(child, 1, psn))?;
    mtr.commit();
    Ok(())
}

/// Frees the extents of a leaf's rows, each row taken out in the group that does that: so a crash in between loses none, but of a value
/// of more extents than a group frees. For [`Leaves::clear`]. Blocks.
pub fn empty_leaf<L: Leaves>(index: &L, page: PageNo) -> Result<()> {
    let store = index.store();
    loop {
        let (mut slots, mut extents) = (Vec::new(), Vec::new());
        for (slot, stub) in stubs(store, page)? {
            let more = Extents::of(store, &Stub::decode(&stub)?)?.sorted();
            if !slots.is_empty() && extents.len() + more.len() > GROUP_EXTENTS {
                break;
            }
            slots.push(slot);
            extents.extend(more);
        }
        if slots.is_empty() {
            return Ok(());
        }
        extents.sort_unstable();
        free_rows(index, page, &slots, extents)?;
    }
}

/// Takes all rows out of a root that is a leaf and names no extents any more. Blocks.
pub(crate) fn empty_root_leaf<L: Leaves>(index: &L) -> Result<()> {
    let has_rows = Node::new(index.store().pool().shared(FILE, Swip::new(index.root()))?.view()).count() > 0;
    if has_rows { collapse(index, index.root(), &[]) } else { Ok(()) }
}

/// Takes rows out of a leaf and frees their extents.
fn free_rows<L: Leaves>(index: &L, page: PageNo, slots: &[usize], mut extents: Vec<Extent>) -> Result<()> {
    let store = index.store();
    let floor = highest_psn(store, &extents, Psn::new(0))?;
    let mut mtr = store.mtr(index.stream(), mtr_bytes(store))?;
    let leaf = mtr.add(store.pool().exclusive(FILE, Swip::new(page))?);
    slots.iter().rev().try_for_each(|slot| mtr.op(leaf, PageOp::LeafRemove { slot: *slot }))?;
    free_some(&mut mtr, &mut extents, floor)?;
    mtr.commit();
    free_extents(store, extents)
}

/// The stubs of a leaf's large values, with their slots.
fn stubs(store: &Store, page: PageNo) -> Result<Vec<(usize, Vec<u8>)>> {
    let guard = store.pool().shared(FILE, Swip::new(page))?;
    let node = Node::new(guard.view());
    let slots = (0..node.count()).filter(|slot| node.flags(*slot).is_overflow());
    Ok(slots.map(|slot| (slot, node.row(slot).value.into_owned())).collect())
}

#[cfg(all(test, feature = "btree", not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::btree::{BTree, TreeUndo};
    use aether_page::space_map::entries_per_page;
    use aether_sync::Arc;
    use aether_txn::recovery::wal::buffer::BufferConfig;
    use aether_txn::recovery::{Opening, StoreConfig};
    use aether_txn::{Durability, TxnConfig};
    use aether_types::PageSize;
    use aether_vfs::Env;
    use std::path::Path;

    fn manager() -> Result<Arc<TxnManager>> {
        let buffer = BufferConfig {
            num_frames: 4096,
            page_size: PageSize::MIN,
            enable_page_provider: false,
            prefetch_threads: 0,
            ..BufferConfig::default()
        };
        let mut config = StoreConfig { buffer, ..StoreConfig::default() };
        (config.wal.streams, config.wal.flusher) = (2, false);
        let opening = Opening::begin(Env::memory(), Path::new("/home"), config, true)?;
        let redone = opening.scan()?.redo_with(|_| Vec::new())?;
        let floor = redone.timestamp_floor();
        let (store, losers, _) = redone.into_parts();
        let config = TxnConfig::new(Durability::None);
        TxnManager::resume(store, losers, floor, config, Box::new(TreeUndo))
    }

    fn put(manager: &Arc<TxnManager>, tree: &BTree, key: &[u8], bytes: usize) -> Result<()> {
        let mut txn = manager.begin();
        tree.put(&mut txn, key, &vec![7; bytes])?;
        txn.commit_with(Durability::None).map(drop)
    }

    fn page_lv(store: &Store, page: PageNo) -> Result<Lv> {
        Ok(store.pool().shared(FILE, Swip::new(page))?.page_lv())
    }

    /// The leaves stand on the first map page, the large values of their rows on the second, so no map page tells of both; and the groups
    /// go to two streams.
    #[test]
    fn a_parent_says_what_was_freed_below_its_children() -> Result<()> {
        let manager = manager()?;
        let store = manager.store();
        let mut txn = manager.begin();
        let (tree, other) = (BTree::create(&mut txn, 16)?, BTree::create(&mut txn, 17)?);
        drop(txn.commit_with(Durability::None)?);
        (0..60).try_for_each(|key| put(&manager, &tree, &[key], 100))?;
        (0..8).try_for_each(|key| put(&manager, &other, &[key], 1 << 20))?;
        (0..60).try_for_each(|key| put(&manager, &other, &[9, key], 20_000))?;
        (200..208).try_for_each(|key| put(&manager, &tree, &[key], 20_000))?;
        assert!(store.space_stats()?.pages > entries_per_page(PageSize::MIN) as u64 + 2);

        let children: Vec<PageNo> = {
            let guard = store.pool().shared(FILE, Swip::new(tree.root()))?;
            let node = Node::new(guard.view());
            (0..node.count() + 1).map(|index| node.child(index).page()).collect()
        };
        let stream = store.pick_stream();
        children.iter().try_for_each(|child| empty_leaf(&*tree, *child))?;
        while store.pick_stream() == stream {
            manager.begin().begin_write()?;
        }
        let below: Vec<Lv> = children.iter().map(|child| page_lv(store, *child)).collect::<Result<_>>()?;
        collapse(&*tree, tree.root(), &children)?;
        let root = page_lv(store, tree.root())?;
        assert!(below.iter().all(|lv| root.covers(lv)), "{below:?}");
        Ok(())
    }
}
