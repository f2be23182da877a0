//! Runs that are mostly tombstones: they cost every scan that passes them, and hide what could go.
//!
//! Such a run goes down a level, with what it overlaps there, until nothing older lies below; at the bottom it is rewritten alone. Lethe
//! (Sarkar et al., SIGMOD 2020) also goes by the age of tombstones; here what is dense goes as soon as nothing else is due.

use super::pick::Picked;
use super::shape::{Place, Shape};
use super::{Plan, Reason};

/// A merge of a run of which at least this share is tombstones, in percent; 0 stands for never.
pub(crate) fn dense(shape: &Shape, percent_min: u64) -> Option<Plan> {
    let is_dense = |place: &Place| {
        let run = shape.at(*place);
        percent_min > 0 && run.tombstones > 0 && run.tombstones * 100 >= run.entries * percent_min
    };
    let mut dense = shape.all_places().filter(is_dense);
    dense.find_map(|place| rewrite(shape, place).or_else(|| sink(shape, place)))
}

/// Merges the run with itself, if nothing older lies below it and each of its tombstones is seen by every snapshot.
fn rewrite(shape: &Shape, place: Place) -> Option<Plan> {
    let alone = Picked::new(shape, [place]);
    let is_settled = shape.at(place).newest <= shape.oldest_snapshot;
    let plan = alone.into_plan(place.0, Reason::Dense, u64::MAX)?;
    (plan.is_bottom && is_settled).then_some(plan)
}

/// Merges the run into the next level.
fn sink(shape: &Shape, place: Place) -> Option<Plan> {
    let target = place.0 + 1;
    if target >= shape.levels.len() {
        return None;
    }
    let picked = Picked::new(shape, [place]).with_overlapped(place.0, false).with_overlapped(target, true);
    picked.into_plan(target, Reason::Dense, u64::MAX)
}
