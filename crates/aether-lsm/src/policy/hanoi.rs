//! Binary doubling: level `n` has runs of 2^n flushes, two of which make one of level `n + 1`.
//!
//! As in Basho's hanoidb, after the logarithmic method of Bentley and Saxe (1980), merges go on step by step, paid for by what is
//! written: two runs of level `n` are 2^(n+1) flushes of work, and until the next two are there 2^(n+1) flushes pass.
//! So one byte for each written one and each level that merges is enough: a level never has more than three runs, and nobody ever waits for
//! a merge. [`WorkBudget`] shares such work out, [`Schedule`](crate::schedule::Schedule) has it done; `tla/hanoi` shows the bound.

use super::pick::Picked;
use super::predictable::{deepest, level_with_room};
use super::shape::{Place, Shape};
use super::{MergePolicy, Plan, PolicyKind, Reason, density};
use aether_trace::planted;

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

    fn level_for(&self, shape: &Shape, bytes: u64) -> usize {
        deepest(shape, level_with_room(bytes, |level| capacity(shape, level)))
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
/// Each level gets the same; what one does not need is kept, up to a bound, and goes to the deepest merge, then to the one above it. Only
/// there does it do no harm: a result that comes early finds the next level still at work.
#[derive(Clone, Copy, Default, Debug)]
pub struct WorkBudget {
    saved: u64,
}

impl WorkBudget {
    /// Work that is bought and not yet done.
    pub fn saved(&self) -> u64 {
        self.saved
    }

    /// Gives each level `written` bytes of work; says how many of them each one needs, of which the merges have `remaining` bytes to do, the
    /// shallowest first. The others are kept, `saved_max` bytes at most; so are a level's bytes if there are no levels.
    pub fn pay(&mut self, written: u64, remaining: &[u64], saved_max: u64) -> Vec<u64> {
        let shares: Vec<u64> = remaining.iter().map(|left| written.min(*left)).collect();
        let unused: u64 = shares.iter().map(|share| written - share).sum();
        let more = if remaining.is_empty() { written } else { unused };
        self.saved = self.saved.saturating_add(more);
        if !planted("save-without-bound") {
            self.saved = self.saved.min(saved_max);
        }
        shares
    }

    /// Who gets what is saved, and how much: the deepest of those that have something to do. It is no longer saved then.
    pub fn spend(&mut self, remaining: &[u64]) -> Option<(usize, u64)> {
        let has_work = |left: &u64| *left > 0;
        let level = match planted("spend-on-the-shallowest") {
            true => remaining.iter().position(has_work)?,
            false => remaining.iter().rposition(has_work)?,
        };
        let bytes = self.saved.min(remaining[level]);
        self.saved -= bytes;
        (bytes > 0).then_some((level, bytes))
    }

    /// Pays, and spends what is saved; says how many bytes each level does now.
    pub fn share(&mut self, written: u64, remaining: &[u64], saved_max: u64) -> Vec<u64> {
        let mut shares = self.pay(written, remaining, saved_max);
        let mut left: Vec<u64> = remaining.iter().zip(&shares).map(|(left, share)| left - share).collect();
        while let Some((level, bytes)) = self.spend(&left) {
            shares[level] += bytes;
            left[level] -= bytes;
        }
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
