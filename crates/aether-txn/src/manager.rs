//! The transaction manager: clock, table, snapshots, and when versions may go.

use crate::commit::Durability;
use crate::isolation::{Isolation, TxnOptions};
use crate::lock::LockTable;
use crate::publication::Publication;
use crate::rank;
use crate::registry::Registry;
use crate::rollback::UndoHandler;
use crate::segment::Segments;
use crate::serial::account;
use crate::snapshot::ReadView;
use crate::state::{Outcome, TxnTable};
use crate::trace;
use crate::txn::Txn;
use aether_recovery::wal::buffer::Account;
use aether_recovery::{Loser, Store};
use aether_sync::atomic::AtomicU64;
use aether_sync::{Arc, Counter, Mutex};
use aether_trace::planted;
use aether_types::{Lv, Result, Timestamp, TxnId};
use std::collections::VecDeque;
use std::time::Duration;

/// How transactions behave.
#[derive(Clone, Copy, Debug)]
pub struct TxnConfig {
    /// What a commit waits for unless it says otherwise.
    pub durability: Durability,
    /// Read-only work reads the newest commits, durable or not: for stores opened `Async` or `None`.
    pub read_newest: bool,
    /// The level of a transaction that does not say otherwise.
    pub isolation: Isolation,
    /// The longest wait for one lock; zero: none at all.
    pub lock_timeout: Duration,
    /// Snapshots held for longer are ended once newer commits need the room; none: they never are.
    pub snapshot_age_max: Option<Duration>,
}

/// Stubs of replaced values whose extents are freed in one go.
const FREED_AT_ONCE: usize = 64;
/// The longest wait for one lock, unless said otherwise.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

impl TxnConfig {
    /// The configuration that goes with a durability.
    pub fn new(durability: Durability) -> Self {
        let read_newest = matches!(durability, Durability::Async { .. } | Durability::None);
        Self {
            durability,
            read_newest,
            isolation: Isolation::default(),
            lock_timeout: LOCK_TIMEOUT,
            snapshot_age_max: None,
        }
    }
}

/// Transactions in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TxnStats {
    /// Transactions committed that had changed something.
    pub commits: u64,
    /// Transactions rolled back.
    pub aborts: u64,
    /// Transactions that are not forgotten: running, or with versions that a snapshot may need.
    pub known: usize,
    /// The oldest snapshot in use.
    pub oldest_snapshot: Option<Timestamp>,
    /// For how long it has been in use, short by the time of a few commits.
    pub oldest_snapshot_age: Option<Duration>,
    /// Bytes of undo pages kept for snapshots alone.
    pub pinned_bytes: u64,
    /// The newest timestamp drawn.
    pub clock: Timestamp,
    /// Everything at or below is durable.
    pub durable_ts: Timestamp,
}

/// Transactions of one store.
pub struct TxnManager {
    pub(crate) store: Arc<Store>,
    pub(crate) config: TxnConfig,
    pub(crate) publication: Publication,
    pub(crate) table: TxnTable,
    pub(crate) locks: LockTable,
    /// What is noted for the validation of serializable transactions.
    pub(crate) reads_account: Account,
    pub(crate) snapshots: Registry,
    /// Committed and not forgotten, in about the order of commit.
    pub(crate) remembered: Mutex<VecDeque<(Timestamp, TxnId)>>,
    pub(crate) segments: Segments,
    retired: Mutex<VecDeque<(Timestamp, Vec<u8>)>>,
    pub(crate) handler: Box<dyn UndoHandler>,
    /// Numbers savepoints.
    pub(crate) savepoints: AtomicU64,
    pub(crate) commits: Counter,
    pub(crate) aborts: Counter,
}

impl TxnManager {
    /// Takes over a store after redo; rolls the losers back. Blocks for that.
    ///
    /// # Errors
    /// `Corruption` if an undo record is damaged.
    pub fn resume(
        store: Arc<Store>,
        losers: Vec<Loser>,
        timestamp_floor: Timestamp,
        config: TxnConfig,
        handler: Box<dyn UndoHandler>,
    ) -> Result<Arc<Self>> {
        let manager = Self::take_over(store, &losers, timestamp_floor, config, handler)?;
        manager.roll_back(&losers)?;
        Ok(manager)
    }

