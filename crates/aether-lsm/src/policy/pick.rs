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

    /// Takes in the runs of `level` that overlap the chosen ones and are older, or stand in the target: until there are no more.
    #[must_use]
    pub(crate) fn with_overlapped(mut self, level: usize, is_target: bool) -> Self {
        while let Some(place) = self.next_overlapped(level, is_target) {
            self.places.push(place);
            self.places.sort_unstable();
        }
        self
    }

    fn next_overlapped(&self, level: usize, is_target: bool) -> Option<Place> {
        let is_met = |place: &Place| {
            let range = &self.shape.at(*place).range;
            let newer = |chosen: &&Place| is_target || *chosen < place;
            self.places.iter().filter(newer).any(|chosen| self.shape.at(*chosen).range.overlaps(range))
        };
        self.shape.places_of(level).find(|place| !self.places.contains(place) && is_met(place))
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.places.iter().map(|place| self.shape.at(*place).bytes).sum()
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes of the chosen runs in `level`.
    pub(crate) fn bytes_in(&self, level: usize) -> u64 {
        let there = self.places.iter().filter(|place| place.0 == level);
        there.map(|place| self.shape.at(*place).bytes).sum()
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
