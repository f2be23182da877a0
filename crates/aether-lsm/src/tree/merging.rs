//! Merging runs as the policy says, slice by slice.

use super::working::Working;
use super::writer::{Recipe, RunWriter};
use super::{Inner, Live, MergeStat, OnBehalf};
use crate::merge::{Keep, Layer, Merge, OwnedEntry};
use crate::policy::{Plan, Reason, Shape};
use crate::run::{Entry, Kind};
use crate::values::{ValueAt, ValueFile};
use crate::version::{Claim, Edit, Run, Version};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{FileId, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Of a value file so much, in percent, may be bytes that no run names any more.
const GARBAGE_PERCENT_MAX: u64 = 50;

/// A merge under way.
pub(super) struct MergeJob {
    claim: Claim,
    merge: Merge<'static>,
    writer: RunWriter,
    /// Files whose values are copied, so that they can go.
    leaves: BTreeMap<FileId, Arc<ValueFile>>,
    /// It stopped for a sync, before this.
    waits: bool,
    pending: Option<OwnedEntry>,
    left_bytes: u64,
}

impl MergeJob {
    fn stat(&self) -> MergeStat {
        let plan = self.claim.plan();
        MergeStat {
            reason: plan.reason,
            runs: plan.inputs.len(),
            target: plan.target,
            bytes: plan.bytes,
            left_bytes: self.left_bytes,
        }
    }
}

impl Inner {
    /// Does a slice of a merge, and begins one if there is none; how many bytes, 0 if a background thread must go on. None: nothing is to
    /// be merged. The caller holds `job`. Blocks.
    ///
    /// # Errors
    /// Those of the disk and of the log, `Corruption` of a run; the merge is given up then, and nothing has changed.
    pub(super) fn merge_slice(
        &self,
        job: &mut Option<MergeJob>,
        bytes: u64,
        who: OnBehalf,
    ) -> Result<Option<u64>> {
        let done = self.merge_step(job, bytes, who);
        self.tell(job);
        done
    }

    /// Lets [`Lsm::stat`](super::Lsm::stat) know of the merge under way.
    pub(super) fn tell(&self, job: &Option<MergeJob>) {
        *self.in_flight.lock() = job.as_ref().map(MergeJob::stat);
    }

    fn merge_step(&self, job: &mut Option<MergeJob>, bytes: u64, who: OnBehalf) -> Result<Option<u64>> {
        let _now = Working::begin();
        if self.runs.is_over() {
            return Ok(None);
        }
        if job.is_none() {
            self.settle_unless_payer(who)?;
            let Some(claim) = self.claim() else { return Ok(None) };
            if claim.plan().is_move() {
                self.move_run(&claim)?;
                return Ok(Some(1));
            }
            *job = Some(self.begin_merge(claim)?);
            self.tell(job);
        }
        let Some(mut under_way) = job.take() else { return Ok(None) };
        let may_sync = who != OnBehalf::Payer || self.config.threads == 0;
        match under_way.step(bytes, may_sync)? {
            Step::Did(bytes) => {
                under_way.left_bytes = under_way.left_bytes.saturating_sub(bytes);
                *job = Some(under_way);
                Ok(Some(bytes))
            }
            Step::Done if !may_sync => {
                under_way.waits = true;
                *job = Some(under_way);
                Ok(Some(0))
            }
            Step::Done => self.end_merge(under_way).map(|()| Some(1)),
        }
    }

    fn claim(&self) -> Option<Claim> {
        let unit = self.config.unit_bytes();
        let version = self.runs.current();
        let pick = |shape: &Shape| {
            let pick = self.policy.lock().pick(shape);
            pick.or_else(|| garbage(shape, &version))
        };
        self.runs.claims.claim(self.runs.set(), unit, self.txns.horizon(), pick)
    }

    /// A run that only gets another level.
    fn move_run(&self, claim: &Claim) -> Result<()> {
        let version = self.runs.current();
        let runs = inputs(&version, claim.plan());
        self.runs.edit(&Edit::merge(claim.plan(), runs), |_, _| Ok(()))?;
        self.reckon();
        Ok(())
    }

    fn begin_merge(&self, claim: Claim) -> Result<MergeJob> {
        let (version, plan) = (self.runs.current(), claim.plan());
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
        };
        let held: BTreeMap<_, _> = inputs
            .iter()
            .flat_map(|run| run.file().values.iter().map(|(held, _)| (held.info().file, held.clone())))
            .collect();
        let wasted = wasted(&version);
        let leaves = held.iter().filter(|(file, _)| wasted.contains(file));
        let leaves = leaves.map(|(file, held)| (*file, held.clone())).collect();
        let writer = RunWriter::new(&self.runs, recipe, merge.ranges().to_vec(), held);
        let left_bytes = plan.bytes;
        Ok(MergeJob { claim, merge, writer, leaves, waits: false, pending: None, left_bytes })
    }

    /// Lists what was written in place of what was read. Blocks for syncs.
    fn end_merge(&self, job: MergeJob) -> Result<()> {
        let MergeJob { claim, writer, .. } = job;
        let written = writer.finish()?;
        let runs = written.into_iter().map(|written| self.runs.take(written)).collect::<Result<Vec<_>>>()?;
        let edited = self.runs.edit(&Edit::merge(claim.plan(), runs.clone()), |_, _| Ok(()));
        if edited.is_ok() {
            runs.iter().for_each(|run| self.merged.add(run.shape().bytes));
        }
        drop(claim);
        self.reckon();
        edited
    }
}

enum Step {
    Did(u64),
    Done,
}

impl MergeJob {
    fn step(&mut self, bytes: u64, may_sync: bool) -> Result<Step> {
        if self.waits && !may_sync {
            return Ok(Step::Did(0));
        }
        self.waits = false;
        let mut done = 0;
        if let Some(entry) = self.pending.take() {
            copy(&mut self.writer, &self.leaves, &entry.as_entry())?;
        }
        while done < bytes {
            let Some(entry) = self.merge.pull()? else {
                return if done > 0 { Ok(Step::Did(done)) } else { Ok(Step::Done) };
            };
            done += (entry.key.len() + entry.value.len() + 8) as u64;
            if !may_sync && self.writer.is_full_at(entry.key) {
                let Entry { key, timestamp, kind, value } = entry;
                self.pending = Some(OwnedEntry { key: key.to_vec(), timestamp, kind, value: value.to_vec() });
                self.waits = true;
                break;
            }
            copy(&mut self.writer, &self.leaves, &entry)?;
        }
        Ok(Step::Did(done))
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
