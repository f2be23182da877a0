//! Down the directory, hand over hand.

use super::Directory;
use crate::rows::{FILE, Found, Leaves, Stop, Towards};
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
    pub(super) fn find(&self, towards: Towards<'_>, access: &Access<'_>) -> Result<Found<'_>, Stop> {
        let mut found = Found { node: self.base().fix_root()?, parent: None };
        for _ in 0..NODES_MAX {
            let node = Radix::new(found.node.view());
            if !node.is_radix() {
                return self.leaf_found(found);
            }
            let index = towards.radix_index(&node);
            let word = || node.child_word_offset(index);
            let child = self.base().fix_child(&found.node, node.child(index), word, access)?;
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
}
