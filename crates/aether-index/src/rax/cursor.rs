//! A position in a tree: the key where it stands, and the way there.
//!
//! The way is good as long as the tree has not changed since; otherwise it is found again by the key.

use super::nodes::Ref;
use super::{Rax, bytes::common};
use aether_sync::Arc;
use core::cmp::Ordering;

/// What to look for, as seen from a given key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Seek {
    /// The last key below (`<`).
    Below,
    /// The last key at or below (`<=`).
    AtOrBelow,
    /// The key itself (`==`).
    At,
    /// The first key at or above (`>=`).
    AtOrAbove,
    /// The first key above (`>`).
    Above,
}

/// A position: at a key, or before the first and behind the last one, which is the same place. Borrows nothing; the tree may
/// change between any two steps. If the key where it stands is removed, the next step goes to the neighbour of where that
/// was.
#[derive(Clone, Default)]
pub struct RaxCursor {
    key: Vec<u8>,
    /// The inner nodes on the way to the key, from the root on.
    way: Vec<Turn>,
    /// The leaf of the key; none if at no key.
    leaf: Ref,
    tree: Option<Arc<()>>,
    changes: u64,
}

/// An inner node on the way, and how it goes on there.
#[derive(Clone, Copy)]
struct Turn {
    node: Ref,
    /// Bytes of the key up to the end of the node's path.
    depth: usize,
    /// The byte taken; none at the key that ends here.
    byte: Option<u8>,
}

/// A row: its key lies in the cursor, its value in the tree.
type Row<'c, 'r, V> = Option<(&'c [u8], &'r V)>;

impl RaxCursor {
    /// A position at no key.
    pub fn new() -> Self {
        Self::default()
    }

    /// The key where it stands, or stood before that was removed; none if at no key.
    pub fn key(&self) -> Option<&[u8]> {
        (!self.leaf.is_none()).then_some(&self.key)
    }

    /// Goes to what is looked for as seen from `key`; to no key if there is none.
    pub fn seek<'c, 'r, V>(&'c mut self, rax: &'r Rax<V>, what: Seek, key: &[u8]) -> Row<'c, 'r, V> {
        let is_there = self.place(rax, key);
        match what {
            Seek::Below => self.back(rax),
            Seek::AtOrBelow if !is_there => self.back(rax),
            Seek::Above if is_there => self.forward(rax),
            Seek::At if !is_there => self.leave(),
            _ => {}
        }
        self.row(rax)
    }

    /// Goes to the first key.
    pub fn first<'c, 'r, V>(&'c mut self, rax: &'r Rax<V>) -> Row<'c, 'r, V> {
        self.begin(rax);
        self.forward(rax);
        self.row(rax)
    }

    /// Goes to the last key.
    pub fn last<'c, 'r, V>(&'c mut self, rax: &'r Rax<V>) -> Row<'c, 'r, V> {
        self.begin(rax);
        self.back(rax);
        self.row(rax)
    }

    /// Goes to the next key, from no key to the first.
    #[inline]
    pub fn next<'c, 'r, V>(&'c mut self, rax: &'r Rax<V>) -> Row<'c, 'r, V> {
        if self.is_current(rax) || self.find_again(rax) {
            self.forward(rax);
        }
        self.row(rax)
    }

    /// Goes to the key before, from no key to the last.
    #[inline]
    pub fn prev<'c, 'r, V>(&'c mut self, rax: &'r Rax<V>) -> Row<'c, 'r, V> {
        if !self.is_current(rax) {
            // Whether the key is still there or not, what comes before it is the same.
            self.find_again(rax);
        }
        self.back(rax);
        self.row(rax)
    }

    /// The key where it stands and its value; none if the key was removed.
    pub fn entry<'c, 'r, V>(&'c self, rax: &'r Rax<V>) -> Row<'c, 'r, V> {
        match self.is_current(rax) {
            true => self.row(rax),
            false => self.key().and_then(|key| Some((key, rax.get(key)?))),
        }
    }

    fn row<'c, 'r, V>(&'c self, rax: &'r Rax<V>) -> Row<'c, 'r, V> {
        self.key().map(|key| (key, &rax.nodes.leaf(self.leaf).value))
    }

    fn is_current<V>(&self, rax: &Rax<V>) -> bool {
        self.changes == rax.changes && self.tree.as_ref().is_some_and(|tree| Arc::ptr_eq(tree, &rax.identity))
    }

    /// Goes to no key, in this tree as it is.
    fn begin<V>(&mut self, rax: &Rax<V>) {
        self.leave();
        self.changes = rax.changes;
        if !self.tree.as_ref().is_some_and(|tree| Arc::ptr_eq(tree, &rax.identity)) {
            self.tree = Some(rax.identity.clone());
        }
    }

    fn leave(&mut self) {
        self.key.clear();
        self.way.clear();
        self.leaf = Ref::NONE;
    }

