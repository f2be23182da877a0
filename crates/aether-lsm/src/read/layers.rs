//! A cursor over layers of any kind.
//!
//! Each layer promises where its next version lies, and reads it only when no other comes before that. All versions come in
//! the order of keys, then of layers, then of age; so the first one of a key that counts decides on it, and all others are passed by when
//! they come.

use super::position::{Edge, Position, Way};
use super::shade::{Shade, Stretch};
use crate::merge::Losers;
use crate::run::{Entry, Kind};
use aether_types::{Error, Result, Timestamp};
use core::cmp::Ordering;

/// Keys in a row that range tombstones hide, after which layers below go to the end of the range.
const HIDDEN_MAX: u32 = 32;

/// Rows upward, after which layers read ahead.
const AHEAD_AFTER: u32 = 128;

/// How far a layer is. The order is that in which they come at the same key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum State {
    /// It has to be read before anything can be said.
    Due,
    /// It has nothing before a key, which itself may be in it.
    Ahead,
    /// It stands at a version.
    There,
    /// Nothing follows.
    End,
}

/// How far a layer is, and the key that belongs to it.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    state: State,
    key: &'a [u8],
}

impl<'a> Head<'a> {
    /// Of a layer that is due, or at its end, the key is of no account.
    pub fn new(state: State, key: &'a [u8]) -> Self {
        Self { state, key }
    }

    /// Which of two layers comes first.
    #[inline]
    fn order(&self, other: &Self, way: Way) -> Ordering {
        let has_key = |state| !matches!(state, State::Due | State::End);
        let keys = match way {
            _ if !has_key(self.state) || !has_key(other.state) => Ordering::Equal,
            Way::Up => self.key.cmp(other.key),
            Way::Down => other.key.cmp(self.key),
        };
        keys.then(self.state.cmp(&other.state))
    }
}

/// A cursor in one layer: versions in order, to be gone through both ways.
pub trait LayerCursor {
    /// Turns to go `way` from `from` on. Reads nothing.
    fn turn(&mut self, from: &Position, way: Way);

    /// How far it is.
    fn head(&self) -> Head<'_>;

    /// Reads what it has only promised: it is due or ahead. Upward the newest version of a key comes first, downward the oldest.
    fn enter(&mut self, from: &Position, way: Way) -> Result<()>;

    /// The version that it stands at.
    fn entry(&self) -> Option<Entry<'_>>;

    /// Goes on to the next version.
    fn step(&mut self, way: Way) -> Result<()>;

    /// True if certainly no newer version of the key that it stands at lies before it.
    fn is_newest(&self) -> bool {
        false
    }

    /// Blocks are to be loaded ahead from now on.
    fn read_ahead(&mut self) {}

    /// False if it has no range tombstones at all.
    fn has_ranges(&self) -> bool;

    /// The newest range tombstone over `key` that `snapshot` sees, and the keys around it of which the same can be said.
    fn stretch(&self, key: &[u8], snapshot: Timestamp) -> Stretch<'_>;

    /// Names the place of an error.
    fn at(&self, error: Error) -> Error;
}

/// What a snapshot sees of several layers, key by key, in both directions.
///
/// It stands between two keys. Whoever turns round gets the row that was given out last once more. An error leaves it where it was:
/// it may be asked again, or go elsewhere.
pub struct SnapshotCursor<L> {
    /// The newest first.
    layers: Vec<L>,
    snapshot: Timestamp,
    position: Position,
    /// Which way the layers look, all of them behind the position; none if they have to turn.
    heading: Option<Way>,
    order: Losers,
    shade: Shade,
    row: Found,
    /// The key under way, until it is passed.
    key: Vec<u8>,
    /// Rows since the layers were turned, and keys in a row that were hidden.
    rows: u32,
    hidden: u32,
}

/// The version of a key that was found, but for its key.
#[derive(Default)]
struct Found {
    kind: Option<Kind>,
    timestamp: Timestamp,
    value: Vec<u8>,
}

