//! Runs of binary doubling, for `tla/hanoi`: writers flush and pay for it, others give what time they have.
//!
//! A run is as many bytes as flushes; nothing is read or written. The schedule, the policy, the claims and the level list are the engine's.

mod told;

use crate::{Dice, Trace, stage};
use aether_lsm::policy::{Hanoi, KeyRange, MergePolicy, RunShape, Shape};
use aether_lsm::schedule::{Begun, Crew, Did, Round, Schedule, Turn};
use aether_lsm::version::{Claim, Claims, Edit, OnLast, Run, Version, VersionSet};
use aether_sync::atomic::{AtomicU32, Ordering::Relaxed};
use aether_sync::thread::yield_now;
use aether_sync::{Arc, Mutex, Rank, RwLock};
use aether_trace::{act, take};
use aether_types::{Error, FileId, Result, Timestamp};

/// As in `trace.cfg`.
const LEVELS: usize = 5;
const SAVED_MAX: u64 = 3;
const FLUSHES_MAX: u32 = 24;
/// Of those who write, and of those who help, at most.
const THREADS_MAX: u64 = 2;
/// Rounds that one who helps offers at most.
const HELPS: u64 = 12;
/// Taken under no lock of the engine.
const WRITING: Rank = Rank::new(1, "a flush, until it is paid for");
const WORKING: Rank = Rank::new(2, "who works at merges");

/// A merge of so many bytes.
struct Job {
    claim: Claim,
    left: u64,
}

struct World {
    set: VersionSet<()>,
    claims: Claims,
    schedule: Schedule<Job>,
    /// How many flushes there were. A flush is paid for before the next one.
    writing: Mutex<u32>,
    /// A flush comes when nobody is at work.
    working: RwLock<()>,
    files: AtomicU32,
    on_last: OnLast,
}

/// A run and what it told.
pub fn trace(seed: u64) -> Trace {
    let world = Arc::new(World {
        set: VersionSet::new(Version::default()),
        claims: Claims::default(),
        schedule: Schedule::default(),
        writing: Mutex::new(WRITING, 0),
        working: RwLock::new(WORKING, ()),
        files: AtomicU32::new(1),
        on_last: Arc::new(|_| ()),
    });
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let (writers, helpers) = (1 + dice.below(THREADS_MAX), dice.below(THREADS_MAX + 1));
    let flushes = 4 + dice.below(u64::from(FLUSHES_MAX) - 3) as u32;
    let threads = (1..=writers + helpers).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            if number <= writers {
                while world.write(flushes) {}
            } else {
                (0..1 + dice.below(HELPS)).for_each(|_| {
                    world.work(false);
                });
            }
        })
    });
    stage::join(threads);
    told::translate(take())
}

impl World {
    /// A flush, and what it pays for; false if there were so many.
    fn write(&self, flushes: u32) -> bool {
        let mut written = self.writing.lock();
        if *written >= flushes {
            return false;
        }
        *written += 1;
        {
            let _nobody_works = self.working.write();
            // Nothing speaks against a new run.
            let _ = act("Flush", || self.install(&Edit::flush(self.run(1))), |_| []);
        }
        let mut is_paid = false;
        loop {
            let turn = self.work(!is_paid);
            is_paid |= turn.has_begun;
            if is_paid && turn.is_settled {
                return true;
            }
            yield_now();
        }
    }

    fn work(&self, is_bought: bool) -> Turn {
        let _works = self.working.read();
        let round = Round { level_bytes: 1, levels: LEVELS, saved_max: SAVED_MAX, is_bought };
        // What fails is told by what is missing then.
        self.schedule.work_in_rounds(self, round, true).unwrap_or_default()
    }

    fn run(&self, bytes: u64) -> Arc<Run<()>> {
        let shape = RunShape {
            id: FileId::new(self.files.fetch_add(1, Relaxed)),
            bytes,
            entries: bytes,
            tombstones: 0,
            range: KeyRange::new(b"a", b"b"),
            newest: Timestamp::new(1),
            is_merging: false,
        };
        Run::new(shape, (), self.on_last.clone())
    }

    fn install(&self, edit: &Edit<()>) -> Result<()> {
        let installed = self.set.install(edit);
        installed.map(drop).map_err(|refused| Error::invalid(refused.to_string()))
    }
}

impl Crew<Job> for World {
    fn claim(&self) -> Option<Begun<Job>> {
        let pick = |shape: &Shape| Hanoi.pick(shape);
        let claim = self.claims.claim(&self.set, 1, Timestamp::new(u64::MAX), pick)?;
        let (level, plan) = (claim.level(), claim.plan().clone());
        let left = plan.bytes;
        Some(Begun { level, plan, left_bytes: left, job: Job { claim, left } })
    }

    fn version(&self) -> u64 {
        self.set.number()
    }

    fn work(&self, job: &mut Job, bytes: u64, _: bool) -> Result<Did> {
        let bytes = bytes.min(job.left);
        job.left -= bytes;
        Ok(Did { bytes, left_bytes: job.left })
    }

    fn arrive(&self, job: Job) -> Result<()> {
        let plan = job.claim.plan();
        self.install(&Edit::merge(plan, vec![self.run(plan.bytes)]))
    }
}
