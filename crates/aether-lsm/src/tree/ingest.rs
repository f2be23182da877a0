//! Sorted rows in bulk, and ranges that go: into a run of their own, past memory and log.
//!
//! The transaction has the keyspace to itself. Rows in memory lie over all runs, so what is there is changed row by row, as ever;
//! everything else goes to one run, which the transaction brings (`pending`). It stands over all runs that it overlaps, as deep as
//! that allows, and under what is flushed later: of its keys nothing is in memory, and until the transaction is over nobody but itself puts
//! any there.
//!
//! A row that a flush has taken out of memory may come back when the log is redone, if that flush let no log go; it would lie over the
//! run. So before anything is looked for in memory all rows are flushed such that the log before can go, and until the run is listed
//! every flush is one of these.

use super::working::Working;
use super::writer::{Recipe, RunWriter};
use super::{Inner, Live, Lsm, OnBehalf};
use crate::policy::MergePolicy;
use crate::run::{Entry, Kind, RangeTombstone, RunCursor};
use crate::version::{Run, Version};
use aether_index::RowSource;
use aether_index::bulk::{Ascending, delete_rows, put_rows};
use aether_index::resident::{Below, Chunk, Position};
use aether_index::rows::Seen;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::Ordering::*;
use aether_index::txn::{LockMode, Resource, Txn};
use aether_types::{Result, Timestamp, limits};
use core::ops::Bound;
use std::collections::BTreeMap;

/// Somebody ingests, as long as this lives.
struct Ingesting<'t>(&'t Inner);

impl Drop for Ingesting<'_> {
    fn drop(&mut self) {
        self.0.ingesting.fetch_sub(1, Relaxed);
    }
}

/// Whether rows of the runs may have changed after a snapshot, for one list of runs.
#[derive(Default)]
struct Looked {
    number: Option<u64>,
    is_needed: bool,
}

impl Lsm {
    /// Puts sorted rows; returns how many. Blocks: until the keyspace is the transaction's own, for reads, and for the run and its
    /// listing to be durable.
    ///
    /// # Errors
    /// As [`BulkLoad::load`](aether_index::BulkLoad::load); those of the disk. No file is left.
    pub(super) fn ingest(&self, txn: &mut Txn, rows: &mut RowSource<'_>) -> Result<u64> {
        let inner = &self.0;
        inner.runs.check_open()?;
        if !inner.runs.manifest.is_made()? {
            // Nothing can be listed before whoever made the tree commits: this very transaction.
            return put_rows(self, txn, rows);
        }
        let _ingesting = inner.begin_ingest(txn)?;
        let (mut rows, mut looked) = (Ascending::new(rows), Looked::default());
        let mut writer = inner.ingest_writer(Vec::new());
        while let Some((key, value)) = rows.next()? {
            if inner.rows.holds(&key) {
                self.put(txn, &key, &value)?;
            } else {
                inner.check_below(txn, &key, &mut looked)?;
                txn.wrote(self.id(), &key);
                inner.add_ingested(&mut writer, &key, &value)?;
            }
        }
        inner.end_ingest(txn, writer)?;
        Ok(rows.count())
    }

