//! The trie in bytes, in level order: LOUDS-dense nodes first, then LOUDS-sparse ones.
//!
//! Nodes are numbered level by level from the root, 0. Node k + 1 is where edge k with a child leads, over both parts; so a child's number
//! is a rank. A dense node has 256 bits for its labels, 256 that tell which lead to nodes, and one bit if a key ends in it.
//! A sparse node is a stretch of labels, one byte each, with a bit that says whether the label leads to a node, and one that is set at the
//! first label of each node. If a key ends in a sparse node, its first label is 0xff and others follow; a true 0xff is last.
//!
//! Leaves (edges without a child, and ends of keys) are numbered in the same order; in a node the end comes first.

use crate::filter::bits::{BitVec, Bits, Ranked, Select};
use aether_types::{Reader, Result, Writer};

/// The label of a key's end in a sparse node.
pub(super) const END: u8 = 0xff;
const LABELS: usize = 256;

/// What a trie consists of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) leaves: usize,
    pub(super) dense_nodes: usize,
    pub(super) sparse_edges: usize,
}

/// Where an edge leads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Edge {
    /// To the node of that number.
    Node(usize),
    /// To no node: the leaf's number.
    Leaf(usize),
}

/// Where a node's labels stand: bits if it is dense, bytes if it is sparse, there without the end of a key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    number: usize,
    first: usize,
    end: usize,
    /// Whether a key ends here.
    pub(super) has_end: bool,
}

/// The parts of a trie on their way to bytes.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) dense_labels: BitVec,
    pub(super) dense_nodes: BitVec,
    pub(super) dense_ends: BitVec,
    pub(super) labels: Vec<u8>,
    pub(super) nodes: BitVec,
    pub(super) starts: BitVec,
    pub(super) suffixes: BitVec,
}

impl Parts {
    /// # Errors
    /// `OverLimit` if there are too many bits.
    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        self.dense_labels.write_ranked(Select::Nothing, out)?;
        self.dense_nodes.write_ranked(Select::Nothing, out)?;
        self.dense_ends.write_ranked(Select::Nothing, out)?;
        self.nodes.write_ranked(Select::Nothing, out)?;
        self.starts.write_ranked(Select::Ones, out)?;
        self.suffixes.write(out);
        out.put_bytes(&self.labels);
        Ok(())
    }
}

/// Reads a trie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trie<'a> {
    shape: Shape,
    suffix_bits: u32,
    dense_labels: Ranked<'a>,
    dense_nodes: Ranked<'a>,
    dense_ends: Ranked<'a>,
    labels: &'a [u8],
    nodes: Ranked<'a>,
    starts: Ranked<'a>,
    suffixes: Bits<'a>,
}

