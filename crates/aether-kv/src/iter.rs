//! Iterators and cursors.

use crate::keyspace::Keyspace;
use crate::lsm::index::txn::serial::RangeMark;
use crate::lsm::index::txn::{self as inner, Isolation, ReadView};
use crate::rows::RowsCursor;
use crate::slot::Slot;
use crate::txn::Txn;
use aether_sync::Arc;
use aether_types::Result;
use std::ops::{Bound, RangeBounds};

/// A row: key and value.
pub type Row = (Vec<u8>, Vec<u8>);

/// The state that an iterator reads.
pub(crate) enum View<'a> {
    Borrowed(&'a ReadView),
    Owned(Box<ReadView>),
}

impl View<'_> {
    fn get(&self) -> &ReadView {
        match self {
            Self::Borrowed(view) => view,
            Self::Owned(view) => view,
        }
    }
}

/// Rows in the order of their keys, from both ends. Holds no latch between steps.
pub struct Iter<'a> {
    view: View<'a>,
    front: RowsCursor,
    back: RowsCursor,
    lower: Bound<Vec<u8>>,
    upper: Bound<Vec<u8>>,
    /// Rows were given out from the lower end, from the upper end.
    moved: [bool; 2],
    over: bool,
    /// Where it stands, if its view may move up.
    place: Option<Place>,
    /// Where a serializable transaction has noted what is read.
    noted: Option<(&'a inner::Txn, RangeMark)>,
}

/// The smallest key above all that begin with `prefix`; none if there is no such key.
fn end_of_prefix(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// The range of the keys that begin with `prefix`.
pub(crate) fn bounds_of_prefix(prefix: &[u8]) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
    (Bound::Included(prefix.to_vec()), end_of_prefix(prefix))
}

/// The index that an iterator or a cursor stands in. It is kept meanwhile.
struct Place {
    slot: Arc<Slot>,
    _pin: Arc<()>,
}

impl Place {
    fn of(slot: &Arc<Slot>) -> Self {
        Self { slot: slot.clone(), _pin: slot.pin() }
    }

    /// Goes on to the index whose rows `view` shows; true if that is another.
    #[inline]
    fn follow(&mut self, view: &ReadView) -> bool {
        if self.slot.is_last() {
            return false;
        }
        let shown = self.slot.shown_to(view);
        if Arc::ptr_eq(shown, &self.slot) {
            return false;
        }
        *self = Self::of(&shown.clone());
        true
    }
}

/// Cursors at both ends of a range.
fn cursors(slot: &Slot, lower: &Bound<Vec<u8>>, upper: &Bound<Vec<u8>>) -> (RowsCursor, RowsCursor) {
    let (mut front, mut back) = (slot.rows().cursor(), slot.rows().cursor());
    for cursor in [&mut front, &mut back] {
        cursor.limit(lower.as_ref().map(Vec::as_slice), upper.as_ref().map(Vec::as_slice));
    }
    match lower {
        Bound::Included(key) | Bound::Excluded(key) => front.seek(key),
        Bound::Unbounded => front.seek_first(),
    }
    match upper {
        Bound::Included(key) | Bound::Excluded(key) => back.seek_back(key),
        Bound::Unbounded => back.seek_last(),
    }
    (front, back)
}

impl<'a> Iter<'a> {
    pub(crate) fn in_txn(keyspace: &Keyspace, txn: &'a inner::Txn, range: impl RangeBounds<Vec<u8>>) -> Self {
        let view = txn.read();
        let place = Place::of(keyspace.slot.shown_to(view));
        let mut iter = Self::in_slot(&place.slot, View::Borrowed(view), range);
        let bounds = || (iter.lower.clone(), iter.upper.clone());
        iter.noted = txn.note_range(place.slot.id(), bounds).map(|mark| (txn, mark));
        iter.place = (txn.isolation() == Isolation::ReadCommitted).then_some(place);
        iter
    }

