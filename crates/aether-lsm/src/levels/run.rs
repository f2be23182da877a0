//! A run as a level.

use super::{Cursor, Level};
use crate::run::{RangeTombstone, Run, RunCursor};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::Result;

impl Level for Arc<Run> {
    fn cursor(&self) -> Box<dyn Cursor + '_> {
        Box::new(RunCursor::new(self.clone()))
    }

    fn range_tombstones(&self) -> Vec<RangeTombstone> {
        Run::range_tombstones(self).collect()
    }

    fn may_concern(&self, key: &[u8]) -> bool {
        self.info().may_concern(key)
    }
}

impl Cursor for RunCursor {
    fn first(&mut self) -> Result<()> {
        RunCursor::first(self)
    }

    fn last(&mut self) -> Result<()> {
        RunCursor::last(self)
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        RunCursor::seek(self, key)
    }

    fn back(&mut self) -> Result<()> {
        RunCursor::back(self)
    }

    fn seek_behind(&mut self, key: &[u8]) -> Result<()> {
        RunCursor::seek_behind(self, key)
    }

    fn seek_back(&mut self, key: &[u8]) -> Result<()> {
        RunCursor::seek_back(self, key)
    }

    fn seek_below(&mut self, key: &[u8]) -> Result<()> {
        RunCursor::seek_below(self, key)
    }
}
