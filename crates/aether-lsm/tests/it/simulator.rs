//! A tree without files: its runs are lists of keys, its merges go step by step, its level list is the real one.

use aether_lsm::policy::{KeyRange, MergePolicy, Plan, PolicyKind, RunShape, Shape, WorkBudget};
use aether_lsm::version::{Claim, Claims, Edit, OnLast, Run, Version, VersionSet};
use aether_types::{FileId, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) const ENTRY_BYTES: u64 = 100;

/// A key and whether it was removed; of a list, in order.
pub(crate) type Keys = Vec<(u32, bool)>;

/// How merges get their work done.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Pace {
    /// All that is due is done after each flush.
    AtOnce,
    /// Each flush pays its own bytes to each merge under way.
    Budget,
    /// One merge at a time gets so many bytes for each byte flushed.
    Bytes(u64),
}

struct Job {
    claim: Claim,
    remaining: u64,
}

/// What a run of the simulator came to.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) flushes: u64,
    pub(crate) written_per_byte: f64,
    pub(crate) space: f64,
    pub(crate) space_max: f64,
    pub(crate) runs_per_get: f64,
    pub(crate) runs_per_get_max: usize,
    pub(crate) levels: usize,
    pub(crate) debt_max_units: f64,
    /// Runs of one level at most.
    pub(crate) level_runs_max: usize,
}

pub(crate) struct World {
    pub(crate) set: Arc<VersionSet<Keys>>,
    pub(crate) claims: Claims,
    /// Files that were deleted.
    pub(crate) deleted: Arc<Mutex<Vec<FileId>>>,
    on_last: OnLast,
    next_id: AtomicU32,
}

impl World {
    pub(crate) fn new() -> Self {
        let deleted = Arc::new(Mutex::new(Vec::new()));
        let log = deleted.clone();
        let on_last: OnLast = Arc::new(move |id| log.lock().unwrap().push(id));
        let set = Arc::new(VersionSet::new(Version::default()));
        Self { set, claims: Claims::default(), deleted, on_last, next_id: AtomicU32::new(1) }
    }

    pub(crate) fn run(&self, keys: Keys) -> Arc<Run<Keys>> {
        let id = FileId::new(self.next_id.fetch_add(1, Ordering::Relaxed));
        Run::new(run_shape(id, &keys), keys, self.on_last.clone())
    }

    /// What a merge after `plan` makes of its inputs.
    pub(crate) fn merged(&self, plan: &Plan) -> Vec<Arc<Run<Keys>>> {
        let version = self.set.current();
        let find = |id: &FileId| version.runs().find(|run| run.id() == *id).unwrap().clone();
        if plan.is_move() {
            return plan.inputs.iter().map(find).collect();
        }
        let mut all = BTreeMap::new();
        for id in plan.inputs.iter().rev() {
            all.extend(find(id).file().iter().copied());
        }
        let keys: Keys = all.into_iter().filter(|(_, is_removed)| !(plan.is_bottom && *is_removed)).collect();
        let most = (plan.run_bytes_max / ENTRY_BYTES).clamp(1, 1 << 40) as usize;
        keys.chunks(most).map(|keys| self.run(keys.to_vec())).collect()
    }

    /// What is there: the newest of each key.
    pub(crate) fn contents(&self) -> BTreeSet<u32> {
        let mut newest = BTreeMap::new();
        let version = self.set.current();
        let runs: Vec<_> = version.runs().collect();
        runs.iter().rev().for_each(|run| newest.extend(run.file().iter().copied()));
        newest.into_iter().filter(|(_, is_removed)| !is_removed).map(|(key, _)| key).collect()
    }
}

fn run_shape(id: FileId, keys: &Keys) -> RunShape {
    let bytes = |key: u32| key.to_be_bytes();
    RunShape {
        id,
        bytes: keys.len() as u64 * ENTRY_BYTES,
        entries: keys.len() as u64,
        tombstones: keys.iter().filter(|(_, is_removed)| *is_removed).count() as u64,
        range: KeyRange::new(&bytes(keys[0].0), &bytes(keys[keys.len() - 1].0)),
        newest: Timestamp::new(1),
        is_merging: false,
    }
}

/// What is flushed: so many entries, of keys below a bound, some of them removals.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) flush_entries: usize,
    pub(crate) keys: u32,
    pub(crate) removals_of_hundred: u32,
    pub(crate) is_ascending: bool,
}

pub(crate) struct Simulator<'a> {
    world: &'a World,
    load: Load,
    jobs: Vec<Job>,
    budget: WorkBudget,
    random: u64,
    next_key: u32,
    pub(crate) oracle: BTreeSet<u32>,
    flushed_bytes: u64,
    merged_bytes: u64,
    figures: Figures,
}

impl<'a> Simulator<'a> {
    pub(crate) fn new(world: &'a World, load: Load, seed: u64) -> Self {
        let figures = Figures {
            flushes: 0,
            written_per_byte: 0.0,
            space: 0.0,
            space_max: 0.0,
            runs_per_get: 0.0,
            runs_per_get_max: 0,
            levels: 0,
            debt_max_units: 0.0,
            level_runs_max: 0,
        };
        Self {
            world,
            load,
            jobs: Vec::new(),
            budget: WorkBudget::default(),
            random: seed | 1,
            next_key: 0,
            oracle: BTreeSet::new(),
            flushed_bytes: 0,
            merged_bytes: 0,
            figures,
        }
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (((self.random >> 32) * u64::from(bound)) >> 32) as u32
    }

    fn unit_bytes(&self) -> u64 {
        self.load.flush_entries as u64 * ENTRY_BYTES
    }

    pub(crate) fn shape(&self) -> Shape {
        self.world.claims.shape(&self.world.set, self.unit_bytes(), Timestamp::new(u64::MAX))
    }

