//! All nodes of a tree, by reference: the kind and the index in the slab of that kind.

use super::bytes::Bytes;
use super::node::{Full, Head, Inner, Small, Sparse, move_children};
use super::slab::Slab;

/// A reference to a node: its index and, in the lowest three bits, its kind. 0: none.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Ref(u32);

/// Kinds of nodes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Leaf,
    Of4,
    Of16,
    Of48,
    Of256,
}

impl Ref {
    pub(super) const NONE: Self = Self(0);

    fn new(kind: Kind, index: u32) -> Self {
        Self(index << 3 | (kind as u32 + 1))
    }

    #[inline(always)]
    pub(super) fn is_none(self) -> bool {
        self.0 == 0
    }

    #[inline(always)]
    pub(super) fn is_leaf(self) -> bool {
        self.0 & 7 == Kind::Leaf as u32 + 1
    }

    #[inline(always)]
    fn kind(self) -> Kind {
        match self.0 & 7 {
            1 => Kind::Leaf,
            2 => Kind::Of4,
            3 => Kind::Of16,
            4 => Kind::Of48,
            _ => Kind::Of256,
        }
    }

    #[inline(always)]
    fn index(self) -> u32 {
        self.0 >> 3
    }
}

/// A key's end: what is left of the key there, and its value.
pub(super) struct Leaf<V> {
    pub(super) rest: Bytes,
    pub(super) value: V,
}

/// The nodes of a tree.
pub(super) struct Nodes<V> {
    leaves: Slab<Leaf<V>>,
    of_4: Slab<Small<4>>,
    of_16: Slab<Small<16>>,
    of_48: Slab<Sparse>,
    of_256: Slab<Full>,
    /// Bytes of paths and rests that lie on the heap.
    heap_bytes: usize,
}

/// Evaluates `$body` with `$node` as the inner node at `$at`, whatever its kind.
macro_rules! with {
    ($nodes:expr, $at:expr, $get:ident, $node:ident => $body:expr) => {
        match $at.kind() {
            Kind::Of4 => {
                let $node = $nodes.of_4.$get($at.index());
                $body
            }
            Kind::Of16 => {
                let $node = $nodes.of_16.$get($at.index());
                $body
            }
            Kind::Of48 => {
                let $node = $nodes.of_48.$get($at.index());
                $body
            }
            Kind::Of256 => {
                let $node = $nodes.of_256.$get($at.index());
                $body
            }
            Kind::Leaf => unreachable!("a leaf has no children"),
        }
    };
}

impl<V> Nodes<V> {
    pub(super) fn new() -> Self {
        Self {
            leaves: Slab::new(),
            of_4: Slab::new(),
            of_16: Slab::new(),
            of_48: Slab::new(),
            of_256: Slab::new(),
            heap_bytes: 0,
        }
    }

    pub(super) fn add_leaf(&mut self, rest: &[u8], value: V) -> Ref {
        let rest = Bytes::new(rest);
        self.heap_bytes += rest.heap_bytes();
        Ref::new(Kind::Leaf, self.leaves.add(Leaf { rest, value }))
    }

    /// An inner node without children.
    pub(super) fn add_inner(&mut self, path: &[u8]) -> Ref {
        let path = Bytes::new(path);
        self.heap_bytes += path.heap_bytes();
        Ref::new(Kind::Of4, self.of_4.add(Small::new(Head { path, ..Head::default() })))
    }

    #[inline(always)]
    pub(super) fn leaf(&self, at: Ref) -> &Leaf<V> {
        debug_assert!(at.is_leaf(), "{at:?}");
        self.leaves.get(at.index())
    }

    pub(super) fn value_mut(&mut self, at: Ref) -> &mut V {
        &mut self.leaves.get_mut(at.index()).value
    }

    pub(super) fn take_leaf(&mut self, at: Ref) -> V {
        let leaf = self.leaves.take(at.index());
        self.heap_bytes -= leaf.rest.heap_bytes();
        leaf.value
    }

    /// Replaces what is left of the key at a leaf, or the path of an inner node.
    pub(super) fn set_bytes(&mut self, at: Ref, bytes: Bytes) {
        self.heap_bytes += bytes.heap_bytes();
        let place = match at.is_leaf() {
            true => &mut self.leaves.get_mut(at.index()).rest,
            false => &mut with!(self, at, get_mut, node => node.head_mut()).path,
        };
        let old = core::mem::replace(place, bytes);
        self.heap_bytes -= old.heap_bytes();
    }

    /// What is left of the key at a leaf, or the path of an inner node.
    pub(super) fn bytes(&self, at: Ref) -> &[u8] {
        match at.is_leaf() {
            true => self.leaf(at).rest.as_slice(),
            false => self.head(at).path.as_slice(),
        }
    }

    #[inline(always)]
    pub(super) fn head(&self, at: Ref) -> &Head {
        with!(self, at, get, node => node.head())
    }

