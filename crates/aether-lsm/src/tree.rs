//! The LSM tree: rows in memory over runs, one index among the others.
//!
//! The newest rows are in memory, as in a skiplist keyspace: logged with their undo, locked, rolled back and redone like all others. A
//! flush writes those that are settled to a run and takes them out; merges put runs together as the policy says. Which runs there are is
//! in the manifest, a B+tree changed by ordinary transactions. So a transaction may change an LSM tree and a B+tree together, and
//! a snapshot shows one state of both.
//!
//! Reading order: `manifest`, `runs` (the list of runs, and what they say of a key), `writer`, `flushing`, `merging`, `charge` (the policy),
//! `cursor`, `factory`, `dropped`, `workers`, `index`, `salvage`; `pending` and `ingest`, rows that come sorted and ranges that go. Memory is bounded by the
//! [`Pacer`]: a write pays before it takes any latch.
//!
//! O'Neil et al., "The log-structured merge-tree" (Acta Informatica 33, 1996). Large values stand beside the runs, after Lu et al.,
//! "WiscKey" (FAST 2016); here each file of values goes once most of it is garbage, by merges that take along what is left.

mod charge;
mod config;
mod cursor;
mod dropped;
mod factory;
mod filters;
mod flushing;
mod index;
mod ingest;
mod manifest;
mod merging;
mod pending;
mod rank;
mod runs;
mod salvage;
mod stat;
mod workers;
mod working;
mod writer;

pub use config::LsmConfig;
pub use cursor::LsmCursor;
pub use factory::LsmFactory;
pub use stat::{LevelStat, LsmStat, MergeStat};

use crate::pacer::{Pacer, Work};
use crate::policy::{MergePolicy, PolicyKind};
use crate::run::{Kind, Run as RunFile};
use crate::schedule::{Closed, Schedule};
use crate::values::{ValueAt, ValueFile};
use crate::version::Version;
use aether_index::resident::{Flush, Resident};
use aether_index::rows::{Seen, read_extents};
use aether_index::txn::recovery::Advance;
use aether_index::txn::recovery::wal::buffer::page::sync::{Arc, Counter, Mutex, MutexGuard};
use aether_index::txn::{ReadView, Txn, TxnManager};
use aether_sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use aether_types::{Error, ErrorKind, FileId, Result};
use charge::Policy;
use flushing::FlushJob;
use manifest::RunRow;
use merging::MergeJob;
use pending::Pending;
use runs::{Runs, Sight};
use workers::Workers;
use working::Working;

/// Puts after which who writes looks at it, where there are no threads.
const OBSERVE_PUTS: u64 = 1024;

/// An LSM tree. Cheap to clone.
#[derive(Clone)]
pub struct Lsm(Arc<Inner>);

/// A run as versions hold it.
pub(crate) struct Live {
    pub(crate) run: Arc<RunFile>,
    /// The files of large values that its entries name, each with the bytes that they name there.
    pub(crate) values: Vec<(Arc<ValueFile>, u64)>,
    /// Who has ingested it, unless a flush or a merge wrote it.
    pending: Option<Pending>,
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
        RunRow { info: self.run.info().clone(), values, pending: self.writer() }
    }
}

/// On whose behalf a slice of work is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum OnBehalf {
    /// A writer pays; syncs are left to background threads, if there are any and as long as they are not stopped.
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
    /// Background threads are there, to sync and to settle: payers leave that to them.
    has_threads: Arc<AtomicBool>,
    gets: Counter,
    /// Runs that filters told scans to leave out.
    runs_spared: Counter,
    scans: Counter,
    puts: Counter,
    put_bytes: Counter,
    /// Bytes that memory has taken in since the tree was opened, as the pacer counts them.
    taken_in: Counter,
    flushed: Counter,
    merged: Counter,
    ingested: Counter,
    /// Who ingests rows or deletes a range just now: flushes let the log of all rows go meanwhile.
    ingesting: AtomicU64,
}

