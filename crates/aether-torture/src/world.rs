//! The simulated machine that a store lives on, with a planted bug if the test asks for one.

use crate::mutant::{Call, Mutant, Switch};
use crate::oracle::{Verdict, failed};
use crate::rng::derive;
use crate::shape::{self, Shape};
use aether_kv::{DbEnv, Options};
use aether_sim::{CrashPolicy, Errno, OpKind, Sim, Strike};
use aether_sync::Arc;
use aether_types::{Hasher, Result};
use aether_vfs::{Env, Vfs, read_file};
use std::path::Path;

/// What becomes of the unsynced bytes and names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The process dies; nothing that was written is lost.
    Kill,
    /// The power fails, with the policy of this index in `CrashPolicy::all`.
    Power(usize),
}

/// One interruption: before the operation of this number is done (counted from the start of the run or of the
/// recovery), and what becomes of the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The operation.
    pub op: u64,
    /// The rest.
    pub fate: Fate,
}

impl core::fmt::Display for Cut {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.fate {
            Fate::Kill => write!(f, "{}:kill", self.op),
            Fate::Power(index) => write!(f, "{}:{index}", self.op),
        }
    }
}

impl core::str::FromStr for Cut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not OP:POLICY, with a number or \"kill\" as policy");
        let (op, fate) = text.split_once(':').ok_or_else(wrong)?;
        let fate = match fate {
            "kill" => Fate::Kill,
            index => Fate::Power(index.parse().map_err(|_| wrong())?),
        };
        Ok(Self { op: op.parse().map_err(|_| wrong())?, fate })
    }
}

/// A machine.
pub struct World {
    /// The simulator.
    pub sim: Sim,
    seed: u64,
    shape: Shape,
    /// The memory that the store may use; it counts until a restart.
    memory_bytes: u64,
    switch: Arc<Switch>,
}

impl World {
    /// A machine with empty disks.
    pub fn new(seed: u64, shape: Shape, mutant: Option<Mutant>) -> Self {
        Self::with_switch(seed, shape, Switch::new(mutant, false))
    }

    /// A machine with empty disks that records every call.
    pub fn traced(seed: u64, shape: Shape) -> Self {
        Self::with_switch(seed, shape, Switch::new(None, true))
    }

    fn with_switch(seed: u64, shape: Shape, switch: Switch) -> Self {
        Self { sim: Sim::new(seed), seed, shape, memory_bytes: u64::MAX, switch: Arc::new(switch) }
    }

    /// The same machine with so many bytes of memory for the store.
    #[must_use]
    pub fn with_memory(self, memory_bytes: u64) -> Self {
        Self { memory_bytes, ..self }
    }

    /// What the engine gets to see.
    pub fn env(&self) -> Env {
        self.switch.wrap(self.sim.env())
    }

    /// Opens the store that lives here, or creates it.
    ///
    /// # Errors
    /// What the engine reports, in words.
    pub fn open(&self) -> Verdict<DbEnv> {
        self.open_tuned(0)
    }

    /// Opens the store tuned in another way.
    ///
    /// # Errors
    /// What the engine reports, in words.
    pub fn open_tuned(&self, tuning: u64) -> Verdict<DbEnv> {
        self.open_as(self.shape.tuned(tuning), |_| ())
    }

    /// Opens the store with other options than its shape has.
    ///
    /// # Errors
    /// What the engine reports, in words.
    pub fn open_with(&self, change: impl FnOnce(&mut Options)) -> Verdict<DbEnv> {
        self.open_as(self.shape, change)
    }

    fn open_as(&self, shape: Shape, change: impl FnOnce(&mut Options)) -> Verdict<DbEnv> {
        let mut options = Options { memory_bytes: self.memory_bytes, ..shape.options() };
        change(&mut options);
        DbEnv::open_in(self.env(), shape::home(), options).map_err(failed("open"))
    }

