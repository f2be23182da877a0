//! Giving a whole tree back.
//!
//! A tree is freed from below, in groups that free a node's children and make the node an empty leaf: after a
//! crash in between, the walk begins again and meets no page that is free already.

use super::Tree;
use crate::rows::{FILE, Leaves, collapse, empty_leaf, is_of};
use aether_page::Swip;
use aether_page::node::Node;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Error, PageNo, Result};

impl Tree {
    /// Frees everything below a node, itself below a node of level `above`, and makes it an empty leaf.
    pub(super) fn empty_node(&self, page: PageNo, above: Option<u8>) -> Result<()> {
        let (level, children) = {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            // What is emptied is lost: a reference that leads elsewhere must not take another's pages along.
            if !is_of(&node, self.id()) || above.is_some_and(|above| node.level() >= above) {
                let what = format!("a reference of tree {} leads to a page of another", self.id());
                return Err(Error::corruption(what).at_file(FILE).at_page(page));
            }
            let children = if node.is_leaf() { 0 } else { node.count() + 1 };
            (node.level(), (0..children).map(|index| node.child(index).page()).collect::<Vec<_>>())
        };
        if level == 0 {
            return empty_leaf(self, page);
        }
        children.iter().try_for_each(|child| self.empty_node(*child, Some(level)))?;
        collapse(self, page, &children)
    }
}
