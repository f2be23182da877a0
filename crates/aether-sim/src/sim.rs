//! The simulation: a disk, its faults, its history, and the switch of the power.

use crate::crash::CrashPolicy;
use crate::disk::Disk;
use crate::fault::{Errno, Fault, Faults, Twist};
use crate::log::{Counts, OpKind, OpRecord, Strike};
use crate::names::FileNo;
use crate::rng::Rng;
use crate::trace;
use crate::vfs::SimVfs;
use aether_sync::{Arc, Condvar, Mutex, MutexGuard, Rank};
use aether_types::{Error, ErrorKind, Result};
use aether_vfs::{Clock, Env, ManualClock, SeededEntropy};
use core::fmt;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The last rank: taken under any lock of the program under test, and nothing under it.
const STATE: Rank = Rank::new(900, "simulated disk");

/// A simulated machine. Copies are handles of the same one.
#[derive(Clone)]
pub struct Sim {
    shared: Arc<Shared>,
}

struct Shared {
    seed: u64,
    state: Mutex<State>,
    /// Stuck calls wait here.
    released: Condvar,
    clock: Arc<ManualClock>,
}

pub(crate) struct State {
    pub(crate) disk: Disk,
    pub(crate) locked: BTreeSet<FileNo>,
    /// How many handles each file has.
    pub(crate) handles: BTreeMap<FileNo, u64>,
    /// What the newest writes have replaced, by file and offset, if a fault waits for it.
    pub(crate) replaced: BTreeMap<(FileNo, u64), Vec<u8>>,
    pub(crate) faults: Faults,
    calls: Counts,
    strikes: Vec<Strike>,
    stuck: u64,
    releases: u64,
    log: Vec<OpRecord>,
    op_count: u64,
    cut_at: Option<u64>,
    is_off: bool,
}

/// How an operation that was let through goes on.
pub(crate) struct Passage {
    pub(crate) twist: Twist,
    /// The power goes off during it.
    pub(crate) in_flight: bool,
}

impl Sim {
    /// A machine with an empty root directory. Relative paths start there.
    pub fn new(seed: u64) -> Self {
        Self::with(seed, State::new(Disk::new()), ManualClock::new())
    }

    fn with(seed: u64, state: State, clock: ManualClock) -> Self {
        let (state, released) = (Mutex::new(STATE, state), Condvar::new());
        Self { shared: Arc::new(Shared { seed, state, released, clock: Arc::new(clock) }) }
    }

    /// Its files, its clock, and entropy that follows from the seed and repeats for every call of this function.
    pub fn env(&self) -> Env {
        Env {
            vfs: Arc::new(SimVfs::new(self.clone())),
            clock: self.shared.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(self.shared.seed)),
        }
    }

    /// Its clock, which moves only when told to, here or by [`Fault::SlowOps`].
    pub fn clock(&self) -> Arc<ManualClock> {
        self.shared.clock.clone()
    }

    /// How many operations there were: writes, syncs, `set_size`, opens that created, removals, renames,
    /// `create_dir`, `sync_dir`. Calls that break a rule of the contract (a missing parent, say) do not count.
    pub fn op_count(&self) -> u64 {
        self.state().op_count
    }

    /// Cuts the power during operation `op`, counted from 0 at the start of this simulation: what it does may
    /// survive, it fails, and so does every call after it. At once, if that operation is in the past.
    pub fn cut_power_at(&self, op: u64) {
        let mut state = self.state();
        state.cut_at = Some(op);
        state.is_off |= state.op_count > op;
        self.shared.released.notify_all();
    }

    /// How many calls of this kind there were, counted operations or not, whether they failed or not.
    pub fn calls(&self, kind: OpKind) -> u64 {
        self.state().calls.of(kind)
    }

    /// How many calls of this kind a fault of [`inject`](Self::inject) has struck.
    pub fn struck(&self, kind: OpKind) -> u64 {
        self.state().strikes.iter().filter(|strike| kind.covers(strike.kind)).count() as u64
    }

    /// Every call that a fault has struck. A full disk is a state of the disk and strikes nobody.
    pub fn strikes(&self) -> Vec<Strike> {
        self.state().strikes.clone()
    }

    /// How many calls are stuck now.
    pub fn stuck(&self) -> u64 {
        self.state().stuck
    }

    /// Lets the calls go on that are stuck now.
    pub fn release(&self) {
        self.state().releases += 1;
        self.shared.released.notify_all();
    }

    /// How many handles there are now.
    pub fn handles(&self) -> u64 {
        self.state().handles.values().sum()
    }

    /// Bytes of disk that the files take to which a name leads.
    pub fn used_bytes(&self) -> u64 {
        self.state().disk.used()
    }

    /// Adds this many bytes to the space of a disk that [`Fault::DiskFull`] has made small.
    pub fn give_space(&self, bytes: u64) {
        self.state().disk.free(bytes);
    }

    /// True once the power is cut.
    pub fn is_off(&self) -> bool {
        self.state().is_off
    }

    /// The machine after a power cut now, started again: what survives, all of it durable; no faults, no locks, no
    /// history. The same history and policy give the same image.
    pub fn crash_image(&self, policy: CrashPolicy) -> Self {
        trace::power_cut(|| {
            let disk = self.state().disk.survivor(policy);
            self.another(disk, Faults::default())
        })
    }

    /// The machine after the death of the process now: everything written is there, still unsynced; no faults, no
    /// locks, no history. After a power cut, the operation in flight is taken as done.
    pub fn kill_image(&self) -> Self {
        trace::die(|| {
            let disk = self.state().disk.clone();
            self.another(disk, Faults::default())
        })
    }

    /// A copy with what is unsynced and with its faults; no locks, no history, the power on.
    pub fn fork(&self) -> Self {
        let state = self.state();
        let (disk, faults) = (state.disk.clone(), state.faults.clone());
        drop(state);
        self.another(disk, faults)
    }

    fn another(&self, disk: Disk, faults: Faults) -> Self {
        let clock = ManualClock::new();
        clock.advance(self.shared.clock.now());
        let seed = Rng::new(self.shared.seed).next();
        Self::with(seed, State { faults, ..State::new(disk) }, clock)
    }

    /// Puts a fault in wait, or, if it is a state of the disk, brings it about now.
    pub fn inject(&self, fault: Fault) {
        let mut state = self.state();
        match fault {
            Fault::FlipBit { path, byte, bit } => state.disk.flip(&path, byte, bit),
            Fault::DiskFull { bytes_left } => state.disk.set_space(Some(bytes_left)),
            fault => state.faults.add(fault),
        }
    }

    /// Ends every fault that is in wait or sticky, and gives the disk endless space. Damage stays.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults = Faults::default();
        state.disk.set_space(None);
    }

    /// The operations so far, for printing a failing history.
    pub fn log(&self) -> Vec<OpRecord> {
        self.state().log.clone()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock()
    }

    /// Records and counts an operation and lets it through, unless a fault strikes. Waits while it is stuck.
    pub(crate) fn begin<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        record: (OpKind, &Path, u64, u64),
    ) -> Result<(MutexGuard<'a, State>, Passage)> {
        let (kind, path, offset, len) = record;
        let passage = state.begin(kind, path, offset, len)?;
        if passage.in_flight {
            self.shared.released.notify_all();
        }
        self.shared.clock.advance(state.faults.pause());
        if passage.twist != Twist::Stuck {
            return Ok((state, passage));
        }
        let state = self.hold(state);
        state.check_power(path)?;
        Ok((state, passage))
    }

    /// Lets an uncounted call through, unless a fault strikes. Waits while it is stuck.
    pub(crate) fn pass(&self, kind: OpKind, path: &Path) -> Result<(MutexGuard<'_, State>, Twist)> {
        let mut state = self.state();
        state.check_power(path)?;
        match state.strike(kind, path) {
            Twist::Fail(errno) => Err(failed(kind, path, errno)),
            Twist::Stuck => {
                let state = self.hold(state);
                state.check_power(path)?;
                Ok((state, Twist::None))
            }
            twist => Ok((state, twist)),
        }
    }

    fn hold<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let round = state.releases;
        state.stuck += 1;
        while state.releases == round && !state.is_off {
            state = self.shared.released.wait(state);
        }
        state.stuck -= 1;
        state
    }
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        write!(f, "Sim({} operations{})", state.op_count, if state.is_off { ", off" } else { "" })
    }
}

