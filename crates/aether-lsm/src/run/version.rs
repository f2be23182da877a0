//! What runs are made of: versions of keys, and ranges of keys that are gone.

use aether_types::Timestamp;

/// What a version says of its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Kind {
    /// It has the value that stands here.
    Value = 0,
    /// It has a large value; what stands here says where.
    Stub = 1,
    /// It is gone.
    Tombstone = 2,
}

impl Kind {
    pub(super) fn from_code(code: u8) -> Option<Self> {
        [Self::Value, Self::Stub, Self::Tombstone].get(usize::from(code)).copied()
    }
}

/// A committed version of a key. In a run entries stand by key, versions of one key newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// When it was committed; 0: every snapshot sees it.
    pub timestamp: Timestamp,
    /// What it says.
    pub kind: Kind,
    /// The value, or what says where it is; empty for a tombstone.
    pub value: &'a [u8],
}

/// All keys from `from` on and below `to` are gone since `timestamp` (0: for every snapshot).
///
/// It hides whatever older layers hold of these keys, and in its own layer all versions with a lower timestamp; one with the same
/// timestamp is newer. So whoever sets a timestamp of a layer to 0 sets those of all range tombstones of that layer which are as old
/// to 0 as well, and leaves out what they hide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RangeTombstone {
    /// The first key.
    pub from: Vec<u8>,
    /// The first key behind.
    pub to: Vec<u8>,
    /// When it was committed.
    pub timestamp: Timestamp,
}

impl RangeTombstone {
    /// True if `key` lies in it.
    pub fn covers(&self, key: &[u8]) -> bool {
        *self.from <= *key && *key < *self.to
    }

    /// The part that lies from `from` on and below `to`, if there is one.
    pub fn clip(&self, from: &[u8], to: Option<&[u8]>) -> Option<Self> {
        let from = from.max(&self.from);
        let to = to.map_or(&self.to[..], |to| to.min(&self.to));
        (from < to).then(|| Self { from: from.to_vec(), to: to.to_vec(), timestamp: self.timestamp })
    }
}
