//! Levels of any kind under one roof: whatever has its versions in order can be a level.
//!
//! A [`Level`] hands out a cursor that goes through its versions both ways. [`Levels`] reads through several of them, the newest first, with
//! the cursor that reads runs ([`read`](crate::read)), and makes layers of them for the one merge ([`merge`](crate::merge)). Which version a snapshot
//! sees is decided by the order of levels, then by the order within one; a timestamp only says who may see a version at all, and 0 stands for
//! all. A run is a level, and so is any index with an order ([`IndexLevel`]).

mod index;
mod place;
mod run;

pub use index::IndexLevel;

use crate::merge::{Layer, Source};
use crate::read::SnapshotCursor;
use crate::run::{Kind, RangeTombstone};
use aether_types::{Result, Timestamp};
use place::Place;

/// A sorted source of versions: a run, a memtable, anything else.
pub trait Level {
    /// A cursor over its versions, which stands nowhere yet.
    fn cursor(&self) -> Box<dyn Cursor + '_>;

    /// Its range tombstones, in any order.
    fn range_tombstones(&self) -> Vec<RangeTombstone> {
        Vec::new()
    }

    /// False if it certainly says nothing of `key`.
    fn may_concern(&self, key: &[u8]) -> bool {
        let _ = key;
        true
    }
}

/// A place in a level: at a version, or beyond either end. What goes on from beyond an end goes to the version there.
pub trait Cursor: Source {
    /// Goes to the first version.
    ///
    /// # Errors
    /// Those of reading the level, as all below.
    fn first(&mut self) -> Result<()>;

    /// Goes to the last version.
    fn last(&mut self) -> Result<()>;

    /// Goes to the newest version of the first key at or above `key`.
    fn seek(&mut self, key: &[u8]) -> Result<()>;

    /// Goes to the version before.
    fn back(&mut self) -> Result<()>;

    /// Goes to the newest version of the first key above `key`.
    fn seek_behind(&mut self, key: &[u8]) -> Result<()> {
        self.seek(key)?;
        while self.entry().is_some_and(|entry| entry.key == key) {
            self.advance()?;
        }
        Ok(())
    }

    /// Goes to the oldest version of the last key at or below `key`.
    fn seek_back(&mut self, key: &[u8]) -> Result<()> {
        self.seek_behind(key)?;
        self.back()
    }

    /// Goes to the oldest version of the last key below `key`.
    fn seek_below(&mut self, key: &[u8]) -> Result<()> {
        self.seek(key)?;
        self.back()
    }
}

/// Levels, the newest first.
#[derive(Clone)]
pub struct Levels<'a>(Vec<&'a dyn Level>);

/// What a snapshot sees of levels, key by key, in both directions.
pub type LevelsCursor<'a> = SnapshotCursor<Place<'a>>;

impl<'a> Levels<'a> {
    /// Reads through `levels`, of which the newest comes first.
    pub fn new(levels: Vec<&'a dyn Level>) -> Self {
        Self(levels)
    }

    /// The value of `key` that a snapshot sees, or the stub of it.
    ///
    /// # Errors
    /// Those of reading the levels.
    pub fn get(&self, key: &[u8], snapshot: Timestamp) -> Result<Option<Vec<u8>>> {
        let found = self.0.iter().filter(|level| level.may_concern(key));
        let found =
            found.map(|level| find(*level, key, snapshot)).find(|found| !matches!(found, Ok(Found::Nothing)));
        match found.transpose()? {
            Some(Found::Value(value)) => Ok(Some(value)),
            Some(Found::Gone | Found::Nothing) | None => Ok(None),
        }
    }

    /// A cursor before the first key.
    pub fn cursor(&self, snapshot: Timestamp) -> LevelsCursor<'a> {
        SnapshotCursor::over(self.0.iter().map(|level| Place::new(*level)).collect(), snapshot)
    }

    /// The same as layers of a merge.
    ///
    /// # Errors
    /// Those of reading the levels.
    pub fn layers(&self) -> Result<Vec<Layer<'a>>> {
        let layer = |level: &&'a dyn Level| {
            let mut cursor = level.cursor();
            cursor.first()?;
            let source: Box<dyn Source + 'a> = cursor;
            Ok(Layer { source, ranges: level.range_tombstones() })
        };
        self.0.iter().map(layer).collect()
    }
}

/// What a level says of a key.
enum Found {
    Value(Vec<u8>),
    Gone,
    Nothing,
}

fn find(level: &dyn Level, key: &[u8], snapshot: Timestamp) -> Result<Found> {
    let ranges = level.range_tombstones();
    let covering = ranges.iter().filter(|range| range.timestamp <= snapshot && range.covers(key));
    let gone = covering.map(|range| range.timestamp).max();
    let mut cursor = level.cursor();
    cursor.seek(key)?;
    while let Some(entry) = cursor.entry().filter(|entry| entry.key == key) {
        if entry.timestamp <= snapshot {
            let is_there = entry.kind != Kind::Tombstone && gone.is_none_or(|gone| entry.timestamp >= gone);
            return Ok(if is_there { Found::Value(entry.value.to_vec()) } else { Found::Gone });
        }
        cursor.advance()?;
    }
    Ok(if gone.is_some() { Found::Gone } else { Found::Nothing })
}
