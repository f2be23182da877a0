//! Any index with an order as a level.

use super::{Cursor, Level};
use crate::merge::Source;
use crate::run::{Entry, Kind};
use aether_index::txn::ReadView;
use aether_index::{OrderedCursor, OrderedIndex};
use aether_types::{Result, Timestamp};

/// What a view sees of an index: of each key one version, which every snapshot sees.
pub struct IndexLevel<'a> {
    index: &'a dyn OrderedIndex,
    view: &'a ReadView,
}

impl<'a> IndexLevel<'a> {
    /// The rows of `index` that `view` sees.
    pub fn new(index: &'a dyn OrderedIndex, view: &'a ReadView) -> Self {
        Self { index, view }
    }
}

impl Level for IndexLevel<'_> {
    fn cursor(&self) -> Box<dyn Cursor + '_> {
        let (cursor, view) = (self.index.cursor(), self.view);
        Box::new(Rows { cursor, view, is_at_row: false, is_upward: true })
    }
}

/// A cursor of the index stands between two rows; this one stands at the row that was given out last.
struct Rows<'a> {
    cursor: Box<dyn OrderedCursor>,
    view: &'a ReadView,
    is_at_row: bool,
    /// The last step was upward: the row lies below the index's cursor.
    is_upward: bool,
}

impl Rows<'_> {
    fn step(&mut self, is_upward: bool) -> Result<bool> {
        let row = if is_upward { self.cursor.next(self.view)? } else { self.cursor.prev(self.view)? };
        Ok(row.is_some())
    }

    /// Goes to the next row upward or downward.
    fn go(&mut self, is_upward: bool) -> Result<()> {
        let is_turning = self.is_at_row && self.is_upward != is_upward;
        self.is_at_row = false;
        if is_turning {
            // The row that it stands at comes once more.
            self.step(is_upward)?;
        }
        self.is_at_row = self.step(is_upward)?;
        self.is_upward = is_upward;
        Ok(())
    }

    fn leave(&mut self) -> &mut dyn OrderedCursor {
        self.is_at_row = false;
        &mut *self.cursor
    }
}

impl Source for Rows<'_> {
    fn entry(&self) -> Option<Entry<'_>> {
        let (key, value) = self.cursor.current().filter(|_| self.is_at_row)?;
        Some(Entry { key, timestamp: Timestamp::default(), kind: Kind::Value, value })
    }

    fn advance(&mut self) -> Result<()> {
        self.go(true)
    }
}

impl Cursor for Rows<'_> {
    fn first(&mut self) -> Result<()> {
        self.leave().seek_first();
        self.go(true)
    }

    fn last(&mut self) -> Result<()> {
        self.leave().seek_last();
        self.go(false)
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.leave().seek(key);
        self.go(true)
    }

    fn back(&mut self) -> Result<()> {
        self.go(false)
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<()> {
        self.leave().seek_back(key);
        self.go(false)
    }

    fn seek_below(&mut self, key: &[u8]) -> Result<()> {
        self.leave().seek(key);
        self.go(false)
    }
}
