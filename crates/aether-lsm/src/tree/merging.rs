//! Merging runs as the policy says, slice by slice.

use super::working::Working;
use super::writer::{Recipe, RunWriter};
use super::{Inner, Live, OnBehalf};
use crate::merge::{Keep, Layer, Merge, OwnedEntry, Pulled};
use crate::policy::{Plan, PolicyKind, Reason, Shape};
use crate::run::{Entry, Kind};
use crate::schedule::{Begun, Crew, Did, Round};
use crate::values::{ValueAt, ValueFile};
use crate::version::{Claim, Edit, Run, Version};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{ErrorKind, FileId, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Of a value file so much, in percent, may be bytes that no run names any more.
const GARBAGE_PERCENT_MAX: u64 = 50;

/// A merge under way.
pub(super) struct MergeJob {
    claim: Claim,
    /// None until it is worked at, and for a run that only gets another level.
    reading: Option<Reading>,
    left_bytes: u64,
}

/// What a merge reads, and what it writes.
struct Reading {
    merge: Merge<'static>,
    writer: RunWriter,
    /// Files whose values are copied, so that they can go.
    leaves: BTreeMap<FileId, Arc<ValueFile>>,
    /// It stopped for a sync, before this.
    pending: Option<OwnedEntry>,
}

impl Inner {
    /// Does about so many bytes of merging; how many were done, 0 if a background thread must go on. None: nothing is to be merged, or
    /// others are at all of it. Blocks.
    ///
    /// # Errors
    /// Those of the disk and of the log, `Corruption` of a run: that merge is given up then, and nothing has changed. Of a store that has
    /// failed all are given up.
    pub(super) fn merge_some(&self, bytes: u64, who: OnBehalf) -> Result<Option<u64>> {
        let _now = Working::begin();
        if self.runs.is_over() {
            return Ok(None);
        }
        self.check_healthy()?;
        self.settle_unless_payer(who)?;
        let may_sync = who != OnBehalf::Payer || !self.has_threads();
        let did = if self.policy.lock().policy.current() == PolicyKind::Hanoi {
            let turn = self.merges.work_in_rounds(self, self.round(bytes, who), may_sync);
            turn.map(|turn| (turn.bytes > 0).then_some(turn.bytes))
        } else {
            self.merges.work_at_one(self, bytes, may_sync)
        };
        self.owes();
        match did {
            // Others have the memory, and give it back: one after the other merges go on all the same.
            Err(error) if error.kind() == ErrorKind::OverLimit && !self.merges.under_way().is_empty() => {
                Ok(None)
            }
            did => did,
        }
    }

    /// Merges until nothing is to be merged; others are waited for. Blocks.
    ///
    /// # Errors
    /// As [`Inner::merge_some`].
    pub(super) fn merge_everything(&self) -> Result<()> {
        let _now = Working::begin();
        self.check_healthy()?;
        self.runs.settle()?;
        let did = self.merges.work_at_all(self);
        self.owes();
        did.map(drop)
    }

    /// What so many bytes buy in a round: a byte that is written pays one to each level, and a background thread gives each a whole slice.
    fn round(&self, bytes: u64, who: OnBehalf) -> Round {
        let levels = self.runs.current().levels().len().max(1);
        let is_bought = who == OnBehalf::Payer;
        let level_bytes = if is_bought { bytes.div_ceil(levels as u64) } else { bytes };
        Round { level_bytes, levels, saved_max: self.config.unit_bytes(), is_bought }
    }

    fn check_healthy(&self) -> Result<()> {
        self.txns.store().check_healthy().inspect_err(|_| drop(self.merges.close()))
    }

    /// A run that only gets another level.
    fn move_run(&self, plan: &Plan) -> Result<()> {
        let version = self.runs.current();
        self.runs.edit(&Edit::merge(plan, inputs(&version, plan)), |_, _| Ok(()))
    }

    /// What the job reads; begins to read it.
    fn reading<'j>(&self, job: &'j mut MergeJob) -> Result<&'j mut Reading> {
        let reading = match job.reading.take() {
            Some(reading) => reading,
            None => self.begin_merge(job.claim.plan())?,
        };
        Ok(job.reading.insert(reading))
    }

    fn begin_merge(&self, plan: &Plan) -> Result<Reading> {
        let version = self.runs.current();
        // What is settled for all is known before the snapshots are: those that come later lie above it.
        let settled = self.txns.horizon();
        let keep = Keep::new(self.txns.snapshots_from(settled), settled, plan.is_bottom)?;
        let inputs = inputs(&version, plan);
        let layers = inputs.iter().map(|run| Layer::run(&run.file().run)).collect::<Result<_>>()?;
        let merge = Merge::new(layers, keep, Box::new(|_, _| {}));
        let entries = inputs.iter().map(|run| run.shape().entries).sum();
        let recipe = Recipe {
            codec: self.config.codec,
            separate_bytes: self.config.separate_bytes,
            run_bytes_max: plan.run_bytes_max,
            entries,
            is_last: plan.is_bottom,
        };
        let held: BTreeMap<_, _> = inputs
            .iter()
            .flat_map(|run| run.file().values.iter().map(|(held, _)| (held.info().file, held.clone())))
            .collect();
        let wasted = wasted(&version);
        let leaves = held.iter().filter(|(file, _)| wasted.contains(file));
        let leaves = leaves.map(|(file, held)| (*file, held.clone())).collect();
        let writer = RunWriter::new(&self.runs, recipe, merge.ranges().to_vec(), held);
        Ok(Reading { merge, writer, leaves, pending: None })
    }

    /// Lists what was written in place of what was read. Blocks for syncs.
    fn end_merge(&self, plan: &Plan, writer: RunWriter) -> Result<()> {
        let written = writer.finish()?;
        let runs = written.into_iter().map(|written| self.runs.take(written)).collect::<Result<Vec<_>>>()?;
        self.runs.edit(&Edit::merge(plan, runs.clone()), |_, _| Ok(()))?;
        runs.iter().for_each(|run| self.merged.add(run.shape().bytes));
        Ok(())
    }
}

