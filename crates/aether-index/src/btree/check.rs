//! Walks a whole tree and reports every broken rule.

use super::extents::{Extent, Extents, read_page};
use super::read::{Newest, Seen, newest, older};
use super::{BTree, FILE, Stop};
use aether_page::node::Node;
use aether_page::overflow::Stub;
use aether_page::space_map::PageState;
use aether_page::{Swip, check_page};
use aether_txn::ReadView;
use aether_txn::recovery::wal::buffer::Shared;
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
    /// Every page of the extents of large values; none twice in a sound store.
    pub value_pages: Vec<PageNo>,
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

    /// Checks order, fences, levels, page layout, the bytes on disk, and the large values that `view` shows. Others may go
    /// on meanwhile: each leaf is reached from the root hand over hand, so that what a node is compared with is what its
    /// parent says at that moment.
    ///
    /// # Errors
    /// `Io`; a damaged page is a problem, not an error.
    pub fn check(&self, view: &ReadView) -> Result<TreeCheck> {
        let (found, path, stubs) = (TreeCheck::default(), Vec::new(), Vec::new());
        let mut walk = Walk { tree: self, view, found, path, stubs };
        let (mut key, mut more) = (Vec::new(), true);
        while more {
            let next = walk.down(&key)?;
            more = next.as_ref().is_some_and(|next| *next > key);
            if next.is_some() && !more {
                walk.found.problems.push("a leaf ends before it begins".into());
            }
            key = next.unwrap_or_default();
        }
        Ok(walk.found)
    }
}

/// A check under way.
struct Walk<'t> {
    tree: &'t BTree,
    view: &'t ReadView,
    found: TreeCheck,
    /// The node last met at each level.
    path: Vec<PageNo>,
    /// Stubs of the leaf last met.
    stubs: Vec<Vec<u8>>,
}

impl<'t> Walk<'t> {
    /// Checks the nodes between the root and the leaf for `key`; returns where the next leaf begins.
    fn down(&mut self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut expected = Expected { page: self.tree.root(), level: None, lower: None, upper: None };
        let mut parent: Option<Shared<'t>> = None;
        loop {
            let Some(guard) = self.node(&expected, key)? else { return Ok(expected.upper) };
            let node = Node::new(guard.view());
            if node.is_leaf() {
                let upper = node.upper();
                drop((guard, parent));
                self.values()?;
                return Ok(upper);
            }
            expected = child(&node, node.child_index(key));
            // Hand over hand: the parent is let go when the child is held.
            parent = Some(guard);
        }
    }

    /// The node, if it is sound; what is wrong with it is noted.
    fn node(&mut self, expected: &Expected, key: &[u8]) -> Result<Option<Shared<'t>>> {
        let (tree, page) = (self.tree, expected.page);
        let was_met = self.path.contains(&page);
        let scrubbed = if was_met { Ok(()) } else { tree.pool().scrub(FILE, page) };
        let Some(guard) = self.sound(scrubbed.and_then(|()| tree.pool().shared(FILE, Swip::new(page))))?
        else {
            return Ok(None);
        };
        if was_met {
            return Ok(Some(guard));
        }
        let node = Node::new(guard.view());
        let mut problems: Vec<String> =
            check_page(guard.view()).into_iter().chain(is_as_expected(tree, &node, expected)).collect();
        match tree.store().page_state(page) {
            Ok(PageState::Used) => {}
            Ok(_) => problems.push("the space map says it is not in use".into()),
            Err(error) => drop(self.sound::<()>(Err(error))?),
        }
        if !problems.is_empty() {
            self.found.problems.extend(problems.into_iter().map(|what| format!("{page}: {what}")));
            return Ok(None);
        }
        self.met(page, &node, key)?;
        Ok(Some(guard))
    }

    /// Counts a sound node. A leaf that was merged meanwhile holds rows below `key` that were met before.
    fn met(&mut self, page: PageNo, node: &Node<'_>, key: &[u8]) -> Result<()> {
        let level = usize::from(node.level());
        self.path.resize(self.path.len().max(level + 1), PageNo::new(0));
        self.path[level] = page;
        self.found.nodes += 1;
        if !node.is_leaf() {
            return Ok(());
        }
        self.found.leaves += 1;
        let first = node.search(key).unwrap_or_else(|index| index);
        for slot in first..node.count() {
            self.found.entries += u64::from(!node.flags(slot).is_ghost());
            if !node.flags(slot).is_overflow() && node.version(slot).is_none() {
                continue;
            }
            let (mut key, mut value) = (Vec::new(), Vec::new());
            node.key_into(slot, &mut key);
            let seen = match newest(node, slot, self.view, &mut value) {
                Newest::Older(writer, undo) => {
                    older(self.tree.manager(), self.view, &key, (writer, undo), &mut value)
                }
                Newest::Seen(seen) => Ok(seen),
                Newest::Misled => Ok(Seen::Absent),
            };
            match seen {
                Ok(Seen::Stub) => self.stubs.push(value),
                Ok(_) | Err(Stop::Restart) => {}
                Err(Stop::Fail(error)) => drop(self.sound::<()>(Err(error))?),
            }
        }
        Ok(())
    }

    /// What a call gives; damage is noted as a problem.
    fn sound<T>(&mut self, outcome: Result<T>) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.kind() == ErrorKind::Corruption => {
                self.found.problems.push(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Checks the large values of the leaf last met, without its latch: the view keeps their pages.
    fn values(&mut self) -> Result<()> {
        for stub in core::mem::take(&mut self.stubs) {
            if let Some(stub) = self.sound(Stub::decode(&stub))? {
                self.value(&stub)?;
            }
        }
        Ok(())
    }

    /// Reads every page of a large value and looks it up in the space map.
    fn value(&mut self, stub: &Stub) -> Result<()> {
        let Some(extents) = self.sound(Extents::of(self.tree.store(), stub))? else { return Ok(()) };
        let (mut sum, mut length) = (Hasher::new(0), 0);
        for extent in &extents.data {
            self.extent(*extent, |bytes| {
                sum.update(bytes);
                length += bytes.len() as u64;
            })?;
        }
        if (length, sum.finish()) != (stub.len, stub.checksum) {
            self.found.problems.push("a large value does not match its length and checksum".into());
        }
        extents.list.iter().try_for_each(|extent| self.extent(*extent, |_| {}))
    }

    fn extent(&mut self, (first, pages): Extent, mut see: impl FnMut(&[u8])) -> Result<()> {
        let store = self.tree.store();
        let mut bytes = Vec::new();
        for index in 0..pages {
            let page = first.offset(index);
            let wanted = match (index, pages) {
                (0, 1) => PageState::Used,
                (0, _) => PageState::ExtentFirst,
                _ => PageState::ExtentRest,
            };
            if self.sound(store.page_state(page))?.is_some_and(|state| state != wanted) {
                let what = format!("{page}: the space map does not know it as part of an extent");
                self.found.problems.push(what);
            }
            self.found.value_pages.push(page);
            bytes.clear();
            let scrubbed = store.pool().scrub(FILE, page);
            if self.sound(scrubbed.and_then(|()| read_page(store, first, index, &mut bytes)))?.is_some() {
                see(&bytes);
            }
        }
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
