//! Runs that share no key, as one layer: a cursor stands in one of them at a time.

use super::layers::{Head, LayerCursor, State};
use super::position::{Edge, Position, Way};
use super::shade::Stretch;
use crate::run::{Entry, Run, RunCursor};
use aether_index::txn::recovery::wal::buffer::ScanRing;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{Error, Result, Timestamp};

/// Runs by key, of which no two have one in common.
pub struct Chain {
    runs: Vec<Arc<Run>>,
    /// The run in which it stands, or which comes next.
    at: usize,
    state: State,
    way: Way,
    /// In that run, if it was entered.
    cursor: Option<RunCursor>,
    ring: Option<Arc<ScanRing>>,
    has_ranges: bool,
}

impl Chain {
    /// The chains of `runs`, the newest first: runs next to each other that do not overlap have no order among them.
    pub(super) fn of(runs: Vec<Arc<Run>>) -> Vec<Self> {
        let mut chains: Vec<Self> = Vec::new();
        for run in runs {
            let place = chains.last().and_then(|chain| chain.place(&run));
            match (chains.last_mut(), place) {
                (Some(chain), Some(place)) => chain.insert(place, run),
                _ => chains.push(Self::new(run)),
            }
        }
        chains
    }

    fn new(run: Arc<Run>) -> Self {
        let has_ranges = !run.ranges().is_empty();
        Self { runs: vec![run], at: 0, state: State::End, way: Way::Up, cursor: None, ring: None, has_ranges }
    }

    /// Where `run` would stand; none if it overlaps one that is here.
    fn place(&self, run: &Run) -> Option<usize> {
        let place = self.runs.partition_point(|own| own.info().smallest <= run.info().smallest);
        let neighbours = self.runs[..place].last().into_iter().chain(self.runs.get(place));
        neighbours.into_iter().all(|own| !own.info().overlaps(run.info())).then_some(place)
    }

    fn insert(&mut self, place: usize, run: Arc<Run>) {
        self.has_ranges |= !run.ranges().is_empty();
        self.runs.insert(place, run);
    }

    /// The run upward of a position, and whether it has to be read to say what follows.
    fn above(&self, from: &Position) -> (Option<usize>, bool) {
        let at = match from.edge {
            Edge::First => 0,
            Edge::Before => self.runs.partition_point(|run| run.info().ends_before(&from.key)),
            Edge::Behind => self.runs.partition_point(|run| run.info().largest <= from.key),
            Edge::Last => self.runs.len(),
        };
        let is_due = |run: &Arc<Run>| from.edge != Edge::First && run.info().smallest < from.key;
        (Some(at).filter(|at| *at < self.runs.len()), self.runs.get(at).is_some_and(is_due))
    }

    /// The same downward.
    fn below(&self, from: &Position) -> (Option<usize>, bool) {
        let count = match from.edge {
            Edge::First => 0,
            Edge::Before => self.runs.partition_point(|run| run.info().smallest < from.key),
            Edge::Behind => self.runs.partition_point(|run| run.info().smallest <= from.key),
            Edge::Last => self.runs.len(),
        };
        let at = count.checked_sub(1);
        let is_due = |run: &Arc<Run>| match from.edge {
            Edge::First | Edge::Last => false,
            Edge::Before => !run.info().ends_before(&from.key),
            Edge::Behind => run.info().largest > from.key,
        };
        (at, at.is_some_and(|at| is_due(&self.runs[at])))
    }

    /// Waits before the run `at`; none: nothing follows.
    fn wait_for(&mut self, at: Option<usize>) {
        let Some(at) = at else {
            self.state = State::End;
            return;
        };
        if self.at != at {
            self.cursor = None;
        }
        self.at = at;
        self.state = State::Ahead;
    }

    /// Stands where its cursor stands, or waits before the next run.
    fn arrive(&mut self) {
        if self.cursor.as_ref().is_some_and(|cursor| cursor.entry().is_some()) {
            self.state = State::There;
            return;
        }
        self.wait_for(match self.way {
            Way::Up => Some(self.at + 1).filter(|at| *at < self.runs.len()),
            Way::Down => self.at.checked_sub(1),
        });
    }
}

impl LayerCursor for Chain {
    fn turn(&mut self, from: &Position, way: Way) {
        if way != self.way {
            self.ring = None;
            self.cursor.iter_mut().for_each(|cursor| cursor.read_ahead(None));
        }
        self.way = way;
        let (at, is_due) = match way {
            Way::Up => self.above(from),
            Way::Down => self.below(from),
        };
        self.wait_for(at);
        if is_due {
            self.state = State::Due;
        }
    }

    #[inline]
    fn head(&self) -> Head<'_> {
        let key = match (self.state, self.way) {
            (State::Due | State::End, _) => &[][..],
            (State::There, _) => self.entry().map_or(&[][..], |entry| entry.key),
            (State::Ahead, Way::Up) => &self.runs[self.at].info().smallest,
            (State::Ahead, Way::Down) => &self.runs[self.at].info().largest,
        };
        Head::new(self.state, key)
    }

    fn enter(&mut self, from: &Position, way: Way) -> Result<()> {
        let run = &self.runs[self.at];
        let cursor = self.cursor.get_or_insert_with(|| RunCursor::new(run.clone()));
        cursor.read_ahead(self.ring.clone());
        match (self.state, way, from.edge) {
            (State::Due, Way::Up, Edge::Behind) => cursor.seek_behind(&from.key)?,
            (State::Due, Way::Up, _) => cursor.seek(&from.key)?,
            (State::Due, Way::Down, Edge::Behind) => cursor.seek_back(&from.key)?,
            (State::Due, Way::Down, _) => cursor.seek_below(&from.key)?,
            (_, Way::Up, _) => cursor.first()?,
            (_, Way::Down, _) => cursor.last()?,
        }
        self.arrive();
        Ok(())
    }

    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        self.cursor.as_ref().filter(|_| self.state == State::There)?.entry()
    }

    #[inline]
    fn step(&mut self, way: Way) -> Result<()> {
        if let Some(cursor) = &mut self.cursor {
            match way {
                Way::Up => cursor.forward()?,
                Way::Down => cursor.back()?,
            }
        }
        self.arrive();
        Ok(())
    }

    fn is_newest(&self) -> bool {
        self.cursor.as_ref().is_none_or(RunCursor::is_newest)
    }

    fn read_ahead(&mut self) {
        let ring = self.runs.first().map(|run| run.scan_ring());
        self.cursor.iter_mut().for_each(|cursor| cursor.read_ahead(ring.clone()));
        self.ring = ring;
    }

    fn has_ranges(&self) -> bool {
        self.has_ranges
    }

    fn stretch(&self, key: &[u8], snapshot: Timestamp) -> Stretch<'_> {
        let behind = self.runs.partition_point(|run| *run.info().smallest <= *key);
        let next = self.runs.get(behind).map(|run| &run.info().smallest[..]);
        let Some(run) = behind.checked_sub(1).map(|at| &self.runs[at]) else {
            return Stretch { from: &[], to: next, gone: None };
        };
        let mut stretch = Stretch::of(run.ranges().around(key), snapshot);
        stretch.from = stretch.from.max(&run.info().smallest);
        stretch.to = [stretch.to, next].into_iter().flatten().min();
        stretch
    }

    fn at(&self, error: Error) -> Error {
        self.runs[self.at].at(error)
    }
}
