//! Cursors in both directions.
//!
//! A cursor copies the visible rows of one leaf and lets go of it before anybody sees them: no latch is held while
//! user code runs. Its position is a key, so that whatever changes in between does no harm. A cursor that has gone
//! through a few leaves becomes a scan: it loads into a ring of its own and reads the next leaves ahead.

use super::read::{Seen, older};
use super::value::read_extents;
use super::{Leaves, Rows, Stop, Towards, retry};
use crate::traits::{LazyRow, OrderedCursor};
use aether_page::UndoPtr;
use aether_page::node::Node;
use aether_sync::Arc;
use aether_txn::ReadView;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::wal::buffer::{Access, ScanRing};
use aether_types::{Result, TxnId};
use core::ops::Range;

/// Leaves after which a cursor becomes a scan.
const SCAN_AFTER_LEAVES: usize = 4;

/// Where a cursor stands between two rows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Position {
    First,
    Last,
    /// Before this key and behind all smaller ones.
    Before(Vec<u8>),
    /// Behind this key and before all larger ones.
    Behind(Vec<u8>),
}

#[derive(Clone, Debug)]
struct RowAt {
    key: Range<usize>,
    value: Range<usize>,
    seen: Seen,
    older: Option<(TxnId, UndoPtr)>,
}

/// The visible rows of a leaf, ascending, and where the leaf ends.
#[derive(Default)]
struct Batch {
    /// The prefix of the leaf's keys, then keys and values.
    bytes: Vec<u8>,
    prefix_len: usize,
    rows: Vec<RowAt>,
    lower: Option<Vec<u8>>,
    upper: Option<Vec<u8>>,
    /// The undo head of the own transaction when the rows were read: later writes make them stale.
    read_at: Option<(TxnId, u64)>,
}

/// A cursor over a page-based index. Holds no latch between calls.
pub struct RowsCursor<L> {
    rows: Rows<L>,
    /// Where it stands, unless `last` says more.
    position: Position,
    batch: Batch,
    /// The row of the batch given out last, and whether on the way forward: the position is behind it, or before it.
    last: Option<(usize, bool)>,
    /// The rows of the batch that are still ahead, upward or downward of the position.
    window: Range<usize>,
    valid: bool,
    leaves: usize,
    ring: Option<Arc<ScanRing>>,
    reading_ahead: bool,
    value: Vec<u8>,
}

impl<L: Leaves> RowsCursor<L> {
    /// A cursor before the first key.
    pub fn new(rows: Rows<L>) -> Self {
        Self {
            rows,
            position: Position::First,
            batch: Batch::default(),
            last: None,
            window: 0..0,
            valid: false,
            leaves: 0,
            ring: None,
            reading_ahead: true,
            value: Vec::new(),
        }
    }

    /// Turns reading ahead on or off; on unless said otherwise.
    pub fn set_read_ahead(&mut self, on: bool) {
        self.reading_ahead = on;
    }

    fn go(&mut self, to: Position) {
        (self.position, self.last, self.valid) = (to, None, false);
    }

    /// Makes the position a key of its own, before the batch goes.
    fn settle(&mut self) {
        if let Some((index, forward)) = self.last.take() {
            let key = self.batch.bytes[self.batch.rows[index].key.clone()].to_vec();
            self.position = if forward { Position::Behind(key) } else { Position::Before(key) };
        }
    }

    /// Does the batch still show what the view would?
    fn is_fresh(&self, view: &ReadView) -> bool {
        self.valid && self.batch.read_at.is_none_or(|at| Some(at) == own_state(view))
    }

    fn step(&mut self, view: &ReadView, forward: bool) -> Result<Option<usize>> {
        if !self.is_fresh(view) {
            self.settle();
            self.fill(view, forward)?;
        }
        loop {
            let next = if forward { self.window.start } else { self.window.end.wrapping_sub(1) };
            if self.window.contains(&next) {
                self.move_over(next, forward);
                return Ok(Some(next));
            }
            let fence = if forward { self.batch.upper.take() } else { self.batch.lower.take() };
            let Some(fence) = fence else {
                self.go(if forward { Position::Last } else { Position::First });
                return Ok(None);
            };
            self.go(Position::Before(fence));
            self.fill(view, forward)?;
        }
    }

    /// The row at `index` lies behind the cursor now; turning round returns it again.
    fn move_over(&mut self, index: usize, forward: bool) {
        self.last = Some((index, forward));
        self.window = if forward { index + 1..self.window.end } else { self.window.start..index };
    }

    /// Reads the leaf at the position.
    fn fill(&mut self, view: &ReadView, forward: bool) -> Result<()> {
        self.leaves += 1;
        if self.leaves == SCAN_AFTER_LEAVES {
            self.ring = Some(self.rows.pool().scan_ring());
        }
        let ahead = self.reading_ahead.then_some(forward);
        let all = self.rows.clone();
        retry(|| {
            let access = self.ring.as_ref().map_or(Access::Normal, Access::Scan);
            all.read_leaf(view, towards(&self.position, forward), &access, ahead, &mut self.batch)
        })?;
        let rows = &self.batch.rows;
        let key = |row: &RowAt| &self.batch.bytes[row.key.clone()];
        let cut = match &self.position {
            Position::First => 0,
            Position::Last => rows.len(),
            Position::Before(bound) => rows.partition_point(|row| key(row) < &bound[..]),
            Position::Behind(bound) => rows.partition_point(|row| key(row) <= &bound[..]),
        };
        self.window = if forward { cut..rows.len() } else { 0..cut };
        self.valid = true;
        Ok(())
    }