    pub(super) fn set_own(&mut self, at: Ref, own: Ref) {
        with!(self, at, get_mut, node => node.head_mut().own = own);
    }

    #[inline(always)]
    pub(super) fn child(&self, at: Ref, byte: u8) -> Ref {
        with!(self, at, get, node => node.child(byte))
    }

    /// Goes on from `at` by `rest` of a key: the child or the leaf of its own, and what is left then. None if the key is not below.
    #[inline(always)]
    pub(super) fn descend<'k>(&self, at: Ref, rest: &'k [u8]) -> Option<(Ref, &'k [u8])> {
        with!(self, at, get, node => {
            let rest = node.head().path.strip_from(rest)?;
            match rest.split_first() {
                Some((byte, behind)) => Some((node.child(*byte), behind)),
                None => Some((node.head().own, rest)),
            }
        })
    }

    pub(super) fn replace_child(&mut self, at: Ref, byte: u8, child: Ref) {
        with!(self, at, get_mut, node => node.replace(byte, child));
    }

    /// The first child whose byte is no less than `from`.
    #[inline]
    pub(super) fn at_or_above(&self, at: Ref, from: usize) -> Option<(u8, Ref)> {
        with!(self, at, get, node => node.at_or_above(from))
    }

    /// The last child whose byte is less than `to`.
    #[inline]
    pub(super) fn below(&self, at: Ref, to: usize) -> Option<(u8, Ref)> {
        with!(self, at, get, node => node.below(to))
    }

    /// Adds a child behind `byte`, where none is; the node is another afterwards if it had to grow.
    pub(super) fn add_child(&mut self, at: Ref, byte: u8, child: Ref) -> Ref {
        let (count, room) = with!(self, at, get, node => (usize::from(node.head().count), node.room()));
        let at = if count == room { self.resize(at, count + 1) } else { at };
        with!(self, at, get_mut, node => node.add(byte, child));
        at
    }

    /// Removes the child behind `byte`, which is there; the node is another afterwards if a much smaller one will do.
    pub(super) fn remove_child(&mut self, at: Ref, byte: u8) -> Ref {
        with!(self, at, get_mut, node => node.remove(byte));
        let count = usize::from(self.head(at).count);
        // A quarter below the bound, so that a node does not change its size with every step.
        let is_small = match at.kind() {
            Kind::Of16 => count <= 3,
            Kind::Of48 => count <= 12,
            Kind::Of256 => count <= 36,
            _ => false,
        };
        if is_small { self.resize(at, count) } else { at }
    }

    /// The same node with room for `count` children.
    fn resize(&mut self, at: Ref, count: usize) -> Ref {
        match at.kind() {
            Kind::Of4 => {
                let old = self.of_4.take(at.index());
                self.add_with(count, &old)
            }
            Kind::Of16 => {
                let old = self.of_16.take(at.index());
                self.add_with(count, &old)
            }
            Kind::Of48 => {
                let old = self.of_48.take(at.index());
                self.add_with(count, &old)
            }
            Kind::Of256 => {
                let old = self.of_256.take(at.index());
                self.add_with(count, &old)
            }
            Kind::Leaf => unreachable!("a leaf has no children"),
        }
    }

    fn add_with(&mut self, count: usize, old: &impl Inner) -> Ref {
        let head = old.head().clone();
        match count {
            0..=4 => {
                let mut node = Small::<4>::new(head);
                move_children(old, &mut node);
                Ref::new(Kind::Of4, self.of_4.add(node))
            }
            5..=16 => {
                let mut node = Small::<16>::new(head);
                move_children(old, &mut node);
                Ref::new(Kind::Of16, self.of_16.add(node))
            }
            17..=48 => {
                let mut node = Sparse::new(head);
                move_children(old, &mut node);
                Ref::new(Kind::Of48, self.of_48.add(node))
            }
            _ => {
                let mut node = Full::new(head);
                move_children(old, &mut node);
                Ref::new(Kind::Of256, self.of_256.add(node))
            }
        }
    }

    /// Removes an inner node, which nothing refers to.
    pub(super) fn drop_inner(&mut self, at: Ref) {
        self.heap_bytes -= self.head(at).path.heap_bytes();
        with!(self, at, take, _node => ());
    }

    /// Leaves and inner nodes in use.
    pub(super) fn counts(&self) -> (usize, usize) {
        let inner = self.of_4.len() + self.of_16.len() + self.of_48.len() + self.of_256.len();
        (self.leaves.len(), inner)
    }

    /// Bytes taken from the system, without what values hold on the heap.
    pub(super) fn memory_bytes(&self) -> usize {
        let small = self.leaves.memory_bytes() + self.of_4.memory_bytes() + self.of_16.memory_bytes();
        small + self.of_48.memory_bytes() + self.of_256.memory_bytes() + self.heap_bytes
    }

    /// Bytes of paths and rests on the heap, as counted.
    pub(super) fn heap_bytes(&self) -> usize {
        self.heap_bytes
    }
}