    /// Takes over a store after redo. The losers' changes are invisible, until [`TxnManager::resume_losers`] decides on them.
    ///
    /// # Errors
    /// `Corruption`, `Io`.
    pub fn take_over(
        store: Arc<Store>,
        losers: &[Loser],
        timestamp_floor: Timestamp,
        config: TxnConfig,
        handler: Box<dyn UndoHandler>,
    ) -> Result<Arc<Self>> {
        let first = losers.iter().map(|loser| loser.id).fold(store.next_txn_id(), TxnId::min);
        let segments = Segments::read(&store)?;
        let locks = LockTable::new(store.budget().account("locks"));
        let reads_account = account(&store);
        let manager = Arc::new(Self {
            store,
            config,
            publication: Publication::new(timestamp_floor, reads_account.clone()),
            reads_account,
            table: TxnTable::new(first),
            locks,
            snapshots: Registry::new(),
            remembered: Mutex::new(rank::COLLECT, VecDeque::new()),
            segments,
            retired: Mutex::new(rank::RETIRED, VecDeque::new()),
            handler,
            savepoints: AtomicU64::new(0),
            commits: Counter::new(),
            aborts: Counter::new(),
        });
        losers.iter().for_each(|loser| manager.announce_loser(loser));
        Ok(manager)
    }

    /// Rolls losers back. Blocks for page changes.
    ///
    /// # Errors
    /// `Corruption` if an undo record is damaged.
    pub(crate) fn roll_back(self: &Arc<Self>, losers: &[Loser]) -> Result<()> {
        losers.iter().try_for_each(|loser| self.roll_back_loser(loser))
    }

    /// Begins a transaction; it sees the newest commits and its own changes.
    pub fn begin(self: &Arc<Self>) -> Txn {
        self.begin_with(TxnOptions::default())
    }

    /// As [`TxnManager::begin`], with options.
    pub fn begin_with(self: &Arc<Self>, options: TxnOptions) -> Txn {
        Txn::new(self, options)
    }

    /// A read-only view: one committed state that no crash can undo.
    pub fn view(self: &Arc<Self>) -> ReadView {
        ReadView::durable(self)
    }

