//! What a serializable transaction has read: its predicates.

use super::fingerprint;
use super::write_set::WriteSet;
use aether_types::{Reader, Result, Writer};
use core::ops::Bound;
use std::collections::{BTreeSet, HashSet};

/// Keys noted one by one, per transaction; more, and everything read so far counts as whole trees.
const KEYS_MAX: usize = 1 << 16;
/// Ranges noted one by one, per transaction.
const RANGES_MAX: usize = 1 << 12;

/// A range of keys in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
struct KeyRange {
    tree: u32,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    /// Somebody holds its mark.
    is_marked: bool,
}

impl KeyRange {
    fn contains(&self, tree: u32, key: &[u8]) -> bool {
        let above = match &self.lower {
            Bound::Included(lower) => key >= &lower[..],
            Bound::Excluded(lower) => key > &lower[..],
            Bound::Unbounded => true,
        };
        let below = match &self.upper {
            Bound::Included(upper) => key <= &upper[..],
            Bound::Excluded(upper) => key < &upper[..],
            Bound::Unbounded => true,
        };
        tree == self.tree && above && below
    }
}

/// As an upper bound: no key lies below it.
const NOTHING: Bound<Vec<u8>> = Bound::Excluded(Vec::new());

/// The place of a range in its set, by which it can be narrowed later.
#[derive(Clone, Copy, Debug)]
pub struct RangeMark(usize);

/// The keys and ranges that a transaction has read. Its memory is bounded: a transaction that reads too much of a tree
/// is taken to have read all of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSet {
    /// Fingerprints of keys.
    keys: HashSet<u64>,
    ranges: Vec<KeyRange>,
    /// Every tree of which anything was read.
    trees: BTreeSet<u32>,
    /// Trees that count as read whole.
    whole: BTreeSet<u32>,
}

impl ReadSet {
    /// Notes that a key was read, or found to be missing.
    pub fn add_key(&mut self, tree: u32, key: &[u8]) {
        self.trees.insert(tree);
        if self.keys.len() >= KEYS_MAX {
            self.coarsen();
        }
        if !self.whole.contains(&tree) {
            self.keys.insert(fingerprint(tree, key));
        }
    }

    /// Notes that a range is being read; [`ReadSet::narrow`] says later how much of it was.
    pub fn add_range(&mut self, tree: u32, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) -> RangeMark {
        self.trees.insert(tree);
        if self.ranges.len() >= RANGES_MAX {
            self.coarsen();
        }
        if self.whole.contains(&tree) {
            return RangeMark(usize::MAX);
        }
        self.ranges.push(KeyRange { tree, lower, upper, is_marked: true });
        RangeMark(self.ranges.len() - 1)
    }

    /// Replaces a range by what was read of it: upward to the key `first`, and downward to the key `last`; none if no row
    /// was read from that end.
    pub fn narrow(&mut self, mark: RangeMark, first: Option<Vec<u8>>, last: Option<Vec<u8>>) {
        let Some(range) = self.ranges.get_mut(mark.0) else { return };
        let tree = range.tree;
        let upper = core::mem::replace(&mut range.upper, first.map_or(NOTHING, Bound::Included));
        if let Some(last) = last {
            self.ranges.push(KeyRange { tree, lower: Bound::Included(last), upper, is_marked: true });
        }
    }

    /// Notes that a cursor has read from one position to another; the steps of one walk become one range.
    pub fn add_step(&mut self, tree: u32, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) {
        match self.ranges.last_mut().filter(|last| last.tree == tree && !last.is_marked) {
            Some(last) if last.upper == lower && lower != Bound::Unbounded => last.upper = upper,
            Some(last) if last.lower == upper && upper != Bound::Unbounded => last.lower = lower,
            _ => {
                let mark = self.add_range(tree, lower, upper);
                self.ranges.get_mut(mark.0).into_iter().for_each(|range| range.is_marked = false);
            }
        }
    }

    /// Everything read so far counts as whole trees.
    fn coarsen(&mut self) {
        self.whole.clone_from(&self.trees);
        self.keys = HashSet::new();
        // Marks stay what they are: an empty range is no read.
        self.ranges.iter_mut().for_each(|range| {
            range.lower = NOTHING;
            range.upper = NOTHING;
        });
    }

    /// True if nothing was read.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// A key that `writes` has changed and this set has read; an empty key stands for a whole tree.
    pub(crate) fn find_changed<'w>(&self, writes: &'w WriteSet) -> Option<(u32, &'w [u8])> {
        if let Some(tree) = writes.whole().iter().find(|tree| self.trees.contains(tree)) {
            return Some((*tree, &[]));
        }
        writes.keys().find(|(tree, key)| self.has_read(*tree, key))
    }

    fn has_read(&self, tree: u32, key: &[u8]) -> bool {
        self.trees.contains(&tree)
            && (self.whole.contains(&tree)
                || self.keys.contains(&fingerprint(tree, key))
                || self.ranges.iter().any(|range| range.contains(tree, key)))
    }

    /// Appends the set, as a prepared transaction keeps it: see `docs/formats.md`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.put_varint(self.trees.len() as u64);
        for tree in &self.trees {
            out.put_u32(*tree);
            out.put_u8(u8::from(self.whole.contains(tree)));
        }
        out.put_varint(self.keys.len() as u64);
        self.keys.iter().for_each(|key| out.put_u64(*key));
        out.put_varint(self.ranges.len() as u64);
        for range in &self.ranges {
            out.put_u32(range.tree);
            encode_bound(&range.lower, out);
            encode_bound(&range.upper, out);
        }
    }

    /// Reads a set written by [`ReadSet::encode_into`].
    ///
    /// # Errors
    /// `Corruption`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let mut set = Self::default();
        for _ in 0..reader.varint()? {
            let tree = reader.u32()?;
            set.trees.insert(tree);
            if reader.u8()? != 0 {
                set.whole.insert(tree);
            }
        }
        for _ in 0..reader.varint()? {
            set.keys.insert(reader.u64()?);
        }
        for _ in 0..reader.varint()? {
            let (tree, lower, upper) = (reader.u32()?, decode_bound(reader)?, decode_bound(reader)?);
            set.ranges.push(KeyRange { tree, lower, upper, is_marked: false });
        }
        Ok(set)
    }
}

