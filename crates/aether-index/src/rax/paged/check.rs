//! The way down of a check, and a directory in numbers.

use super::Directory;
use crate::findings::Shape;
use crate::rows::{FILE, Leaves, Walk};
use aether_page::node::Node;
use aether_page::radix::Radix;
use aether_page::{Swip, View};
use aether_txn::recovery::wal::buffer::Shared;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{PageNo, Result};

/// What a page must be, as its parent says: the keys it has begin at `lower` and end below `upper`.
struct Expected {
    page: PageNo,
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
}

impl Expected {
    fn of(&self, index: &Directory, view: View<'_>) -> Vec<String> {
        let radix = Radix::new(view);
        if radix.is_radix() { self.of_radix(index, &radix) } else { self.of_leaf(index, &Node::new(view)) }
    }

    fn of_radix(&self, index: &Directory, node: &Radix<'_>) -> Vec<String> {
        let (first, last) = (node.separator(0), node.separator(node.count().saturating_sub(1)));
        let above = |lower: &Vec<u8>| first.as_ref().is_some_and(|first| first > lower);
        let below = |upper: &Vec<u8>| last.as_ref().is_some_and(|last| last < upper);
        broken([
            (node.tree() == index.id(), "a radix node of another index"),
            (self.lower.as_ref().is_none_or(above), "a separator that is not above where the node begins"),
            (self.upper.as_ref().is_none_or(below), "a separator that is not below where the node ends"),
            (true, ""),
        ])
    }

    fn of_leaf(&self, index: &Directory, node: &Node<'_>) -> Vec<String> {
        broken([
            (node.is_node() && node.is_leaf(), "neither a radix node nor a leaf"),
            (node.tree() == index.id(), "a leaf of another index"),
            (node.lower() == self.lower, "the lower fence differs from the separator before"),
            (node.upper() == self.upper, "the upper fence differs from the separator behind"),
        ])
    }

    fn child(&self, node: &Radix<'_>, index: usize) -> Self {
        let before = index.checked_sub(1).and_then(|before| node.separator(before));
        Self {
            page: node.child(index).page(),
            lower: if index == 0 { self.lower.clone() } else { before },
            upper: if index == node.count() { self.upper.clone() } else { node.separator(index) },
        }
    }
}

fn broken(rules: [(bool, &str); 4]) -> Vec<String> {
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned()).collect()
}

impl Directory {
    /// Levels and leaves: reads every page, for a node does not know which of its children are leaves.
    pub(super) fn levels_and_leaves(&self) -> Result<Shape> {
        let mut shape = Shape::default();
        let mut todo = vec![(self.root(), 1)];
        while let Some((page, height)) = todo.pop() {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Radix::new(guard.view());
            shape.height = shape.height.max(height);
            if node.is_radix() {
                todo.extend(node.children().map(|child| (child.page(), height + 1)));
            } else {
                shape.leaf_pages += 1;
            }
        }
        Ok(shape)
    }

    /// Checks the pages between the root and the leaf for `key`; returns where the next leaf begins.
    pub(super) fn check_path(&self, walk: &mut Walk<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut expected = Expected { page: self.root(), lower: None, upper: None };
        let (mut parent, mut depth): (Option<Shared<'_>>, _) = (None, 0);
        loop {
            let rules = |view: View<'_>| expected.of(self, view);
            let Some(guard) = walk.page(expected.page, depth, rules)? else { return Ok(expected.upper) };
            let node = Radix::new(guard.view());
            if !node.is_radix() {
                drop(parent);
                return walk.leaf(&Node::new(guard.view()), key);
            }
            expected = expected.child(&node, node.child_index(key));
            depth += 1;
            // Hand over hand: the parent is let go when the child is held.
            parent = Some(guard);
        }
    }
}