impl Crew<MergeJob> for Inner {
    fn claim(&self) -> Option<Begun<MergeJob>> {
        if self.runs.is_over() {
            return None;
        }
        let unit = self.config.unit_bytes();
        let version = self.runs.current();
        let pick = |shape: &Shape| {
            let pick = self.policy.lock().pick(shape);
            pick.or_else(|| garbage(shape, &version))
        };
        let claim = self.runs.claims.claim(self.runs.set(), unit, self.txns.horizon(), pick)?;
        let (level, plan) = (claim.level(), claim.plan().clone());
        // Moving a run reads nothing.
        let left_bytes = if plan.is_move() { 1 } else { plan.bytes.max(1) };
        Some(Begun { level, plan, left_bytes, job: MergeJob { claim, reading: None, left_bytes } })
    }

    fn version(&self) -> u64 {
        self.runs.set().number()
    }

    fn work(&self, job: &mut MergeJob, bytes: u64, may_sync: bool) -> Result<Did> {
        let before = job.left_bytes;
        let step = match job.claim.plan().is_move() || before == 0 {
            true => Step::Done,
            false => self.reading(job)?.step(bytes, may_sync)?,
        };
        let (done, left_bytes) = match step {
            Step::Waits => (0, before),
            Step::Done => (before, 0),
            Step::Passed(passed) => {
                let left = job.claim.plan().bytes.saturating_sub(passed).clamp(1, before);
                // What is too little to show is something all the same.
                ((before - left).max(1), left)
            }
        };
        job.left_bytes = left_bytes;
        Ok(Did { bytes: done, left_bytes })
    }