    /// After a turn the window must be on the other side of the position.
    fn turn(&mut self, forward: bool) {
        let behind = match self.last {
            Some((_, upward)) => upward,
            None => matches!(self.position, Position::Behind(_)),
        };
        if self.valid && behind != forward {
            self.valid = false;
        }
    }

    fn row(&mut self, index: usize) -> Result<(&[u8], &[u8])> {
        let RowAt { key, value, seen, .. } = self.batch.rows[index].clone();
        if seen == Seen::Stub {
            self.value.clear();
            let stub = &self.batch.bytes[value];
            read_extents(self.rows.store(), stub, &mut self.value)?;
            return Ok((&self.batch.bytes[key], &self.value));
        }
        Ok((&self.batch.bytes[key], &self.batch.bytes[value]))
    }
}

fn own_state(view: &ReadView) -> Option<(TxnId, u64)> {
    let own = view.own();
    (!own.is_none()).then(|| (own, view.own_changes()))
}

fn towards(position: &Position, forward: bool) -> Towards<'_> {
    match (position, forward) {
        (Position::First, _) => Towards::Key(&[]),
        (Position::Last, _) => Towards::Last,
        (Position::Before(key), true) | (Position::Behind(key), _) => Towards::Key(key),
        (Position::Before(key), false) => Towards::Below(key),
    }
}

impl<L: Leaves> OrderedCursor for RowsCursor<L> {
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
        self.turn(true);
        let Some(index) = self.step(view, true)? else { return Ok(None) };
        self.row(index).map(Some)
    }

    fn next_lazy(&mut self, view: &ReadView) -> Result<Option<LazyRow<'_>>> {
        self.turn(true);
        if self.step(view, true)?.is_none() {
            return Ok(None);
        }
        self.value.clear();
        let is_apart = self.last.is_some_and(|(index, _)| self.batch.rows[index].seen == Seen::Stub);
        Ok(self.current().map(|(key, value)| (key, (!is_apart).then_some(value))))
    }

    fn prev(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>> {
        self.turn(false);
        let Some(index) = self.step(view, false)? else { return Ok(None) };
        self.row(index).map(Some)
    }

    fn current(&self) -> Option<(&[u8], &[u8])> {
        let RowAt { key, value, seen, .. } = &self.batch.rows[self.last?.0];
        let value = if *seen == Seen::Stub { &self.value } else { &self.batch.bytes[value.clone()] };
        Some((&self.batch.bytes[key.clone()], value))
    }
}

impl<L: Leaves> Rows<L> {
    fn read_leaf(
        &self,
        view: &ReadView,
        towards: Towards<'_>,
        access: &Access<'_>,
        ahead: Option<bool>,
        batch: &mut Batch,
    ) -> Result<(), Stop> {
        let found = self.leaf(towards, access)?;
        let node = Node::new(found.node.view());
        batch.bytes.clear();
        batch.rows.clear();
        batch.read_at = own_state(view);
        node.prefix_into(&mut batch.bytes);
        batch.prefix_len = batch.bytes.len();
        let mut asked = Asked::default();
        (0..node.count()).for_each(|slot| copy_row(&node, slot, view, &mut asked, batch));
        (batch.lower, batch.upper) = (node.lower(), node.upper());
        let known = node.tree();
        found.node.validate()?;
        view.check()?;
        if known != self.id() || !towards.leads_between(&batch.lower, &batch.upper) {
            return Err(Stop::Fail(self.wrong_leaf(&found)));
        }
        if let (Access::Scan(ring), Some(forward)) = (access, ahead) {
            self.read_ahead(&found, forward, ring);
        }
        self.resolve_older(view, batch)
    }

    /// Looks behind the versions that the view does not show, and drops rows that it does not have.
    fn resolve_older(&self, view: &ReadView, batch: &mut Batch) -> Result<(), Stop> {
        let Batch { bytes, rows, .. } = batch;
        for row in rows.iter_mut() {
            let Some(version) = row.older else { continue };
            let key = bytes[row.key.clone()].to_vec();
            let start = bytes.len();
            row.seen = older(self.manager(), view, &key, version, bytes)?;
            row.value = start..bytes.len();
        }
        rows.retain(|row| row.seen.is_there());
        Ok(())
    }
}

/// The writer that the view was asked for last: rows that lie together are often by one. The answer holds for the whole
/// leaf as it was fixed: a writer that was hidden commits above the view, and one that is rolled back changes the page.
#[derive(Default)]
struct Asked(Option<(TxnId, bool)>);

impl Asked {
    fn sees(&mut self, view: &ReadView, writer: TxnId) -> bool {
        match self.0 {
            Some((last, answer)) if last == writer => answer,
            _ => self.0.insert((writer, view.sees(writer))).1,
        }
    }
}

/// Copies one row; the view is asked before the page is validated.
fn copy_row(node: &Node<'_>, slot: usize, view: &ReadView, asked: &mut Asked, batch: &mut Batch) {
    let flags = node.flags(slot);
    let hidden = node.version(slot).filter(|(writer, _)| !asked.sees(view, *writer));
    if hidden.is_none() && flags.is_ghost() {
        return;
    }
    let start = batch.bytes.len();
    batch.bytes.extend_from_within(..batch.prefix_len);
    node.stored_key_into(slot, &mut batch.bytes);
    let middle = batch.bytes.len();
    if hidden.is_none() {
        node.value_into(slot, &mut batch.bytes);
    }
    let (key, value) = (start..middle, middle..batch.bytes.len());
    batch.rows.push(RowAt { key, value, seen: Seen::of(flags), older: hidden });
}
