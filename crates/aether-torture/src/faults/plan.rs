//! What can go wrong while a script is played: a list that follows from the calls that it makes.

use crate::oracle::Verdict;
use crate::player::{self, AfterError};
use crate::report::Failure;
use crate::rng::derive;
use crate::study::{Study, guarded};
use crate::world::{Cut, Fate, World, policies};
use aether_kv::DbEnv;
use aether_sim::{Errno, Fault, OpKind};

/// What a disk gives in one piece.
const BLOCK_BYTES: u64 = 4096;

/// Recoveries whose every call fails once.
const RECOVERIES: u64 = 6;

/// Sizes of memory between nothing and enough.
const MEMORY_SIZES: u64 = 24;

/// The kinds of calls that fail from one on, while the others go well.
const LASTING: [OpKind; 8] = [
    OpKind::Write,
    OpKind::Sync,
    OpKind::SetSize,
    OpKind::Create,
    OpKind::Remove,
    OpKind::Rename,
    OpKind::CreateDir,
    OpKind::SyncDir,
];

/// What goes wrong in one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Calls fail while the script is played; later the power may be cut.
    Calls {
        /// What waits from the start.
        faults: Vec<Fault>,
        /// The operation at which the power is cut.
        cut: Option<u64>,
    },
    /// The disk has so many bytes, until the script has ended.
    Disk(u64),
    /// The store may use so many bytes of memory.
    Memory(u64),
    /// A call fails in the recovery from a power cut.
    Recovery {
        /// The cut.
        cut: Cut,
        /// What waits from the start of the recovery.
        fault: Fault,
    },
}

/// Every trouble of one script.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// None in the place of one that is not wanted.
    troubles: Vec<Option<Trouble>>,
}

impl Plan {
    /// Plays the script once, without any fault, to learn what there is to go wrong.
    ///
    /// # Errors
    /// If the script fails without a fault.
    pub fn new(study: &Study) -> Result<Self, Failure> {
        guarded(|| Self::try_new(study)).map_err(|what| study.failure(&[], what))
    }

    fn try_new(study: &Study) -> Verdict<Self> {
        let world = study.world();
        let mut needs = Needs::default();
        let run = player::play(&world, study.script(), AfterError::Stop, |_, env| needs.see(&world, env));
        if let Some(what) = run.first_error() {
            return Err(format!("without any fault: {what}"));
        }
        let mut plan = Self::default();
        let calls = |faults| Trouble::Calls { faults, cut: None };
        plan.add(failing(&world).into_iter().map(|fault| calls(vec![fault])));
        plan.add((0..world.sim.calls(OpKind::Sync)).map(|nth| calls(failing_syncs(nth))));
        plan.add((0..=needs.handles).map(|most| calls(vec![Fault::FewHandles { most }])));
        plan.cut_later(world.sim.op_count(), study.settings().seed);
        plan.add((0..=needs.disk_bytes / BLOCK_BYTES).map(|n| Trouble::Disk(n * BLOCK_BYTES)));
        plan.add((0..=MEMORY_SIZES).map(|n| Trouble::Memory(needs.memory_bytes * n / MEMORY_SIZES)));
        plan.recoveries(study, world.sim.op_count())?;
        Ok(plan)
    }

    fn add(&mut self, troubles: impl IntoIterator<Item = Trouble>) {
        self.troubles.extend(troubles.into_iter().map(Some));
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.troubles.len() as u64
    }

    /// The trouble of this number.
    pub fn trouble(&self, nth: u64) -> Option<&Trouble> {
        self.troubles.get(nth as usize)?.as_ref()
    }

    /// Only those that `wanted` accepts; their numbers stay.
    #[must_use]
    pub fn only(self, wanted: impl Fn(&Trouble) -> bool) -> Self {
        let accept = |trouble: Option<Trouble>| trouble.filter(|trouble| wanted(trouble));
        Self { troubles: self.troubles.into_iter().map(accept).collect() }
    }

    /// One call fails, the store goes on as far as it can, and a little later the power is cut.
    fn cut_later(&mut self, operations: u64, seed: u64) {
        for nth in 0..operations {
            let cut = nth + 1 + derive(seed, nth) % 60;
            let fault = Fault::FailOp { nth, kind: OpKind::Any, error: Errno::Eio, sticky: false };
            self.add([Trouble::Calls { faults: vec![fault], cut: Some(cut) }]);
        }
    }

    /// Every call fails in some recoveries.
    fn recoveries(&mut self, study: &Study, operations: u64) -> Verdict<()> {
        for number in 0..RECOVERIES {
            let chance = derive(study.settings().seed, number);
            let op = (number * operations + chance % operations) / RECOVERIES;
            let cut = Cut { op, fate: Fate::Power((chance >> 32) as usize % policies()) };
            let (world, _) = study.run_until(op)?;
            let image = world.after(cut);
            drop(image.open()?);
            let troubles = failing(&image).into_iter().map(|fault| Trouble::Recovery { cut, fault });
            self.add(troubles);
        }
        Ok(())
    }
}

/// The most that a run without faults needs.
#[derive(Default)]
struct Needs {
    handles: u64,
    disk_bytes: u64,
    memory_bytes: u64,
}

impl Needs {
    fn see(&mut self, world: &World, env: &DbEnv) {
        let memory = env.stat().map_or(0, |stat| stat.memory.iter().map(|(_, bytes)| bytes).sum());
        self.handles = self.handles.max(world.sim.handles());
        self.disk_bytes = self.disk_bytes.max(world.sim.used_bytes());
        self.memory_bytes = self.memory_bytes.max(memory);
    }
}

/// Every call that `world` has seen fails, in each way that it can.
fn failing(world: &World) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (kind, errors, lasting) in ways() {
        for nth in 0..world.sim.calls(kind) {
            for &error in errors {
                let fail = |sticky| Fault::FailOp { nth, kind, error, sticky };
                faults.extend(lasting.iter().map(|sticky| fail(*sticky)));
            }
        }
    }
    faults.extend((0..world.sim.calls(OpKind::Write)).map(|nth| Fault::ShortWrite { nth }));
    faults.extend((0..world.sim.calls(OpKind::Sync)).map(|nth| Fault::FailSyncDropsDirty { nth }));
    faults
}

/// Kinds of calls, the errors that each can meet, and whether they last.
fn ways() -> Vec<(OpKind, &'static [Errno], &'static [bool])> {
    let mut ways: Vec<(OpKind, &'static [Errno], &'static [bool])> = vec![
        (OpKind::Any, &[Errno::Eio, Errno::Enospc], &[false, true]),
        (OpKind::Read, &[Errno::Eio], &[false, true]),
        (OpKind::Open, &[Errno::Eio, Errno::Emfile], &[false, true]),
        (OpKind::List, &[Errno::Eio], &[false]),
    ];
    ways.extend(LASTING.map(|kind| (kind, &[Errno::Eio][..], &[true][..])));
    ways
}

/// A sync that fails as on Linux, and all later ones as well.
fn failing_syncs(nth: u64) -> Vec<Fault> {
    let lasting = Fault::FailOp { nth, kind: OpKind::Sync, error: Errno::Eio, sticky: true };
    vec![Fault::FailSyncDropsDirty { nth }, lasting]
}
