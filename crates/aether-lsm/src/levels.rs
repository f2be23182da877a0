//! Levels of any kind under one roof: whatever has its entries in order can be a level.
//!
//! A [`Level`] hands out a cursor over versions of keys: keys ascend, the versions of a key come newest first. [`Levels`] reads
//! through several of them, the newest first; [`Merge`] makes one of several, step by step. Which version a snapshot sees is decided by the
//! order of levels, then by the order within one; a timestamp only says who may see a version at all, and 0 stands for all.

mod merge;
mod read;

pub use merge::{Merge, Progress, Retention, Sink};
pub use read::{Levels, Scan};

use aether_types::{Result, Timestamp};

/// A version of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The key.
    pub key: Vec<u8>,
    /// Snapshots from here on see it; 0 for all of them.
    pub timestamp: Timestamp,
    /// What it says; none if the key was removed.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// True if a snapshot sees it.
    pub fn is_visible(&self, snapshot: Timestamp) -> bool {
        self.timestamp <= snapshot
    }

    /// What it counts for in budgets of work.
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, Vec::len) + size_of::<Timestamp>()) as u64
    }
}

/// A sorted source of versions: a run, a memtable, anything else.
pub trait Level {
    /// A cursor at the first version of the first key at or above `from`.
    ///
    /// # Errors
    /// Those of reading it.
    fn cursor(&self, from: &[u8]) -> Result<Box<dyn Cursor + '_>>;

    /// False if it certainly has no version of `key`.
    fn may_contain(&self, key: &[u8]) -> bool {
        let _ = key;
        true
    }
}

/// A place in a level.
pub trait Cursor {
    /// The version there; none at the end.
    fn entry(&self) -> Option<&Entry>;

    /// Goes to the next one.
    ///
    /// # Errors
    /// Those of reading the level.
    fn advance(&mut self) -> Result<()>;
}
