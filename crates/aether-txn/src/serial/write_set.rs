//! The keys that a transaction has changed.

use aether_types::{Reader, Result, Writer};

/// Bytes of keys kept for one transaction; one that changes more is taken to have changed whole trees.
const BYTES_MAX: usize = 1 << 20;
/// Bytes of memory that an empty set keeps for the next writer.
const KEPT_BYTES: usize = 4 << 10;

/// The keys that a transaction has changed, in the order of the changes; some may be listed twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WriteSet {
    /// For each change: tree (4), key (string).
    bytes: Vec<u8>,
    /// Trees in which too many keys were changed to list them.
    whole: Vec<u32>,
}

impl WriteSet {
    /// Notes a change.
    pub fn add(&mut self, tree: u32, key: &[u8]) {
        if self.whole.contains(&tree) {
            return;
        }
        if self.bytes.len() + key.len() > BYTES_MAX {
            return self.coarsen(tree);
        }
        self.bytes.put_u32(tree);
        self.bytes.put_string(key);
    }

    /// Notes that any key of `tree` may have been changed.
    pub fn add_whole(&mut self, tree: u32) {
        if !self.whole.contains(&tree) {
            self.whole.push(tree);
        }
    }

    /// Lists the trees instead of the keys, and `tree` among them.
    pub(crate) fn coarsen(&mut self, tree: u32) {
        let mut whole: Vec<u32> = self.keys().map(|(tree, _)| tree).collect();
        whole.append(&mut self.whole);
        whole.push(tree);
        whole.sort_unstable();
        whole.dedup();
        *self = Self { bytes: Vec::new(), whole };
    }

    /// Forgets everything, and keeps a little memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.shrink_to(KEPT_BYTES);
        self.whole.clear();
    }

    /// Bytes of memory, about.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.whole.len()
    }

    /// Trees in which any key may have been changed.
    pub(crate) fn whole(&self) -> &[u32] {
        &self.whole
    }

    /// The keys listed.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let mut reader = Reader::new(&self.bytes);
        core::iter::from_fn(move || next_key(&mut reader).ok())
    }
}

fn next_key<'b>(reader: &mut Reader<'b>) -> Result<(u32, &'b [u8])> {
    Ok((reader.u32()?, reader.string()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_in_order() {
        let mut writes = WriteSet::default();
        writes.add(3, b"b");
        writes.add(2, b"");
        assert_eq!(writes.keys().collect::<Vec<_>>(), [(3, &b"b"[..]), (2, &b""[..])]);
        writes.clear();
        assert_eq!(writes.keys().count(), 0);
    }

    #[test]
    fn a_tree_may_be_listed_beside_keys_of_others() {
        let mut writes = WriteSet::default();
        writes.add(3, b"b");
        writes.add_whole(4);
        writes.add_whole(4);
        writes.add(4, b"c");
        assert_eq!((writes.whole(), writes.keys().count()), (&[4][..], 1));
    }

    #[test]
    fn too_many_keys_become_trees() {
        let mut writes = WriteSet::default();
        writes.add(9, b"one");
        let key = vec![7; 60_000];
        (0..20).for_each(|_| writes.add(5, &key));
        assert_eq!(writes.whole(), [5, 9]);
        assert!(writes.size_bytes() <= BYTES_MAX);
        writes.add(9, b"two");
        assert_eq!(writes.keys().count(), 0, "the tree is listed as a whole");
    }
}
