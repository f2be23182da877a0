//! Builds the trie from keys in ascending order, one level beside the other.

use super::suffix::Suffix;
use super::trie::{END, Parts, Shape};
use super::{HAS_EMPTY, HASHED};
use crate::filter::ascending::Ascending;
use crate::filter::bits::BitVec;
use crate::filter::header::{FilterKind, Header};
use aether_types::Result;

/// The paper's choice for [`SurfBuilder::sparse_to_dense`].
const SPARSE_TO_DENSE: usize = 64;
const DENSE_NODE_BITS: usize = 513;
const SPARSE_EDGE_BITS: usize = 10;

/// What stands at one depth, in the order of keys.
#[derive(Debug, Default)]
struct Level {
    labels: Vec<u8>,
    nodes: BitVec,
    starts: BitVec,
    node_count: usize,
    suffixes: Vec<u64>,
}

impl Level {
    fn push(&mut self, label: u8, leads_to_node: bool, starts_node: bool) {
        self.labels.push(label);
        self.nodes.push(leads_to_node);
        self.starts.push(starts_node);
        self.node_count += usize::from(starts_node);
    }
}

/// Collects keys in ascending order.
#[derive(Debug)]
pub struct SurfBuilder {
    suffix: Suffix,
    sparse_to_dense: usize,
    ascending: Ascending,
    has_empty: bool,
    keys: usize,
    levels: Vec<Level>,
    /// The last key, which is not in the levels yet; empty at first.
    last: Vec<u8>,
    /// How many bytes it shares with the one before.
    shared: usize,
}

impl SurfBuilder {
    /// A filter whose leaves keep `suffix`.
    pub fn new(suffix: Suffix) -> Self {
        Self {
            suffix: suffix.clamped(),
            sparse_to_dense: SPARSE_TO_DENSE,
            ascending: Ascending::default(),
            has_empty: false,
            keys: 0,
            levels: Vec::new(),
            last: Vec::new(),
            shared: 0,
        }
    }

    /// Makes levels dense from the root on, as long as those below have `ratio` times their bits; 64 unless it is said. 0: all levels.
    pub fn sparse_to_dense(mut self, ratio: usize) -> Self {
        self.sparse_to_dense = ratio;
        self
    }

    /// Adds a key; the last one again changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` if `key` is below the last one.
    pub fn add(&mut self, key: &[u8]) -> Result<()> {
        if !self.ascending.admit(key)? {
            return Ok(());
        }
        self.keys += 1;
        self.has_empty |= key.is_empty();
        let mut last = core::mem::take(&mut self.last);
        let shared = last.iter().zip(key).take_while(|(one, other)| one == other).count();
        self.keep(&last, shared);
        self.shared = shared;
        last.clear();
        last.extend_from_slice(key);
        self.last = last;
        Ok(())
    }

    /// Puts `key` into the levels, now that it is known how many bytes it shares with the next one.
    fn keep(&mut self, key: &[u8], shared_with_next: usize) {
        if key.is_empty() {
            return;
        }
        let kept = (self.shared.max(shared_with_next) + 1).min(key.len());
        let ends_inside = key.len() == shared_with_next;
        let depth = kept + usize::from(ends_inside);
        if self.levels.len() < depth {
            self.levels.resize_with(depth, Level::default);
        }
        for (at, &label) in key[..kept].iter().enumerate().skip(self.shared) {
            let starts_node = at > self.shared || self.levels[at].labels.is_empty();
            self.levels[at].push(label, at + 1 < depth, starts_node);
        }
        if ends_inside {
            self.levels[kept].push(END, false, true);
        }
        let suffix = if ends_inside { 0 } else { self.suffix.of(key, &key[kept..]) };
        self.levels[depth - 1].suffixes.push(suffix);
    }

    /// The bytes of the filter.
    ///
    /// # Errors
    /// `OverLimit` if the filter would have 512 MiB or more.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let last = core::mem::take(&mut self.last);
        self.keep(&last, 0);
        let dense = dense_levels(&self.levels, self.sparse_to_dense);
        let (parts, shape) = self.parts(dense);
        let mut header = Header::new(FilterKind::Surf, self.keys);
        header.parameter = self.suffix.bits() as u8;
        let hashed = matches!(self.suffix, Suffix::Hash(_));
        header.flags = if self.has_empty { HAS_EMPTY } else { 0 } | if hashed { HASHED } else { 0 };
        header.numbers = [shape.dense_nodes as u64, shape.sparse_edges as u64];
        let mut out = Vec::new();
        header.write(&mut out);
        parts.write(&mut out)?;
        Ok(out)
    }

    fn parts(&self, dense: usize) -> (Parts, Shape) {
        let mut parts = Parts::default();
        for level in &self.levels {
            level.suffixes.iter().for_each(|&suffix| parts.suffixes.push_number(suffix, self.suffix.bits()));
        }
        let (upper, lower) = self.levels.split_at(dense);
        let dense_nodes: usize = upper.iter().map(|level| level.node_count).sum();
        parts.dense_labels = BitVec::zeros(dense_nodes * 256);
        parts.dense_nodes = BitVec::zeros(dense_nodes * 256);
        parts.dense_ends = BitVec::zeros(dense_nodes);
        let mut first = 0;
        for level in upper {
            add_dense(level, first, &mut parts);
            first += level.node_count;
        }
        for level in lower {
            parts.labels.extend_from_slice(&level.labels);
            parts.nodes.append(&level.nodes);
            parts.starts.append(&level.starts);
        }
        let leaves = self.keys - usize::from(self.has_empty);
        let shape = Shape { leaves, dense_nodes, sparse_edges: parts.labels.len() };
        (parts, shape)
    }
}

/// How many levels from the root are worth being dense.
fn dense_levels(levels: &[Level], ratio: usize) -> usize {
    let mut sparse: usize = levels.iter().map(|level| level.labels.len() * SPARSE_EDGE_BITS).sum();
    let mut dense = 0;
    let pays = |level: &&Level| {
        dense += level.node_count * DENSE_NODE_BITS;
        sparse -= level.labels.len() * SPARSE_EDGE_BITS;
        dense.saturating_mul(ratio) <= sparse
    };
    levels.iter().take_while(pays).count()
}

/// Adds the nodes of a level, the first of which has the number `first`.
fn add_dense(level: &Level, first: usize, parts: &mut Parts) {
    let mut start = 0;
    for node in first..first + level.node_count {
        let end = level.starts.next_one(start + 1);
        for at in start..end {
            if at == start && level.labels[at] == END && end > start + 1 {
                parts.dense_ends.set(node);
                continue;
            }
            let place = node * 256 + usize::from(level.labels[at]);
            parts.dense_labels.set(place);
            if level.nodes.get(at) {
                parts.dense_nodes.set(place);
            }
        }
        start = end;
    }
}
