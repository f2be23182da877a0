//! Flushing rows in memory into a run, slice by slice.

use super::working::Working;
use super::writer::{Recipe, RunWriter};
use super::{Inner, OnBehalf};
use crate::run::{Entry, Kind};
use crate::version::Edit;
use aether_index::resident::{Leaver, Leaving, Resident, wait_for_all_streams};
use aether_index::rows::ValueReader;
use aether_index::txn::Durability;
use aether_index::txn::recovery::Store;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{ErrorKind, Result};
use std::collections::BTreeMap;

/// A flush under way.
pub(super) struct FlushJob {
    leaving: Leaving,
    /// None once all is written, and only to be taken out of memory.
    writer: Option<RunWriter>,
    stubs: Vec<Vec<u8>>,
    /// Bytes that had been written into memory when it began.
    began_at: u64,
}

impl FlushJob {
    /// Gives it up: nothing of it was listed, unless all was. Returns the stubs of large values whose rows are gone: to be retired.
    pub(super) fn give_up(self, rows: &Resident) -> Vec<Vec<u8>> {
        if self.writer.is_some() {
            rows.give_up(&self.leaving);
        }
        self.stubs
    }
}

impl Inner {
    /// Does a slice of a flush, and begins one if there is none; how many bytes, 0 if a background thread must go on. None: nothing is to
    /// be flushed, or the tree is no more. The caller holds `job`. Blocks.
    ///
    /// # Errors
    /// Those of the disk and of the log; the flush is given up then, and nothing is lost.
    pub(super) fn flush_slice(
        &self,
        job: &mut Option<FlushJob>,
        bytes: u64,
        who: OnBehalf,
    ) -> Result<Option<u64>> {
        let _now = Working::begin();
        if self.runs.is_over() {
            return Ok(None);
        }
        if job.is_none() {
            self.settle_unless_payer(who)?;
            let lets_log_go = who == OnBehalf::Log || self.is_ingesting();
            let Some(leaving) = self.rows.begin_flush(lets_log_go) else { return Ok(None) };
            let writer = Some(RunWriter::new(&self.runs, self.flush_recipe(), Vec::new(), BTreeMap::new()));
            let began_at = self.taken_in.get();
            *job = Some(FlushJob { leaving, writer, stubs: Vec::new(), began_at });
        }
        let Some(under_way) = job else { return Ok(None) };
        let done = match under_way.writer.is_some() {
            true => self.write_slice(under_way, bytes, who),
            false => match self.rows.take_out(&mut under_way.leaving, &mut under_way.stubs) {
                Some(bytes) => Ok(bytes),
                None => {
                    let (stubs, began_at) = (core::mem::take(&mut under_way.stubs), under_way.began_at);
                    *job = None;
                    // What has stayed cannot be flushed before it is settled: it counts for nothing until then.
                    self.pacer.holds(self.taken_in.get() - began_at);
                    self.retire(stubs).map(|()| 1)
                }
            },
        };
        let Err(error) = done else { return done.map(Some) };
        if let Some(job) = job.take() {
            job.give_up(&self.rows);
        }
        if error.kind() == ErrorKind::Expired {
            // Snapshots that it was under way for are over: there is less to write now.
            return Ok(Some(1));
        }
        if error.kind() == ErrorKind::Conflict && who != OnBehalf::Log {
            // Who made the tree has not committed, and may be this very thread: nothing of it can be listed until then.
            self.pacer.holds(0);
            return Ok(None);
        }
        Err(error)
    }

    fn flush_recipe(&self) -> Recipe {
        Recipe {
            codec: self.config.codec,
            separate_bytes: self.config.separate_bytes,
            run_bytes_max: u64::MAX,
            entries: self.rows.len(),
            is_last: false,
        }
    }

    fn write_slice(&self, job: &mut FlushJob, bytes: u64, who: OnBehalf) -> Result<u64> {
        let Some(writer) = &mut job.writer else { return Ok(0) };
        let store = self.txns.store();
        let written = self.rows.leave(&mut job.leaving, bytes, &mut |leaver| add(writer, store, &leaver))?;
        match written {
            Some(bytes) => Ok(bytes),
            None if who == OnBehalf::Payer && self.has_threads() => Ok(0),
            None => self.end_flush(job).map(|()| 1),
        }
    }

    /// Makes what was written durable and lists it; then the log may go. Blocks for syncs.
    fn end_flush(&self, job: &mut FlushJob) -> Result<()> {
        let Some(writer) = job.writer.take() else { return Ok(()) };
        let listed = self.list_flushed(writer, &job.leaving);
        match &listed {
            Ok(()) => self.rows.left(&job.leaving),
            Err(_) => self.rows.give_up(&job.leaving),
        }
        listed?;
        self.reckon();
        Ok(())
    }

    fn list_flushed(&self, writer: RunWriter, leaving: &Leaving) -> Result<()> {
        let known = leaving.is_whole().then(|| leaving.known());
        let mut written = writer.finish()?;
        let run = written.pop().map(|written| self.runs.take(written)).transpose()?;
        let edit = match &run {
            Some(run) => Edit::flush(run.clone()),
            None => Edit::nothing(),
        };
        if run.is_none() && known.is_none() {
            return Ok(());
        }
        // What was logged again may stand in another stream than the edit, which takes the place of what was logged before.
        if known.is_some() {
            wait_for_all_streams(self.txns.store())?;
        }
        let edited = self.runs.edit(&edit, |manifest, txn| match &known {
            Some(known) => manifest.put_known(txn, known),
            None => Ok(()),
        });
        if let (Ok(()), Some(run)) = (&edited, &run) {
            self.flushed.add(run.shape().bytes);
        }
        edited
    }

    /// Frees the extents of values that stand in files now, once no snapshot can come to them by a row in memory.
    fn retire(&self, stubs: Vec<Vec<u8>>) -> Result<()> {
        if stubs.is_empty() {
            return Ok(());
        }
        self.runs.change(Durability::None, |manifest, txn| {
            // A change, so that the commit has a timestamp.
            let kind = self.policy.lock().kind;
            manifest.put_policy(txn, kind)?;
            stubs.into_iter().try_for_each(|stub| txn.retire(stub))
        })
    }
}

fn add(writer: &mut RunWriter, store: &Arc<Store>, leaver: &Leaver) -> Result<()> {
    let (key, timestamp) = (&leaver.key[..], leaver.at);
    let entry = |kind, value| Entry { key, timestamp, kind, value };
    match &leaver.value {
        None => writer.add(&entry(Kind::Tombstone, &[])),
        Some(stub) if leaver.is_stub => {
            let mut value = ValueReader::of_stub(store, stub)?;
            let length = value.len();
            writer.add_large(&entry(Kind::Stub, &[]), length, &mut value)
        }
        Some(value) => writer.add_value(&entry(Kind::Value, value)),
    }
}