    /// Deletes the rows between two bounds; how many, if that is known. Blocks as [`Lsm::ingest`].
    ///
    /// # Errors
    /// As [`OrderedIndex::delete_range`](aether_index::OrderedIndex::delete_range); those of the disk. No file is left.
    pub(super) fn delete_all_between(
        &self,
        txn: &mut Txn,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> Result<Option<u64>> {
        let inner = &self.0;
        inner.runs.check_open()?;
        let Some(range) = between(from, to, limits::key_bytes_max(txn.store().page_size())) else {
            return Ok(Some(0));
        };
        if !inner.runs.manifest.is_made()? {
            return delete_rows(self, txn, from, to).map(Some);
        }
        let _ingesting = inner.begin_ingest(txn)?;
        let is_any_below = inner.check_range(txn, &range)?;
        let deleted = self.delete_in_memory(txn, &range)?;
        if !is_any_below {
            return Ok(Some(deleted));
        }
        txn.wrote_all(self.id());
        inner.end_ingest(txn, inner.ingest_writer(vec![range]))?;
        Ok(None)
    }

    /// Deletes the rows of a range that are in memory, one by one; how many there were.
    fn delete_in_memory(&self, txn: &mut Txn, range: &RangeTombstone) -> Result<u64> {
        let (mut position, mut deleted) = (Position::Before(range.from.clone()), 0);
        loop {
            let Chunk { rows, rest } = self.0.rows.chunk(txn.read(), &position, true)?;
            for row in rows {
                if row.key >= range.to {
                    return Ok(deleted);
                }
                if row.seen != Some(Seen::Absent) {
                    deleted += u64::from(self.delete(txn, &row.key)?);
                }
            }
            let Some(rest) = rest else { return Ok(deleted) };
            position = rest;
        }
    }
}

impl Inner {
    /// True while somebody ingests: what a flush takes out of memory must not come back from the log.
    pub(super) fn is_ingesting(&self) -> bool {
        self.ingesting.load(Relaxed) > 0
    }

    /// Settles runs that were ingested, but not for a payer where there are threads to do it.
    pub(super) fn settle_unless_payer(&self, who: OnBehalf) -> Result<()> {
        if who == OnBehalf::Payer && self.has_threads() {
            return Ok(());
        }
        self.runs.settle()
    }

    /// Gives the keyspace to `txn` alone, and makes what is not in memory stay below. Blocks.
    fn begin_ingest(&self, txn: &mut Txn) -> Result<Ingesting<'_>> {
        txn.lock(&Resource::Keyspace(self.rows.id()), LockMode::X)?;
        txn.begin_change(self.rows.id())?;
        // Whoever begins a flush has taken the flush's lock, and so sees this once the one below has had it.
        self.ingesting.fetch_add(1, Relaxed);
        let ingesting = Ingesting(self);
        self.flush_all(OnBehalf::Log)?;
        Ok(ingesting)
    }

    fn ingest_writer(&self, ranges: Vec<RangeTombstone>) -> RunWriter {
        let recipe = Recipe {
            codec: self.config.codec,
            separate_bytes: self.config.separate_bytes,
            run_bytes_max: u64::MAX,
            // Nobody knows: as many as there are.
            entries: self.runs.entries(),
            is_last: false,
        };
        RunWriter::new(&self.runs, recipe, ranges, BTreeMap::new())
    }

    fn add_ingested(&self, writer: &mut RunWriter, key: &[u8], value: &[u8]) -> Result<()> {
        let entry = Entry { key, timestamp: Timestamp::new(0), kind: Kind::Value, value };
        if value.len() > limits::inline_value_bytes_max(self.txns.store().page_size()) {
            return writer.add_large(&entry, value.len() as u64, &mut &*value);
        }
        writer.add_value(&entry)
    }

    /// Ends a run, lists it, and makes it part of `txn`. Blocks for syncs.
    fn end_ingest(&self, txn: &mut Txn, writer: RunWriter) -> Result<()> {
        let Some(written) = writer.finish()?.pop() else { return Ok(()) };
        let run = self.runs.take_of(written, Some(txn.id()))?;
        self.runs.claims.hold(run.id());
        {
            let _now = Working::begin();
            let listed = self.runs.list_ingested(&run, |version| self.ingest_level(&run, version));
            listed.inspect_err(|_| self.runs.claims.release(run.id()))?;
        }
        self.runs.manifest.put_ingested(txn, run.id())?;
        self.ingested.add(run.shape().bytes);
        self.reckon();
        Ok(())
    }

    /// Where an ingested run stands: over all that it overlaps. A range that goes stands over all runs.
    ///
    /// What is in memory is newer, but of other keys: wherever that is flushed to, and whatever it is merged with.
    fn ingest_level(&self, run: &Run<Live>, version: &Version<Live>) -> usize {
        if run.file().run.info().range_tombstones > 0 {
            return 0;
        }
        let shape = version.shape(self.config.unit_bytes(), Timestamp::new(0), |_| false);
        let (range, bytes) = (&run.shape().range, run.shape().bytes);
        shape.level_above(range).unwrap_or_else(|| self.policy.lock().policy.level_for(&shape, bytes))
    }

