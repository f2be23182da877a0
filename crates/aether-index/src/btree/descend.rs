//! Down the tree: optimistic lock coupling, hand over hand.
//!
//! At each level: read the child's reference, fix the child, and only then validate the parent: if the parent has
//! not changed, the child that was fixed is the right one and was so when its version was read.

use super::Tree;
use crate::rows::{FILE, Found, Leaves, Stop, Towards};
use crate::trace;
use aether_page::Swip;
use aether_page::node::Node;
use aether_trace::planted;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, Optimistic, Restart};
use aether_types::{Error, Result};

impl Towards<'_> {
    fn child_index(self, node: &Node<'_>) -> usize {
        match self {
            Self::Key(key) => node.child_index(key),
            Self::Below(key) => node.search(key).unwrap_or_else(|index| index),
            Self::Last => node.count(),
        }
    }
}

impl Tree {
    #[inline(always)]
    fn root_guard(&self, access: &Access<'_>) -> Result<Optimistic<'_>, Stop> {
        let swip = self.root_swip();
        let root = trace::fix_root(|| self.pool().optimistic(FILE, swip, access))?;
        if swip.hint() != Some(root.frame()) {
            self.note_root_frame(root.frame());
        }
        Ok(root)
    }

    /// The node of `level` towards a key; the root if the tree is not that high.
    #[inline(always)]
    pub(crate) fn node_at(
        &self,
        towards: Towards<'_>,
        level: u8,
        access: &Access<'_>,
    ) -> Result<Found<'_>, Stop> {
        let mut found = Found { node: self.root_guard(&Access::Normal)?, parent: None };
        loop {
            let node = Node::new(found.node.view());
            let here = node.level();
            if here <= level {
                found.node.validate()?;
                return Ok(found);
            }
            let index = towards.child_index(&node);
            let swip = node.child(index);
            // Inner pages are everybody's: only the leaf is the scan's own.
            let access = if here == level + 1 { access } else { &Access::Normal };
            let child = self.child(&found.node, &node, index, swip, access)?;
            let below = Node::new(child.view());
            if below.level() + 1 != here {
                child.validate()?;
                return Err(Stop::Fail(self.wrong_level(swip, here, below.level())));
            }
            found = Found { node: child, parent: Some((found.node, index)) };
        }
    }

    /// Fixes a child and validates the parent that named it.
    #[inline]
    fn child(
        &self,
        parent: &Optimistic<'_>,
        node: &Node<'_>,
        index: usize,
        swip: Swip,
        access: &Access<'_>,
    ) -> Result<Optimistic<'_>, Stop> {
        let hinted = || self.pool().hinted(FILE, swip, access).ok_or(Restart);
        if let Ok(child) = trace::fix_child(swip, hinted) {
            trace::couple(|| validate_parent(parent))?;
            return Ok(child);
        }
        // The reference must be a real one before a page is loaded for it.
        parent.validate()?;
        let child = trace::fix_child(swip, || self.pool().optimistic(FILE, swip, access))?;
        trace::couple(|| validate_parent(parent))?;
        parent.repair_hint(node.child_word_offset(index), swip, child.frame());
        Ok(child)
    }

    fn wrong_level(&self, swip: Swip, above: u8, found: u8) -> Error {
        Error::corruption(format!("a node of level {found} below one of level {above}"))
            .at_file(FILE)
            .at_page(swip.page())
    }
}

fn validate_parent(parent: &Optimistic<'_>) -> Result<(), Restart> {
    if planted("parent-is-not-validated") { Ok(()) } else { parent.validate() }
}
