//! What is known of a run without reading it: what the manifest keeps and the policies decide by.

use aether_types::{FileId, Timestamp};

/// A run, described. Of all runs of a keyspace together this is small enough to stay in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunInfo {
    /// Its file; never that of another run, not even of one that is gone.
    pub file: FileId,
    /// Bytes of the file.
    pub bytes: u64,
    /// Versions of keys in it, tombstones among them.
    pub entries: u64,
    /// Versions that say that their key is gone.
    pub tombstones: u64,
    /// Ranges of keys that are said to be gone.
    pub range_tombstones: u64,
    /// The first key, of versions and of range tombstones.
    pub smallest: Vec<u8>,
    /// The last key, or the end of a range tombstone that reaches further.
    pub largest: Vec<u8>,
    /// `largest` is the end of a range tombstone: nothing in the run concerns that key itself.
    pub is_largest_excluded: bool,
    /// The newest timestamp in it; 0 if every snapshot sees all of it.
    pub newest: Timestamp,
}

impl RunInfo {
    /// True if something in the run may concern `key`.
    pub fn may_concern(&self, key: &[u8]) -> bool {
        *self.smallest <= *key && !self.ends_before(key)
    }

    /// True if there may be a key that both runs concern.
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.ends_before(&other.smallest) && !other.ends_before(&self.smallest)
    }

    /// True if nothing in the run concerns `key` or any key behind it.
    pub fn ends_before(&self, key: &[u8]) -> bool {
        match self.largest[..].cmp(key) {
            core::cmp::Ordering::Less => true,
            core::cmp::Ordering::Equal => self.is_largest_excluded,
            core::cmp::Ordering::Greater => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(smallest: &str, largest: &str, is_largest_excluded: bool) -> RunInfo {
        RunInfo {
            file: FileId::new(2),
            bytes: 1,
            entries: 1,
            tombstones: 0,
            range_tombstones: 0,
            smallest: smallest.into(),
            largest: largest.into(),
            is_largest_excluded,
            newest: Timestamp::new(0),
        }
    }

    #[test]
    fn an_excluded_end_is_no_overlap() {
        let (one, two) = (run("b", "d", false), run("d", "f", false));
        assert!(one.overlaps(&two) && two.overlaps(&one) && one.may_concern(b"d"));
        let open = run("b", "d", true);
        assert!(!open.overlaps(&two) && !two.overlaps(&open) && !open.may_concern(b"d"));
        assert!(open.may_concern(b"c") && !open.may_concern(b"a") && open.overlaps(&run("a", "b", false)));
    }
}
