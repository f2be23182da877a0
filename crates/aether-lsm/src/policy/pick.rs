//! Choosing the runs of a merge, so that the order of what remains is kept.

use super::shape::{Place, Shape};
use super::{Plan, Reason};

/// Runs chosen for a merge.
#[derive(Clone, Debug)]
pub(crate) struct Picked<'a> {
    shape: &'a Shape,
    places: Vec<Place>,
}

impl<'a> Picked<'a> {
    pub(crate) fn new(shape: &'a Shape, places: impl IntoIterator<Item = Place>) -> Self {
        let mut places: Vec<_> = places.into_iter().collect();
        places.sort_unstable();
        Self { shape, places }
    }

    /// All runs of a level.
    pub(crate) fn level(shape: &'a Shape, level: usize) -> Self {
        Self::new(shape, shape.places_of(level))
    }

    /// The runs of a level that overlap others there.
    pub(crate) fn overlapping(shape: &'a Shape, level: usize) -> Self {
        let meets = |place: &Place| {
            let range = &shape.at(*place).range;
            shape.places_of(level).any(|other| other != *place && shape.at(other).range.overlaps(range))
        };
        Self::new(shape, shape.places_of(level).filter(meets))
    }

    /// Takes in the runs of `level` that overlap the chosen ones and are older, or stand in the target: until there are no more.
    #[must_use]
    pub(crate) fn with_overlapped(mut self, level: usize, is_target: bool) -> Self {
        let mut others: Vec<_> =
            self.shape.places_of(level).filter(|place| !self.places.contains(place)).collect();
        let mut next = 0;
        while let Some(chosen) = self.places.get(next).copied() {
            let range = &self.shape.at(chosen).range;
            let is_met =
                |place: &Place| (is_target || chosen < *place) && self.shape.at(*place).range.overlaps(range);
            self.places.extend(others.extract_if(.., |place| is_met(place)));
            next += 1;
        }
        self.places.sort_unstable();
        self
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.places.iter().map(|place| self.shape.at(*place).bytes).sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// The merge of the chosen runs into `target`, unless one is being merged already or the order would not be kept.
    pub(crate) fn into_plan(self, target: usize, reason: Reason, run_bytes_max: u64) -> Option<Plan> {
        let is_free = self.places.iter().all(|place| !self.shape.at(*place).is_merging);
        let is_sound = !self.places.is_empty() && self.shape.fits_places(&self.places, target);
        (is_free && is_sound).then(|| Plan {
            inputs: self.places.iter().map(|place| self.shape.at(*place).id).collect(),
            target,
            is_bottom: self.shape.is_bottom(&self.places),
            bytes: self.bytes(),
            run_bytes_max,
            reason,
        })
    }
}
