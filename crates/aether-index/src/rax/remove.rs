//! Removing: the leaf goes, and a node that has only one child or key left goes with it.

use super::bytes::Bytes;
use super::{Rax, Ref, Slot};

impl<V> Rax<V> {
    /// Removes `key`; its value, if it was there.
    pub fn remove(&mut self, key: &[u8]) -> Option<V> {
        let (mut at, mut rest) = (self.root, key);
        // The slot that refers to `at`, and the one that refers to the node with that slot.
        let (mut slot, mut above) = (Slot::Root, Slot::Root);
        while !at.is_leaf() {
            if at.is_none() {
                return None;
            }
            let head = self.nodes.head(at);
            rest = rest.strip_prefix(head.path.as_slice())?;
            above = slot;
            (at, slot, rest) = match rest.split_first() {
                None => (head.own, Slot::Own(at), rest),
                Some((byte, behind)) => (self.nodes.child(at, *byte), Slot::Child(at, *byte), behind),
            };
        }
        if self.nodes.leaf(at).rest.as_slice() != rest {
            return None;
        }
        self.unhang(slot, above);
        self.len -= 1;
        self.changes += 1;
        Some(self.nodes.take_leaf(at))
    }

    /// Empties `slot`; `above` refers to the node that has it.
    fn unhang(&mut self, slot: Slot, above: Slot) {
        let node = match slot {
            Slot::Root => return self.root = Ref::NONE,
            Slot::Own(node) => {
                self.nodes.set_own(node, Ref::NONE);
                node
            }
            Slot::Child(node, byte) => self.nodes.remove_child(node, byte),
        };
        let replacement = self.only_part(node).unwrap_or(node);
        self.set_slot(above, replacement);
    }

    /// If `node` has nothing but one child or key, that takes over its path, and the node goes.
    fn only_part(&mut self, node: Ref) -> Option<Ref> {
        let head = self.nodes.head(node);
        let (own, path) = (head.own, head.path.clone());
        let (only, bytes) = match (head.count, own.is_none()) {
            (0, false) => (own, path),
            (1, true) => {
                let (byte, child) = self.nodes.at_or_above(node, 0)?;
                (child, Bytes::joined(&[path.as_slice(), &[byte], self.nodes.bytes(child)]))
            }
            _ => return None,
        };
        self.nodes.set_bytes(only, bytes);
        self.nodes.drop_inner(node);
        Some(only)
    }
}
