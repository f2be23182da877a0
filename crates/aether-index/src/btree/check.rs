//! The way down of a check, and a tree in numbers.

use super::Tree;
use crate::findings::Shape;
use crate::rows::{FILE, Leaves, Walk};
use aether_page::Swip;
use aether_page::node::Node;
use aether_txn::recovery::wal::buffer::Shared;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{PageNo, Result};

/// What a node must be, as its parent says.
pub(super) struct Expected {
    pub(super) page: PageNo,
    pub(super) level: Option<u8>,
    pub(super) lower: Option<Vec<u8>>,
    pub(super) upper: Option<Vec<u8>>,
}

impl Tree {
    /// Levels, and leaves counted from the level above them.
    pub(super) fn levels_and_leaves(&self) -> Result<Shape> {
        let mut shape = Shape::default();
        let mut todo = vec![self.root()];
        while let Some(page) = todo.pop() {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            shape.height = shape.height.max(u32::from(node.level()) + 1);
            match node.level() {
                0 => shape.leaf_pages += 1,
                1 => shape.leaf_pages += node.count() as u64 + 1,
                _ => todo.extend((0..=node.count()).map(|index| node.child(index).page())),
            }
        }
        Ok(shape)
    }

    /// Checks the nodes between the root and the leaf for `key`; returns where the next leaf begins.
    pub(super) fn check_path(&self, walk: &mut Walk<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut expected = Expected { page: self.root(), level: None, lower: None, upper: None };
        let (mut parent, mut depth): (Option<Shared<'_>>, _) = (None, 0);
        loop {
            let rules =
                |view: aether_page::View<'_>| is_as_expected(self, &Node::new(view), &expected).collect();
            let Some(guard) = walk.page(expected.page, depth, rules)? else { return Ok(expected.upper) };
            let node = Node::new(guard.view());
            if node.is_leaf() {
                drop(parent);
                return walk.leaf(&node, key);
            }
            expected = child(&node, node.child_index(key));
            depth += 1;
            // Hand over hand: the parent is let go when the child is held.
            parent = Some(guard);
        }
    }
}

/// How a node differs from what its parent says.
pub(super) fn is_as_expected(
    tree: &Tree,
    node: &Node<'_>,
    expected: &Expected,
) -> impl Iterator<Item = String> {
    let rules = [
        (node.is_node(), "not a node"),
        (node.tree() == tree.id(), "a node of another tree"),
        (expected.level.is_none_or(|level| node.level() == level), "a node of the wrong level"),
        (node.lower() == expected.lower, "the lower fence differs from the parent's separator"),
        (node.upper() == expected.upper, "the upper fence differs from the parent's separator"),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned())
}

/// Every child of a node, in order.
pub(super) fn children(node: &Node<'_>) -> Vec<Expected> {
    (0..=node.count()).map(|index| child(node, index)).collect()
}

fn child(node: &Node<'_>, index: usize) -> Expected {
    let separator = |index: usize| {
        let mut key = Vec::new();
        node.key_into(index, &mut key);
        key
    };
    Expected {
        page: node.child(index).page(),
        level: node.level().checked_sub(1),
        lower: if index == 0 { node.lower() } else { Some(separator(index - 1)) },
        upper: if index == node.count() { node.upper() } else { Some(separator(index)) },
    }
}
