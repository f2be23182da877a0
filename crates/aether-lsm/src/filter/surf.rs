//! SuRF: a succinct trie that answers points, ranges and prefixes of strings.
//!
//! Zhang et al.: "SuRF: Practical Range Query Filtering with Fast Succinct Tries" (SIGMOD 2018). Of each key the trie keeps as many bytes as
//! set it apart from its neighbours, and of what follows a few bits, if wanted: of the key's hash (fewer false positives for
//! points) or of the key itself (for points and ranges). Levels near the root are dense, 256 bits for each node; the others are
//! sparse, about ten bits for each byte kept (`trie.rs`).
//!
//! A range is answered by the least leaf that may lie at or above its lower bound: is the least key which that leaf can stand for
//! above the upper bound? The way down is compared with both bounds byte by byte, so nothing is allocated and nothing recurs.
//!
//! The space depends on the keys: a key takes ten bits for each byte that only it needs. Keys made for that, in pairs that differ in their
//! last byte, are kept whole.

mod build;
mod suffix;
mod trie;

use super::hash::KeyHash;
use super::header::{FilterKind, Header, demand, size};
use super::interval;
use aether_types::{Reader, Result};
use core::ops::Bound;
use trie::{Edge, Node, Shape, Trie};

pub use build::SurfBuilder;
pub use suffix::Suffix;

/// The empty key is in the set; it is not in the trie.
const HAS_EMPTY: u8 = 1;
/// Suffixes are bits of the key's hash.
const HASHED: u8 = 2;

/// Reads such a filter.
#[derive(Clone, Copy, Debug)]
pub struct Surf<'a> {
    has_empty: bool,
    suffix: Suffix,
    trie: Trie<'a>,
}

/// Where a search for the least leaf at or above a bound has come to: `depth` bytes below the root the way leaves the bound.
#[derive(Clone, Copy)]
enum Found {
    /// A leaf that shares `depth` bytes with the bound.
    Leaf { depth: usize, leaf: usize },
    /// The least leaf behind an edge from a node `depth` bytes down, whose label is above the bound's byte.
    Above { depth: usize, label: u8, edge: Edge },
    /// The least leaf below a node, in which the bound ends; a key that ends there counts unless it is excluded.
    Below { depth: usize, node: Node, excluded: bool },
}

