//! Cursors over rows in memory and runs together, in both directions.
//!
//! A cursor copies some rows from memory, then takes the list of runs: what has gone from memory by then is in the list. Up to where
//! the copied rows reach, both together say what a snapshot shows, however long the cursor rests; then it copies the next ones.

use super::runs::values_in;
use super::{Found, Inner, Live, Lsm};
use crate::read::RunsCursor;
use crate::run::Kind;
use crate::values::ValueAt;
use crate::version::Reading;
use aether_index::resident::{Chunk, ChunkRow, Position};
use aether_index::rows::Seen;
use aether_index::txn::ReadView;
use aether_index::{LazyRow, OrderedCursor};
use aether_types::{FileId, Result, Timestamp, TxnId};
use core::cmp::Ordering;
use core::ops::Bound;
use std::collections::{BTreeSet, VecDeque};

/// The runs as the cursor reads them.
struct Below {
    /// The number of the list of runs, and the snapshot.
    of: (u64, Timestamp),
    version: Reading<Live>,
    cursor: RunsCursor,
    /// The row that comes next, if it was read; and whether it was.
    head: Option<Row>,
    is_read: bool,
}

/// A row of a run.
struct Row {
    key: Vec<u8>,
    kind: Kind,
    value: Vec<u8>,
}

/// A key, and its value; none if that stands apart and was not to be read.
type Owned = (Vec<u8>, Option<Vec<u8>>);

/// A cursor over an LSM tree. Holds a list of runs between calls, and no lock.
pub struct LsmCursor {
    tree: Lsm,
    position: Position,
    /// The row given out last, and whether the cursor is behind it.
    current: Option<(Vec<u8>, Vec<u8>, bool)>,
    ahead: VecDeque<ChunkRow>,
    /// Up to where the rows ahead are all that memory has; none: to the end.
    rest: Option<Position>,
    is_filled: bool,
    below: Option<Below>,
    /// Runs that are not read.
    left_out: BTreeSet<FileId>,
    /// Only rows between them are asked for.
    limits: (Bound<Vec<u8>>, Bound<Vec<u8>>),
    forward: bool,
    /// The snapshot, the own transaction and its changes when rows were copied: another makes them stale.
    read_at: (Timestamp, TxnId, u64),
}

impl LsmCursor {
    /// A cursor before the first key.
    pub fn new(tree: Lsm) -> Self {
        Self {
            tree,
            position: Position::First,
            current: None,
            ahead: VecDeque::new(),
            rest: None,
            is_filled: false,
            below: None,
            left_out: BTreeSet::new(),
            limits: (Bound::Unbounded, Bound::Unbounded),
            forward: true,
            read_at: (Timestamp::new(0), TxnId::NONE, 0),
        }
    }

    /// From now on does as if these runs were not there.
    pub(super) fn leave_out(&mut self, runs: BTreeSet<FileId>) {
        self.left_out = runs;
        self.forget();
    }

    fn go(&mut self, to: Position) {
        (self.position, self.current) = (to, None);
        self.forget();
    }

    /// What was read ahead is not used.
    fn forget(&mut self) {
        self.ahead.clear();
        self.is_filled = false;
        self.below = None;
    }

    /// Makes the position a key of its own.
    fn settle(&mut self) {
        if let Some((key, _, behind)) = self.current.take() {
            self.position = Position::beyond(key, behind);
        }
    }

    fn step(&mut self, view: &ReadView, forward: bool) -> Result<Option<(&[u8], &[u8])>> {
        Ok(self.step_as(view, forward, false)?.map(|(key, value)| (key, value.unwrap_or_default())))
    }

