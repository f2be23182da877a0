//! Reads what is sound of a damaged index, from its leaves alone: each says which keys it holds.

use super::read::{Newest, Seen, newest, older};
use super::value::read_extents;
use super::{FILE, Leaves, Rows, Stop};
use crate::findings::{LostRange, Salvaged, Sink};
use aether_page::node::Node;
use aether_page::space_map::{PageState, map_page_of};
use aether_page::{Swip, check_page};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ReadView, TxnManager};
use aether_types::{Error, ErrorKind, PageNo, Result};
use std::collections::BTreeSet;

/// How far leaves that come in the order of their keys cover a range. A bound of none is that of the first key, or of the
/// last.
#[derive(Debug)]
pub struct Coverage {
    /// The first key that is not covered; none: all are.
    reached: Option<Option<Vec<u8>>>,
}

/// How a leaf fits to those before it.
#[derive(Debug, PartialEq, Eq)]
pub enum Fit {
    /// It goes on where they end.
    Next,
    /// From here up to its lower bound there is none.
    After(Option<Vec<u8>>),
    /// It has keys that they have, and is not taken.
    Twice,
}

impl Coverage {
    /// Nothing is covered from `lower` on.
    pub fn new(lower: Option<Vec<u8>>) -> Self {
        Self { reached: Some(lower) }
    }

    /// Takes the next leaf, if it fits.
    pub fn take(&mut self, lower: &Option<Vec<u8>>, upper: &Option<Vec<u8>>) -> Fit {
        let fit = match &self.reached {
            Some(from) if from == lower => Fit::Next,
            Some(from) if from < lower => Fit::After(from.clone()),
            _ => return Fit::Twice,
        };
        self.reached = upper.clone().map(Some);
        fit
    }

    /// From where on keys below `upper` are not covered; nothing if all are.
    pub fn rest(self, upper: &Option<Vec<u8>>) -> Option<Option<Vec<u8>>> {
        self.reached.filter(|from| from.is_none() || from != upper)
    }
}

/// Trees that have a leaf, and pages that may have been one.
#[derive(Debug, Default)]
pub struct Survey {
    /// The ids of all trees that have a leaf in use.
    pub trees: BTreeSet<u32>,
    /// Pages in use that cannot be read, and why.
    pub unread: Vec<(PageNo, String)>,
}

impl Survey {
    /// Reads every page; blocks.
    pub fn new(manager: &TxnManager) -> Result<Self> {
        let mut this = Self::default();
        let Self { trees, unread } = &mut this;
        let each = |_, node: &Node<'_>| {
            trees.insert(node.tree());
        };
        for_each_leaf(manager, each, |page, what| unread.push((page, what.to_string())))?;
        Ok(this)
    }
}

/// Keys below something that cannot be read.
pub(crate) struct Damage<'d> {
    /// The page that cannot be read, if it is known.
    pub(crate) page: Option<PageNo>,
    /// The keys below it begin here.
    pub(crate) lower: Option<Vec<u8>>,
    /// And end here.
    pub(crate) upper: Option<Vec<u8>>,
    /// What is wrong.
    pub(crate) what: &'d str,
}

impl<L: Leaves> Rows<L> {
    /// As [`Index::salvage`](crate::Index::salvage), of an index whose root is not known: from its leaves alone.
    pub fn salvage_leaves(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        let what = "the root of the tree is not known";
        below(&**self, &Damage { page: None, lower: None, upper: None, what }, view, sink)
    }
}

/// All that the leaves hold.
pub(super) fn from_leaves<L: Leaves>(index: &L, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
    let what = "no page holds these keys";
    below(index, &Damage { page: None, lower: None, upper: None, what }, view, sink)
}

/// The leaves of a subtree whose top cannot be read.
pub(crate) fn below<L: Leaves>(
    index: &L,
    top: &Damage<'_>,
    view: &ReadView,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let what = top.what;
    let mut leaves = Vec::new();
    let each = |page, node: &Node<'_>| {
        if node.tree() == index.id() && lies_within(node, top) {
            leaves.push((node.lower(), node.upper(), page));
        }
    };
    for_each_leaf(index.manager(), each, |_, _| ())?;
    leaves.sort();
    let gap = |from: Option<Vec<u8>>, to: Option<Vec<u8>>, what: &str| {
        let page = top.page;
        Salvaged::Lost(LostRange { page, from, to, what: what.to_owned() })
    };
    let mut coverage = Coverage::new(top.lower.clone());
    for (lower, upper, page) in leaves {
        match coverage.take(&lower, &upper) {
            Fit::Next => {}
            Fit::After(from) => sink(gap(from, lower, what))?,
            Fit::Twice => {
                sink(gap(lower, upper, "two pages hold these keys; the rows of one were left out"))?;
                continue;
            }
        }
        let guard = index.pool().shared(FILE, Swip::new(page))?;
        leaf(index, &Node::new(guard.view()), view, sink)?;
    }
    coverage.rest(&top.upper).map_or(Ok(()), |from| sink(gap(from, top.upper.clone(), what)))
}

