//! Counters that spare a writer the table: nobody needs to look there while they are zero.

use super::resource::Resource;
use aether_sync::atomic::{AtomicU32, Ordering::*};

/// Trees share counters: a tree that meets another's looks into the table in vain, no more.
const PARTITIONS: usize = 64;

#[derive(Debug)]
pub(super) struct Watches {
    /// Strong modes (`S`, `SIX`, `X`) had, wanted or tried on a keyspace of the partition, or on the database.
    strong: [AtomicU32; PARTITIONS],
    /// Entries on keys and ranges of the partition.
    rows: [AtomicU32; PARTITIONS],
}

fn place(tree: u32) -> usize {
    tree as usize % PARTITIONS
}

impl Watches {
    pub(super) fn new() -> Self {
        let zeros = || core::array::from_fn(|_| AtomicU32::new(0));
        Self { strong: zeros(), rows: zeros() }
    }

    /// May a strong lock stand above `tree`? Ask under the owner's list of trees.
    pub(super) fn is_strong(&self, tree: u32) -> bool {
        self.strong[place(tree)].load(Acquire) != 0
    }

    /// May entries stand on rows of `tree`? Ask under the leaf's exclusive latch: whoever made an entry looks for
    /// running writers there afterwards, under the shared one.
    pub(super) fn has_rows(&self, tree: u32) -> bool {
        self.rows[place(tree)].load(Acquire) != 0
    }

    pub(super) fn add_entry(&self, resource: &Resource) {
        self.rows_of(resource, |rows| rows.fetch_add(1, AcqRel));
    }

    pub(super) fn remove_entry(&self, resource: &Resource) {
        self.rows_of(resource, |rows| rows.fetch_sub(1, AcqRel));
    }

    fn rows_of(&self, resource: &Resource, change: impl FnOnce(&AtomicU32) -> u32) {
        if let (true, Some(tree)) = (resource.is_rows(), resource.tree()) {
            change(&self.rows[place(tree)]);
        }
    }

    pub(super) fn note_strength(&self, resource: &Resource, was: bool, is: bool) {
        if was == is || resource.is_rows() {
            return;
        }
        let counters = match resource.tree() {
            Some(tree) => &self.strong[place(tree)..=place(tree)],
            None => &self.strong[..],
        };
        for counter in counters {
            if is {
                counter.fetch_add(1, AcqRel)
            } else {
                counter.fetch_sub(1, AcqRel)
            };
        }
    }
}
