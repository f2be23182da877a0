//! What the index tells of itself.

use crate::Directory;
use crate::find::PAGES_MAX;
use crate::page::{Entry, entries, is_directory, next};
use aether_index::Shape;
use aether_index::rows::{Leaves, Towards, Walk};
use aether_index::txn::recovery::PAGES_FILE;
use aether_index::txn::recovery::wal::buffer::page::node::Node;
use aether_index::txn::recovery::wal::buffer::page::{Swip, View};
use aether_types::{PageNo, Result};

type Fence = Option<Vec<u8>>;

fn rule(holds: bool, what: &str) -> Option<String> {
    (!holds).then(|| what.to_owned())
}

/// Where a child's rows begin, as its leaf says it.
fn fence(entry: &Entry) -> Fence {
    (!entry.from.is_empty()).then(|| entry.from.clone())
}

impl Directory {
    pub(crate) fn count(&self) -> Result<Shape> {
        let mut shape = Shape { height: 1, leaf_pages: 1 };
        let mut page = Some(self.root());
        for number in 0..PAGES_MAX {
            let Some(here) = page else { break };
            let guard = self.pool().shared(PAGES_FILE, Swip::new(here))?;
            if !is_directory(guard.view(), self.id()) {
                break;
            }
            let before = if number == 0 { 0 } else { shape.leaf_pages };
            shape = Shape { height: 2, leaf_pages: before + entries(guard.view()).len() as u64 };
            page = next(guard.view());
        }
        Ok(shape)
    }

    /// From directory page to directory page, hand over hand, then the leaf; a page's depth is its place in that list.
    pub(crate) fn check_path(&self, walk: &mut Walk<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let rules = |view: View<'_>| {
            let is_root_leaf = Node::new(view).is_node();
            rule(is_root_leaf || is_directory(view, self.id()), "neither a directory page nor a leaf")
                .into_iter()
                .collect()
        };
        let Some(mut here) = walk.page(self.root(), 0, rules)? else { return Ok(None) };
        if !is_directory(here.view(), self.id()) {
            return walk.leaf(&Node::new(here.view()), key);
        }
        let mut depth = 1;
        loop {
            let Some(page) = next(here.view()) else {
                return self.check_child(walk, &entries(here.view()), None, depth, key);
            };
            let rules = |view: View<'_>| {
                rule(is_directory(view, self.id()), "no directory page").into_iter().collect()
            };
            let Some(behind) = walk.page(page, depth, rules)? else { return Ok(None) };
            depth += 1;
            let first = entries(behind.view()).into_iter().next();
            if !first.as_ref().is_some_and(|first| first.is_on_the_way(Towards::Key(key))) {
                return self.check_child(
                    walk,
                    &entries(here.view()),
                    first.as_ref().and_then(fence),
                    depth,
                    key,
                );
            }
            here = behind;
        }
    }

    fn check_child(
        &self,
        walk: &mut Walk<'_>,
        entries: &[Entry],
        end: Fence,
        depth: usize,
        key: &[u8],
    ) -> Result<Fence> {
        let on_the_way = entries.iter().rposition(|entry| entry.is_on_the_way(Towards::Key(key)));
        let Some(index) = on_the_way else {
            walk.problem("a directory page has no entry for the keys that led there".into());
            return Ok(end);
        };
        let (lower, upper) = (fence(&entries[index]), entries.get(index + 1).map_or(end, fence));
        let rules = |view: View<'_>| {
            let node = Node::new(view);
            let rules = [
                rule(node.is_node() && node.is_leaf() && node.tree() == self.id(), "no leaf of the index"),
                rule(node.lower() == lower, "the lower fence differs from the entry"),
                rule(node.upper() == upper, "the upper fence differs from the next entry"),
            ];
            rules.into_iter().flatten().collect()
        };
        let child: PageNo = entries[index].child;
        match walk.page(child, depth, rules)? {
            Some(leaf) => walk.leaf(&Node::new(leaf.view()), key),
            None => Ok(upper),
        }
    }
}