/// Nobody flushes or merges as long as this lives.
struct Alone<'a> {
    /// Of large values whose rows have left memory: to be retired.
    stubs: Vec<Vec<u8>>,
    _flush: MutexGuard<'a, Option<FlushJob>>,
    _merges: Closed<'a, MergeJob>,
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
    /// As [`Resident::put`]; those of flushing and merging, before anything is changed; `NotFound` if the tree is no more.
    pub fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        self.0.pay(key, value.len() as u64)?;
        self.0.with_room(|| self.0.rows.put(txn, key, value))
    }

    /// Deletes; false if there was nothing. Blocks for reads, as a deletion must know.
    ///
    /// # Errors
    /// As [`Lsm::put`].
    pub fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        self.0.pay(key, 0)?;
        self.0.with_room(|| self.0.rows.delete(txn, key))
    }

    /// Flushes what is settled in memory now; nothing as long as who made the tree has not committed. Blocks until that is on disk.
    ///
    /// # Errors
    /// Those of the disk and of the log; nothing is lost. `NotFound` if the tree is no more.
    pub fn flush(&self) -> Result<()> {
        self.0.runs.check_open()?;
        self.0.flush_all(OnBehalf::Worker)
    }

    /// Merges until the policy has nothing more to ask for. Blocks.
    ///
    /// # Errors
    /// Those of the disk and of the log, `Corruption` of a run; what was merged before stays merged. `NotFound` if the tree is no more.
    pub fn merge_all(&self) -> Result<()> {
        self.0.runs.check_open()?;
        self.0.merge_everything()
    }

    /// Lets another merge policy take over; what is there stays where it is until that policy wants it merged. Blocks for the log.
    ///
    /// # Errors
    /// Those of the log. `NotFound` if the tree is no more.
    pub fn set_policy(&self, kind: PolicyKind) -> Result<()> {
        self.0.put_in_charge(kind)?;
        self.0.merges.look_again();
        self.0.reckon();
        Ok(())
    }

    /// How often the list of runs was looked through for ingested ones that everybody sees by now.
    #[doc(hidden)]
    pub fn looks_for_pending(&self) -> u64 {
        self.0.runs.looks.get()
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
        let found = self.find(view, key, out)?;
        self.read_found(found, start, out)
    }

    /// Puts the value that was found behind `start` of the output, which has what was found there; false if there is none.
    fn read_found(&self, found: Found, start: usize, out: &mut Vec<u8>) -> Result<bool> {
        match found {
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
        let found = self.find_below(&self.runs.read(), key, Sight::of(&self.runs, view), out)?;
        view.check()?;
        Ok(found)
    }

    fn find_below(
        &self,
        version: &Version<Live>,
        key: &[u8],
        sight: Sight<'_>,
        out: &mut Vec<u8>,
    ) -> Result<Found> {
        let start = out.len();
        let Some((answer, run)) = runs::find(version, key, sight, out, |_| true)? else {
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

    /// Pays for a write of that key with so many bytes of value before it takes any latch: for what memory comes to hold.
    fn pay(&self, key: &[u8], value_bytes: u64) -> Result<()> {
        self.runs.check_open()?;
        let (key_bytes, held_bytes) = (key.len() as u64, self.rows.held_bytes(value_bytes));
        self.puts.add(1);
        self.put_bytes.add(key_bytes.saturating_add(value_bytes));
        let taken = key_bytes + held_bytes + ROW_BYTES;
        self.taken_in.add(taken);
        let paid = self.pacer.write(taken, self)?;
        if paid.is_time_to_look && self.pacer.next().is_some() {
            self.workers.wake();
        }
        if !self.has_threads() && self.puts.get().is_multiple_of(OBSERVE_PUTS) {
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
        // There may be another merge now, beside those under way.
        if pending > 0 {
            self.workers.wake();
        }
    }

    /// Gives up the flush and the merges under way, and keeps others from it. Blocks for the slices in hand.
    fn be_alone(&self) -> Alone<'_> {
        let mut flush = self.flush.lock();
        let stubs = flush.take().map_or(Vec::new(), |job| job.give_up(&self.rows));
        Alone { stubs, _flush: flush, _merges: self.merges.close() }
    }

    /// The tree is no more: nothing is flushed, merged or edited from now on. Blocks for the slices in hand.
    fn end(&self) {
        let _alone = self.be_alone();
        self.runs.end();
    }

    /// True until the background threads are stopped, if there are any.
    fn has_threads(&self) -> bool {
        self.has_threads.load(Relaxed)
    }

    /// Tells the pacer what is owed after some work was done. Of what background threads are at, writers pay for no more than what
    /// is free anyway: a large merge is no reason to slow them down, but what waits behind it is.
    fn owes(&self) {
        let left = self.merges.left_bytes();
        let low = self.config.pacer().merging.low;
        let counted = if self.has_threads() { left.min(low) } else { left };
        self.pacer.owes(self.pending.load(Relaxed).saturating_add(counted));
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