    /// A flush, then the merging that its pace gives.
    pub(crate) fn flush(&mut self, policy: &dyn MergePolicy, pace: Pace) {
        let mut keys = BTreeMap::new();
        while keys.len() < self.load.flush_entries {
            self.next_key =
                if self.load.is_ascending { self.next_key + 1 } else { self.below(self.load.keys) };
            let is_removed = self.below(100) < self.load.removals_of_hundred;
            keys.insert(self.next_key, is_removed);
        }
        for (key, is_removed) in &keys {
            if *is_removed {
                self.oracle.remove(key)
            } else {
                self.oracle.insert(*key)
            };
        }
        let keys: Keys = keys.into_iter().collect();
        self.flushed_bytes += keys.len() as u64 * ENTRY_BYTES;
        self.figures.flushes += 1;
        self.world.set.install(&Edit::flush(self.world.run(keys))).unwrap();
        self.merge(policy, pace);
        self.measure(policy);
    }

    pub(crate) fn merge(&mut self, policy: &dyn MergePolicy, pace: Pace) {
        match pace {
            Pace::AtOnce => {
                for _ in 0..10_000 {
                    if !self.start(policy) {
                        return;
                    }
                    self.jobs.iter_mut().for_each(|job| job.remaining = 0);
                    self.finish();
                }
                panic!("{policy:?} never comes to an end: {:?}", self.shape());
            }
            Pace::Budget => self.spend(policy),
            Pace::Bytes(each) => self.work(policy, each * self.unit_bytes()),
        }
    }

    /// Shares a flush's bytes out, in slices, so that what one merge makes is there for the next.
    fn spend(&mut self, policy: &dyn MergePolicy) {
        let slices = 16;
        for _ in 0..slices {
            while self.start(policy) {}
            self.jobs.sort_by_key(|job| job.claim.plan().target);
            let remaining: Vec<_> = self.jobs.iter().map(|job| job.remaining).collect();
            let shares = self.budget.share(self.unit_bytes() / slices, &remaining, self.unit_bytes());
            self.jobs.iter_mut().zip(shares).for_each(|(job, share)| job.remaining -= share);
            self.finish();
        }
    }

    fn work(&mut self, policy: &dyn MergePolicy, mut bytes: u64) {
        while bytes > 0 && (!self.jobs.is_empty() || self.start(policy)) {
            let step = self.jobs[0].remaining.min(bytes);
            self.jobs[0].remaining -= step;
            bytes -= step;
            self.finish();
        }
    }

    fn start(&mut self, policy: &dyn MergePolicy) -> bool {
        let world = self.world;
        let pick = |shape: &Shape| policy.pick(shape);
        let claim = world.claims.claim(&world.set, self.unit_bytes(), Timestamp::new(u64::MAX), pick);
        let Some(claim) = claim else { return false };
        let plan = claim.plan();
        self.jobs.push(Job { remaining: if plan.is_move() { 0 } else { plan.bytes }, claim });
        true
    }

    fn finish(&mut self) {
        let (done, rest) = std::mem::take(&mut self.jobs).into_iter().partition(|job| job.remaining == 0);
        self.jobs = rest;
        let done: Vec<Job> = done;
        // The deepest first: what comes to a level finds its merge done.
        for job in done.into_iter().rev() {
            let plan = job.claim.plan();
            let outcome = self.world.merged(plan);
            if !plan.is_move() {
                self.merged_bytes += outcome.iter().map(|run| run.shape().bytes).sum::<u64>();
            }
            self.world.set.install(&Edit::merge(plan, outcome)).expect("a claimed merge fits");
        }
    }

    fn measure(&mut self, policy: &dyn MergePolicy) {
        let shape = self.shape();
        let live = self.oracle.len() as u64 * ENTRY_BYTES;
        let space = shape.bytes() as f64 / live.max(self.unit_bytes()) as f64;
        let keys: Vec<_> = (0..20).map(|_| self.below(self.load.keys.max(self.next_key))).collect();
        let runs: Vec<_> = keys.iter().map(|key| shape.runs_at(&key.to_be_bytes())).collect();
        let owed = if self.figures.flushes.is_multiple_of(4) { policy.owed(&shape) } else { 0 };
        let debt = owed + self.jobs.iter().map(|job| job.remaining).sum::<u64>();
        let debt_units = debt as f64 / self.unit_bytes() as f64;
        let figures = &mut self.figures;
        figures.written_per_byte =
            (self.flushed_bytes + self.merged_bytes) as f64 / self.flushed_bytes as f64;
        figures.space = space;
        figures.space_max = figures.space_max.max(space);
        let average = runs.iter().sum::<usize>() as f64 / runs.len() as f64;
        figures.runs_per_get += (average - figures.runs_per_get) / figures.flushes as f64;
        figures.runs_per_get_max = figures.runs_per_get_max.max(*runs.iter().max().unwrap());
        figures.levels = shape.levels.len();
        figures.debt_max_units = figures.debt_max_units.max(debt_units);
        let most = shape.levels.iter().map(|level| level.runs.len()).max().unwrap_or(0);
        figures.level_runs_max = figures.level_runs_max.max(most);
    }

    pub(crate) fn figures(&self) -> Figures {
        self.figures.clone()
    }
}

/// So many flushes under a policy; the contents are right afterwards.
pub(crate) fn simulate(kind: PolicyKind, load: Load, flushes: u64, pace: Pace) -> Figures {
    let world = World::new();
    let policy = kind.policy();
    let mut simulator = Simulator::new(&world, load, 7);
    (0..flushes).for_each(|_| simulator.flush(&*policy, pace));
    assert_eq!(world.contents(), simulator.oracle, "{kind}");
    simulator.figures()
}
