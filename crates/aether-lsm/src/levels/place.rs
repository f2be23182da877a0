//! A level as the cursor over layers sees it.

use super::{Cursor, Level};
use crate::read::{Edge, Head, LayerCursor, Position, State, Stretch, Way};
use crate::run::{Entry, Ranges};
use aether_types::{Error, Result, Timestamp};

/// A cursor in a level, and its range tombstones.
pub struct Place<'a> {
    cursor: Box<dyn Cursor + 'a>,
    ranges: Ranges,
    state: State,
}

impl<'a> Place<'a> {
    pub(super) fn new(level: &'a dyn Level) -> Self {
        let ranges = Ranges::new(&level.range_tombstones());
        Self { cursor: level.cursor(), ranges, state: State::End }
    }

    fn arrive(&mut self) {
        self.state = if self.cursor.entry().is_some() { State::There } else { State::End };
    }
}

impl LayerCursor for Place<'_> {
    fn turn(&mut self, from: &Position, way: Way) {
        let is_end =
            (from.edge, way) == (Edge::Last, Way::Up) || (from.edge, way) == (Edge::First, Way::Down);
        self.state = if is_end { State::End } else { State::Due };
    }

    fn head(&self) -> Head<'_> {
        Head::new(self.state, self.entry().map_or(&[], |entry| entry.key))
    }

    fn enter(&mut self, from: &Position, way: Way) -> Result<()> {
        match (way, from.edge) {
            (Way::Up, Edge::First | Edge::Last) => self.cursor.first()?,
            (Way::Up, Edge::Before) => self.cursor.seek(&from.key)?,
            (Way::Up, Edge::Behind) => self.cursor.seek_behind(&from.key)?,
            (Way::Down, Edge::First | Edge::Last) => self.cursor.last()?,
            (Way::Down, Edge::Before) => self.cursor.seek_below(&from.key)?,
            (Way::Down, Edge::Behind) => self.cursor.seek_back(&from.key)?,
        }
        self.arrive();
        Ok(())
    }

    fn entry(&self) -> Option<Entry<'_>> {
        if self.state == State::There { self.cursor.entry() } else { None }
    }

    fn step(&mut self, way: Way) -> Result<()> {
        match way {
            Way::Up => self.cursor.advance()?,
            Way::Down => self.cursor.back()?,
        }
        self.arrive();
        Ok(())
    }

    fn has_ranges(&self) -> bool {
        !self.ranges.is_empty()
    }

    fn stretch(&self, key: &[u8], snapshot: Timestamp) -> Stretch<'_> {
        Stretch::of(self.ranges.around(key), snapshot)
    }

    fn at(&self, error: Error) -> Error {
        error
    }
}
