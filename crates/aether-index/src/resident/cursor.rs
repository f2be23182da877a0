//! Cursors in both directions.
//!
//! A cursor copies some rows ahead of it and lets go of the map before anybody sees them. Its position is a key, so that
//! whatever changes in between does no harm.

use super::Resident;
use super::cell::Cell;
use super::read::{Newest, is_changed, newest};
use crate::rows::{Seen, read_extents};
use crate::skiplist::{Entry, Guard, MapCursor};
use crate::traits::{LazyRow, OrderedCursor};
use aether_txn::ReadView;
use aether_types::{Result, TxnId};
use std::collections::VecDeque;

/// Rows copied at a time.
const ROWS: usize = 64;
/// Entries looked at for them at the most: what is removed is kept in memory meanwhile.
const ENTRIES: usize = 512;

/// Where a cursor stands between two rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before all rows.
    First,
    /// Behind all rows.
    Last,
    /// Before this key and behind all smaller ones.
    Before(Vec<u8>),
    /// Behind this key and before all larger ones.
    Behind(Vec<u8>),
}

impl Position {
    /// Where who goes forward, or back, stands once `key` is passed.
    pub fn beyond(key: Vec<u8>, forward: bool) -> Self {
        if forward { Self::Behind(key) } else { Self::Before(key) }
    }
}

/// A row as it was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkRow {
    /// Its key.
    pub key: Vec<u8>,
    /// Its value, or the stub of it.
    pub value: Vec<u8>,
    /// What it is. None: the view does not show the newest version, and the row is to be asked for by its key.
    pub seen: Option<Seen>,
}

/// Rows that follow each other, copied from the map.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The rows that say something: also that they are deleted.
    pub rows: VecDeque<ChunkRow>,
    /// Up to where that is all; none: there is nothing beyond.
    pub rest: Option<Position>,
}

impl ChunkRow {
    /// True if the value is the stub of a large one.
    pub(super) fn is_stub(&self) -> bool {
        self.seen == Some(Seen::Stub)
    }
}

/// A cursor over a table of rows in memory. Holds nothing between calls.
pub struct ResidentCursor {
    table: Resident,
    /// Where it stands, unless `current` says more.
    position: Position,
    /// The row given out last, and whether the cursor is behind it, not before it.
    current: Option<(ChunkRow, bool)>,
    ahead: VecDeque<ChunkRow>,
    /// Which way the rows ahead lie.
    forward: bool,
    /// The undo head of the own transaction when they were copied: later writes make them stale.
    read_at: Option<(TxnId, u64)>,
}

impl ResidentCursor {
    /// A cursor before the first key.
    pub fn new(table: Resident) -> Self {
        let (position, ahead) = (Position::First, VecDeque::new());
        Self { table, position, current: None, ahead, forward: true, read_at: None }
    }

    fn go(&mut self, to: Position) {
        (self.position, self.current) = (to, None);
        self.ahead.clear();
    }

    /// Makes the position a key of its own.
    fn settle(&mut self) {
        if let Some((row, behind)) = self.current.take() {
            self.position = Position::beyond(row.key, behind);
        }
        self.ahead.clear();
    }

    fn step(&mut self, view: &ReadView, forward: bool) -> Result<Option<(&[u8], &[u8])>> {
        let Some(mut row) = self.next_in(view, forward)? else { return Ok(None) };
        if row.is_stub() {
            let stub = core::mem::take(&mut row.value);
            read_extents(self.table.store(), &stub, &mut row.value)?;
        }
        self.current = Some((row, forward));
        Ok(self.current())
    }

    /// The next row upward with its value as it stands, a stub of a large one; the cursor is behind it.
    pub(super) fn next_row(&mut self, view: &ReadView) -> Result<Option<ChunkRow>> {
        let row = self.next_in(view, true)?;
        if let Some(row) = &row {
            self.position = Position::Behind(row.key.clone());
        }
        Ok(row)
    }

    fn next_in(&mut self, view: &ReadView, forward: bool) -> Result<Option<ChunkRow>> {
        let own = own_state(view);
        if forward != self.forward || self.read_at != own {
            self.settle();
            (self.forward, self.read_at) = (forward, own);
        }
        loop {
            while let Some(mut row) = self.ahead.pop_front() {
                if row.seen.is_none() {
                    row.seen = Some(self.table.get_row(view, &row.key, &mut row.value)?);
                }
                if row.seen.is_some_and(Seen::is_there) {
                    return Ok(Some(row));
                }
                (self.position, self.current) = (Position::beyond(row.key, forward), None);
            }
            self.settle();
            if !self.fill(view)? {
                self.go(if forward { Position::Last } else { Position::First });
                return Ok(None);
            }
        }
    }