/// Hands over the rows of a leaf.
pub(crate) fn leaf<L: Leaves>(
    index: &L,
    node: &Node<'_>,
    view: &ReadView,
    sink: &mut Sink<'_>,
) -> Result<()> {
    let (mut key, mut value) = (Vec::new(), Vec::new());
    for slot in 0..node.count() {
        key.clear();
        value.clear();
        node.key_into(slot, &mut key);
        match row(index, node, slot, view, &key, &mut value) {
            Ok(true) => sink(Salvaged::Row(&key, &value))?,
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::Corruption => {
                let to = Some([&key[..], &[0]].concat());
                let (page, from) = (error.place().page, Some(key.clone()));
                sink(Salvaged::Lost(LostRange { page, from, to, what: error.to_string() }))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Appends the value of a row as `view` shows it; false if it does not.
fn row<L: Leaves>(
    index: &L,
    node: &Node<'_>,
    slot: usize,
    view: &ReadView,
    key: &[u8],
    value: &mut Vec<u8>,
) -> Result<bool> {
    let seen = match newest(node, slot, view, value) {
        Newest::Seen(seen) => Ok(seen),
        Newest::Older(writer, undo) => older(index.manager(), view, key, (writer, undo), value),
        Newest::Misled => Err(Stop::Restart),
    };
    match seen {
        Ok(Seen::Absent | Seen::Missing) => Ok(false),
        Ok(Seen::Value) => Ok(true),
        Ok(Seen::Stub) => {
            let stub = core::mem::take(value);
            read_extents(index.store(), &stub, value).map(|()| true)
        }
        Err(Stop::Fail(error)) => Err(error),
        Err(Stop::Restart) => Err(Error::corruption("the older version of a row is missing").at_file(FILE)),
    }
}

fn lies_within(node: &Node<'_>, top: &Damage<'_>) -> bool {
    let above = top.lower.is_none() || node.lower() >= top.lower;
    let below = top.upper.is_none() || node.upper().is_some_and(|upper| Some(upper) <= top.upper);
    above && below
}

/// Every leaf that is in use and sound, and every page that cannot be read. A map page that cannot be read hides nothing.
fn for_each_leaf(
    manager: &TxnManager,
    mut each: impl FnMut(PageNo, &Node<'_>),
    mut unread: impl FnMut(PageNo, Error),
) -> Result<()> {
    let store = manager.store();
    let pages =
        store.pool().file(FILE)?.size_pages()?.max(store.space_stats().map_or(0, |space| space.pages));
    for page in (1..pages).map(PageNo::new) {
        let is_covered = map_page_of(page, store.page_size()).is_some();
        if !is_covered || store.page_state(page).is_ok_and(|state| state != PageState::Used) {
            continue;
        }
        let guard = match store.pool().shared(FILE, Swip::new(page)) {
            Ok(guard) => guard,
            Err(error) => {
                unread(page, error);
                continue;
            }
        };
        let node = Node::new(guard.view());
        if node.is_node() && node.is_leaf() && check_page(guard.view()).is_empty() {
            each(page, &node);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_and_overlaps_are_seen_and_the_rest_is_told() {
        let bound = |text: &str| (!text.is_empty()).then(|| text.as_bytes().to_vec());
        let mut coverage = Coverage::new(None);
        let mut take = |lower, upper| coverage.take(&bound(lower), &bound(upper));
        assert_eq!(take("b", "d"), Fit::After(None));
        assert_eq!(take("d", "f"), Fit::Next);
        assert_eq!(take("e", "k"), Fit::Twice);
        assert_eq!(take("g", "k"), Fit::After(bound("f")));
        assert_eq!(Coverage { reached: coverage.reached.clone() }.rest(&bound("k")), None);
        assert_eq!(Coverage { reached: coverage.reached.clone() }.rest(&None), Some(bound("k")));
        assert_eq!(coverage.take(&bound("k"), &None), Fit::Next);
        assert_eq!(coverage.take(&bound("k"), &None), Fit::Twice);
        assert_eq!(coverage.rest(&None), None);
        assert_eq!(Coverage::new(None).rest(&None), Some(None));
    }
}
