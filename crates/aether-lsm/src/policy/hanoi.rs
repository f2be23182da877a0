//! Binary doubling: level `n` has runs of 2^n flushes, two of which make one of level `n + 1`.
//!
//! As in Basho's hanoidb, after the logarithmic method of Bentley and Saxe (1980), merges go on step by step, paid for by what is
//! written: two runs of level `n` are 2^(n+1) flushes of work, and until the next two are there 2^(n+1) flushes pass.
//! So one byte for each written one and each level that merges is enough: a level never has more than three runs, and nobody ever waits for
//! a merge. [`WorkBudget`] shares such work out; `tla/hanoi` shows the bound.

use super::pick::Picked;
use super::shape::{Place, Shape};
use super::{MergePolicy, Plan, PolicyKind, Reason, density};

/// Binary doubling, with worst-case bounds: every write costs the same.
#[derive(Clone, Copy, Default, Debug)]
pub struct Hanoi;

/// A run with at least this share of tombstones, in percent, is dense.
const DENSE_PERCENT: u64 = 50;

impl MergePolicy for Hanoi {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Hanoi
    }

    fn pick(&self, shape: &Shape) -> Option<Plan> {
        let full = (0..shape.levels.len()).find_map(|level| pair(shape, level));
        full.or_else(|| density::dense(shape, DENSE_PERCENT))
    }

    fn price(&self, shape: &Shape) -> u64 {
        shape.levels.len() as u64
    }
}

/// Bytes of a run of `level`.
fn capacity(shape: &Shape, level: usize) -> u64 {
    u32::try_from(level)
        .ok()
        .and_then(|level| 2_u64.checked_pow(level))
        .map_or(u64::MAX, |runs| shape.unit_bytes.saturating_mul(runs))
}

/// The two oldest runs of a level that overlap, unless it merges already. What is small enough stays, so that a tree of few keys stays low;
/// runs that do not overlap cost no reader anything and are left alone.
fn pair(shape: &Shape, level: usize) -> Option<Plan> {
    if shape.levels[level].is_merging() || shape.levels[level].depth() < 2 {
        return None;
    }
    let plan = |pair: [Place; 2]| {
        let pair = Picked::new(shape, pair);
        let target = if pair.bytes() <= capacity(shape, level) { level } else { level + 1 };
        pair.into_plan(target, Reason::Full, u64::MAX)
    };
    let overlapping = shape.places_of(level).rev().find_map(|older| {
        let range = &shape.at(older).range;
        let newer = shape
            .places_of(level)
            .rev()
            .find(|newer| *newer < older && shape.at(*newer).range.overlaps(range));
        newer.and_then(|newer| plan([newer, older]))
    });
    let oldest = (level, shape.levels[level].runs.len() - 1);
    overlapping.or_else(|| plan([(level, oldest.1 - 1), oldest]))
}

/// Shares bought work out to merges under way.
///
/// Each merge gets the same; what one does not need goes to the deeper ones, then to those above, and what nobody needs is kept for the
/// next time, up to a bound: so the start of a large merge finds something saved.
#[derive(Clone, Copy, Default, Debug)]
pub struct WorkBudget {
    saved: u64,
}

impl WorkBudget {
    /// Work that is bought and not yet done.
    pub fn saved(&self) -> u64 {
        self.saved
    }

    /// Adds `written` bytes of work for each of the merges, which have `remaining` bytes to do, the shallowest first; says how many each
    /// of them does now. At most `saved_max` bytes are kept.
    pub fn share(&mut self, written: u64, remaining: &[u64], saved_max: u64) -> Vec<u64> {
        let mut shares: Vec<u64> = remaining.iter().map(|left| written.min(*left)).collect();
        // What a merge does not need; with none under way the write saves its own bytes.
        let unused: u64 = shares.iter().map(|share| written - share).sum();
        self.saved += if remaining.is_empty() { written } else { unused };
        for (share, left) in shares.iter_mut().zip(remaining).rev() {
            let more = self.saved.min(left - *share);
            *share += more;
            self.saved -= more;
        }
        self.saved = self.saved.min(saved_max);
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_merge_does_not_need_others_get() {
        let mut budget = WorkBudget::default();
        assert_eq!(budget.share(10, &[4, 100], 50), [4, 16]);
        assert_eq!(budget.saved(), 0);
        assert_eq!(budget.share(10, &[4, 3], 50), [4, 3]);
        assert_eq!(budget.saved(), 13);
        assert_eq!(budget.share(10, &[], 50), Vec::<u64>::new());
        assert_eq!(budget.share(10, &[90], 50), [33]);
        assert_eq!(budget.share(100, &[], 50), Vec::<u64>::new());
        assert_eq!(budget.saved(), 50);
        assert_eq!(budget.share(1, &[90, 90], 50), [1, 51], "the deepest comes first");
    }
}
