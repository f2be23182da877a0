//! Versions of the level list: which runs there are, in which order.
//!
//! A [`Version`] never changes. An [`Edit`] (a flush, a merge, a move) makes the next one, and [`VersionSet::install`] puts it in its
//! place if it still fits: if another was faster, the edit is applied to what that one has left; if an input is gone or the
//! order of age would not be kept, it is [`Refused`] and the merge has been for nothing. What makes edits durable and repeats them at open, the
//! manifest, is the caller's: an edit is in it before it is installed here.
//!
//! A run's file is deleted when the last reference to it goes, by whoever lets it go: never while a version that somebody reads has it, never twice, and
//! never because the store is closed: only if an installed edit took the run out, or its maker gave it up.
//!
//! Readers come by the list in one of two ways, chosen at build time; both are always compiled, tested and measured
//! (`cargo bench -p engine-benches --bench left_right_lsm`). In neither do they wait:
//!
//! - [`Copies`] of what is in [`Slots`], the default: who reads ([`VersionSet::read`]) copies a reference that few threads share, once a load has told
//!   that it is the newest. Who installs clears these references; the next reader gets another out of a slot that nobody writes.
//! - [`LeftRight`], with the feature `left-right-lsm`: readers take their reference in place, where nobody writes; who installs waits for
//!   them, twice. They could use the list itself there, but who reads runs may block for the disk, and an install would wait for it.
//!
//! Who keeps a version for longer takes it from the cell ([`VersionSet::current`]).
//!
//! Specs: `tla/version_install`, `tla/left_right`; orderings: `tests/loom_versions.rs`.

mod claims;
mod copies;
mod edit;
mod left_right;
mod run;
mod set;
mod slots;

pub use claims::{Claim, Claims};
pub use copies::Copies;
pub use edit::{Edit, Refused};
pub use left_right::LeftRight;
pub use run::{OnLast, Run};
pub use set::{Reading, VersionSet};
pub use slots::Slots;

use crate::policy::{LevelShape, Shape};
use aether_sync::Arc;
use aether_types::{FileId, Timestamp};

/// A list of levels of runs, the newest first, that never changes.
#[derive(Debug)]
pub struct Version<F> {
    levels: Vec<Vec<Arc<Run<F>>>>,
    /// Of each level whose runs do not overlap: their places, by key.
    by_key: Vec<Option<Vec<usize>>>,
}

impl<F> Default for Version<F> {
    fn default() -> Self {
        Self { levels: Vec::new(), by_key: Vec::new() }
    }
}

/// Runs that do not overlap, by key; none if some do.
fn order<F>(runs: &[Arc<Run<F>>]) -> Option<Vec<usize>> {
    let mut order: Vec<_> = (0..runs.len()).collect();
    order.sort_unstable_by(|a, b| runs[*a].shape().range.first().cmp(runs[*b].shape().range.first()));
    let are_apart =
        |pair: &[usize]| !runs[pair[0]].shape().range.reaches(runs[pair[1]].shape().range.first());
    order.windows(2).all(are_apart).then_some(order)
}

/// The one of the runs in that order which may have `key`.
fn candidate<'v, F>(runs: &'v [Arc<Run<F>>], order: &[usize], key: &[u8]) -> Option<&'v Arc<Run<F>>> {
    let behind = order.partition_point(|place| runs[*place].shape().range.first() <= key);
    let place = order[..behind].last()?;
    Some(&runs[*place]).filter(|run| run.shape().range.contains(key))
}

impl<F> Version<F> {
    /// A list as a manifest tells it: levels, each with its newest run first.
    pub fn new(levels: Vec<Vec<Arc<Run<F>>>>) -> Self {
        let by_key = levels.iter().map(|runs| order(runs)).collect();
        Self { levels, by_key }
    }

    /// The runs that may have `key`, the newest first. Where the runs of a level do not overlap, the one is found without looking at the others.
    pub fn candidates(&self, key: &[u8]) -> impl Iterator<Item = &Arc<Run<F>>> {
        self.levels.iter().zip(&self.by_key).flat_map(move |(runs, by_key)| {
            let (one, some) = match by_key {
                Some(order) => (candidate(runs, order, key), &runs[..0]),
                None => (None, &runs[..]),
            };
            one.into_iter().chain(some.iter().filter(move |run| run.shape().range.contains(key)))
        })
    }

    /// The levels, the newest first, each with its newest run first.
    pub fn levels(&self) -> &[Vec<Arc<Run<F>>>] {
        &self.levels
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> impl Iterator<Item = &Arc<Run<F>>> {
        self.levels.iter().flatten()
    }

    /// What a policy sees of it; `is_merging` tells the runs that take part in a merge.
    pub fn shape(
        &self,
        unit_bytes: u64,
        oldest_snapshot: Timestamp,
        is_merging: impl Fn(FileId) -> bool,
    ) -> Shape {
        let level = |runs: &Vec<Arc<Run<F>>>| {
            let runs = runs.iter().map(|run| {
                let mut shape = run.shape().clone();
                shape.is_merging = is_merging(shape.id);
                shape
            });
            LevelShape { runs: runs.collect() }
        };
        let levels = self.levels.iter().map(level).collect();
        Shape { oldest_snapshot, levels, ..Shape::empty(unit_bytes) }
    }
}

/// One of so many shards for this thread: threads have stacks of their own.
fn shard(count: usize) -> usize {
    let here = 0u8;
    (((&raw const here).addr() >> 14).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % count
}
