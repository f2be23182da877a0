//! What a policy sees of a tree: levels of runs, the newest first, and the rule of their order.

use aether_sync::Arc;
use aether_types::{FileId, Timestamp};

/// The first and the last key of a run.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct KeyRange {
    first: Arc<[u8]>,
    last: Arc<[u8]>,
    is_last_excluded: bool,
}

impl KeyRange {
    /// The keys from `first` to `last`, both included; the order of the two does not matter.
    pub fn new(first: &[u8], last: &[u8]) -> Self {
        let (first, last) = if first <= last { (first, last) } else { (last, first) };
        Self { first: first.into(), last: last.into(), is_last_excluded: false }
    }

    /// The keys from `first` up to `end`, which is not one of them if it lies above `first`.
    pub fn up_to(first: &[u8], end: &[u8]) -> Self {
        Self { is_last_excluded: first < end, ..Self::new(first, end) }
    }

    /// The first key.
    pub fn first(&self) -> &[u8] {
        &self.first
    }

    /// The last key, or what all keys lie below.
    pub fn last(&self) -> &[u8] {
        &self.last
    }

    /// True if some key lies in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.reaches(&other.first) && other.reaches(&self.first)
    }

    /// True if `key` lies in it.
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.first <= *key && self.reaches(key)
    }

    /// True if it does not end before `key`.
    pub(crate) fn reaches(&self, key: &[u8]) -> bool {
        if self.is_last_excluded { *key < *self.last } else { *key <= *self.last }
    }

    /// What ranges are ordered by so that those that end before a key come first.
    fn end(&self) -> (&[u8], bool) {
        (&self.last, !self.is_last_excluded)
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn hull(&self, other: &Self) -> Self {
        let first = (&self.first).min(&other.first).clone();
        let last = if self.end() < other.end() { other } else { self };
        Self { first, last: last.last.clone(), is_last_excluded: last.is_last_excluded }
    }
}

/// What a policy sees of a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunShape {
    /// The file, which is the run's name.
    pub id: FileId,
    /// Its size on disk.
    pub bytes: u64,
    /// Its entries, tombstones included.
    pub entries: u64,
    /// Its tombstones.
    pub tombstones: u64,
    /// Where its keys lie.
    pub range: KeyRange,
    /// The newest timestamp in it: snapshots from there on see all of it.
    pub newest: Timestamp,
    /// True while a merge reads it.
    pub is_merging: bool,
}

/// The runs of a level, the newest first. Where they do not overlap, their order says nothing.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct LevelShape {
    /// The runs.
    pub runs: Vec<RunShape>,
}

impl LevelShape {
    /// Bytes of its runs.
    pub fn bytes(&self) -> u64 {
        self.runs.iter().map(|run| run.bytes).sum()
    }

    /// In how many of its runs a key may be at most.
    pub fn depth(&self) -> usize {
        let mut firsts: Vec<_> = self.runs.iter().map(|run| run.range.first()).collect();
        let mut ranges: Vec<_> = self.runs.iter().map(|run| &run.range).collect();
        firsts.sort_unstable();
        ranges.sort_unstable_by_key(|range| range.end());
        // At the first key of the run that begins `begun`-th: less the runs that end before it.
        let ended = |first: &[u8]| ranges.partition_point(|range| !range.reaches(first));
        (1..).zip(&firsts).map(|(begun, first)| begun - ended(first)).max().unwrap_or(0)
    }

    /// True if a merge reads some of its runs.
    pub fn is_merging(&self) -> bool {
        self.runs.iter().any(|run| run.is_merging)
    }
}

/// What a policy sees of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Bytes of what one flush makes, at least 1: the unit in which levels are measured.
    pub unit_bytes: u64,
    /// Every snapshot in use is at this timestamp or above it.
    pub oldest_snapshot: Timestamp,
    /// The levels, the newest first; the last one is not empty.
    pub levels: Vec<LevelShape>,
}

/// Where a run stands: its level, and its place there. Less is newer.
pub(crate) type Place = (usize, usize);