    /// Keeps every version that somebody may see now, and all that come, as long as it lives. For who copies versions.
    pub fn hold_versions(self: &Arc<Self>) -> ReadView {
        ReadView::oldest(self)
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// How transactions behave.
    pub fn config(&self) -> &TxnConfig {
        &self.config
    }

    /// What is known of a writer, or none if it is forgotten: committed, and visible to all.
    pub fn outcome(&self, writer: TxnId) -> Option<Outcome> {
        self.table.get(writer).map(|state| state.outcome())
    }

    /// As last computed; never blocks.
    pub(crate) fn known_durable_ts(&self) -> Timestamp {
        self.publication.known_durable()
    }

    /// True if a single read may show what `writer` wrote without a snapshot: it is forgotten, or committed at or
    /// below `durable_ts` (or at all, on a store that reads the newest). Ask before the page is validated.
    pub fn is_settled(&self, writer: TxnId) -> bool {
        let Some(state) = self.table.get(writer) else { return true };
        match state.outcome() {
            Outcome::Committed(at) => self.config.read_newest || at <= self.durable_ts(),
            _ => false,
        }
    }

    /// The newest timestamp at or below which every commit is durable or aborted (T3).
    pub fn durable_ts(&self) -> Timestamp {
        self.advance_durable();
        self.known_durable_ts()
    }

    /// Returns the vector of a commit that holds `durable_ts` back, if one does.
    pub(crate) fn advance_durable(&self) -> Option<Lv> {
        let durable = self.store.log().map(|log| log.durable());
        self.publication.advance(|lv| durable.as_ref().is_none_or(|durable| durable.covers(lv)))
    }

    pub(crate) fn clock(&self) -> Timestamp {
        self.publication.clock()
    }

    /// The newest timestamp that every snapshot, present and future, lies at or above, and that is durable:
    /// versions replaced at or below it are needed by nobody (T4).
    pub fn horizon(&self) -> Timestamp {
        if planted("oldest-before-durable") {
            let oldest = trace::gc_oldest(|| self.snapshots.oldest().unwrap_or(self.clock()));
            return oldest.min(trace::gc_durable(|| self.durable_ts()));
        }
        let durable = trace::gc_durable(|| self.durable_ts());
        if planted("forget-too-early") {
            return durable;
        }
        trace::gc_oldest(|| self.snapshots.oldest().map_or(durable, |oldest| oldest.min(durable)))
    }

    /// The oldest snapshot in use, or more than any if there is none. Those that are taken from now on lie at or above what is durable.
    pub fn oldest_snapshot(&self) -> Timestamp {
        self.snapshots.oldest().unwrap_or(Timestamp::new(u64::MAX))
    }

    /// The snapshots in use from `least` on, each once. Those that are taken from now on lie at or above what is durable.
    pub fn snapshots_from(&self, least: Timestamp) -> Vec<Timestamp> {
        self.snapshots.all().into_iter().filter(|at| *at >= least).collect()
    }

    /// Forgets transactions whose versions nobody needs, and frees their undo pages. Blocks for page changes;
    /// call without latches.
    pub fn collect(self: &Arc<Self>) -> Result<()> {
        let Some(mut remembered) = self.remembered.try_lock() else { return Ok(()) };
        let now = self.now();
        match self.config.snapshot_age_max {
            Some(longest) => self.snapshots.expire(longest, now, self.durable_ts()),
            None => self.snapshots.stamp(now),
        }
        let horizon = self.horizon();
        while let Some((_, id)) = remembered.front().copied().filter(|(at, _)| *at <= horizon) {
            trace::strip(id, || self.table.remove(id));
            remembered.pop_front();
        }
        drop(remembered);
        self.free_retired(horizon)?;
        let trimmed = if planted("trim-what-is-durable") { self.durable_ts() } else { horizon };
        self.segments.trim(&self.store, trimmed)?;
        trace::gc_end();
        Ok(())
    }

    pub(crate) fn retire(&self, at: Timestamp, stubs: Vec<Vec<u8>>) {
        if !stubs.is_empty() {
            self.retired.lock().extend(stubs.into_iter().map(|stub| (at, stub)));
        }
    }

    /// Takes back what [`UndoHandler::list_retired`] has listed before this open: nobody can see it any more. Call before the first
    /// transaction.
    pub fn resume_retired(&self, stubs: Vec<Vec<u8>>) {
        self.retire(Timestamp::new(0), stubs);
    }

    fn free_retired(self: &Arc<Self>, horizon: Timestamp) -> Result<()> {
        loop {
            let due: Vec<Vec<u8>> = {
                let mut retired = self.retired.lock();
                let due = retired.iter().take(FREED_AT_ONCE).take_while(|(at, _)| *at <= horizon).count();
                retired.drain(..due).map(|(_, stub)| stub).collect()
            };
            if due.is_empty() {
                return Ok(());
            }
            self.handler.free_extents(self, &due)?;
        }
    }

    /// True if the writer's version may be stripped, or its ghost purged.
    pub fn is_forgotten(&self, writer: TxnId) -> bool {
        self.table.get(writer).is_none()
    }

    fn now(&self) -> Duration {
        self.store.env().clock.now()
    }

    /// Transactions in numbers.
    pub fn stats(&self) -> TxnStats {
        let oldest = self.snapshots.oldest_age(self.now());
        let kept = self.horizon()..self.durable_ts();
        TxnStats {
            commits: self.commits.get(),
            aborts: self.aborts.get(),
            known: self.table.len(),
            oldest_snapshot: oldest.map(|(at, _)| at),
            oldest_snapshot_age: oldest.map(|(_, age)| age),
            pinned_bytes: self.segments.pages_needed_in(kept) as u64 * self.store.page_size().bytes() as u64,
            clock: self.clock(),
            durable_ts: self.durable_ts(),
        }
    }
}