    pub(crate) fn new(keyspace: &Keyspace, view: View<'a>, range: impl RangeBounds<Vec<u8>>) -> Self {
        let slot = keyspace.slot.shown_to(view.get());
        Self::in_slot(slot, view, range)
    }

    fn in_slot(slot: &Slot, view: View<'a>, range: impl RangeBounds<Vec<u8>>) -> Self {
        let (lower, upper) = (range.start_bound().cloned(), range.end_bound().cloned());
        let (front, back) = cursors(slot, &lower, &upper);
        let (moved, over) = ([false; 2], false);
        Self { view, front, back, lower, upper, moved, over, place: None, noted: None }
    }

    pub(crate) fn prefix(keyspace: &Keyspace, view: View<'a>, prefix: &[u8]) -> Self {
        Self::new(keyspace, view, bounds_of_prefix(prefix))
    }

    /// Goes on where the rows are that the view shows by now.
    fn follow(&mut self) {
        let Some(place) = &mut self.place else { return };
        if place.follow(self.view.get()) {
            (self.front, self.back) = cursors(&place.slot, &self.lower, &self.upper);
        }
    }

    /// The next row upward, borrowed: nothing is allocated for it. None at the end.
    ///
    /// # Errors
    /// `Corruption` naming file and page, or `Io`; after an error the iterator is at its end.
    pub fn next_ref(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.step(true)
    }

    /// The next row from the far end, borrowed. None at the end.
    ///
    /// # Errors
    /// As [`Iter::next_ref`].
    pub fn next_back_ref(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        self.step(false)
    }

    /// Takes one row; an error or the end stops both directions.
    fn step(&mut self, forward: bool) -> Result<Option<(&[u8], &[u8])>> {
        self.follow();
        if self.over || !self.find(forward).inspect_err(|_| self.over = true)? {
            self.over = true;
            return Ok(None);
        }
        Ok(if forward { self.front.current() } else { self.back.current() })
    }

    /// Moves to the next row that lies between the bounds and was not given out by the other end.
    fn find(&mut self, forward: bool) -> Result<bool> {
        let view = self.view.get();
        let (near, far) =
            if forward { (&mut self.lower, &self.upper) } else { (&mut self.upper, &self.lower) };
        loop {
            let found = if forward { self.front.next(view)? } else { self.back.prev(view)? };
            let Some((key, _)) = found.filter(|(key, _)| !is_beyond(key, far, forward)) else {
                return Ok(false);
            };
            if !is_beyond(key, near, !forward) {
                exclude(near, key);
                self.moved[usize::from(!forward)] = true;
                return Ok(true);
            }
        }
    }

    fn take(&mut self, forward: bool) -> Option<Result<Row>> {
        let row = self.step(forward).transpose()?;
        Some(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }
}

impl Drop for Iter<'_> {
    /// What was not looked at was not read.
    fn drop(&mut self) {
        let Some((txn, mark)) = self.noted.filter(|_| !self.over) else { return };
        let [first, last] = self.moved;
        let end = |bound: &Bound<Vec<u8>>, moved| match bound {
            Bound::Excluded(key) if moved => Some(key.clone()),
            _ => None,
        };
        txn.narrow_range(mark, end(&self.lower, first), end(&self.upper, last));
    }
}

/// Moves a bound to just beyond `key`, in the memory it has.
fn exclude(bound: &mut Bound<Vec<u8>>, key: &[u8]) {
    let mut end = match std::mem::replace(bound, Bound::Unbounded) {
        Bound::Included(end) | Bound::Excluded(end) => end,
        Bound::Unbounded => Vec::new(),
    };
    end.clear();
    end.extend_from_slice(key);
    *bound = Bound::Excluded(end);
}

/// Does `key` lie outside `bound`, which is an upper one if `upper`?
fn is_beyond(key: &[u8], bound: &Bound<Vec<u8>>, upper: bool) -> bool {
    match (bound, upper) {
        (Bound::Unbounded, _) => false,
        (Bound::Included(end), true) => key > &end[..],
        (Bound::Excluded(end), true) => key >= &end[..],
        (Bound::Included(start), false) => key < &start[..],
        (Bound::Excluded(start), false) => key <= &start[..],
    }
}

