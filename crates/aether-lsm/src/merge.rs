//! Merging layers of versions into one: what a flush and every merge of runs write.
//!
//! Layers come newest first, and recency is their order: whatever a newer layer says of a key is newer than what an older one says,
//! whatever the timestamps. Within a layer timestamps tell. Of each key those versions are kept that some reader may still ask for:
//! the newest one for each snapshot in use, and the newest of all. A timestamp that every reader sees becomes 0. Tombstones, of keys
//! and of ranges, hide what is older, and go when nothing older is left anywhere.

mod cover;
mod losers;
mod source;

pub(crate) use losers::Losers;
pub use source::{OwnedEntry, Sorted, Source};

use crate::run::{Entry, Kind, RangeTombstone, Run, RunBuilder, RunCursor};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{Error, Result, Timestamp};
use cover::Cover;
use std::collections::VecDeque;

/// What goes into a merge.
pub struct Layer<'a> {
    /// Its versions.
    pub source: Box<dyn Source + 'a>,
    /// Its range tombstones, in any order.
    pub ranges: Vec<RangeTombstone>,
}

impl Layer<'_> {
    /// A run as a layer, read ahead of need. Blocks.
    ///
    /// # Errors
    /// As [`RunCursor::first`].
    pub fn run(run: &Arc<Run>) -> Result<Self> {
        let mut cursor = RunCursor::scan(run.clone());
        cursor.first()?;
        Ok(Self { source: Box::new(cursor), ranges: run.range_tombstones().collect() })
    }
}

/// What must be kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Keep {
    snapshots: Vec<Timestamp>,
    settled: Timestamp,
    is_bottom: bool,
}

impl Keep {
    /// For readers at `snapshots`, and for those to come, which are at or above `settled` too and see everything that is merged;
    /// `is_bottom` if no older layer has any of these keys.
    ///
    /// # Errors
    /// `InvalidInput` if a snapshot lies below `settled`.
    pub fn new(mut snapshots: Vec<Timestamp>, settled: Timestamp, is_bottom: bool) -> Result<Self> {
        snapshots.sort_unstable();
        snapshots.dedup();
        match snapshots.first() {
            Some(first) if *first < settled => {
                Err(Error::invalid(format!("a snapshot at {first} lies below {settled}, which all see")))
            }
            _ => Ok(Self { snapshots, settled, is_bottom }),
        }
    }

    /// True if somebody may ask for what was written at `timestamp` and hidden at `hidden`, if it was hidden.
    fn wants(&self, timestamp: Timestamp, hidden: Option<Timestamp>) -> bool {
        let Some(hidden) = hidden else { return true };
        let first = self.snapshots.partition_point(|snapshot| *snapshot < timestamp);
        self.snapshots.get(first).is_some_and(|snapshot| *snapshot < hidden)
    }

    /// The timestamp that is written for `timestamp`.
    fn shown(&self, timestamp: Timestamp) -> Timestamp {
        if timestamp <= self.settled { Timestamp::default() } else { timestamp }
    }
}

/// What was left out of a merge and has something to be freed: a key, and the stub of its large value.
pub type DroppedStub<'a> = Box<dyn FnMut(&[u8], &[u8]) + Send + 'a>;

/// A merge under way: gives the versions that are kept, in the order in which a run takes them.
pub struct Merge<'a> {
    layers: Vec<Box<dyn Source + 'a>>,
    order: Losers,
    keep: Keep,
    cover: Cover,
    ranges: Vec<RangeTombstone>,
    dropped_stub: DroppedStub<'a>,
    /// The key under way; none between keys.
    key: Option<Vec<u8>>,
    /// The least timestamp of what is newer than the version under way.
    hidden: Option<Timestamp>,
    /// Tombstones of the key that go if nothing older comes, and those that are given out now.
    held: Vec<Timestamp>,
    ready: VecDeque<Timestamp>,
    /// The version that the first layer stands at is given out after them, with this timestamp.
    is_next: Option<Timestamp>,
    must_advance: bool,
    last_tombstone: Vec<u8>,
    /// What was read of all layers.
    read_bytes: u64,
}