impl Found {
    fn take(&mut self, entry: &Entry<'_>) {
        (self.kind, self.timestamp) = (Some(entry.kind), entry.timestamp);
        self.value.clear();
        self.value.extend_from_slice(entry.value);
    }
}

impl<L: LayerCursor> SnapshotCursor<L> {
    /// A cursor before the first key of `layers`, of which the newest comes first.
    pub(crate) fn over(layers: Vec<L>, snapshot: Timestamp) -> Self {
        Self {
            shade: Shade::new(layers.iter().any(L::has_ranges)),
            layers,
            snapshot,
            position: Position { edge: Edge::First, key: Vec::new() },
            heading: None,
            order: Losers::default(),
            row: Found::default(),
            key: Vec::new(),
            rows: 0,
            hidden: 0,
        }
    }

    /// Goes before `key`: the next step up gives the first key at or above it, the next one down the last key below.
    pub fn seek(&mut self, key: &[u8]) {
        self.go_to(Edge::Before, key);
    }

    /// Goes behind `key`: the next step up gives the first key above it, the next one down the last key at or below.
    pub fn seek_behind(&mut self, key: &[u8]) {
        self.go_to(Edge::Behind, key);
    }

    /// Goes before the first key.
    pub fn seek_first(&mut self) {
        self.go_to(Edge::First, &[]);
    }

    /// Goes behind the last key.
    pub fn seek_last(&mut self) {
        self.go_to(Edge::Last, &[]);
    }