    fn step_as(&mut self, view: &ReadView, forward: bool, lazily: bool) -> Result<Option<LazyRow<'_>>> {
        let read_at = (view.at(), view.own(), view.own_changes());
        self.settle();
        if forward != self.forward || self.read_at != read_at {
            self.forget();
            (self.forward, self.read_at) = (forward, read_at);
        }
        let row = self.next_row(view, lazily);
        if row.is_err() {
            // Asked again it tries the same row again.
            self.forget();
        }
        let Some((key, value)) = row? else {
            self.go(if forward { Position::Last } else { Position::First });
            return Ok(None);
        };
        let is_apart = value.is_none();
        self.current = Some((key, value.unwrap_or_default(), forward));
        Ok(self.current().map(|(key, value)| (key, (!is_apart).then_some(value))))
    }

    fn next_row(&mut self, view: &ReadView, lazily: bool) -> Result<Option<Owned>> {
        loop {
            if !self.is_filled {
                self.fill(view)?;
            }
            self.read_head()?;
            let head = self.below.as_ref().and_then(|below| below.head.as_ref());
            let order = match (self.ahead.front(), head) {
                (None, None) if self.rest.is_none() => return Ok(None),
                (None, head) if self.rest.as_ref().is_some_and(|rest| !reaches(head, rest)) => {
                    // Nothing more up to where memory was copied.
                    self.position = self.rest.take().expect("it was just there");
                    self.is_filled = false;
                    continue;
                }
                (None, _) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(row), Some(head)) if self.forward => row.key.cmp(&head.key),
                (Some(row), Some(head)) => head.key.cmp(&row.key),
            };
            if order == Ordering::Greater {
                let Some(row) = self.take_head() else { continue };
                let value = self.value_below(row.value, row.kind, lazily);
                let value = value.map_err(|error| error.at_key(&row.key))?;
                return Ok(Some((row.key, value)));
            }
            let Some(mut row) = self.ahead.pop_front() else { continue };
            if order == Ordering::Equal {
                drop(self.take_head());
            }
            let (found, value) = self.find_value(view, &mut row).map_err(|error| error.at_key(&row.key))?;
            if !matches!(found, Found::Nothing) {
                let value = self.read_unless(lazily, found, value).map_err(|error| error.at_key(&row.key))?;
                return Ok(Some((row.key, value)));
            }
            self.position = Position::beyond(row.key, self.forward);
        }
    }

    /// Copies rows from memory, then takes the list of runs.
    fn fill(&mut self, view: &ReadView) -> Result<()> {
        let inner = &self.tree.0;
        let Chunk { rows, rest } = inner.rows.chunk(view, &self.position, self.forward)?;
        (self.ahead, self.rest, self.is_filled) = (rows, rest, true);
        let number = inner.runs.set().number();
        let of = (number, view.at());
        if self.below.as_ref().is_none_or(|below| below.of != of) {
            self.below = Some(self.open(inner, view, of)?);
        }
        Ok(())
    }

    fn open(&self, inner: &Inner, view: &ReadView, of: (u64, Timestamp)) -> Result<Below> {
        let version = inner.runs.read();
        let mut runs = Vec::new();
        for run in version.runs().filter(|run| !self.left_out.contains(&run.id())) {
            if run.file().is_seen(&inner.runs.manifest, view)? && self.may_have_rows(inner, run.file())? {
                runs.push(run.file().run.clone());
            }
        }
        let mut cursor = RunsCursor::new(runs, of.1);
        match &self.position {
            Position::First => cursor.seek_first(),
            Position::Last => cursor.seek_last(),
            Position::Before(key) => cursor.seek(key),
            Position::Behind(key) => cursor.seek_behind(key),
        }
        Ok(Below { of, version, cursor, head: None, is_read: false })
    }

    /// False if the run's filters tell that it has nothing between the limits.
    fn may_have_rows(&self, inner: &Inner, live: &Live) -> Result<bool> {
        let (from, to) = &self.limits;
        if !inner.runs.filters.tell_ranges() || (from, to) == (&Bound::Unbounded, &Bound::Unbounded) {
            return Ok(true);
        }
        let may =
            live.run.may_contain_range(from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice))?;
        inner.runs_spared.add(u64::from(!may));
        Ok(may)
    }

    fn read_head(&mut self) -> Result<()> {
        let Some(below) = self.below.as_mut().filter(|below| !below.is_read) else { return Ok(()) };
        let row = if self.forward { below.cursor.next()? } else { below.cursor.prev()? };
        below.head = row.map(|row| Row { key: row.key.to_vec(), kind: row.kind, value: row.value.to_vec() });
        below.is_read = true;
        Ok(())
    }

    fn take_head(&mut self) -> Option<Row> {
        let below = self.below.as_mut()?;
        below.is_read = false;
        below.head.take()
    }

    fn value_below(&self, value: Vec<u8>, kind: Kind, lazily: bool) -> Result<Option<Vec<u8>>> {
        if kind != Kind::Stub {
            return Ok(Some(value));
        }
        let at = ValueAt::decode(&value)?;
        let below = self.below.as_ref().expect("the row is from there");
        self.read_unless(lazily, Found::File(values_in(&below.version, at.file)?, at), Vec::new())
    }

    /// The value of a row in memory, as [`Inner::find`] has it. What memory does not tell any more is asked for anew.
    fn find_value(&self, view: &ReadView, row: &mut ChunkRow) -> Result<(Found, Vec<u8>)> {
        let mut value = core::mem::take(&mut row.value);
        let found = match row.seen {
            Some(Seen::Value) => Found::Value,
            Some(Seen::Stub) => Found::Extents,
            Some(Seen::Absent) => Found::Nothing,
            Some(Seen::Missing) | None => {
                value.clear();
                self.tree.0.find(view, &row.key, &mut value)?
            }
        };
        Ok((found, value))
    }

    /// The value that was found; none if it stands apart and is to be read lazily.
    fn read_unless(&self, lazily: bool, found: Found, mut value: Vec<u8>) -> Result<Option<Vec<u8>>> {
        if lazily && matches!(found, Found::Extents | Found::File(..)) {
            return Ok(None);
        }
        self.tree.0.read_found(found, 0, &mut value)?;
        Ok(Some(value))
    }
}

/// True if a row lies before the position in which copied rows end.
fn reaches(row: Option<&Row>, rest: &Position) -> bool {
    match (row, rest) {
        (None, _) => false,
        // Upward: all below the key was copied. Downward: all above it.
        (Some(row), Position::Before(key)) => row.key < *key,
        (Some(row), Position::Behind(key)) => row.key > *key,
        (Some(_), Position::First | Position::Last) => true,
    }
}

impl OrderedCursor for LsmCursor {
    fn seek(&mut self, key: &[u8]) {
        self.tree.0.scans.add(1);
        self.go(Position::Before(key.to_vec()));
    }

    fn seek_back(&mut self, key: &[u8]) {
        self.tree.0.scans.add(1);
        self.go(Position::Behind(key.to_vec()));
    }

    fn seek_first(&mut self) {
        self.go(Position::First);
    }

    fn limit(&mut self, from: Bound<&[u8]>, to: Bound<&[u8]>) {
        if self.tree.0.runs.filters.tell_ranges() {
            self.limits = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
            self.forget();
        }
    }

    fn seek_last(&mut self) {
        self.go(Position::Last);
    }

    fn next(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        self.step(view, true)
    }

    fn next_lazy(&mut self, view: &ReadView) -> Result<Option<LazyRow<'_>>> {
        self.step_as(view, true, true)
    }

    fn prev(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        self.step(view, false)
    }

    fn current(&self) -> Option<(&[u8], &[u8])> {
        self.current.as_ref().map(|(key, value, _)| (&key[..], &value[..]))
    }
}
