//! A merge as a policy orders it, and what it makes of a shape.

use super::pick::Picked;
use super::shape::{LevelShape, RunShape, Shape, result_place};
use aether_types::FileId;
use core::fmt;

/// Why runs are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Reason {
    /// A level has as many runs as it may have.
    Full,
    /// A level has more bytes than its share.
    Large,
    /// The bottom has more bytes than a level of its depth may have there.
    Deep,
    /// What lies above the bottom takes too much space beside it.
    Space,
    /// A run is mostly tombstones.
    Dense,
    /// A run names values in a file of which most are named by none.
    Garbage,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::Large => "large",
            Self::Deep => "deep",
            Self::Space => "space",
            Self::Dense => "dense",
            Self::Garbage => "garbage",
        })
    }
}

/// A merge: what it reads, where its result goes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Plan {
    /// The runs to merge, the newest first.
    pub inputs: Vec<FileId>,
    /// The level that the result goes to.
    pub target: usize,
    /// True if nothing older may have a key of these: tombstones may go that every snapshot sees.
    pub is_bottom: bool,
    /// Bytes to read.
    pub bytes: u64,
    /// The result is cut into runs of about this many bytes.
    pub run_bytes_max: u64,
    /// Why.
    pub reason: Reason,
}

impl Plan {
    /// A run of `level` is written again where it stands.
    pub(crate) fn again(shape: &Shape, id: FileId, level: usize, reason: Reason) -> Option<Self> {
        Picked::new(shape, shape.places(&[id])?).into_plan(level, reason, u64::MAX)
    }

    /// True if nothing is to be rewritten: runs only get another level.
    pub fn is_move(&self) -> bool {
        match self.reason {
            Reason::Deep => true,
            Reason::Dense | Reason::Garbage => false,
            _ => self.inputs.len() == 1 && self.bytes <= self.run_bytes_max,
        }
    }

    /// The part of a move that is of one run.
    fn of(&self, id: FileId) -> Self {
        Self { inputs: vec![id], is_bottom: false, ..self.clone() }
    }
}

/// Plans that are looked ahead for; a tree that needs more is behind by more than any pacer asks.
const PLANS_MAX: usize = 64;

/// Bytes that `pick` would have read until it has nothing more to say. Nothing is taken to vanish in merges.
pub(crate) fn owed(shape: &Shape, pick: impl Fn(&Shape) -> Option<Plan>) -> u64 {
    let mut ahead = shape.clone();
    let mut bytes = 0;
    for _ in 0..PLANS_MAX {
        let Some(plan) = pick(&ahead) else { break };
        bytes += if plan.is_move() { 0 } else { plan.bytes };
        ahead = ahead.after(&plan);
    }
    bytes
}

impl Shape {
    /// Whether two merges may be under way at once: each fits, whichever of them comes to its end first. A result spans what lies between
    /// its inputs, too, and may so be in the way of a merge that none of the inputs is in the way of.
    pub fn agree(&self, one: &Plan, other: &Plan) -> bool {
        let fits_after = |first: &Plan, then: &Plan| self.after(first).fits(&then.inputs, then.target);
        fits_after(one, other) && fits_after(other, one)
    }

    /// The level of the newest run that `plan` reads; none if it is not there.
    pub fn first_level(&self, plan: &Plan) -> Option<usize> {
        self.places(&plan.inputs)?.first().map(|(level, _)| *level)
    }

    /// The shape once `plan` is done, if nothing vanishes in it but the tombstones at the bottom: one run in place of its inputs, named
    /// after the newest of them.
    #[must_use]
    pub fn after(&self, plan: &Plan) -> Self {
        if plan.reason == Reason::Deep {
            // Each comes before those that are there.
            let moved = |shape: Self, id: &FileId| shape.after_one(&plan.of(*id));
            return plan.inputs.iter().rev().fold(self.clone(), moved);
        }
        self.after_one(plan)
    }

    fn after_one(&self, plan: &Plan) -> Self {
        let Some(places) = self.places(&plan.inputs) else { return self.clone() };
        let Some(merged) = places.iter().map(|place| self.at(*place).clone()).reduce(join) else {
            return self.clone();
        };
        let (level, index) = result_place(&places, plan.target);
        let mut next = self.clone();
        next.levels.resize_with(next.levels.len().max(level + 1), LevelShape::default);
        let tombstones = if plan.is_bottom { 0 } else { merged.tombstones };
        let entries = merged.entries - (merged.tombstones - tombstones);
        let bytes = if plan.is_bottom { share(merged.bytes, entries, merged.entries) } else { merged.bytes };
        next.levels[level].runs.insert(index, RunShape { tombstones, entries, bytes, ..merged });
        next.remove(&plan.inputs, (level, index));
        next
    }

    /// Takes out the runs called `ids`, but for the one at `but`, and levels without runs at the end.
    fn remove(&mut self, ids: &[FileId], but: (usize, usize)) {
        for (number, level) in self.levels.iter_mut().enumerate() {
            let mut index = 0;
            level.runs.retain(|run| {
                let stays = (number, index) == but || !ids.contains(&run.id);
                index += 1;
                stays
            });
        }
        let levels = self.bottom().map_or(0, |bottom| bottom + 1);
        self.levels.truncate(levels);
    }
}

fn share(bytes: u64, part: u64, whole: u64) -> u64 {
    (u128::from(bytes) * u128::from(part) / u128::from(whole.max(1))) as u64
}

fn join(newer: RunShape, older: RunShape) -> RunShape {
    RunShape {
        id: newer.id,
        bytes: newer.bytes + older.bytes,
        entries: newer.entries + older.entries,
        tombstones: newer.tombstones + older.tombstones,
        range: newer.range.hull(&older.range),
        newest: newer.newest.max(older.newest),
        is_merging: false,
    }
}