impl State {
    fn new(disk: Disk) -> Self {
        Self {
            disk,
            locked: BTreeSet::new(),
            handles: BTreeMap::new(),
            replaced: BTreeMap::new(),
            faults: Faults::default(),
            calls: Counts::default(),
            strikes: Vec::new(),
            stuck: 0,
            releases: 0,
            log: Vec::new(),
            op_count: 0,
            cut_at: None,
            is_off: false,
        }
    }

    /// Nothing works without power.
    pub(crate) fn check_power(&self, path: &Path) -> Result<()> {
        if self.is_off { Err(power_is_off(path)) } else { Ok(()) }
    }

    /// Counts a call for the faults and says what they do to it.
    fn strike(&mut self, kind: OpKind, path: &Path) -> Twist {
        self.calls.add(kind);
        let twist = self.faults.strike(kind);
        if twist != Twist::None {
            self.note(kind, path, twist.error());
        }
        twist
    }

    fn note(&mut self, kind: OpKind, path: &Path, error: Option<Errno>) {
        self.strikes.push(Strike { kind, path: path.to_path_buf(), error });
    }

    /// Refuses another handle if there are too many.
    pub(crate) fn check_handles(&mut self, path: &Path) -> Result<()> {
        let open: u64 = self.handles.values().sum();
        if self.faults.handles_max().is_some_and(|most| open >= most) {
            self.note(OpKind::Open, path, Some(Errno::Emfile));
            return Err(failed(OpKind::Open, path, Errno::Emfile));
        }
        Ok(())
    }

    /// Records and counts an operation and lets it through, unless a fault strikes.
    fn begin(&mut self, kind: OpKind, path: &Path, offset: u64, len: u64) -> Result<Passage> {
        self.check_power(path)?;
        let index = self.op_count;
        self.op_count += 1;
        self.log.push(OpRecord { index, kind, path: path.to_path_buf(), offset, len });
        if self.cut_at == Some(index) {
            self.calls.add(kind);
            trace::crash(|| self.is_off = true);
            return Ok(Passage { twist: Twist::None, in_flight: true });
        }
        match self.strike(kind, path) {
            Twist::Fail(errno) => Err(failed(kind, path, errno)),
            twist => Ok(Passage { twist, in_flight: false }),
        }
    }

    pub(crate) fn forget_unreachable(&mut self) {
        self.disk.forget_unreachable(self.handles.keys().copied());
    }
}

impl Passage {
    /// The end of an operation that was in flight when the power went off.
    pub(crate) fn end(&self, path: &Path) -> Result<()> {
        if self.in_flight { Err(power_is_off(path)) } else { Ok(()) }
    }
}

fn power_is_off(path: &Path) -> Error {
    Error::new(ErrorKind::Io, "power is off").at_path(path)
}

pub(crate) fn failed(kind: OpKind, path: &Path, errno: Errno) -> Error {
    Error::io(format!("injected: {kind:?} fails"), path, errno.into())
}
