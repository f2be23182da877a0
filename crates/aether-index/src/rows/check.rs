//! Walks a whole index and reports every broken rule. The way down is the index's own; leaves and large values are
//! the same for all.

use super::extents::{Extent, Extents, read_page};
use super::read::{Newest, Seen, newest, older};
use super::{FILE, Leaves, Rows, Stop};
use crate::findings::IndexCheck;
use aether_page::node::Node;
use aether_page::overflow::Stub;
use aether_page::space_map::PageState;
use aether_page::{Swip, View, check_page};
use aether_sync::Arc;
use aether_txn::recovery::Store;
use aether_txn::recovery::wal::buffer::Shared;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ReadView, TxnManager};
use aether_types::{ErrorKind, Hasher, PageNo, Result};

impl<L: Leaves> Rows<L> {
    /// Checks order, fences, page layout, the bytes on disk, what leads to each leaf, and the large values that `view` shows.
    /// Others may go on meanwhile: each leaf is reached from the root hand over hand, so that what a page is compared with is what its
    /// parent says at that moment.
    ///
    /// # Errors
    /// `Io`; a damaged page is a problem, not an error.
    pub fn check(&self, view: &ReadView) -> Result<IndexCheck> {
        let (found, path, stubs) = (IndexCheck::default(), Vec::new(), Vec::new());
        let mut walk = Walk { txns: self.manager(), view, found, path, stubs };
        let (mut key, mut more) = (Vec::new(), true);
        while more {
            let next = self.check_down(&mut walk, &key)?;
            walk.values()?;
            more = next.as_ref().is_some_and(|next| *next > key);
            if next.is_some() && !more {
                walk.found.problems.push("a leaf ends before it begins".into());
            }
            key = next.unwrap_or_default();
        }
        Ok(walk.found)
    }
}

/// A check under way.
pub struct Walk<'t> {
    txns: &'t Arc<TxnManager>,
    view: &'t ReadView,
    found: IndexCheck,
    /// The page last met at each depth below the root.
    path: Vec<PageNo>,
    /// Stubs of the leaf last met.
    stubs: Vec<Vec<u8>>,
}

impl<'t> Walk<'t> {
    fn store(&self) -> &'t Arc<Store> {
        self.txns.store()
    }

    /// Notes a broken rule.
    pub fn problem(&mut self, what: String) {
        self.found.problems.push(what);
    }

    /// The page, if it is sound, shared; what is wrong with it is noted: its bytes on disk, its layout, the space map's
    /// word for it, and what `rules` finds. `depth` is that below the root; a page that was met there last is not looked at
    /// again. Blocks for reads.
    pub fn page(
        &mut self,
        page: PageNo,
        depth: usize,
        rules: impl FnOnce(View<'_>) -> Vec<String>,
    ) -> Result<Option<Shared<'t>>> {
        let store = self.store();
        let was_met = self.path.get(depth) == Some(&page);
        let scrubbed = if was_met { Ok(()) } else { store.pool().scrub(FILE, page) };
        let Some(guard) = self.sound(scrubbed.and_then(|()| store.pool().shared(FILE, Swip::new(page))))?
        else {
            return Ok(None);
        };
        if was_met {
            return Ok(Some(guard));
        }
        let mut problems = check_page(guard.view());
        problems.extend(rules(guard.view()));
        match store.page_state(page) {
            Ok(PageState::Used) => {}
            Ok(_) => problems.push("the space map says it is not in use".into()),
            Err(error) => drop(self.sound::<()>(Err(error))?),
        }
        if !problems.is_empty() {
            self.found.problems.extend(problems.into_iter().map(|what| format!("{page}: {what}")));
            return Ok(None);
        }
        self.path.truncate(depth);
        self.path.resize(depth, PageNo::new(0));
        self.path.push(page);
        self.found.nodes += 1;
        Ok(Some(guard))
    }

    /// Checks the rows of a sound leaf from `key` on: one that was merged meanwhile holds rows below that were met before.
    /// Returns where the next leaf begins.
    ///
    /// # Errors
    /// `Io`.
    pub fn leaf(&mut self, node: &Node<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.found.leaves += 1;
        let first = node.search(key).unwrap_or_else(|index| index);
        for slot in first..node.count() {
            self.found.entries += u64::from(!node.flags(slot).is_ghost());
            if !node.flags(slot).is_overflow() && node.version(slot).is_none() {
                continue;
            }
            let (mut key, mut value) = (Vec::new(), Vec::new());
            node.key_into(slot, &mut key);
            let seen = match newest(node, slot, self.view, &mut value) {
                Newest::Older(writer, undo) => older(self.txns, self.view, &key, (writer, undo), &mut value),
                Newest::Seen(seen) => Ok(seen),
                Newest::Misled => Ok(Seen::Absent),
            };
            match seen {
                Ok(Seen::Stub) => self.stubs.push(value),
                Ok(_) | Err(Stop::Restart) => {}
                Err(Stop::Fail(error)) => drop(self.sound::<()>(Err(error))?),
            }
        }
        Ok(node.upper())
    }

    /// What a call gives; damage is noted as a problem.
    fn sound<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::Corruption => {
                self.found.problems.push(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks the large values of the leaf last met, without its latch: the view keeps their pages.
    fn values(&mut self) -> Result<()> {
        for stub in core::mem::take(&mut self.stubs) {
            if let Some(stub) = self.sound(Stub::decode(&stub))? {
                self.value(&stub)?;
            }
        }
        Ok(())
    }

    /// Reads every page of a large value and looks it up in the space map.
    fn value(&mut self, stub: &Stub) -> Result<()> {
        let Some(extents) = self.sound(Extents::of(self.store(), stub))? else { return Ok(()) };
        let (mut sum, mut length) = (Hasher::new(0), 0);
        for extent in &extents.data {
            self.extent(*extent, |bytes| {
                sum.update(bytes);
                length += bytes.len() as u64;
            })?;
        }
        if (length, sum.finish()) != (stub.len, stub.checksum) {
            self.found.problems.push("a large value does not match its length and checksum".into());
        }
        extents.list.iter().try_for_each(|extent| self.extent(*extent, |_| {}))
    }

    fn extent(&mut self, (first, pages): Extent, mut see: impl FnMut(&[u8])) -> Result<()> {
        let store = self.store();
        let mut bytes = Vec::new();
        for index in 0..pages {
            let page = first.offset(index);
            let wanted = match (index, pages) {
                (0, 1) => PageState::Used,
                (0, _) => PageState::ExtentFirst,
                _ => PageState::ExtentRest,
            };
            if self.sound(store.page_state(page))?.is_some_and(|state| state != wanted) {
                let what = format!("{page}: the space map does not know it as part of an extent");
                self.found.problems.push(what);
            }
            self.found.value_pages.push(page);
            bytes.clear();
            let scrubbed = store.pool().scrub(FILE, page);
            if self.sound(scrubbed.and_then(|()| read_page(store, first, index, &mut bytes)))?.is_some() {
                see(&bytes);
            }
        }
        Ok(())
    }
}
