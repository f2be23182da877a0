//! Giving the pages back. Leaves are emptied first; then directory pages go, the second of the list each time, with their leaves; at last the
//! root becomes an empty leaf again. A crash in between leaves a list that is shorter, and the next time goes on.

use crate::Directory;
use crate::find::PAGES_MAX;
use crate::page::{Entry, entries, is_directory, next};
use aether_index::rows::{Leaves, empty_leaf, psn_of};
use aether_index::txn::recovery::wal::buffer::page::node::NodeImage;
use aether_index::txn::recovery::wal::buffer::page::{PageOp, Swip};
use aether_index::txn::recovery::{Mtr, PAGES_FILE};
use aether_types::{Error, PageNo, Result};

/// What a directory page says.
struct Page {
    entries: Vec<Entry>,
    next: Option<PageNo>,
}

impl Directory {
    pub(crate) fn empty(&self) -> Result<()> {
        let Some(mut root) = self.read(self.root())? else { return empty_leaf(self, self.root()) };
        for _ in 0..PAGES_MAX {
            let Some(second) = root.next else { break };
            let Some(page) = self.read(second)? else {
                let what = "no directory page of the index where one should be";
                return Err(Error::corruption(what).at_file(PAGES_FILE).at_page(second));
            };
            self.empty_leaves(&page)?;
            self.free_second(second, &page)?;
            root.next = page.next;
        }
        self.empty_leaves(&root)?;
        self.free_last(&root)
    }

    fn read(&self, page: PageNo) -> Result<Option<Page>> {
        let guard = self.pool().shared(PAGES_FILE, Swip::new(page))?;
        let page = || Page { entries: entries(guard.view()), next: next(guard.view()) };
        Ok(is_directory(guard.view(), self.id()).then(page))
    }

    fn empty_leaves(&self, page: &Page) -> Result<()> {
        page.entries.iter().try_for_each(|entry| empty_leaf(self, entry.child))
    }

    fn free_second(&self, second: PageNo, page: &Page) -> Result<()> {
        let link = page.next.map_or(0, PageNo::get);
        let children = page.entries.iter().map(|entry| entry.child).chain([second]);
        self.free(children, PageOp::SlottedHeader { link, aux: 0 })
    }

    fn free_last(&self, root: &Page) -> Result<()> {
        let children = root.entries.iter().map(|entry| entry.child);
        self.free(children, PageOp::NodeInit(NodeImage::leaf(self.id(), None, None)))
    }

    /// Frees pages that nothing will refer to any more once the root has changed, in the same group.
    fn free(&self, pages: impl Iterator<Item = PageNo>, root: PageOp<'static>) -> Result<()> {
        let psn = |page| Ok((page, psn_of(self.store(), page)?));
        let mut freed = pages.map(psn).collect::<Result<Vec<_>>>()?;
        freed.sort_unstable();
        let mut mtr: Mtr<'_, '_> = self.store().mtr(self.stream(), self.store().group_bytes())?;
        let page = mtr.add(self.pool().exclusive(PAGES_FILE, Swip::new(self.root()))?);
        mtr.op(page, root)?;
        freed.into_iter().try_for_each(|(page, psn)| mtr.free_run(page, 1, psn))?;
        mtr.commit();
        Ok(())
    }
}