    /// The next row upward that is there: never a tombstone. None at the end. Blocks for reads.
    ///
    /// # Errors
    /// Those of reading the layers; of runs `Corruption` naming file and place, or `Io`.
    #[allow(clippy::should_implement_trait, reason = "rows are lent")]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>> {
        self.step(Way::Up)
    }

    /// The next row downward, likewise.
    ///
    /// # Errors
    /// As [`SnapshotCursor::next`].
    pub fn prev(&mut self) -> Result<Option<Entry<'_>>> {
        self.step(Way::Down)
    }

    fn go_to(&mut self, edge: Edge, key: &[u8]) {
        self.position.set(edge, key);
        self.heading = None;
    }

    /// The next row; none at the end.
    fn step(&mut self, way: Way) -> Result<Option<Entry<'_>>> {
        let found = self.find(way).inspect_err(|_| self.heading = None)?;
        Ok(found.map(|kind| Entry {
            key: &self.position.key,
            timestamp: self.row.timestamp,
            kind,
            value: &self.row.value,
        }))
    }

    fn find(&mut self, way: Way) -> Result<Option<Kind>> {
        self.face(way);
        while let Some(first) = self.first(way)? {
            let entry = self.layers[first].entry().expect("the first layer stands at a version");
            match self.position.compare(entry.key, way) {
                Ordering::Equal => self.pass(first, way)?,
                Ordering::Greater => {
                    if let Some(kind) = self.look(first, way)? {
                        self.count_row(way);
                        return Ok(Some(kind));
                    }
                }
                Ordering::Less => return Err(self.out_of_order(first)),
            }
        }
        self.position.set(if way == Way::Up { Edge::Last } else { Edge::First }, &[]);
        Ok(None)
    }

    /// Turns the layers, unless they look that way.
    fn face(&mut self, way: Way) {
        if self.heading == Some(way) {
            return;
        }
        self.layers.iter_mut().for_each(|layer| layer.turn(&self.position, way));
        (self.heading, self.rows, self.hidden) = (Some(way), 0, 0);
        self.play(way);
    }

    fn play(&mut self, way: Way) {
        self.order.play(self.layers.len(), |one, other| is_first(&self.layers, way, one, other));
    }

    /// The layer that comes first, standing at a version; none at the end.
    fn first(&mut self, way: Way) -> Result<Option<usize>> {
        while let Some(first) = self.order.first() {
            match self.layers[first].head().state {
                State::There => return Ok(Some(first)),
                State::End => return Ok(None),
                State::Due | State::Ahead => {
                    self.layers[first].enter(&self.position, way)?;
                    self.replay(first, way);
                }
            }
        }
        Ok(None)
    }

    fn replay(&mut self, layer: usize, way: Way) {
        self.order.replay(layer, |one, other| is_first(&self.layers, way, one, other));
    }

    /// A layer goes on to its next version.
    fn pass(&mut self, layer: usize, way: Way) -> Result<()> {
        self.layers[layer].step(way)?;
        self.replay(layer, way);
        Ok(())
    }

    /// Looks at a version of a key that nothing has decided on. What it says, if that is that the key is there; then, or if it is gone, the position is
    /// behind the key.
    fn look(&mut self, layer: usize, way: Way) -> Result<Option<Kind>> {
        let entry = self.layers[layer].entry().expect("the first layer stands at a version");
        let hiding = self.shade.over(&self.layers, entry.key, self.snapshot);
        if let Some((newer, _)) = hiding.filter(|(newer, _)| *newer < layer) {
            self.position.pass(entry.key, way);
            return self.hide(newer, way).map(|()| None);
        }
        if entry.timestamp > self.snapshot {
            // So are the newer versions that follow on the way down; an older one may count.
            return self.pass(layer, way).map(|()| None);
        }
        self.row.take(&entry);
        match way {
            Way::Up => self.position.pass(entry.key, way),
            Way::Down => self.pass_newer(layer)?,
        }
        self.hidden = 0;
        let is_hidden = hiding.is_some_and(|(own, gone)| own == layer && gone > self.row.timestamp);
        Ok(self.row.kind.filter(|kind| *kind != Kind::Tombstone && !is_hidden))
    }

    /// On the way down older versions come first: goes on to the newest one that the snapshot sees, and passes the key.
    fn pass_newer(&mut self, layer: usize) -> Result<()> {
        let of = &mut self.layers[layer];
        self.key.clear();
        self.key.extend(of.entry().map_or(&[][..], |entry| entry.key));
        while !of.is_newest() {
            of.step(Way::Down)?;
            match of.entry() {
                Some(newer) if newer.key == self.key && newer.timestamp <= self.snapshot => {
                    self.row.take(&newer)
                }
                _ => break,
            }
        }
        self.position.pass(&self.key, Way::Down);
        self.replay(layer, Way::Down);
        Ok(())
    }

    /// One more key is hidden by a range tombstone; after many the layers below go to its end.
    fn hide(&mut self, newer: usize, way: Way) -> Result<()> {
        self.hidden += 1;
        if self.hidden < HIDDEN_MAX {
            return Ok(());
        }
        self.hidden = 0;
        let end = self.shade.end(way);
        for layer in &mut self.layers[newer + 1..] {
            let head = layer.head();
            if head.state == State::End || end.compare(head.key, way) == Ordering::Greater {
                continue;
            }
            layer.turn(&end, way);
            if layer.head().state == State::Due {
                layer.enter(&end, way)?;
            }
        }
        self.play(way);
        Ok(())
    }

    fn count_row(&mut self, way: Way) {
        self.rows = self.rows.saturating_add(1);
        if self.rows == AHEAD_AFTER && way == Way::Up {
            self.layers.iter_mut().for_each(L::read_ahead);
        }
    }

    /// What would lead backward can be in no layer that was written in order (R4).
    #[cold]
    fn out_of_order(&self, layer: usize) -> Error {
        let key = self.layers[layer].entry().map_or(&[][..], |entry| entry.key);
        self.layers[layer].at(Error::corruption("keys of a layer are out of order").at_key(key))
    }
}

/// True if layer `one` comes before `other`.
fn is_first<L: LayerCursor>(layers: &[L], way: Way, one: usize, other: usize) -> bool {
    layers[one].head().order(&layers[other].head(), way).then(one.cmp(&other)).is_lt()
}

impl<L> core::fmt::Debug for SnapshotCursor<L> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("SnapshotCursor").field(&self.position).finish()
    }
}
