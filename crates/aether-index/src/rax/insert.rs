//! Inserting: a new leaf in a node that is there, or a new node where the key parts from a path or from a leaf's rest.

use super::bytes::{Bytes, common};
use super::{Rax, Ref, Slot};

impl<V> Rax<V> {
    /// Inserts or replaces; the old value, if there was one.
    pub fn insert(&mut self, key: &[u8], value: V) -> Option<V> {
        let (mut at, mut slot, mut rest) = (self.root, Slot::Root, key);
        loop {
            if at.is_none() {
                let leaf = self.new_leaf(rest, value);
                self.hang(slot, leaf);
                return None;
            }
            let bytes = self.nodes.bytes(at);
            let shared = common(bytes, rest);
            if shared < bytes.len() || (at.is_leaf() && shared < rest.len()) {
                self.part(at, slot, shared, rest, value);
                return None;
            }
            if at.is_leaf() {
                return Some(core::mem::replace(self.nodes.value_mut(at), value));
            }
            (at, slot, rest) = match rest[shared..].split_first() {
                None => (self.nodes.head(at).own, Slot::Own(at), &[][..]),
                Some((byte, behind)) => {
                    let child = self.nodes.child(at, *byte);
                    if child.is_none() {
                        let leaf = self.new_leaf(behind, value);
                        let grown = self.nodes.add_child(at, *byte, leaf);
                        self.set_slot(slot, grown);
                        return None;
                    }
                    (child, Slot::Child(at, *byte), behind)
                }
            };
        }
    }

    fn new_leaf(&mut self, rest: &[u8], value: V) -> Ref {
        self.len += 1;
        self.changes += 1;
        self.nodes.add_leaf(rest, value)
    }

    /// Fills an empty slot.
    fn hang(&mut self, slot: Slot, leaf: Ref) {
        debug_assert!(!matches!(slot, Slot::Child(..)), "a child is added, not filled in");
        self.set_slot(slot, leaf);
    }

    /// Puts a node before `at`, where a key with `rest` parts from it after `shared` bytes.
    fn part(&mut self, at: Ref, slot: Slot, shared: usize, rest: &[u8], value: V) {
        let inner = self.nodes.add_inner(&rest[..shared]);
        let old = Bytes::new(&self.nodes.bytes(at)[shared..]);
        let old = old.as_slice();
        self.nodes.set_bytes(at, Bytes::new(old.get(1..).unwrap_or_default()));
        let leaf = self.new_leaf(rest.get(shared + 1..).unwrap_or_default(), value);
        for (byte, node) in [(old.first(), at), (rest.get(shared), leaf)] {
            match byte {
                None => self.nodes.set_own(inner, node),
                Some(byte) => {
                    let same = self.nodes.add_child(inner, *byte, node);
                    debug_assert_eq!(same, inner, "there is room for two");
                }
            }
        }
        self.set_slot(slot, inner);
    }
}