/// Takes what a merge keeps, in order.
pub trait Sink {
    /// Takes the next version.
    ///
    /// # Errors
    /// Those of writing it.
    fn add(&mut self, entry: &Entry<'_>) -> Result<()>;
}

impl Sink for RunBuilder {
    fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        RunBuilder::add(self, entry)
    }
}

/// What a merge has next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pulled<'m> {
    /// A version that is kept.
    Kept(Entry<'m>),
    /// None for now: what was read is left out.
    Nothing,
    /// None any more.
    End,
}

/// How far a merge is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Bytes of versions read in this step.
    pub bytes: u64,
    /// True if all is merged.
    pub is_done: bool,
}

impl<'a> Merge<'a> {
    /// A merge of `layers`, the newest first.
    pub fn new(layers: Vec<Layer<'a>>, keep: Keep, dropped_stub: DroppedStub<'a>) -> Self {
        let cover = Cover::new(layers.iter().map(|layer| &layer.ranges[..]));
        let ranges = cover.kept(&keep);
        let layers: Vec<_> = layers.into_iter().map(|layer| layer.source).collect();
        let order = Losers::new(layers.len(), |one, other| is_first(&layers, one, other));
        Self {
            layers,
            order,
            keep,
            cover,
            ranges,
            dropped_stub,
            key: None,
            hidden: None,
            held: Vec::new(),
            ready: VecDeque::new(),
            is_next: None,
            must_advance: false,
            last_tombstone: Vec::new(),
            read_bytes: 0,
        }
    }

    /// The range tombstones that are kept, by key; they do not overlap unless their bounds are the same.
    pub fn ranges(&self) -> &[RangeTombstone] {
        &self.ranges
    }

    /// About how many bytes of their files the layers have behind them: all of them at the end.
    pub fn passed_bytes(&self) -> u64 {
        self.layers.iter().map(|layer| layer.passed_bytes()).sum()
    }

    /// Bytes of versions that were read so far, those left out among them.
    pub fn read_bytes(&self) -> u64 {
        self.read_bytes
    }