    /// Copies rows from the position on; false if there are no more entries.
    fn fill(&mut self, view: &ReadView) -> Result<bool> {
        let Chunk { rows, rest } = self.table.chunk(view, &self.position, self.forward)?;
        self.ahead = rows;
        if self.ahead.is_empty() {
            // Nothing to show among these: go on where the walk stands.
            self.position = rest.clone().unwrap_or_else(|| self.position.clone());
        }
        Ok(rest.is_some() || !self.ahead.is_empty())
    }
}

impl Resident {
    /// Copies rows from `position` on, upward or downward, as `view` shows them. Does not block.
    ///
    /// # Errors
    /// `Expired` for a view that is over.
    pub fn chunk(&self, view: &ReadView, position: &Position, forward: bool) -> Result<Chunk> {
        let pin = self.0.rows.map.pin();
        let mut cursor = pin.cursor();
        let mut found = place(&mut cursor, position, forward);
        let (mut rows, mut entries) = (VecDeque::new(), 0);
        while found && rows.len() < ROWS && entries < ENTRIES {
            let entry = cursor.entry().expect("it stands at a key");
            rows.extend(copy(&pin, &entry, view));
            entries += 1;
            found = if forward { cursor.next() } else { cursor.prev() };
        }
        let behind = |key: Vec<u8>| if forward { Position::Before(key) } else { Position::Behind(key) };
        let rest = found.then(|| behind(cursor.key().to_vec()));
        view.check()?;
        Ok(Chunk { rows, rest })
    }
}

fn own_state(view: &ReadView) -> Option<(TxnId, u64)> {
    let own = view.own();
    (!own.is_none()).then(|| (own, view.own_changes()))
}

/// Puts the map's cursor at the first entry ahead of the position.
fn place(cursor: &mut MapCursor<'_>, position: &Position, forward: bool) -> bool {
    match (position, forward) {
        (Position::First, true) => cursor.first(),
        (Position::Last, false) => cursor.last(),
        (Position::First, false) | (Position::Last, true) => false,
        (Position::Before(key), true) => cursor.seek(key),
        (Position::Before(key), false) => cursor.seek_lt(key),
        (Position::Behind(key), true) => cursor.seek(key) && (cursor.key() != key || cursor.next()),
        (Position::Behind(key), false) => cursor.seek_le(key),
    }
}

/// Copies an entry's row; none if it says nothing.
fn copy(pin: &Guard<'_>, entry: &Entry<'_>, view: &ReadView) -> Option<ChunkRow> {
    let mut value = Vec::new();
    loop {
        let payload = entry.payload();
        let newest = newest(Cell::of(pin, payload), view, &mut value);
        if payload == crate::skiplist::CLOSED {
            // Removed: rolled back, or a ghost that nobody needs. What came after stands in another entry.
            let (key, seen) = (entry.key(), None);
            return Some(ChunkRow { key, value, seen });
        }
        if !is_changed(payload, entry.payload()) {
            let seen = match newest {
                Newest::Seen(Seen::Missing) => return None,
                Newest::Seen(seen) => Some(seen),
                Newest::Older(..) => None,
            };
            return Some(ChunkRow { key: entry.key(), value, seen });
        }
        value.clear();
    }
}

impl OrderedCursor for ResidentCursor {
    fn seek(&mut self, key: &[u8]) {
        self.go(Position::Before(key.to_vec()));
    }

    fn seek_back(&mut self, key: &[u8]) {
        self.go(Position::Behind(key.to_vec()));
    }

    fn seek_first(&mut self) {
        self.go(Position::First);
    }

    fn seek_last(&mut self) {
        self.go(Position::Last);
    }

    fn next(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        self.step(view, true)
    }

    fn next_lazy(&mut self, view: &ReadView) -> Result<Option<LazyRow<'_>>> {
        let Some(mut row) = self.next_in(view, true)? else { return Ok(None) };
        let is_apart = row.is_stub();
        if is_apart {
            row.value.clear();
        }
        self.current = Some((row, true));
        Ok(self.current().map(|(key, value)| (key, (!is_apart).then_some(value))))
    }

    fn prev(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        self.step(view, false)
    }

    fn current(&self) -> Option<(&[u8], &[u8])> {
        self.current.as_ref().map(|(row, _)| (&row.key[..], &row.value[..]))
    }
}
