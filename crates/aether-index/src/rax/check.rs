//! Walks a tree and says whether its rules hold: no node without need, none too large for what it has, no more nodes than
//! are reached, and the counts of keys and of bytes on the heap are right.

use super::Rax;
use super::nodes::Ref;
use aether_types::{Error, Result};

/// What a walk has met.
#[derive(Default)]
struct Met {
    leaves: usize,
    inner: usize,
    heap_bytes: usize,
}

impl<V> Rax<V> {
    /// Checks every rule of the structure.
    ///
    /// # Errors
    /// `Corruption` with the first broken rule.
    pub fn check(&self) -> Result<()> {
        let (mut met, mut pending) = (Met::default(), vec![self.root]);
        pending.retain(|root| !root.is_none());
        while let Some(at) = pending.pop() {
            met.heap_bytes += self.check_bytes(at);
            match at.is_leaf() {
                true => met.leaves += 1,
                false => {
                    met.inner += 1;
                    self.check_inner(at, &mut pending)?;
                }
            }
        }
        let counted = self.nodes.counts();
        if (met.leaves, met.inner) != counted || met.leaves != self.len {
            let what =
                format!("rax: {} leaves and {} nodes are reached, not {counted:?}", met.leaves, met.inner);
            return Err(Error::corruption(what));
        }
        match met.heap_bytes == self.nodes.heap_bytes() {
            true => Ok(()),
            false => Err(Error::corruption("rax: the bytes on the heap are counted wrong")),
        }
    }

    fn check_bytes(&self, at: Ref) -> usize {
        let bytes = self.nodes.bytes(at).len();
        if bytes > 22 { bytes } else { 0 }
    }

    fn check_inner(&self, at: Ref, pending: &mut Vec<Ref>) -> Result<()> {
        let (head, mut children, mut next) = (self.nodes.head(at), 0, 0);
        while let Some((byte, child)) = self.nodes.at_or_above(at, next) {
            if child.is_none() || self.nodes.child(at, byte) != child {
                return Err(Error::corruption(format!("rax: the child behind byte {byte} is not found")));
            }
            pending.push(child);
            (children, next) = (children + 1, usize::from(byte) + 1);
        }
        pending.extend((!head.own.is_none()).then_some(head.own));
        if children != usize::from(head.count) || children + usize::from(!head.own.is_none()) < 2 {
            let what =
                format!("rax: a node counts {} children, has {children}, and may be too small", head.count);
            return Err(Error::corruption(what));
        }
        let is_bare = |own: Ref| own.is_none() || (own.is_leaf() && self.nodes.bytes(own).is_empty());
        if !is_bare(head.own) {
            return Err(Error::corruption("rax: the leaf of a key that ends at a node has something left"));
        }
        Ok(())
    }
}
