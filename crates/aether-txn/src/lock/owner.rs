//! What a transaction carries for the lock table: a word that says whether it has entries there, and the trees it
//! has written to without one.
//!
//! Entries are made by the owner, or by others in its name, always under the table's mutex. Who makes one sets
//! `HAS_ENTRIES` first; if `ENDED` is set by then, the owner will not come to remove it, and none is made. An owner
//! that ends sets `ENDED` and goes to the table only if `HAS_ENTRIES` was set. Both change one word and see what it
//! was before, so one of the two comes second and sees the other: `tests/loom_owner.rs`.

use crate::rank;
use aether_sync::atomic::{AtomicU8, Ordering::*};
use aether_sync::{Condvar, Mutex};

const HAS_ENTRIES: u8 = 1;
const ENDED: u8 = 2;

/// Trees that an owner can write to without an entry in the table. Further ones get entries.
const TREES: usize = 4;

/// A transaction as the lock table knows it.
#[derive(Debug)]
pub struct LockOwner {
    word: AtomicU8,
    /// Trees written to, whose intention locks are here alone. Under a lock, so that who counts a strong lock and then
    /// looks here, and who looks at that count and then writes here, meet: whoever is second sees the first.
    trees: Mutex<Trees>,
    /// The owner's sleep, under the table's mutex.
    pub(super) granted: Condvar,
}

#[derive(Debug, Default)]
struct Trees {
    ids: [u32; TREES],
    count: usize,
}

impl Trees {
    fn contains(&self, tree: u32) -> bool {
        self.ids[..self.count].contains(&tree)
    }
}

impl Default for LockOwner {
    fn default() -> Self {
        Self::new()
    }
}

impl LockOwner {
    /// Of a transaction that begins.
    pub fn new() -> Self {
        Self {
            word: AtomicU8::new(0),
            trees: Mutex::new(rank::INTENTIONS, Trees::default()),
            granted: Condvar::new(),
        }
    }

    /// Entries may be made in its name, and it will remove them. False if it has ended. Under the table's mutex.
    pub fn try_adopt(&self) -> bool {
        self.word.fetch_or(HAS_ENTRIES, AcqRel) & ENDED == 0
    }

    /// It has ended. True if there may be entries to remove.
    pub fn end(&self) -> bool {
        self.word.fetch_or(ENDED, AcqRel) & HAS_ENTRIES != 0
    }

    /// Has it ended?
    pub fn is_ended(&self) -> bool {
        self.word.load(Acquire) & ENDED != 0
    }

    /// May there be entries in its name?
    pub fn has_entries(&self) -> bool {
        self.word.load(Acquire) & HAS_ENTRIES != 0
    }

    /// Notes that it writes to `tree`, unless there is no room, or `is_strong` says that a strong lock may stand.
    pub(super) fn try_intend(&self, tree: u32, is_strong: impl FnOnce() -> bool) -> bool {
        let mut trees = self.trees.lock();
        if trees.contains(tree) {
            return true;
        }
        if trees.count == TREES || is_strong() {
            return false;
        }
        let at = trees.count;
        (trees.ids[at], trees.count) = (tree, at + 1);
        true
    }

    /// Does it write to `tree`, or to any, as far as is noted here?
    pub(super) fn intends(&self, tree: Option<u32>) -> bool {
        let trees = self.trees.lock();
        tree.map_or(trees.count > 0, |tree| trees.contains(tree))
    }

    /// The trees noted here.
    pub(super) fn trees(&self) -> Vec<u32> {
        let trees = self.trees.lock();
        trees.ids[..trees.count].to_vec()
    }
}