impl Shape {
    /// A tree without runs.
    pub fn empty(unit_bytes: u64) -> Self {
        Self { unit_bytes: unit_bytes.max(1), oldest_snapshot: Timestamp::new(u64::MAX), levels: Vec::new() }
    }

    /// All runs, the newest first.
    pub fn runs(&self) -> impl Iterator<Item = &RunShape> {
        self.levels.iter().flat_map(|level| &level.runs)
    }

    /// Bytes of all runs.
    pub fn bytes(&self) -> u64 {
        self.levels.iter().map(LevelShape::bytes).sum()
    }

    /// In how many runs `key` may be.
    pub fn runs_at(&self, key: &[u8]) -> usize {
        self.runs().filter(|run| run.range.contains(key)).count()
    }

    /// The deepest level with a run.
    pub fn bottom(&self) -> Option<usize> {
        self.levels.iter().rposition(|level| !level.runs.is_empty())
    }

    /// The deepest level where a run over `range` stands above all that it overlaps: the first one, should something in it be in the way.
    /// None if it overlaps nothing.
    pub fn level_above(&self, range: &KeyRange) -> Option<usize> {
        let overlaps = |level: &LevelShape| level.runs.iter().any(|run| run.range.overlaps(range));
        Some(self.levels.iter().position(overlaps)?.saturating_sub(1))
    }

    /// Whether the runs called `inputs` may become one in `target` without an older version getting before a newer one: wherever
    /// another run overlaps an input, the result must stand on the same side of it. The result's place is that
    /// of the newest input in `target`, or the first there. False also if an input is missing.
    pub fn fits(&self, inputs: &[FileId], target: usize) -> bool {
        self.places(inputs).is_some_and(|places| self.fits_places(&places, target))
    }

    /// Where runs stand, the newest first; none if one is missing.
    pub(crate) fn places(&self, ids: &[FileId]) -> Option<Vec<Place>> {
        let place = |id: &FileId| self.all_places().find(|place| self.at(*place).id == *id);
        let mut places = ids.iter().map(place).collect::<Option<Vec<_>>>()?;
        places.sort_unstable();
        Some(places)
    }

    pub(crate) fn fits_places(&self, inputs: &[Place], target: usize) -> bool {
        let result = result_place(inputs, target);
        self.all_places().filter(|place| !inputs.contains(place)).all(|kept| {
            let range = &self.at(kept).range;
            let overlapped = inputs.iter().filter(|input| self.at(**input).range.overlaps(range));
            overlapped.clone().all(|input| (*input < kept) == (result <= kept))
        })
    }

    /// True if no run that is older than the result of such a merge, and no input, may have a key of it.
    pub(crate) fn is_bottom(&self, inputs: &[Place]) -> bool {
        let (Some(newest), Some(range)) = (inputs.first(), self.hull(inputs)) else { return true };
        let is_older = |place: &Place| place > newest && !inputs.contains(place);
        !self.all_places().filter(is_older).any(|place| self.at(place).range.overlaps(&range))
    }

    pub(crate) fn hull(&self, places: &[Place]) -> Option<KeyRange> {
        let ranges = places.iter().map(|place| self.at(*place).range.clone());
        ranges.reduce(|a, b| a.hull(&b))
    }

    pub(crate) fn at(&self, (level, index): Place) -> &RunShape {
        &self.levels[level].runs[index]
    }

    pub(crate) fn all_places(&self) -> impl Iterator<Item = Place> + '_ {
        (0..self.levels.len()).flat_map(|level| self.places_of(level))
    }

    pub(crate) fn places_of(&self, level: usize) -> impl DoubleEndedIterator<Item = Place> + '_ {
        let runs = self.levels.get(level).map_or(0, |level| level.runs.len());
        (0..runs).map(move |index| (level, index))
    }
}

/// Where the result of a merge stands among the runs that were there before it.
pub(crate) fn result_place(inputs: &[Place], target: usize) -> Place {
    inputs.iter().copied().filter(|(level, _)| *level == target).min().unwrap_or((target, 0))
}
