//! The LSM tree: rows in memory over runs, one index among the others.
//!
//! The newest rows are in memory, as in a skiplist keyspace: logged with their undo, locked, rolled back and redone like all others. A
//! flush writes those that are settled to a run and takes them out; merges put runs together as the policy says. Which runs there are is
//! in the manifest, a B+tree changed by ordinary transactions. So a transaction may change an LSM tree and a B+tree together, and
//! a snapshot shows one state of both.
//!
//! Reading order: `manifest`, `runs` (the list of runs, and what they say of a key), `writer`, `flushing`, `merging`, `cursor`, `factory`,
//! `workers`, `index`. Memory is bounded by the [`Pacer`]: a write pays before it takes any latch.
//!
//! O'Neil et al., "The log-structured merge-tree" (Acta Informatica 33, 1996). Large values stand beside the runs, after Lu et al.,
//! "WiscKey" (FAST 2016); here each file of values goes once most of it is garbage, by merges that take along what is left.

mod config;
mod cursor;
mod factory;
mod flushing;
mod index;
mod manifest;
mod merging;
mod rank;
mod runs;
mod stat;
mod workers;
mod working;
mod writer;

pub use config::LsmConfig;
pub use cursor::LsmCursor;
pub use factory::LsmFactory;
pub use stat::{LevelStat, LsmStat, MergeStat};

use crate::pacer::{Pacer, Work};
use crate::policy::{Adaptive, MergePolicy, Mix, PolicyKind, Switch};
use crate::run::{Kind, Run as RunFile};
use crate::schedule::Schedule;
use crate::values::{ValueAt, ValueFile};
use aether_index::resident::{Flush, Resident};
use aether_index::rows::{Seen, read_extents};
use aether_index::txn::recovery::Advance;
use aether_index::txn::recovery::wal::buffer::page::sync::{Arc, Counter, Mutex};
use aether_index::txn::{ReadView, Txn, TxnManager};
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_types::{Error, ErrorKind, FileId, Result};
use flushing::FlushJob;
use manifest::RunRow;
use merging::MergeJob;
use runs::Runs;
use std::collections::VecDeque;
use std::time::Duration;
use workers::Workers;
use working::Working;

/// The time over which the use of a tree is looked at.
const OBSERVE_EVERY: Duration = Duration::from_secs(1);
/// Puts after which who writes looks at it, where there are no threads.
const OBSERVE_PUTS: u64 = 1024;
/// Switches of the policy that are remembered.
const SWITCHES: usize = 16;

/// An LSM tree. Cheap to clone.
#[derive(Clone)]
pub struct Lsm(Arc<Inner>);

/// A run as versions hold it.
pub(crate) struct Live {
    pub(crate) run: Arc<RunFile>,
    /// The files of large values that its entries name, each with the bytes that they name there.
    pub(crate) values: Vec<(Arc<ValueFile>, u64)>,
}

impl Live {
    /// The file of values `file`, which a stub of the run names.
    ///
    /// # Errors
    /// `Corruption` if the run does not say so.
    fn values_in(&self, file: FileId) -> Result<Arc<ValueFile>> {
        let held = self.values.iter().find(|(held, _)| held.info().file == file);
        let missing = || {
            let what = format!("a value in {file}, of which the manifest says nothing");
            Error::corruption(what).at_file(self.run.info().file)
        };
        held.map(|(held, _)| held.clone()).ok_or_else(missing)
    }

    fn row(&self) -> RunRow {
        let values = self.values.iter().map(|(held, bytes)| (held.info().file, *bytes)).collect();
        RunRow { info: self.run.info().clone(), values }
    }
}

/// On whose behalf a slice of work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnBehalf {
    /// A writer pays; syncs are left to background threads, if there are any.
    Payer,
    /// A background thread, or whoever asked for the work itself.
    Worker,
    /// The log must go: what is not settled is logged again.
    Log,
}

pub(crate) struct Inner {
    txns: Arc<TxnManager>,
    rows: Resident,
    runs: Arc<Runs>,
    config: LsmConfig,
    pacer: Pacer,
    policy: Mutex<Policy>,
    flush: Mutex<Option<FlushJob>>,
    merges: Schedule<MergeJob>,
    /// Bytes to be merged beside those merges.
    pending: AtomicU64,
    workers: Arc<Workers>,
    gets: Counter,
    scans: Counter,
    puts: Counter,
    put_bytes: Counter,
    flushed: Counter,
    merged: Counter,
}

/// The policy in charge, and what it has changed.
struct Policy {
    kind: PolicyKind,
    policy: Adaptive,
    switches: VecDeque<Switch>,
    /// The use when the policy was told last.
    told: Mix,
    /// When, on the store's clock.
    told_at: Duration,
}

impl Policy {
    fn new(kind: PolicyKind, level_runs: Option<usize>) -> Self {
        let policy = Adaptive::of(kind, level_runs);
        Self { kind, policy, switches: VecDeque::new(), told: Mix::default(), told_at: Duration::ZERO }
    }

