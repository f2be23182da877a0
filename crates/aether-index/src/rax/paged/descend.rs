//! Down the directory, hand over hand.

use super::Directory;
use crate::rows::{FILE, Found, Leaves, Stop, Towards};
use aether_page::Swip;
use aether_page::header;
use aether_page::node::Node;
use aether_page::radix::Radix;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Optimistic};
use aether_types::{Error, Result};

/// Nodes on a way that no sound directory has: each takes a byte of a key, or is split off from rows beside them.
const NODES_MAX: usize = 1 << 16;

impl Towards<'_> {
    #[inline]
    fn radix_index(self, node: &Radix<'_>) -> usize {
        match self {
            Self::Key(key) => node.child_index(key),
            Self::Below(key) => node.child_index_below(key),
            Self::Last => node.count(),
        }
    }
}

impl Directory {
    fn root_guard(&self) -> Result<Optimistic<'_>, Stop> {
        let swip = self.root_swip();
        let root = self.pool().optimistic(FILE, swip, &Access::Normal)?;
        if swip.hint() != Some(root.frame()) {
            self.note_root_frame(root.frame());
        }
        Ok(root)
    }

    pub(super) fn find(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop> {
        let mut found = Found { node: self.root_guard()?, parent: None };
        for _ in 0..NODES_MAX {
            let node = Radix::new(found.node.view());
            if !node.is_radix() {
                return self.leaf_found(found);
            }
            let index = towards.radix_index(&node);
            let child = self.child(&found.node, &node, index, access)?;
            found = Found { node: child, parent: Some((found.node, index)) };
        }
        found.node.validate()?;
        Err(Stop::Fail(self.damaged(&found.node, "radix nodes lead back to themselves")))
    }

    fn leaf_found<'p>(&self, found: Found<'p>) -> Result<Found<'p>, Stop> {
        let node = Node::new(found.node.view());
        let is_ours = node.is_node() && node.is_leaf() && node.tree() == self.id();
        found.node.validate()?;
        if !is_ours {
            return Err(Stop::Fail(
                self.damaged(&found.node, "a page below a radix node is no leaf of its index"),
            ));
        }
        Ok(found)
    }

    fn damaged(&self, page: &Optimistic<'_>, what: &str) -> Error {
        Error::corruption(what).at_file(FILE).at_page(header::page_no(page.view()))
    }

    /// Fixes a child and validates the parent that named it.
    #[inline]
    fn child(
        &self,
        parent: &Optimistic<'_>,
        node: &Radix<'_>,
        index: usize,
        access: &Access<'_>,
    ) -> Result<Optimistic<'_>, Stop> {
        let swip: Swip = node.child(index);
        if let Some(child) = self.pool().hinted(FILE, swip, access) {
            parent.validate()?;
            return Ok(child);
        }
        // The reference must be a real one before a page is loaded for it.
        parent.validate()?;
        let child = self.pool().optimistic(FILE, swip, access)?;
        parent.validate()?;
        parent.repair_hint(node.child_word_offset(index), swip, child.frame());
        Ok(child)
    }
}