impl Iterator for Iter<'_> {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Result<Row>> {
        self.take(true)
    }
}

impl DoubleEndedIterator for Iter<'_> {
    fn next_back(&mut self) -> Option<Result<Row>> {
        self.take(false)
    }
}

/// A position in a keyspace. The transaction may change rows between steps: the next step shows what is there then.
pub struct Cursor {
    rows: RowsCursor,
    place: Place,
    /// Where the last step went: it stands behind or before the row that was given out then, or at that end.
    went_up: Option<bool>,
    /// Where it stands, for the notes of a serializable transaction.
    at: Bound<Vec<u8>>,
}

impl Cursor {
    pub(crate) fn new(keyspace: &Keyspace, view: &ReadView) -> Self {
        let place = Place::of(keyspace.slot.shown_to(view));
        Self { rows: place.slot.rows().cursor(), place, went_up: Some(false), at: Bound::Unbounded }
    }

    /// Stands between the same rows in the new place.
    #[cold]
    fn stand_again(&mut self) {
        let before = core::mem::replace(&mut self.rows, self.place.slot.rows().cursor());
        match (before.current(), self.went_up, &self.at) {
            (Some((key, _)), Some(true), _) => self.rows.seek_back(key),
            (Some((key, _)), ..) => self.rows.seek(key),
            (None, Some(true), _) => self.rows.seek_last(),
            (None, None, Bound::Included(key)) => self.rows.seek(key),
            (None, ..) => self.rows.seek_first(),
        }
    }

    /// It is about to be moved there, in the rows that the transaction sees.
    fn move_to(&mut self, txn: &Txn, at: Bound<Vec<u8>>, went_up: Option<bool>) {
        if self.place.follow(txn.inner().read()) {
            self.rows = self.place.slot.rows().cursor();
        }
        (self.at, self.went_up) = (at, went_up);
    }

    /// The first row at or above `key`.
    pub fn seek(&mut self, txn: &Txn, key: &[u8]) -> Result<Option<Row>> {
        self.move_to(txn, Bound::Included(key.to_vec()), None);
        self.rows.seek(key);
        self.next(txn)
    }

    /// The first row.
    pub fn seek_first(&mut self, txn: &Txn) -> Result<Option<Row>> {
        self.move_to(txn, Bound::Unbounded, Some(false));
        self.rows.seek_first();
        self.next(txn)
    }

    /// The last row.
    pub fn seek_last(&mut self, txn: &Txn) -> Result<Option<Row>> {
        self.move_to(txn, Bound::Unbounded, Some(true));
        self.rows.seek_last();
        self.prev(txn)
    }

    /// The next row upward.
    pub fn next(&mut self, txn: &Txn) -> Result<Option<Row>> {
        self.step(txn, true)
    }

    /// The next row downward.
    pub fn prev(&mut self, txn: &Txn) -> Result<Option<Row>> {
        self.step(txn, false)
    }

    fn step(&mut self, txn: &Txn, forward: bool) -> Result<Option<Row>> {
        let view = txn.inner().read();
        if self.place.follow(view) {
            self.stand_again();
        }
        let found = if forward { self.rows.next(view)? } else { self.rows.prev(view)? };
        let row = found.map(|(key, value)| (key.to_vec(), value.to_vec()));
        self.went_up = Some(forward);
        if txn.inner().isolation() != Isolation::Serializable {
            return Ok(row);
        }
        let to = row.as_ref().map_or(Bound::Unbounded, |(key, _)| Bound::Included(key.clone()));
        let from = core::mem::replace(&mut self.at, to.clone());
        txn.inner().note_step(self.place.slot.id(), || if forward { (from, to) } else { (to, from) });
        Ok(row)
    }
}
