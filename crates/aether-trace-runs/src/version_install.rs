//! Runs of a level list, for `tla/version_install`: threads flush, merge whatever two runs they find, and read.
//!
//! A run's name is the set of its flushes, a bit for each. Nobody claims runs here, so that edits come too late; but no two threads make
//! a run of one name at a time, for a file's id is nobody else's.

pub(crate) mod told;

use crate::{Dice, Trace, stage};
use aether_lsm::policy::{KeyRange, Plan, Reason, RunShape};
use aether_lsm::version::{Edit, OnLast, Run, Version, VersionSet};
use aether_sync::atomic::{AtomicU32, Ordering::Relaxed};
use aether_sync::{Arc, Mutex, Rank};
use aether_trace::{act, take};
use aether_types::{FileId, Timestamp};
use std::collections::BTreeSet;

const THREADS_MAX: u64 = 4;
/// At most, of one thread.
const TURNS: u64 = 5;
/// Of all threads, as in `trace.cfg`.
const FLUSHES_MAX: u32 = 12;
/// Taken under no lock of the engine.
const MAKING: Rank = Rank::new(1, "runs that are being made");

struct World {
    set: VersionSet<()>,
    flushes: AtomicU32,
    making: Mutex<BTreeSet<u32>>,
    on_last: OnLast,
}

/// A run and what it told.
pub fn trace(seed: u64) -> Trace {
    let set = VersionSet::new(Version::default());
    let making = Mutex::new(MAKING, BTreeSet::new());
    let world = Arc::new(World { set, flushes: AtomicU32::new(0), making, on_last: Arc::new(|_| ()) });
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let threads = (1..=2 + dice.below(THREADS_MAX - 1)).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            (0..1 + dice.below(TURNS)).for_each(|_| match dice.below(3) {
                0 => world.flush(),
                1 => drop(world.runs()),
                _ => world.merge(&mut dice),
            });
        })
    });
    stage::join(threads);
    let told = told::translate(take());
    drop(world);
    told
}

impl World {
    fn flush(&self) {
        let number = || self.flushes.fetch_add(1, Relaxed);
        // More than the spec has room for would be refused there.
        if self.flushes.load(Relaxed) + THREADS_MAX as u32 > FLUSHES_MAX {
            return;
        }
        let number = act("PlanFlush", number, |number| [u64::from(*number) + 1]);
        self.install(&Edit::flush(self.run(1 << number)));
    }

    /// Two of the runs that it saw a moment ago become one.
    fn merge(&self, dice: &mut Dice) {
        let runs = self.runs();
        if runs.len() < 2 {
            return;
        }
        let at = dice.below(runs.len() as u64 - 1) as usize;
        let (newer, older) = (runs[at], runs[at + 1]);
        if !self.making.lock().insert(newer | older) {
            return;
        }
        act("PlanMerge", || (), |()| [u64::from(newer), u64::from(older)]);
        let plan = Plan {
            inputs: vec![FileId::new(newer), FileId::new(older)],
            target: 0,
            is_bottom: false,
            bytes: 2,
            run_bytes_max: u64::MAX,
            reason: Reason::Full,
        };
        self.install(&Edit::merge(&plan, vec![self.run(newer | older)]));
        self.making.lock().remove(&(newer | older));
    }

    fn install(&self, edit: &Edit<()>) {
        // What comes too late is refused, and its run was never there.
        let _ = self.set.install(edit);
    }

    /// The runs that are there, the newest first.
    fn runs(&self) -> Vec<u32> {
        let version = self.set.current();
        let runs = version.runs().map(|run| run.id().get()).collect();
        act("LetGo", || (), |()| []);
        runs
    }

    fn run(&self, flushes: u32) -> Arc<Run<()>> {
        let shape = RunShape {
            id: FileId::new(flushes),
            bytes: 1,
            entries: 1,
            tombstones: 0,
            range: KeyRange::new(b"a", b"b"),
            newest: Timestamp::new(1),
            is_merging: false,
        };
        Run::new(shape, (), self.on_last.clone())
    }
}