fn encode_bound(bound: &Bound<Vec<u8>>, out: &mut Vec<u8>) {
    let (tag, key): (u8, &[u8]) = match bound {
        Bound::Unbounded => (0, &[]),
        Bound::Included(key) => (1, key),
        Bound::Excluded(key) => (2, key),
    };
    out.put_u8(tag);
    out.put_string(key);
}

fn decode_bound(reader: &mut Reader<'_>) -> Result<Bound<Vec<u8>>> {
    let (tag, key) = (reader.u8()?, reader.string()?.to_vec());
    Ok(match tag {
        0 => Bound::Unbounded,
        1 => Bound::Included(key),
        2 => Bound::Excluded(key),
        other => return Err(reader.bad(format!("a bound of unknown kind {other}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn included(key: &[u8]) -> Bound<Vec<u8>> {
        Bound::Included(key.to_vec())
    }

    fn changes(keys: &[(u32, &[u8])]) -> WriteSet {
        let mut writes = WriteSet::default();
        keys.iter().for_each(|(tree, key)| writes.add(*tree, key));
        writes
    }

    #[test]
    fn keys_and_ranges_of_the_same_tree_meet() {
        let mut reads = ReadSet::default();
        reads.add_key(1, b"k");
        reads.add_range(2, included(b"b"), Bound::Excluded(b"d".to_vec()));
        let meets = |tree, key: &[u8]| reads.find_changed(&changes(&[(tree, key)])).is_some();
        assert!(meets(1, b"k") && meets(2, b"b") && meets(2, b"c"));
        assert!(!meets(2, b"k") && !meets(1, b"c") && !meets(2, b"d") && !meets(2, b"a"));
    }

    #[test]
    fn a_range_is_narrowed_from_both_ends() {
        let mut reads = ReadSet::default();
        let mark = reads.add_range(1, included(b"a"), included(b"z"));
        reads.narrow(mark, Some(b"c".to_vec()), Some(b"x".to_vec()));
        let meets = |key: &[u8]| reads.find_changed(&changes(&[(1, key)])).is_some();
        assert!(meets(b"b") && meets(b"c") && meets(b"x") && meets(b"z"));
        assert!(!meets(b"d") && !meets(b"w"));
    }

    #[test]
    fn the_steps_of_a_walk_are_one_range() {
        let mut reads = ReadSet::default();
        reads.add_step(1, included(b"b"), included(b"c"));
        reads.add_step(1, included(b"c"), included(b"e"));
        reads.add_step(1, included(b"a"), included(b"b"));
        assert_eq!(reads.ranges.len(), 1);
        let meets = |key: &[u8]| reads.find_changed(&changes(&[(1, key)])).is_some();
        assert!(meets(b"a") && meets(b"d") && !meets(b"f"));
    }

    #[test]
    fn too_many_reads_become_whole_trees() {
        let mut reads = ReadSet::default();
        let mark = reads.add_range(2, included(b"a"), included(b"b"));
        (0..=KEYS_MAX as u64).for_each(|number| reads.add_key(1, &number.to_be_bytes()));
        reads.narrow(mark, Some(b"a".to_vec()), None);
        assert!(reads.keys.is_empty());
        assert!(reads.find_changed(&changes(&[(1, b"anything")])).is_some());
        assert!(reads.find_changed(&changes(&[(2, b"zzz")])).is_some());
        assert!(reads.find_changed(&changes(&[(3, b"zzz")])).is_none());
    }

    #[test]
    fn a_tree_changed_as_a_whole_meets_whoever_has_read_of_it() {
        let mut writes = WriteSet::default();
        (0..20).for_each(|_| writes.add(5, &[1; 60_000]));
        let mut reads = ReadSet::default();
        assert!(reads.find_changed(&writes).is_none());
        reads.add_key(5, b"k");
        assert!(reads.find_changed(&writes).is_some());
    }

    #[test]
    fn sets_round_trip() {
        let mut reads = ReadSet::default();
        reads.add_key(1, b"k");
        reads.add_step(2, included(b"b"), Bound::Unbounded);
        let mut bytes = Vec::new();
        reads.encode_into(&mut bytes);
        assert_eq!(ReadSet::decode(&mut Reader::new(&bytes)).unwrap(), reads);
        (0..bytes.len()).for_each(|end| assert!(ReadSet::decode(&mut Reader::new(&bytes[..end])).is_err()));
    }
}
