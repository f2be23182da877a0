//! What a serializable transaction notes of what it reads.

use super::fingerprint;
use super::predicates::{KEY_BYTES, KeyRange, NOTHING, Predicates};
use core::ops::Bound;
use std::collections::{BTreeSet, HashSet};

/// Keys noted one by one, per transaction; more, and everything read so far counts as whole trees.
const KEYS_MAX: usize = 1 << 16;
/// Ranges noted one by one, per transaction.
const RANGES_MAX: usize = 1 << 12;
/// Bytes of the bounds of ranges, per transaction.
const BOUNDS_MAX: usize = 1 << 20;

#[derive(Debug)]
struct Noted {
    range: KeyRange,
    /// Somebody holds its mark.
    is_marked: bool,
}

/// The place of a range in its set, by which it can be narrowed later.
#[derive(Clone, Copy, Debug)]
pub struct RangeMark(usize);

/// The keys and ranges that a transaction has read. Its memory is bounded: a transaction that reads too much of a tree
/// is taken to have read all of it.
#[derive(Debug, Default)]
pub struct ReadSet {
    /// Fingerprints of keys.
    keys: HashSet<u64>,
    ranges: Vec<Noted>,
    /// Bytes of the bounds of all ranges.
    bound_bytes: usize,
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
        self.add(KeyRange { tree, lower, upper }, true)
    }

    fn add(&mut self, range: KeyRange, is_marked: bool) -> RangeMark {
        self.trees.insert(range.tree);
        self.bound_bytes += range.bound_bytes();
        if self.ranges.len() >= RANGES_MAX || self.bound_bytes > BOUNDS_MAX {
            self.coarsen();
        }
        if self.whole.contains(&range.tree) {
            return RangeMark(usize::MAX);
        }
        self.ranges.push(Noted { range, is_marked });
        RangeMark(self.ranges.len() - 1)
    }

    /// Replaces a range by what was read of it: upward to the key `first`, and downward to the key `last`; none if no row
    /// was read from that end.
    pub fn narrow(&mut self, mark: RangeMark, first: Option<Vec<u8>>, last: Option<Vec<u8>>) {
        let Some(noted) = self.ranges.get_mut(mark.0) else { return };
        let tree = noted.range.tree;
        self.bound_bytes += first.as_ref().map_or(0, Vec::len);
        let upper = core::mem::replace(&mut noted.range.upper, first.map_or(NOTHING, Bound::Included));
        if let Some(last) = last {
            self.add(KeyRange { tree, lower: Bound::Included(last), upper }, true);
        }
    }

    /// Notes that a cursor has read from one position to another; the steps of one walk become one range.
    pub fn add_step(&mut self, tree: u32, lower: Bound<Vec<u8>>, upper: Bound<Vec<u8>>) {
        let newest = self.ranges.last_mut().filter(|last| last.range.tree == tree && !last.is_marked);
        match newest.map(|last| &mut last.range) {
            Some(last) if last.upper == lower && lower != Bound::Unbounded => last.upper = upper,
            Some(last) if last.lower == upper && upper != Bound::Unbounded => last.lower = lower,
            _ => drop(self.add(KeyRange { tree, lower, upper }, false)),
        }
    }

    /// Everything read so far counts as whole trees.
    pub fn coarsen(&mut self) {
        self.whole.clone_from(&self.trees);
        self.keys = HashSet::new();
        // Marks stay what they are: an empty range is no read.
        for noted in &mut self.ranges {
            noted.range = KeyRange { tree: noted.range.tree, lower: NOTHING, upper: NOTHING };
        }
        self.bound_bytes = 0;
    }

    /// Bytes of memory, about.
    pub fn size_bytes(&self) -> usize {
        self.keys.len() * KEY_BYTES + self.ranges.len() * size_of::<Noted>() + self.bound_bytes
    }

    /// What is validated: nothing is added from now on.
    pub fn into_predicates(self) -> Predicates {
        let ranges = self.ranges.into_iter().map(|noted| noted.range).collect();
        Predicates::new(self.keys, ranges, self.trees, self.whole)
    }
}
