//! Lazy leveling: tiered, but for the bottom, which is one run.
//!
//! Dayan and Idreos (Dostoevsky, SIGMOD 2018) show why: nearly all data lies at the bottom, so one run there keeps most of what leveling gives to point
//! reads, long scans and space; merges above it cost much and give little. Here the bottom also takes in the level above
//! it once all that lies above takes half as much space as itself.

use super::pick::Picked;
use super::predictable::{capacity, full, level_with_room};
use super::shape::Shape;
use super::{MergePolicy, Plan, PolicyKind, Reason, density};

/// Lazy leveling: the default.
#[derive(Clone, Copy, Debug)]
pub struct Fast {
    ratio: usize,
    /// What may lie above the bottom, in percent of it.
    space_percent: u64,
    dense_percent: u64,
}

impl Default for Fast {
    fn default() -> Self {
        Self::new(4)
    }
}

impl Fast {
    /// Levels of `ratio` runs, at least two, each `ratio` times those of the level above.
    pub fn new(ratio: usize) -> Self {
        Self { ratio: ratio.max(2), space_percent: 50, dense_percent: 50 }
    }

    /// Merges the level above the bottom into it. Too large a bottom goes a level down instead, as it is.
    fn feed_bottom(&self, shape: &Shape, bottom: usize) -> Option<Plan> {
        let above = bottom.checked_sub(1)?;
        let (upper, lower) = (shape.bytes() - shape.levels[bottom].bytes(), shape.levels[bottom].bytes());
        let is_full = shape.levels[above].depth() >= self.ratio;
        let takes_space = upper * 100 >= lower * self.space_percent && !shape.levels[above].runs.is_empty();
        if shape.levels[above].is_merging() || !(is_full || takes_space) {
            return None;
        }
        let reason = if is_full { Reason::Full } else { Reason::Space };
        Picked::level(shape, above).with_overlapped(bottom, true).into_plan(bottom, reason, u64::MAX)
    }

    /// A bottom of more than its size goes down a level, all of its runs if none overlap; nothing is rewritten.
    fn deepen(&self, shape: &Shape, bottom: usize) -> Option<Plan> {
        let level = &shape.levels[bottom];
        let is_due = bottom > 0 && level.depth() == 1 && level.bytes() > self.bottom_share(shape, bottom);
        is_due.then(|| Picked::level(shape, bottom).into_plan(bottom + 1, Reason::Deep, u64::MAX)).flatten()
    }

    /// Bytes that a level may have at the bottom.
    fn bottom_share(&self, shape: &Shape, level: usize) -> u64 {
        capacity(shape.unit_bytes, self.ratio, level + 1)
    }

    /// Several runs that overlap at the bottom become one: what another policy has left.
    fn unite(&self, shape: &Shape, bottom: usize) -> Option<Plan> {
        let level = &shape.levels[bottom];
        let is_due = bottom > 0 && level.depth() > 1 && !level.is_merging();
        is_due.then(|| Picked::level(shape, bottom).into_plan(bottom, Reason::Full, u64::MAX)).flatten()
    }
}

impl MergePolicy for Fast {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Fast
    }

    fn pick(&self, shape: &Shape) -> Option<Plan> {
        let bottom = shape.bottom()?;
        // The bottom first: a merge above it would only make it wait.
        let lowest = self.deepen(shape, bottom).or_else(|| self.unite(shape, bottom));
        let lowest = lowest.or_else(|| self.feed_bottom(shape, bottom));
        let tiered = if bottom == 0 { 0..1 } else { 0..bottom - 1 };
        lowest
            .or_else(|| tiered.into_iter().find_map(|level| full(shape, level, self.ratio)))
            .or_else(|| density::dense(shape, self.dense_percent))
    }

    /// With all that is at the bottom: what has another place there would be merged to come to it.
    fn level_for(&self, shape: &Shape, bytes: u64) -> usize {
        match shape.bottom() {
            Some(bottom) if bottom > 0 => bottom,
            _ => level_with_room(bytes, |level| self.bottom_share(shape, level)),
        }
    }

    fn price(&self, shape: &Shape) -> u64 {
        shape.levels.len().saturating_add(self.ratio) as u64
    }
}