    fn pick(&self, shape: &crate::policy::Shape) -> Option<crate::policy::Plan> {
        self.policy.pick(shape)
    }

    fn note(&mut self, switch: Option<Switch>) {
        self.switches.extend(switch);
        if self.switches.len() > SWITCHES {
            self.switches.pop_front();
        }
    }
}

/// Where a value stands.
pub(crate) enum Found {
    Nothing,
    /// In the output.
    Value,
    /// In extents of the page file; the output has the stub.
    Extents,
    /// In a file of values.
    File(Arc<ValueFile>, ValueAt),
}

impl Lsm {
    /// The tree's id.
    pub fn id(&self) -> u32 {
        self.0.rows.id()
    }

    /// The transactions that it takes part in.
    pub fn manager(&self) -> &Arc<TxnManager> {
        &self.0.txns
    }

    /// The rows in memory.
    pub fn memtable(&self) -> &Resident {
        &self.0.rows
    }

    /// Appends the value of `key`, as `view` shows it, to `out`; false if there is none. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption`, `Io`; `Expired` for a view that is over.
    pub fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        self.0.gets.add(1);
        self.0.get_any(view, key, out)
    }

    /// Inserts or replaces. Blocks; pays for flushes and merges first, should they be behind.
    ///
    /// # Errors
    /// As [`Resident::put`]; those of flushing and merging, before anything is changed.
    pub fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.pay(key.len() + value.len())?;
        self.0.with_room(|| self.0.rows.put(txn, key, value))
    }

    /// Deletes; false if there was nothing. Blocks for reads, as a deletion must know.
    ///
    /// # Errors
    /// As [`Lsm::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.0.pay(key.len())?;
        self.0.with_room(|| self.0.rows.delete(txn, key))
    }

    /// Flushes what is settled in memory now; nothing as long as who made the tree has not committed. Blocks until that is on disk.
    ///
    /// # Errors
    /// Those of the disk and of the log; nothing is lost.
    pub fn flush(&self) -> Result<()> {
        self.0.flush_all(OnBehalf::Worker)
    }

    /// Merges until the policy has nothing more to ask for. Blocks.
    ///
    /// # Errors
    /// Those of the disk and of the log, `Corruption` of a run; what was merged before stays merged.
    pub fn merge_all(&self) -> Result<()> {
        self.0.merge_everything()
    }

    /// Lets another merge policy take over; what is there stays where it is until that policy wants it merged. Blocks for the log.
    ///
    /// # Errors
    /// Those of the log.
    pub fn set_policy(&self, kind: PolicyKind) -> Result<()> {
        {
            let mut policy = self.0.policy.lock();
            policy.kind = kind;
            let switch = policy.policy.choose(kind);
            policy.note(switch);
        }
        let _now = Working::begin();
        let mut txn = self.0.runs.manifest.begin();
        self.0.put_policy(&mut txn)?;
        self.0.runs.manifest.commit(txn)?;
        self.0.merges.look_again();
        self.0.reckon();
        self.0.workers.wake();
        Ok(())
    }

    /// The files that the tree's runs and large values are in.
    pub fn files(&self) -> std::collections::BTreeSet<FileId> {
        self.0.runs.files()
    }
}

impl Inner {
    /// Appends the value of `key` that `view` shows; false if there is none.
    fn get_any(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        match self.find(view, key, out)? {
            Found::Nothing => return Ok(false),
            Found::Value => {}
            Found::Extents => {
                let stub = out.split_off(start);
                read_extents(self.txns.store(), &stub, out)?;
            }
            Found::File(held, at) => held.read_into(at, out)?,
        }
        Ok(true)
    }

    /// Where the value of `key` stands that `view` shows.
    fn find(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<Found> {
        // First in memory: what goes from there is in the list of runs before it is gone.
        match self.rows.get_row(view, key, out)? {
            Seen::Value => return Ok(Found::Value),
            Seen::Stub => return Ok(Found::Extents),
            Seen::Absent => return Ok(Found::Nothing),
            Seen::Missing => {}
        }
        let found = self.find_below(key, view.at(), out)?;
        view.check()?;
        Ok(found)
    }

    fn find_below(&self, key: &[u8], snapshot: aether_types::Timestamp, out: &mut Vec<u8>) -> Result<Found> {
        let version = self.runs.current();
        let start = out.len();
        let Some((answer, run)) = runs::find(&version, key, snapshot, out, |_| true)? else {
            return Ok(Found::Nothing);
        };
        Ok(match answer.kind {
            Kind::Tombstone => Found::Nothing,
            Kind::Value => Found::Value,
            Kind::Stub => {
                let at = ValueAt::decode(&out[start..]).map_err(|error| error.at_key(key))?;
                out.truncate(start);
                Found::File(run.values_in(at.file)?, at)
            }
        })
    }

    /// Bytes that were written into memory since the tree was opened, as the pacer counts them.
    fn taken_in(&self) -> u64 {
        self.put_bytes.get() + ROW_BYTES * self.puts.get()
    }

    /// Pays for a write of so many bytes before it takes any latch.
    fn pay(&self, bytes: usize) -> Result<()> {
        self.puts.add(1);
        self.put_bytes.add(bytes as u64);
        self.pacer.write(bytes as u64 + ROW_BYTES, self)?;
        if self.pacer.next().is_some() {
            self.workers.wake();
        }
        if self.config.threads == 0 && self.puts.get().is_multiple_of(OBSERVE_PUTS) {
            self.observe();
        }
        Ok(())
    }

    /// True if a memtable has come since the last flush. What that has left could not go, and another at once would only write the
    /// same again.
    fn is_flush_due(&self) -> bool {
        let (waiting, _) = self.pacer.debts();
        waiting >= self.config.unit_bytes()
    }

    /// Tries again after a flush, should the budget have no memory.
    fn with_room<T>(&self, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::OverLimit => {
                self.flush_all(OnBehalf::Worker)?;
                attempt()
            }
            attempted => attempted,
        }
    }