impl<'a> Surf<'a> {
    /// Checks header, lengths, counts, directories and that every node has one parent; linear in the bytes.
    ///
    /// # Errors
    /// `Corruption` that names the offset, or `Unsupported` for a later version.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader, FilterKind::Surf)?;
        demand(header.flags & !(HAS_EMPTY | HASHED) == 0, 3, "unknown flags")?;
        let suffix = Suffix::from_format(header.parameter, header.flags & HASHED != 0)?;
        let has_empty = header.flags & HAS_EMPTY != 0;
        let leaves = header.keys.checked_sub(u64::from(has_empty));
        demand(leaves.is_some(), 8, "an empty key among no keys")?;
        let shape = Shape {
            leaves: size(leaves.unwrap_or(0), 8)?,
            dense_nodes: size(header.numbers[0], 16)?,
            sparse_edges: size(header.numbers[1], 24)?,
        };
        let trie = Trie::read(&mut reader, shape, suffix.bits())?;
        reader.finish()?;
        Ok(Self { has_empty, suffix, trie })
    }

    /// False if `key` was not added.
    pub fn may_contain(&self, key: &[u8]) -> bool {
        self.may_contain_hashed(key, || KeyHash::of(key))
    }

    /// The same for whoever has the hash, or can make it if it should be wanted.
    pub fn may_contain_hashed(&self, key: &[u8], hash: impl FnOnce() -> KeyHash) -> bool {
        if key.is_empty() {
            return self.has_empty;
        }
        let Some(mut node) = self.trie.root() else { return false };
        for (depth, &byte) in key.iter().enumerate() {
            match self.trie.find(&node, byte) {
                None => return false,
                Some(Edge::Node(child)) => node = self.trie.node(child),
                Some(Edge::Leaf(leaf)) => {
                    return self.suffix.admits_key(self.trie.suffix(leaf), &key[depth + 1..], hash);
                }
            }
        }
        node.has_end
    }

    /// False if no key that begins with `prefix` was added.
    pub fn may_contain_prefix(&self, prefix: &[u8]) -> bool {
        let Some(mut node) = self.trie.root() else { return prefix.is_empty() && self.has_empty };
        for (depth, &byte) in prefix.iter().enumerate() {
            match self.trie.find(&node, byte) {
                None => return false,
                Some(Edge::Node(child)) => node = self.trie.node(child),
                Some(Edge::Leaf(leaf)) => {
                    return self.suffix.admits_prefix(self.trie.suffix(leaf), &prefix[depth + 1..]);
                }
            }
        }
        true
    }

    /// False if no key between the bounds was added.
    pub fn may_contain_range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
        if interval::is_empty(from, to) {
            return false;
        }
        if let Some(key) = interval::single(from, to) {
            return self.may_contain(key);
        }
        if self.has_empty && matches!(from, Bound::Unbounded | Bound::Included([])) {
            return true;
        }
        let (low, excluded) = match from {
            Bound::Unbounded => (&[][..], false),
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        let Some(found) = self.least_from(low, excluded) else { return false };
        match to {
            Bound::Unbounded => true,
            Bound::Included(high) => self.reaches(found, low, high, true),
            Bound::Excluded(high) => self.reaches(found, low, high, false),
        }
    }

    /// True if no key was added at all.
    pub fn is_empty(&self) -> bool {
        !self.has_empty && self.trie.root().is_none()
    }

    /// The least leaf whose keys may be at or above `low`.
    fn least_from(&self, low: &[u8], excluded: bool) -> Option<Found> {
        let mut node = self.trie.root()?;
        let mut above = None;
        for (depth, &byte) in low.iter().enumerate() {
            let higher = byte.checked_add(1).and_then(|next| self.trie.next(&node, next));
            if let Some((label, edge)) = higher {
                above = Some(Found::Above { depth, label, edge });
            }
            match self.trie.find(&node, byte) {
                None => return above,
                Some(Edge::Node(child)) => node = self.trie.node(child),
                Some(Edge::Leaf(leaf)) => {
                    let below = self.suffix.is_below(self.trie.suffix(leaf), &low[depth + 1..]);
                    return if below { above } else { Some(Found::Leaf { depth: depth + 1, leaf }) };
                }
            }
        }
        // A node that has nothing but the end of an excluded key is none: such a node has edges as well.
        Some(Found::Below { depth: low.len(), node, excluded })
    }

    /// Whether the least key that `found` can stand for is below `high`, or is `high` and that counts. The way to `found` has the first
    /// `depth` bytes of `low`.
    fn reaches(&self, found: Found, low: &[u8], high: &[u8], included: bool) -> bool {
        let (Found::Leaf { depth, .. } | Found::Above { depth, .. } | Found::Below { depth, .. }) = found;
        // `low` is not above `high`, so where they part first, `high` is higher.
        let Some(rest) = high.strip_prefix(&low[..depth]) else { return true };
        match found {
            Found::Leaf { leaf, .. } => self.suffix.reaches(self.trie.suffix(leaf), rest, included),
            Found::Above { label, edge, .. } => self.edge_reaches(label, edge, rest, included),
            Found::Below { node, excluded, .. } => self.node_reaches(node, excluded, rest, included),
        }
    }

    fn edge_reaches(&self, label: u8, edge: Edge, high: &[u8], included: bool) -> bool {
        match (high.split_first(), edge) {
            (None, _) => false,
            (Some((&first, _)), _) if first != label => label < first,
            (Some((_, rest)), Edge::Leaf(leaf)) => {
                self.suffix.reaches(self.trie.suffix(leaf), rest, included)
            }
            (Some((_, rest)), Edge::Node(node)) => {
                self.node_reaches(self.trie.node(node), false, rest, included)
            }
        }
    }

    /// Goes down to the least leaf as long as the labels are those of `high`.
    fn node_reaches(&self, mut node: Node, mut excluded: bool, mut high: &[u8], included: bool) -> bool {
        loop {
            if !excluded && node.has_end {
                return included || !high.is_empty();
            }
            excluded = false;
            let (Some((&first, rest)), Some((label, edge))) = (high.split_first(), self.trie.next(&node, 0))
            else {
                return false;
            };
            match edge {
                _ if label != first => return label < first,
                Edge::Leaf(leaf) => return self.suffix.reaches(self.trie.suffix(leaf), rest, included),
                Edge::Node(child) => (node, high) = (self.trie.node(child), rest),
            }
        }
    }
}