    /// Syncs that have failed so far, of files and of directories. A file that is being made and for which the disk is
    /// too full is thrown away, and so is the file of a run, whatever the cause: its sync may fail.
    pub fn failed_syncs(&self) -> u64 {
        let thrown_away = |strike: &Strike| {
            let path = strike.path.to_string_lossy();
            let is_run = ["/run-", "/values-"].iter().any(|name| path.contains(name));
            is_run || strike.error == Some(Errno::Enospc) && path.contains("-free-")
        };
        let is_sync = |strike: &Strike| matches!(strike.kind, OpKind::Sync | OpKind::SyncDir);
        let strikes = self.sim.strikes().into_iter().filter(|strike| strike.error.is_some());
        strikes.filter(|strike| is_sync(strike) && !thrown_away(strike)).count() as u64
    }

    /// How the store is opened.
    pub fn options(&self) -> Options {
        self.shape.options()
    }

    /// The name of the file of every write made so far.
    pub fn writes(&self) -> Vec<String> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let log = self.sim.log();
        log.iter().filter(|op| op.kind == OpKind::Write).map(|op| name(&op.path)).collect()
    }

    /// The same machine after the death of the process: nothing that was written is lost, and no fault waits any more.
    pub fn at_rest(&self) -> Self {
        self.with_sim(self.sim.kill_image())
    }

    /// The calls made so far, if they are recorded.
    pub fn calls(&self) -> Vec<Call> {
        self.switch.calls()
    }

    /// Says that a commit begins or ends, for the bugs that tell the difference.
    pub fn set_committing(&self, committing: bool) {
        self.switch.set_committing(committing);
    }

    /// The same machine once more.
    pub fn fork(&self) -> Self {
        self.with_sim(self.sim.fork())
    }

    /// The machine after an interruption at `cut.op`, switched on again.
    pub fn after(&self, cut: Cut) -> Self {
        self.with_sim(match cut.fate {
            Fate::Kill => self.sim.kill_image(),
            Fate::Power(index) => self.sim.crash_image(policy(self.seed, cut.op, index)),
        })
    }

    /// A checksum of every name and byte on the disk.
    ///
    /// # Errors
    /// If the disk cannot be read: the power is off, or a fault waits for reads.
    pub fn fingerprint(&self) -> Result<u64> {
        let mut hasher = Hasher::new(0);
        digest(&*self.sim.env().vfs, Path::new("/"), &mut hasher)?;
        Ok(hasher.finish())
    }

    fn with_sim(&self, sim: Sim) -> Self {
        let switch = Arc::new(self.switch.restarted());
        Self { sim, seed: self.seed, shape: self.shape, memory_bytes: u64::MAX, switch }
    }
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.sim.fmt(f)
    }
}

/// Hashes the names and bytes below `dir`.
fn digest(vfs: &dyn Vfs, dir: &Path, hasher: &mut Hasher) -> Result<()> {
    for entry in vfs.list(dir)? {
        let path = dir.join(&entry.name);
        hasher.update(path.as_os_str().as_encoded_bytes()).number(entry.size);
        if entry.is_dir {
            digest(vfs, &path, hasher)?;
        } else {
            hasher.update(&read_file(vfs, &path)?);
        }
    }
    Ok(())
}

/// How many ways of losing power there are.
pub fn policies() -> usize {
    CrashPolicy::all(0).len()
}

/// The policy of this index for a cut at `op`; the same number gives the same chances again.
fn policy(seed: u64, op: u64, index: usize) -> CrashPolicy {
    let mut all = CrashPolicy::all(derive(seed, op));
    let last = all.len() - 1;
    all.swap_remove(index.min(last))
}

/// The name of a fate, for people.
pub fn fate_name(fate: Fate) -> String {
    match fate {
        Fate::Kill => "process killed".into(),
        Fate::Power(index) => format!("{:?}", policy(0, 0, index)),
    }
}
