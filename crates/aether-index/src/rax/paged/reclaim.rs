//! Giving a whole directory back: from below, in groups that free a node's children and make the node an empty leaf. After a
//! crash in between, the walk begins again and meets no page that is free already.

use super::Directory;
use crate::rows::{FILE, Leaves, collapse, empty_leaf, is_of};
use aether_page::Swip;
use aether_page::node::Node;
use aether_page::radix::Radix;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Error, PageNo, Result};

/// A node on the way, its children, and how many of them are empty leaves by now.
struct Step {
    page: PageNo,
    children: Vec<PageNo>,
    emptied: usize,
}

impl Directory {
    /// Frees every page but the root, which becomes an empty leaf. The way is kept in a list: keys may make it as long as they are.
    pub(super) fn empty(&self) -> Result<()> {
        let mut way: Vec<Step> = self.enter(self.root())?.into_iter().collect();
        while let Some(step) = way.last_mut() {
            let Some(child) = step.children.get(step.emptied) else {
                collapse(self, step.page, &step.children)?;
                way.pop();
                continue;
            };
            step.emptied += 1;
            let below = self.enter(*child)?;
            if let Some(seen) = below.as_ref().filter(|below| way.iter().any(|step| step.page == below.page))
            {
                let what = "radix nodes lead back to themselves";
                return Err(Error::corruption(what).at_file(FILE).at_page(seen.page));
            }
            way.extend(below);
        }
        Ok(())
    }

    /// Empties a leaf; a radix node is to be gone through.
    fn enter(&self, page: PageNo) -> Result<Option<Step>> {
        let children = {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let (node, radix) = (Node::new(guard.view()), Radix::new(guard.view()));
            let is_leaf = node.is_leaf() && is_of(&node, self.id());
            let is_ours = is_leaf || radix.is_radix() && radix.tree() == self.id();
            // What is emptied is lost: a reference that leads elsewhere must not take another's pages along.
            if !is_ours {
                let what = format!("a reference of index {} leads to a page of another", self.id());
                return Err(Error::corruption(what).at_file(FILE).at_page(page));
            }
            let children = || radix.children().map(|child| child.page()).collect();
            (!is_leaf).then(children)
        };
        match children {
            Some(children) => Ok(Some(Step { page, children, emptied: 0 })),
            None => empty_leaf(self, page).map(|()| None),
        }
    }
}
