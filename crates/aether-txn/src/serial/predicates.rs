//! What a serializable transaction has read, as it is validated, and as it stands as a lock once prepared.

use super::fingerprint;
use super::write_set::WriteSet;
use aether_trace::planted;
use aether_types::{Reader, Result, Writer};
use core::cmp::Ordering;
use core::ops::Bound;
use std::collections::{BTreeSet, HashSet};

/// A range of keys in a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyRange {
    pub(super) tree: u32,
    pub(super) lower: Bound<Vec<u8>>,
    pub(super) upper: Bound<Vec<u8>>,
}

/// Bytes that a key takes in its table, about.
pub(super) const KEY_BYTES: usize = 16;

/// As an upper bound: no key lies below it.
pub(super) const NOTHING: Bound<Vec<u8>> = Bound::Excluded(Vec::new());

impl KeyRange {
    /// Bytes of both bounds.
    pub(super) fn bound_bytes(&self) -> usize {
        bytes_of(&self.lower).len() + bytes_of(&self.upper).len()
    }

    /// Does it begin at or below `key` of `tree`?
    fn begins_by(&self, tree: u32, key: &[u8]) -> bool {
        let below = match &self.lower {
            Bound::Included(lower) => &lower[..] <= key,
            Bound::Excluded(lower) => &lower[..] < key,
            Bound::Unbounded => true,
        };
        self.tree < tree || (self.tree == tree && below)
    }

    /// Does it end at or above `key`?
    fn reaches(&self, key: &[u8]) -> bool {
        match &self.upper {
            Bound::Included(upper) => key <= &upper[..],
            Bound::Excluded(upper) => key < &upper[..],
            Bound::Unbounded => true,
        }
    }

    /// In the order of the lower bounds.
    fn order(&self, other: &Self) -> Ordering {
        let place = |bound: &Bound<Vec<u8>>| match bound {
            Bound::Unbounded => 0,
            Bound::Included(_) => 1,
            Bound::Excluded(_) => 2,
        };
        let keys = bytes_of(&self.lower).cmp(bytes_of(&other.lower));
        self.tree.cmp(&other.tree).then(keys).then(place(&self.lower).cmp(&place(&other.lower)))
    }

    /// Takes in `next`, which does not begin before this one, if there is no key between the two.
    fn merge(&mut self, next: &Self) -> bool {
        let joined = self.tree == next.tree
            && match (&self.upper, &next.lower) {
                (Bound::Unbounded, _) | (_, Bound::Unbounded) => true,
                (Bound::Excluded(end), Bound::Excluded(begin)) => begin < end,
                (
                    Bound::Included(end) | Bound::Excluded(end),
                    Bound::Included(begin) | Bound::Excluded(begin),
                ) => begin <= end,
            };
        if joined && ends_before(&self.upper, &next.upper) {
            self.upper.clone_from(&next.upper);
        }
        joined
    }
}

fn bytes_of(bound: &Bound<Vec<u8>>) -> &[u8] {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => key,
        Bound::Unbounded => &[],
    }
}

/// Of two upper bounds.
fn ends_before(one: &Bound<Vec<u8>>, other: &Bound<Vec<u8>>) -> bool {
    match (one, other) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Excluded(end), Bound::Included(other)) => end <= other,
        (Bound::Included(end) | Bound::Excluded(end), Bound::Included(other) | Bound::Excluded(other)) => {
            end < other
        }
    }
}

/// The keys and ranges that a transaction has read. Asking is cheap, for it is done under the lock of the publication queue: a
/// look into a table and a binary search for each key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predicates {
    /// Fingerprints of keys.
    keys: HashSet<u64>,
    /// Ascending, with keys between any two.
    ranges: Vec<KeyRange>,
    /// Every tree of which anything was read.
    trees: BTreeSet<u32>,
    /// Trees that count as read whole.
    whole: BTreeSet<u32>,
}

impl Predicates {
    pub(super) fn new(
        keys: HashSet<u64>,
        mut unordered: Vec<KeyRange>,
        trees: BTreeSet<u32>,
        whole: BTreeSet<u32>,
    ) -> Self {
        unordered.retain(|range| range.upper != NOTHING);
        unordered.sort_by(KeyRange::order);
        let mut ranges: Vec<KeyRange> = Vec::with_capacity(unordered.len());
        for range in unordered {
            if !ranges.last_mut().is_some_and(|last| last.merge(&range)) {
                ranges.push(range);
            }
        }
        Self { keys, ranges, trees, whole }
    }

    /// Bytes of memory, about.
    pub(super) fn size_bytes(&self) -> usize {
        let bounds: usize = self.ranges.iter().map(KeyRange::bound_bytes).sum();
        self.keys.len() * KEY_BYTES + self.ranges.len() * size_of::<KeyRange>() + bounds
    }

    /// True if nothing was read.
    pub fn is_empty(&self) -> bool {
        self.trees.is_empty()
    }

    /// A key that `writes` has changed and this transaction has read; an empty key stands for a whole tree.
    pub(super) fn find_changed<'w>(&self, writes: &'w WriteSet) -> Option<(u32, &'w [u8])> {
        if let Some(tree) = writes.whole().iter().find(|tree| self.trees.contains(tree)) {
            return Some((*tree, &[]));
        }
        writes.keys().find(|(tree, key)| self.has_read(*tree, key))
    }

    fn has_read(&self, tree: u32, key: &[u8]) -> bool {
        self.trees.contains(&tree)
            && (self.whole.contains(&tree)
                || self.keys.contains(&fingerprint(tree, key))
                || self.in_range(tree, key) && !planted("validate-keys-alone"))
    }

    fn in_range(&self, tree: u32, key: &[u8]) -> bool {
        let begun = self.ranges.partition_point(|range| range.begins_by(tree, key));
        self.ranges[..begun].last().is_some_and(|range| range.tree == tree && range.reaches(key))
    }

    /// Appends them, as a prepared transaction keeps them: see `docs/formats.md`.
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

    /// Reads what [`Predicates::encode_into`] has written.
    ///
    /// # Errors
    /// `Corruption`.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self> {
        let (mut trees, mut whole) = (BTreeSet::new(), BTreeSet::new());
        for _ in 0..reader.varint()? {
            let tree = reader.u32()?;
            trees.insert(tree);
            if reader.u8()? != 0 {
                whole.insert(tree);
            }
        }
        let mut keys = HashSet::new();
        for _ in 0..reader.varint()? {
            keys.insert(reader.u64()?);
        }
        let mut ranges = Vec::new();
        for _ in 0..reader.varint()? {
            let (tree, lower, upper) = (reader.u32()?, decode_bound(reader)?, decode_bound(reader)?);
            ranges.push(KeyRange { tree, lower, upper });
        }
        Ok(Self::new(keys, ranges, trees, whole))
    }
}

fn encode_bound(bound: &Bound<Vec<u8>>, out: &mut Vec<u8>) {
    let tag: u8 = match bound {
        Bound::Unbounded => 0,
        Bound::Included(_) => 1,
        Bound::Excluded(_) => 2,
    };
    out.put_u8(tag);
    out.put_string(bytes_of(bound));
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