    fn arrive(&self, job: MergeJob) -> Result<()> {
        let MergeJob { claim, reading, .. } = job;
        match reading {
            Some(reading) => self.end_merge(claim.plan(), reading.writer)?,
            None => self.move_run(claim.plan())?,
        }
        drop(claim);
        self.reckon();
        Ok(())
    }
}

enum Step {
    /// So many bytes of the files lie behind it.
    Passed(u64),
    Done,
    /// For somebody who may sync.
    Waits,
}

/// Bytes of versions between two looks at how far the files were read.
const LOOK_BYTES: u64 = 512;

impl Reading {
    /// Reads about so many bytes of the files.
    fn step(&mut self, bytes: u64, may_sync: bool) -> Result<Step> {
        if self.pending.is_some() && !may_sync {
            return Ok(Step::Waits);
        }
        if let Some(entry) = self.pending.take() {
            copy(&mut self.writer, &self.leaves, &entry.as_entry())?;
        }
        let end = self.merge.passed_bytes().saturating_add(bytes);
        let mut looked_at = self.merge.read_bytes();
        loop {
            match self.merge.pull(LOOK_BYTES)? {
                Pulled::End => return Ok(Step::Done),
                Pulled::Nothing => {}
                Pulled::Kept(Entry { key, timestamp, kind, value })
                    if !may_sync && self.writer.is_full_at(key) =>
                {
                    self.pending =
                        Some(OwnedEntry { key: key.to_vec(), timestamp, kind, value: value.to_vec() });
                    break;
                }
                Pulled::Kept(entry) => copy(&mut self.writer, &self.leaves, &entry)?,
            }
            if self.merge.read_bytes() - looked_at >= LOOK_BYTES {
                looked_at = self.merge.read_bytes();
                if self.merge.passed_bytes() >= end {
                    break;
                }
            }
        }
        Ok(Step::Passed(self.merge.passed_bytes()))
    }
}

/// Adds an entry; its value anew, if the file that it stands in is to go.
fn copy(writer: &mut RunWriter, leaves: &BTreeMap<FileId, Arc<ValueFile>>, entry: &Entry<'_>) -> Result<()> {
    if entry.kind == Kind::Stub && !leaves.is_empty() {
        let at = ValueAt::decode(entry.value)?;
        if let Some(held) = leaves.get(&at.file) {
            return writer.add_large(entry, at.length, &mut held.reader(at));
        }
    }
    writer.add(entry)
}

fn inputs(version: &Version<Live>, plan: &Plan) -> Vec<Arc<Run<Live>>> {
    let find = |id: &FileId| version.runs().find(|run| run.id() == *id).cloned();
    plan.inputs.iter().filter_map(find).collect()
}

/// Value files of which too little is named.
fn wasted(version: &Version<Live>) -> BTreeSet<FileId> {
    let mut named: BTreeMap<FileId, (u64, u64)> = BTreeMap::new();
    for (held, bytes) in version.runs().flat_map(|run| &run.file().values) {
        let (live, _) = named.entry(held.info().file).or_insert((0, held.info().value_bytes));
        *live += bytes;
    }
    let is_wasted = |(live, all): &(u64, u64)| all.saturating_sub(*live) * 100 > all * GARBAGE_PERCENT_MAX;
    named.into_iter().filter(|(_, bytes)| is_wasted(bytes)).map(|(file, _)| file).collect()
}

/// A run that names values in a file of which too little is named: written again, it takes them along.
fn garbage(shape: &Shape, version: &Version<Live>) -> Option<Plan> {
    let wasted = wasted(version);
    if wasted.is_empty() {
        return None;
    }
    let names_some = |id: FileId| {
        let run = version.runs().find(|run| run.id() == id);
        run.is_some_and(|run| run.file().values.iter().any(|(held, _)| wasted.contains(&held.info().file)))
    };
    for (target, level) in shape.levels.iter().enumerate() {
        if let Some(run) = level.runs.iter().find(|run| !run.is_merging && names_some(run.id)) {
            return Plan::again(shape, run.id, target, Reason::Garbage);
        }
    }
    None
}