impl<'a> Trie<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, shape: Shape, suffix_bits: u32) -> Result<Self> {
        let Shape { leaves, dense_nodes, sparse_edges } = shape;
        if leaves.max(dense_nodes).max(sparse_edges) > reader.remaining().saturating_mul(8) {
            return Err(reader.bad("a trie with more parts than there are bits"));
        }
        let trie = Self {
            shape,
            suffix_bits,
            dense_labels: Ranked::read(reader, dense_nodes * LABELS, Select::Nothing)?,
            dense_nodes: Ranked::read(reader, dense_nodes * LABELS, Select::Nothing)?,
            dense_ends: Ranked::read(reader, dense_nodes, Select::Nothing)?,
            nodes: Ranked::read(reader, sparse_edges, Select::Nothing)?,
            starts: Ranked::read(reader, sparse_edges, Select::Ones)?,
            suffixes: Bits::read(reader, leaves * suffix_bits as usize)?,
            labels: reader.bytes(sparse_edges)?,
        };
        match trie.fault() {
            None => Ok(trie),
            Some(what) => Err(reader.bad(what)),
        }
    }

    /// What is wrong with the parts, if anything. Every node but the root has one edge to it, or this tells; so what can be reached from the root
    /// is a tree, whatever the bits say.
    fn fault(&self) -> Option<&'static str> {
        let nodes = self.shape.dense_nodes + self.starts.ones();
        let children = self.dense_nodes.ones() + self.nodes.ones();
        if nodes.saturating_sub(1) != children {
            return Some("nodes without an edge to them, or edges without a node");
        }
        if self.shape.sparse_edges > 0 && !self.starts.bits().get(0) {
            return Some("an edge of no node");
        }
        let edges = self.dense_labels.ones() + self.dense_ends.ones() + self.shape.sparse_edges;
        if edges.checked_sub(children) != Some(self.shape.leaves) {
            return Some("a number of leaves that is not the number of keys");
        }
        (0..self.shape.dense_nodes).find_map(|node| self.fault_of_dense(node))
    }

    fn fault_of_dense(&self, node: usize) -> Option<&'static str> {
        let words = node * 4..(node + 1) * 4;
        let pairs = words.map(|at| (self.dense_labels.bits().word(at), self.dense_nodes.bits().word(at)));
        let (labels, stray) =
            pairs.fold((0, 0), |(labels, stray), (some, nodes)| (labels | some, stray | nodes & !some));
        (labels == 0 || stray != 0).then_some("a node without labels, or a child without a label")
    }

    /// The root, unless there is none.
    #[inline]
    pub(super) fn root(&self) -> Option<Node> {
        (self.shape.leaves > 0).then(|| self.node(0))
    }

    /// The suffix of a leaf.
    #[inline]
    pub(super) fn suffix(&self, leaf: usize) -> u64 {
        self.suffixes.number(leaf, self.suffix_bits)
    }

    /// The node of that number.
    #[inline]
    pub(super) fn node(&self, number: usize) -> Node {
        if number < self.shape.dense_nodes {
            let has_end = self.dense_ends.bits().get(number);
            return Node { number, first: number * LABELS, end: (number + 1) * LABELS, has_end };
        }
        let start = self.starts.select(number - self.shape.dense_nodes);
        let end = self.starts.bits().next_one(start + 1);
        let has_end = self.labels.get(start) == Some(&END) && end > start + 1;
        Node { number, first: start + usize::from(has_end), end, has_end }
    }

    /// The edge with that label.
    #[inline]
    pub(super) fn find(&self, node: &Node, label: u8) -> Option<Edge> {
        if node.number < self.shape.dense_nodes {
            let at = node.first + usize::from(label);
            return self.dense_labels.bits().get(at).then(|| self.dense_edge(node.number, at));
        }
        let labels = self.labels.get(node.first..node.end)?;
        let at = labels.binary_search(&label).ok()?;
        Some(self.sparse_edge(node.first + at))
    }

    /// The edge with the least label that is `least` or higher.
    #[inline]
    pub(super) fn next(&self, node: &Node, least: u8) -> Option<(u8, Edge)> {
        if node.number < self.shape.dense_nodes {
            let at = self.dense_labels.bits().next_one(node.first + usize::from(least));
            return (at < node.end).then(|| ((at % LABELS) as u8, self.dense_edge(node.number, at)));
        }
        let labels = self.labels.get(node.first..node.end)?;
        let at = labels.partition_point(|&label| label < least);
        Some((*labels.get(at)?, self.sparse_edge(node.first + at)))
    }

    #[inline]
    fn dense_edge(&self, node: usize, at: usize) -> Edge {
        let children = self.dense_nodes.rank(at);
        if self.dense_nodes.bits().get(at) {
            return Edge::Node(children + 1);
        }
        Edge::Leaf(self.dense_labels.rank(at) - children + self.dense_ends.rank(node + 1))
    }

    #[inline]
    fn sparse_edge(&self, at: usize) -> Edge {
        let children = self.nodes.rank(at);
        if self.nodes.bits().get(at) {
            return Edge::Node(self.dense_nodes.ones() + children + 1);
        }
        let dense_leaves = self.dense_labels.ones() - self.dense_nodes.ones() + self.dense_ends.ones();
        Edge::Leaf(dense_leaves + at - children)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dense(nodes: usize, labels: &[usize], children: &[usize], ends: &[usize]) -> Parts {
        let bits = |len, places: &[usize]| {
            let mut bits = BitVec::zeros(len);
            places.iter().for_each(|&place| bits.set(place));
            bits
        };
        Parts {
            dense_labels: bits(nodes * LABELS, labels),
            dense_nodes: bits(nodes * LABELS, children),
            dense_ends: bits(nodes, ends),
            ..Parts::default()
        }
    }

    fn sparse(labels: &[u8], children: &[bool], starts: &[bool]) -> Parts {
        let mut parts = Parts { labels: labels.to_vec(), ..Parts::default() };
        children.iter().for_each(|&bit| parts.nodes.push(bit));
        starts.iter().for_each(|&bit| parts.starts.push(bit));
        parts
    }

    fn fault(parts: &Parts, leaves: usize, dense_nodes: usize) -> Option<String> {
        let mut bytes = Vec::new();
        parts.write(&mut bytes).unwrap();
        let shape = Shape { leaves, dense_nodes, sparse_edges: parts.labels.len() };
        Trie::read(&mut Reader::new(&bytes), shape, 0).err().map(|error| error.what().to_string())
    }

    fn refused(parts: &Parts, leaves: usize, dense_nodes: usize, why: &str) {
        let fault = fault(parts, leaves, dense_nodes).unwrap();
        assert!(fault.contains(why), "{fault} instead of {why}");
    }

    #[test]
    fn sound_parts_are_read() {
        assert_eq!(fault(&dense(2, &[10, 20, 256 + 7], &[20], &[]), 2, 2), None);
        assert_eq!(fault(&sparse(&[10, 20, 7], &[false, true, false], &[true, false, true]), 2, 0), None);
    }

    #[test]
    fn parts_that_are_no_tree_are_refused() {
        refused(&dense(2, &[10, 256 + 7], &[5], &[]), 1, 2, "without a label");
        refused(&dense(1, &[], &[], &[0]), 1, 1, "without labels");
        refused(&dense(2, &[10, 20, 256 + 7], &[], &[]), 3, 2, "without an edge");
        refused(&sparse(&[10, 20, 7], &[true, true, false], &[true, false, true]), 1, 0, "without a node");
        refused(&sparse(&[10, 20, 7], &[true, false, false], &[false, true, true]), 2, 0, "of no node");
        refused(&sparse(&[10, 20, 7], &[false, true, false], &[true, false, true]), 3, 0, "number of leaves");
    }
}
