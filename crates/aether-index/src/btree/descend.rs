//! Down the tree, hand over hand.

use super::Tree;
use crate::rows::{FILE, Found, Leaves, Stop, Towards};
use aether_page::Swip;
use aether_page::node::Node;
use aether_txn::recovery::wal::buffer::Access;
use aether_txn::recovery::wal::buffer::page as aether_page;
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
    /// The node of `level` towards a key; the root if the tree is not that high.
    #[inline(always)]
    pub(crate) fn node_at(
        &self,
        towards: Towards<'_>,
        level: u8,
        access: &Access<'_>,
    ) -> Result<Found<'_>, Stop> {
        let mut found = Found { node: self.base().fix_root()?, parent: None };
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
            let word = || node.child_word_offset(index);
            let child = self.base().fix_child(&found.node, swip, word, access)?;
            let below = Node::new(child.view());
            if below.level() + 1 != here {
                child.validate()?;
                return Err(Stop::Fail(self.wrong_level(swip, here, below.level())));
            }
            found = Found { node: child, parent: Some((found.node, index)) };
        }
    }

    fn wrong_level(&self, swip: Swip, above: u8, found: u8) -> Error {
        Error::corruption(format!("a node of level {found} below one of level {above}"))
            .at_file(FILE)
            .at_page(swip.page())
    }
}
