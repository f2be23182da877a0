//! Walks a whole tree and reports every broken rule.

use super::extents::{Extent, Extents, read_page};
use super::{BTree, FILE};
use aether_page::node::Node;
use aether_page::overflow::Stub;
use aether_page::space_map::PageState;
use aether_page::{Swip, check_page};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{ErrorKind, Hasher, PageNo, Result};

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TreeCheck {
    /// Nodes of the tree.
    pub nodes: u64,
    /// Leaves among them.
    pub leaves: u64,
    /// Rows, ghosts not counted.
    pub entries: u64,
    /// Pages of extents.
    pub extent_pages: u64,
    /// Every page of the tree, extents included.
    pub pages: Vec<PageNo>,
    /// Broken rules, each with its page.
    pub problems: Vec<String>,
}

/// What a node must be, as its parent says.
pub(super) struct Expected {
    pub(super) page: PageNo,
    pub(super) level: Option<u8>,
    pub(super) lower: Option<Vec<u8>>,
    pub(super) upper: Option<Vec<u8>>,
}

impl BTree {
    /// Leaves of the tree, counted from the level above them.
    pub fn count_leaves(&self) -> Result<u64> {
        let mut todo = vec![self.root()];
        let mut leaves = 0;
        while let Some(page) = todo.pop() {
            let guard = self.pool().shared(FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            match node.level() {
                0 => leaves += 1,
                1 => leaves += node.count() as u64 + 1,
                _ => todo.extend((0..=node.count()).map(|index| node.child(index).page())),
            }
        }
        Ok(leaves)
    }

    /// Checks order, fences, levels, page layout and that every page is in use exactly once. Reads shared latches one
    /// page at a time: concurrent changes of the structure may show as problems, so check a quiet tree.
    ///
    /// # Errors
    /// `Io`; a damaged page is a problem, not an error.
    pub fn check(&self) -> Result<TreeCheck> {
        let mut found = TreeCheck::default();
        let root = Expected { page: self.root(), level: None, lower: None, upper: None };
        let mut todo = vec![root];
        while let Some(expected) = todo.pop() {
            found.pages.push(expected.page);
            self.check_node(&expected, &mut found, &mut todo)?;
        }
        report_shared_pages(&mut found);
        Ok(found)
    }

    fn check_node(&self, expected: &Expected, found: &mut TreeCheck, todo: &mut Vec<Expected>) -> Result<()> {
        let guard = match self.pool().shared(FILE, Swip::new(expected.page)) {
            Ok(guard) => guard,
            Err(error) => {
                found.problems.push(error.to_string());
                return Ok(());
            }
        };
        let node = Node::new(guard.view());
        let mut problems: Vec<String> =
            check_page(guard.view()).into_iter().chain(is_as_expected(self, &node, expected)).collect();
        if self.store().page_state(expected.page)? != PageState::Used {
            problems.push("the space map says it is not in use".into());
        }
        let sound = problems.is_empty();
        found.problems.extend(problems.into_iter().map(|what| format!("{}: {what}", expected.page)));
        found.nodes += 1;
        match (sound, node.is_leaf()) {
            (false, _) => {}
            (true, true) => self.check_leaf(&node, found)?,
            (true, false) => todo.extend(children(&node)),
        }
        Ok(())
    }

    fn check_leaf(&self, node: &Node<'_>, found: &mut TreeCheck) -> Result<()> {
        found.leaves += 1;
        found.entries += node.live_count() as u64;
        for slot in (0..node.count()).filter(|slot| node.flags(*slot).is_overflow()) {
            match Stub::decode(&node.row(slot).value) {
                Err(error) => found.problems.push(error.to_string()),
                Ok(stub) => self.check_value(&stub, found)?,
            }
        }
        Ok(())
    }

    /// Reads every page of a large value and looks it up in the space map.
    fn check_value(&self, stub: &Stub, found: &mut TreeCheck) -> Result<()> {
        let extents = match Extents::of(self.store(), stub) {
            Ok(extents) => extents,
            Err(error) if error.kind() == ErrorKind::Corruption => {
                found.problems.push(error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let (mut sum, mut length) = (Hasher::new(0), 0);
        for extent in &extents.data {
            self.check_extent(*extent, found, |bytes| {
                sum.update(bytes);
                length += bytes.len() as u64;
            })?;
        }
        if (length, sum.finish()) != (stub.len, stub.checksum) {
            found.problems.push("a large value does not match its length and checksum".into());
        }
        extents.list.iter().try_for_each(|extent| self.check_extent(*extent, found, |_| {}))
    }

    fn check_extent(
        &self,
        (first, pages): Extent,
        found: &mut TreeCheck,
        mut see: impl FnMut(&[u8]),
    ) -> Result<()> {
        let mut bytes = Vec::new();
        for index in 0..pages {
            let page = first.offset(index);
            let wanted = match (index, pages) {
                (0, 1) => PageState::Used,
                (0, _) => PageState::ExtentFirst,
                _ => PageState::ExtentRest,
            };
            if self.store().page_state(page)? != wanted {
                found.problems.push(format!("{page}: the space map does not know it as part of an extent"));
            }
            found.pages.push(page);
            bytes.clear();
            match read_page(self.store(), first, index, &mut bytes) {
                Ok(_) => see(&bytes),
                Err(error) if error.kind() == ErrorKind::Corruption => found.problems.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        found.extent_pages += pages;
        Ok(())
    }
}

/// How a node differs from what its parent says.
pub(super) fn is_as_expected(
    tree: &BTree,
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

pub(super) fn children(node: &Node<'_>) -> Vec<Expected> {
    let level = node.level().checked_sub(1);
    let separator = |index: usize| {
        let mut key = Vec::new();
        node.key_into(index, &mut key);
        key
    };
    (0..=node.count())
        .map(|index| Expected {
            page: node.child(index).page(),
            level,
            lower: if index == 0 { node.lower() } else { Some(separator(index - 1)) },
            upper: if index == node.count() { node.upper() } else { Some(separator(index)) },
        })
        .collect()
}

fn report_shared_pages(found: &mut TreeCheck) {
    found.pages.sort_unstable();
    let twice = found.pages.windows(2).filter(|pair| pair[0] == pair[1]);
    let problems: Vec<String> = twice.map(|pair| format!("{}: in use twice", pair[0])).collect();
    found.problems.extend(problems);
}
