//! Leveled: below the first level, runs of a level do not overlap, and a key is in one of them.
//!
//! The levels are those of O'Neil et al. (1996), the merges those of LevelDB: one run of a level that has too much, and what it overlaps in the
//! next. Of all runs the one with the least to rewrite for its size goes. Levels are measured from the bottom upwards, as RocksDB does
//! with dynamic level sizes: each has `ratio` times less than the one below, however much that is, so that little lies above the bottom.

use super::pick::Picked;
use super::predictable::{capacity, level_with_room};
use super::shape::{Place, RunShape, Shape};
use super::{MergePolicy, Plan, PolicyKind, Reason, density};

/// Leveled, with partial merges by key range: most is written, least is read.
#[derive(Clone, Copy, Debug)]
pub struct Leveled {
    ratio: usize,
    /// Runs of the first level, which may overlap.
    first_runs: usize,
    dense_percent: u64,
}

impl Default for Leveled {
    fn default() -> Self {
        Self::new(8)
    }
}

impl Leveled {
    /// Levels that are `ratio` times larger than the one above, at least twice.
    pub fn new(ratio: usize) -> Self {
        Self { ratio: ratio.max(2), first_runs: 4, dense_percent: 50 }
    }

    /// All runs of the first level go to the next.
    fn first(&self, shape: &Shape) -> Option<Plan> {
        let runs = shape.levels.first()?;
        let is_due = runs.depth() >= self.first_runs && !runs.is_merging();
        is_due.then(|| self.push_down(shape, Picked::level(shape, 0), 0, Reason::Full)).flatten()
    }

    /// Bytes that a level may have.
    fn share(&self, shape: &Shape, level: usize) -> u64 {
        let first = self.bottom_share(shape, 1);
        let Some(below) = shape.bottom().map(|bottom| bottom.saturating_sub(level)) else { return first };
        if below == 0 {
            return self.bottom_share(shape, level);
        }
        let bottom = shape.levels[level + below].bytes();
        (bottom / capacity(1, self.ratio, below)).max(first)
    }

    /// Bytes that a level may have at the bottom.
    fn bottom_share(&self, shape: &Shape, level: usize) -> u64 {
        let first = shape.unit_bytes.saturating_mul(self.first_runs as u64);
        capacity(first, self.ratio, level.saturating_sub(1))
    }

    /// A run of a level that has more than its share; of several the one with the most for its share.
    fn large(&self, shape: &Shape) -> Option<Plan> {
        let mut levels: Vec<_> = (1..shape.levels.len())
            .map(|level| (percent(shape.levels[level].bytes(), self.share(shape, level)), level))
            .filter(|(percent, _)| *percent > 100)
            .collect();
        levels.sort_unstable_by(|a, b| b.cmp(a));
        levels.into_iter().find_map(|(_, level)| self.cheapest(shape, level))
    }

    /// The run of `level` whose merge into the next reads the least for each byte that goes down.
    fn cheapest(&self, shape: &Shape, level: usize) -> Option<Plan> {
        let below = |run: &RunShape| {
            let met = shape.levels.get(level + 1).into_iter().flat_map(|level| &level.runs);
            met.filter(|other| other.range.overlaps(&run.range)).map(|other| other.bytes).sum()
        };
        let price = |place: Place| (percent(below(shape.at(place)), shape.at(place).bytes), place);
        let free = shape.places_of(level).filter(|place| !shape.at(*place).is_merging);
        let mut prices: Vec<_> = free.map(price).collect();
        prices.sort_unstable();
        prices.into_iter().find_map(|(_, place)| {
            let picked = Picked::new(shape, [place]).with_overlapped(level, false);
            self.push_down(shape, picked, level, Reason::Large)
        })
    }

    /// Runs of one level that overlap, which another policy has left: they become runs that do not.
    fn untangle(&self, shape: &Shape) -> Option<Plan> {
        let tangled = (1..shape.levels.len()).filter(|level| shape.levels[*level].depth() > 1);
        tangled.into_iter().find_map(|level| {
            let mut chosen =
                shape.places_of(level).map(|place| Picked::new(shape, [place]).with_overlapped(level, true));
            let picked = chosen.find(|picked| picked.len() > 1)?;
            picked.into_plan(level, Reason::Full, shape.unit_bytes)
        })
    }

    fn push_down(&self, shape: &Shape, picked: Picked<'_>, level: usize, reason: Reason) -> Option<Plan> {
        picked.with_overlapped(level + 1, true).into_plan(level + 1, reason, shape.unit_bytes)
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100 / u128::from(whole.max(1))).min(u128::from(u64::MAX)) as u64
}

impl MergePolicy for Leveled {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Leveled
    }

    fn pick(&self, shape: &Shape) -> Option<Plan> {
        self.first(shape)
            .or_else(|| self.large(shape))
            .or_else(|| self.untangle(shape))
            .or_else(|| density::dense(shape, self.dense_percent))
    }

    /// What is above its share goes down, and is merged with `ratio` times as much. A bottom that is too large only moves.
    fn owed(&self, shape: &Shape) -> u64 {
        let bottom = shape.bottom().unwrap_or(0);
        let above = |level: &usize| shape.levels[*level].bytes().saturating_sub(self.share(shape, *level));
        let large: u64 = (1..bottom).map(|level| above(&level)).sum();
        let first = self.first(shape).map_or(0, |plan| plan.bytes);
        large.saturating_mul((self.ratio as u64).saturating_add(1)).saturating_add(first)
    }

    fn level_for(&self, shape: &Shape, bytes: u64) -> usize {
        match shape.bottom() {
            Some(bottom) if bottom > 0 => bottom,
            _ => level_with_room(bytes, |level| self.bottom_share(shape, level)),
        }
    }

    fn price(&self, shape: &Shape) -> u64 {
        shape.levels.len().saturating_sub(1).saturating_mul(self.ratio).saturating_add(1) as u64
    }
}