    /// Fails if the row of `key`, which is not in memory, has changed after the snapshot.
    fn check_below(&self, txn: &Txn, key: &[u8], looked: &mut Looked) -> Result<()> {
        let number = self.runs.mark();
        if looked.number != Some(number) {
            let since = txn.view().at();
            let may_tell = |live: &Live| !live.is_open() || live.run.info().newest > since;
            let is_needed = self.runs.current().runs().any(|run| may_tell(run.file()));
            *looked = Looked { number: Some(number), is_needed };
        }
        if !looked.is_needed {
            return Ok(());
        }
        let later = Timestamp::new(txn.view().at().get().saturating_add(1));
        match self.runs.newest(txn, key, later)? {
            Some(newest) => txn.check_change(key, newest.at),
            None => Ok(()),
        }
    }

    /// Fails if a row of the range has changed in the runs after the snapshot. True if they have something there.
    fn check_range(&self, txn: &Txn, range: &RangeTombstone) -> Result<bool> {
        let (since, mut any) = (txn.view().at(), false);
        for run in self.runs.current().runs() {
            let (live, info) = (run.file(), run.file().run.info());
            if info.ends_before(&range.from) || info.smallest >= range.to {
                continue;
            }
            if live.is_open() {
                any = true;
                if info.newest > since
                    && let Some((key, at)) = find_in(live, range, |at| at > since)?
                {
                    txn.check_change(&key, at)?;
                }
            } else if live.is_seen(&self.runs.manifest, txn.read())? {
                any = true;
            } else if let Some(at) = self.runs.came_since(txn, live)?
                && let Some((key, _)) = find_in(live, range, |_| true)?
            {
                txn.check_change(&key, at)?;
            }
        }
        Ok(any)
    }
}

/// A key of the range of which the run says something at such a time, and when.
fn find_in(
    live: &Live,
    range: &RangeTombstone,
    is_wanted: impl Fn(Timestamp) -> bool,
) -> Result<Option<(Vec<u8>, Timestamp)>> {
    let clip = |gone: RangeTombstone| gone.clip(&range.from, Some(&range.to));
    let mut gone = live.run.range_tombstones().filter_map(clip).filter(|gone| is_wanted(gone.timestamp));
    if let Some(gone) = gone.next() {
        return Ok(Some((gone.from, gone.timestamp)));
    }
    let mut cursor = RunCursor::new(live.run.clone());
    cursor.seek(&range.from)?;
    while let Some(entry) = cursor.entry().filter(|entry| entry.key < &range.to[..]) {
        if is_wanted(entry.timestamp) {
            return Ok(Some((entry.key.to_vec(), entry.timestamp)));
        }
        cursor.forward()?;
    }
    Ok(None)
}

/// The keys between two bounds; none if no key can lie there. No key is longer than `key_bytes_max`, so what a bound has beyond one byte
/// more tells nothing.
fn between(from: Bound<&[u8]>, to: Bound<&[u8]>, key_bytes_max: usize) -> Option<RangeTombstone> {
    let behind = |key: &[u8]| [key, &[0]].concat();
    let mut from = match from {
        Bound::Included(key) => key.to_vec(),
        Bound::Excluded(key) => behind(key),
        Bound::Unbounded => Vec::new(),
    };
    let mut to = match to {
        Bound::Included(key) => behind(key),
        Bound::Excluded(key) => key.to_vec(),
        Bound::Unbounded => vec![u8::MAX; key_bytes_max + 1],
    };
    from.truncate(key_bytes_max + 1);
    to.truncate(key_bytes_max + 1);
    (from < to).then(|| RangeTombstone { from, to, timestamp: Timestamp::new(0) })
}
