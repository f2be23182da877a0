//! The way to a leaf. Nothing is latched: what is read counts once the page has been validated, and a page is validated after the next
//! one was fixed, so that what was fixed is what the page named.

use crate::Directory;
use crate::page::{Entry, entries, is_directory, next};
use aether_index::rows::{Found, Leaves, Stop, Towards};
use aether_index::txn::recovery::PAGES_FILE;
use aether_index::txn::recovery::wal::buffer::page::node::Node;
use aether_index::txn::recovery::wal::buffer::page::{Swip, header};
use aether_index::txn::recovery::wal::buffer::{Access, Optimistic};
use aether_types::{Error, PageNo, Result};

/// Directory pages of one index at the most: a list that is longer leads back into itself.
pub(crate) const PAGES_MAX: usize = 1 << 20;

impl Directory {
    fn fix(&self, page: PageNo, access: &Access<'_>) -> Result<Optimistic<'_>, Stop> {
        Ok(self.pool().optimistic(PAGES_FILE, Swip::new(page), access)?)
    }

    pub(crate) fn find(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop> {
        let mut here = self.fix(self.root(), &Access::Normal)?;
        if !is_directory(here.view(), self.id()) {
            return self.leaf_found(Found { node: here, parent: None });
        }
        for _ in 0..PAGES_MAX {
            match self.next_on_the_way(&here, towards)? {
                Some(next) => here = next,
                None => return self.child_of(here, towards, access),
            }
        }
        Err(self.damaged(&here, "the list of directory pages leads back into itself"))
    }

    /// The next directory page, if its first child is still on the way.
    fn next_on_the_way(
        &self,
        here: &Optimistic<'_>,
        towards: Towards<'_>,
    ) -> Result<Option<Optimistic<'_>>, Stop> {
        let next = next(here.view());
        here.validate()?;
        let Some(next) = next else { return Ok(None) };
        let next = self.fix(next, &Access::Normal)?;
        here.validate()?;
        let first = entries(next.view()).into_iter().next();
        let is_ours = is_directory(next.view(), self.id());
        next.validate()?;
        match first {
            Some(first) if is_ours => Ok(first.is_on_the_way(towards).then_some(next)),
            _ => Err(self.damaged(&next, "no directory page of the index where one should be")),
        }
    }

    fn child_of<'p>(
        &'p self,
        here: Optimistic<'p>,
        towards: Towards<'_>,
        access: &Access<'_>,
    ) -> Result<Found<'p>, Stop> {
        let entries = entries(here.view());
        let found = entries.iter().enumerate().rev().find(|(_, entry)| entry.is_on_the_way(towards));
        let found = found.map(|(index, Entry { child, .. })| (index, *child));
        here.validate()?;
        let Some((index, child)) = found else {
            return Err(self.damaged(&here, "a directory page without the entry that led there"));
        };
        let node = self.fix(child, access)?;
        here.validate()?;
        self.leaf_found(Found { node, parent: Some((here, index)) })
    }

    fn leaf_found<'p>(&self, found: Found<'p>) -> Result<Found<'p>, Stop> {
        let node = Node::new(found.node.view());
        let is_ours = node.is_node() && node.is_leaf() && node.tree() == self.id();
        found.node.validate()?;
        if is_ours {
            Ok(found)
        } else {
            Err(self.damaged(&found.node, "no leaf of the index where one should be"))
        }
    }

    fn damaged(&self, page: &Optimistic<'_>, what: &str) -> Stop {
        Stop::Fail(Error::corruption(what).at_file(PAGES_FILE).at_page(header::page_no(page.view())))
    }
}
