//! Tiered: a level takes `ratio` runs, which then become one of the next level.

use super::pick::Picked;
use super::shape::Shape;
use super::{MergePolicy, Plan, PolicyKind, Reason, density};

/// Tiered levels: a byte is written once a level, so what a write costs can be told beforehand.
#[derive(Clone, Copy, Debug)]
pub struct Predictable {
    ratio: usize,
    dense_percent: u64,
}

impl Default for Predictable {
    fn default() -> Self {
        Self::new(4)
    }
}

impl Predictable {
    /// Levels of `ratio` runs, at least two, each `ratio` times those of the level above.
    pub fn new(ratio: usize) -> Self {
        Self { ratio: ratio.max(2), dense_percent: 50 }
    }
}

impl MergePolicy for Predictable {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Predictable
    }

    fn pick(&self, shape: &Shape) -> Option<Plan> {
        let full = (0..shape.levels.len()).find_map(|level| full(shape, level, self.ratio));
        full.or_else(|| density::dense(shape, self.dense_percent))
    }

    fn price(&self, shape: &Shape) -> u64 {
        shape.levels.len() as u64
    }

    fn level_for(&self, shape: &Shape, bytes: u64) -> usize {
        deepest(shape, level_with_room(bytes, |level| capacity(shape.unit_bytes, self.ratio, level)))
    }
}

/// The first level below the one of flushes that may have so many bytes.
pub(crate) fn level_with_room(bytes: u64, capacity: impl Fn(usize) -> u64) -> usize {
    (1..).find(|level| bytes <= capacity(*level)).unwrap_or(1)
}

/// That level, or the deepest that there is.
pub(crate) fn deepest(shape: &Shape, level: usize) -> usize {
    shape.bottom().map_or(level, |bottom| bottom.max(level))
}

/// `unit_bytes` times `ratio` to the power of `level`.
pub(crate) fn capacity(unit_bytes: u64, ratio: usize, level: usize) -> u64 {
    let factor = u32::try_from(level).ok().and_then(|level| (ratio as u64).checked_pow(level));
    factor.map_or(u64::MAX, |factor| unit_bytes.saturating_mul(factor))
}

/// The runs of a level in which a key may be in `ratio` of them, but for those that overlap no other. What is small enough stays, so
/// that a tree of few keys stays low.
pub(crate) fn full(shape: &Shape, level: usize, ratio: usize) -> Option<Plan> {
    let runs = &shape.levels[level];
    let is_due = !runs.is_merging() && runs.depth() >= ratio;
    let all = is_due.then(|| Picked::overlapping(shape, level))?;
    let stays = all.bytes() <= capacity(shape.unit_bytes, ratio, level);
    all.into_plan(if stays { level } else { level + 1 }, Reason::Full, u64::MAX)
}