    /// A whole flush, beginning now.
    fn flush_all(&self, who: OnBehalf) -> Result<()> {
        let mut job = self.flush.lock();
        while job.is_some() && self.flush_slice(&mut job, u64::MAX, who)?.is_some() {}
        let Some(_) = self.flush_slice(&mut job, u64::MAX, who)? else { return Ok(()) };
        while job.is_some() && self.flush_slice(&mut job, u64::MAX, who)?.is_some() {}
        Ok(())
    }

    /// Finds out what is owed after a change of the runs or of the policy.
    fn reckon(&self) {
        let ahead = self.runs.shape_ahead(self.config.unit_bytes());
        let (pending, price) = {
            let policy = self.policy.lock();
            (policy.policy.owed(&ahead), policy.policy.price(&ahead))
        };
        self.pending.store(pending, Relaxed);
        self.pacer.charge(price);
        self.owes();
    }

    /// Tells the pacer what is owed after some work was done. Of what background threads are at, writers pay for no more than what
    /// is free anyway: a large merge is no reason to slow them down, but what waits behind it is.
    fn owes(&self) {
        let left = self.merges.left_bytes();
        let low = self.config.pacer().merging.low;
        let counted = if self.config.threads == 0 { left } else { left.min(low) };
        self.pacer.owes(self.pending.load(Relaxed).saturating_add(counted));
    }

    fn put_policy(&self, txn: &mut Txn) -> Result<()> {
        let kind = self.policy.lock().kind;
        self.runs.manifest.put_policy(txn, kind)
    }

    /// Tells the policy what the tree was used for since the last time, if that was long enough ago.
    fn observe(&self) {
        let clock = self.txns.store().env().clock.now();
        let now = Mix { gets: self.gets.get(), scans: self.scans.get(), puts: self.puts.get() };
        let switch = {
            let mut policy = self.policy.lock();
            if clock.saturating_sub(policy.told_at) < OBSERVE_EVERY {
                return;
            }
            policy.told_at = clock;
            let told = core::mem::replace(&mut policy.told, now);
            let switch = policy.policy.observe(Mix {
                gets: now.gets - told.gets,
                scans: now.scans - told.scans,
                puts: now.puts - told.puts,
            });
            policy.note(switch);
            switch
        };
        if switch.is_some() {
            self.merges.look_again();
            self.reckon();
        }
    }
}

/// What a row takes in memory besides key and value, about.
const ROW_BYTES: u64 = 64;

/// Memtables in memory up to which nobody waits for a background thread.
const WAIT_FROM: u64 = 4;

impl Work for Inner {
    fn flush(&self, bytes: u64) -> Result<u64> {
        let (waiting, _) = self.pacer.debts();
        // Background threads sync. Only who would take too much memory waits for them, and syncs too.
        if waiting > WAIT_FROM * self.config.unit_bytes() {
            let mut job = self.flush.lock();
            return Ok(self.flush_slice(&mut job, bytes, OnBehalf::Worker)?.unwrap_or(0));
        }
        let Some(mut job) = self.flush.try_lock() else { return Ok(0) };
        if job.is_none() && !self.is_flush_due() {
            return Ok(0);
        }
        Ok(self.flush_slice(&mut job, bytes, OnBehalf::Payer)?.unwrap_or(0))
    }

    fn merge(&self, bytes: u64) -> Result<u64> {
        Ok(self.merge_some(bytes, OnBehalf::Payer)?.unwrap_or(0))
    }
}

impl Flush for Inner {
    fn flush(&self) -> Result<Advance> {
        if Working::is_here() {
            return Ok(Advance::Cannot);
        }
        let Some(mut job) = self.flush.try_lock() else { return Ok(Advance::Busy) };
        match self.flush_slice(&mut job, crate::pacer::SLICE_BYTES, OnBehalf::Log)? {
            Some(_) => Ok(Advance::Again),
            None => Ok(Advance::Reached),
        }
    }
}