    /// The next version that is kept. Comes back without one after `bytes` bytes of versions, or one version more, that are all
    /// left out. Blocks for reads.
    ///
    /// # Errors
    /// Those of the sources; `Corruption` if a layer says what it cannot: nothing is given out any more then.
    pub fn pull(&mut self, bytes: u64) -> Result<Pulled<'_>> {
        let start = self.read_bytes;
        if core::mem::take(&mut self.must_advance) {
            self.advance()?;
        }
        loop {
            if !self.ready.is_empty() || self.is_next.is_some() {
                return Ok(self.give().map_or(Pulled::End, Pulled::Kept));
            }
            if self.read_bytes - start > bytes {
                return Ok(Pulled::Nothing);
            }
            if !self.judge()? {
                return Ok(Pulled::End);
            }
        }
    }

    /// Reads `bytes` bytes of versions, or one version more, or what is left, and hands on what is kept of them; goes on where it
    /// stopped. Blocks for reads.
    ///
    /// # Errors
    /// Those of [`Merge::pull`] and of the sink; then it cannot go on.
    pub fn step(&mut self, bytes: u64, sink: &mut dyn Sink) -> Result<Progress> {
        let start = self.read_bytes;
        loop {
            if core::mem::take(&mut self.must_advance) {
                self.advance()?;
            }
            if let Some(entry) = self.give() {
                sink.add(&entry)?;
                continue;
            }
            let read = self.read_bytes - start;
            if read >= bytes {
                return Ok(Progress { bytes: read, is_done: false });
            }
            if !self.judge()? {
                return Ok(Progress { bytes: read, is_done: true });
            }
        }
    }

    /// Writes all that is left, and the range tombstones, to a run.
    ///
    /// # Errors
    /// Those of [`Merge::pull`] and of the builder.
    pub fn write_to(&mut self, builder: &mut RunBuilder) -> Result<()> {
        self.ranges.drain(..).try_for_each(|range| builder.add_range(range))?;
        self.step(u64::MAX, builder).map(drop)
    }

    /// What was judged and is to be given out next.
    fn give(&mut self) -> Option<Entry<'_>> {
        if let Some(timestamp) = self.ready.pop_front() {
            let key = &self.last_tombstone[..];
            return Some(Entry { key, timestamp, kind: Kind::Tombstone, value: &[] });
        }
        let timestamp = self.is_next.take()?;
        self.must_advance = true;
        self.current().map(|entry| Entry { timestamp, ..entry })
    }

    fn current(&self) -> Option<Entry<'_>> {
        self.layers.get(self.order.first()?)?.entry()
    }

    fn advance(&mut self) -> Result<()> {
        let Some(first) = self.order.first() else { return Ok(()) };
        self.read_bytes += self.current().map_or(0, |entry| entry_bytes(&entry));
        self.layers[first].advance()?;
        let layers = &self.layers;
        self.order.replay(first, |one, other| is_first(layers, one, other));
        Ok(())
    }

    /// Judges the next version, or ends a key; false at the end.
    fn judge(&mut self) -> Result<bool> {
        let first = self.order.first().unwrap_or(0);
        let Some(entry) = self.layers.get(first).and_then(|layer| layer.entry()) else {
            let is_open = self.key.is_some();
            self.end_key();
            return Ok(is_open);
        };
        if self.key.as_deref().is_some_and(|key| key != entry.key) {
            self.end_key();
            return Ok(true);
        }
        if self.key.is_none() {
            self.key = Some(entry.key.to_vec());
            self.hidden = None;
            self.cover.go_to(entry.key);
        }
        let shown = self.keep.shown(entry.timestamp);
        let hidden = earliest(self.hidden, self.cover.hidden(first, entry.timestamp));
        let is_kept = self.keep.wants(entry.timestamp, hidden);
        self.hidden = earliest(self.hidden, Some(entry.timestamp));
        if is_kept {
            self.cover.check(&self.keep, first, shown).map_err(|error| error.at_key(entry.key))?;
        } else if entry.kind == Kind::Stub {
            (self.dropped_stub)(entry.key, entry.value);
        }
        match entry.kind {
            _ if !is_kept => self.advance()?,
            Kind::Tombstone => {
                self.held.push(shown);
                self.advance()?;
            }
            Kind::Value | Kind::Stub => {
                self.give_held();
                self.is_next = Some(shown);
            }
        }
        Ok(true)
    }

    /// Something older than the held tombstones follows, here or in an older layer.
    fn give_held(&mut self) {
        if let Some(key) = self.key.as_ref().filter(|_| !self.held.is_empty()) {
            self.last_tombstone.clone_from(key);
            self.ready.extend(self.held.drain(..));
        }
    }

    fn end_key(&mut self) {
        if !self.keep.is_bottom {
            self.give_held();
        }
        self.held.clear();
        self.key = None;
    }
}

/// What a version counts for in budgets of work.
fn entry_bytes(entry: &Entry<'_>) -> u64 {
    (entry.key.len() + entry.value.len() + size_of::<Timestamp>()) as u64
}

fn earliest(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    [one, other].into_iter().flatten().min()
}

/// True if layer `one` stands at a version that comes before that of `other`: of a lower key, or of a newer layer.
fn is_first(layers: &[Box<dyn Source + '_>], one: usize, other: usize) -> bool {
    match (layers[one].entry(), layers[other].entry()) {
        (Some(mine), Some(theirs)) => (mine.key, one) < (theirs.key, other),
        (mine, _) => mine.is_some(),
    }
}