    /// Finds the place of its key in a tree that has changed; true if it is still there (or if it was at no key), otherwise
    /// it stands at the next one.
    fn find_again<V>(&mut self, rax: &Rax<V>) -> bool {
        if self.leaf.is_none() {
            self.begin(rax);
            return true;
        }
        let key = core::mem::take(&mut self.key);
        self.place(rax, &key)
    }

    /// Goes to the first key at or above `key`; true if it is that one.
    fn place<V>(&mut self, rax: &Rax<V>, key: &[u8]) -> bool {
        self.begin(rax);
        let (mut at, mut rest) = (rax.root, key);
        loop {
            if at.is_none() {
                return false;
            }
            let bytes = rax.nodes.bytes(at);
            let shared = common(bytes, rest);
            if shared < bytes.len() || at.is_leaf() {
                let order = bytes[shared..].cmp(&rest[shared..]);
                match order {
                    Ordering::Less => self.climb_forward(rax),
                    _ => self.first_below(rax, at),
                }
                return order == Ordering::Equal;
            }
            let Some((byte, behind)) = rest[shared..].split_first() else {
                self.first_below(rax, at);
                return !rax.nodes.head(at).own.is_none();
            };
            self.turn(rax, at, Some(*byte));
            let child = rax.nodes.child(at, *byte);
            if child.is_none() {
                self.climb_forward(rax);
                return false;
            }
            (at, rest) = (child, behind);
        }
    }

    /// Goes into the inner node `at`, and on from there.
    #[inline]
    fn turn<V>(&mut self, rax: &Rax<V>, at: Ref, byte: Option<u8>) {
        self.key.extend_from_slice(rax.nodes.bytes(at));
        self.way.push(Turn { node: at, depth: self.key.len(), byte });
        self.key.extend(byte);
    }

    #[inline]
    fn end_at<V>(&mut self, rax: &Rax<V>, leaf: Ref) {
        self.key.extend_from_slice(rax.nodes.bytes(leaf));
        self.leaf = leaf;
    }

    /// Goes to the first key at or below the node `at`.
    fn first_below<V>(&mut self, rax: &Rax<V>, mut at: Ref) {
        while !at.is_leaf() {
            let own = rax.nodes.head(at).own;
            if !own.is_none() {
                self.turn(rax, at, None);
                return self.end_at(rax, own);
            }
            let (byte, child) = rax.nodes.at_or_above(at, 0).expect("a node has a child or a key");
            self.turn(rax, at, Some(byte));
            at = child;
        }
        self.end_at(rax, at);
    }

    /// Goes to the last key at or below the node `at`.
    fn last_below<V>(&mut self, rax: &Rax<V>, mut at: Ref) {
        while !at.is_leaf() {
            let Some((byte, child)) = rax.nodes.below(at, 256) else {
                self.turn(rax, at, None);
                return self.end_at(rax, rax.nodes.head(at).own);
            };
            self.turn(rax, at, Some(byte));
            at = child;
        }
        self.end_at(rax, at);
    }

    /// To the next key, on a way that is good.
    #[inline]
    fn forward<V>(&mut self, rax: &Rax<V>) {
        match self.leaf.is_none() {
            true if rax.root.is_none() => {}
            true => self.first_below(rax, rax.root),
            false => self.climb_forward(rax),
        }
    }

    /// To the key before, on a way that is good.
    #[inline]
    fn back<V>(&mut self, rax: &Rax<V>) {
        match self.leaf.is_none() {
            true if rax.root.is_none() => {}
            true => self.last_below(rax, rax.root),
            false => self.climb_back(rax),
        }
    }

    /// Up the way to the first turn from which it goes on upward, then down to the first key there; to no key if there is none.
    fn climb_forward<V>(&mut self, rax: &Rax<V>) {
        while let Some(turn) = self.way.last_mut() {
            self.key.truncate(turn.depth);
            let from = turn.byte.map_or(0, |byte| usize::from(byte) + 1);
            if let Some((byte, child)) = rax.nodes.at_or_above(turn.node, from) {
                turn.byte = Some(byte);
                self.key.push(byte);
                return self.first_below(rax, child);
            }
            self.way.pop();
        }
        self.leave();
    }

    /// Up the way to the first turn from which it goes on downward, then down to the last key there; to no key if there is none.
    fn climb_back<V>(&mut self, rax: &Rax<V>) {
        while let Some(turn) = self.way.last_mut() {
            self.key.truncate(turn.depth);
            let before = turn.byte.and_then(|byte| rax.nodes.below(turn.node, byte.into()));
            if let Some((byte, child)) = before {
                turn.byte = Some(byte);
                self.key.push(byte);
                return self.last_below(rax, child);
            }
            let own = rax.nodes.head(turn.node).own;
            if turn.byte.is_some() && !own.is_none() {
                turn.byte = None;
                return self.end_at(rax, own);
            }
            self.way.pop();
        }
        self.leave();
    }
}
