//! The store: pool, log, control file and space map of one home, or of none (volatile).

use crate::active::{ActiveTable, ActiveTxn};
use crate::checkpoint::Checkpoints;
use crate::control::{ControlFile, DEFAULT_LISTED, INDEX_KINDS};
use crate::file_ids::FileIds;
use crate::group;
use crate::participant::Participants;
use crate::space::Space;
use crate::trace;
use aether_page::UndoPtr;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::{Arc, Counter, Mutex, OnceLock};
use aether_trace::planted;
use aether_types::{Error, FileId, Lv, PageNo, PageSize, Result, StoreId, StreamId, Timestamp, TxnId};
use aether_vfs::{Env, File};
use aether_wal::buffer::page as aether_page;
use aether_wal::buffer::{Budget, BufferConfig, Charge, Pool};
use aether_wal::{Credit, Wal, WalConfig};
use std::path::{Path, PathBuf};

/// The page file that holds trees, undo pages and space maps.
pub const PAGES_FILE: FileId = FileId::new(1);
/// The page of well-known roots: fixed-size records of 16 bytes, owned by the layer above.
pub const ROOTS_PAGE: PageNo = PageNo::new(2);
/// The root of tree 1; tree n's is n - 1 pages further on.
pub const FIRST_TREE_ROOT: PageNo = PageNo::new(3);

/// Ids reserved by each incarnation; see F1.
pub(crate) const IDS_RESERVED: u64 = 1 << 40;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreConfig {
    /// The buffer pool. The page size counts only when the store is created.
    pub buffer: BufferConfig,
    /// The log.
    pub wal: WalConfig,
    /// Bytes of log that a restart may have to read; checkpoints keep it below.
    pub max_recovery_bytes: u64,
    /// Bytes of memory for everything.
    pub memory_bytes: u64,
    /// Threads that redo the log when the store is opened, 64 at most; 0: one per processor, four at most; 1: the
    /// opening thread.
    pub redo_threads: usize,
    /// Trees whose empty roots are made when the store is created.
    pub initial_trees: u32,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            buffer: BufferConfig::default(),
            wal: WalConfig::default(),
            max_recovery_bytes: 256 << 20,
            memory_bytes: u64::MAX,
            redo_threads: 0,
            initial_trees: 1,
        }
    }
}

/// What makes a store durable; a volatile one has none of it.
pub(crate) struct Durable {
    pub(crate) log: Arc<Wal>,
    pub(crate) _log_memory: Charge,
    pub(crate) control: Arc<Mutex<ControlFile>>,
    /// Held open: the lock goes with the handle.
    pub(crate) lock: Mutex<Option<Arc<dyn File>>>,
    pub(crate) home: PathBuf,
}

/// Pool, log, control file and space map, tied together.
pub struct Store {
    pub(crate) env: Env,
    pub(crate) id: StoreId,
    pub(crate) config: StoreConfig,
    pub(crate) budget: Budget,
    pub(crate) pool: Arc<Pool>,
    pub(crate) durable: Option<Durable>,
    pub(crate) active: ActiveTable,
    pub(crate) space: OnceLock<Space>,
    pub(crate) next_txn: AtomicU64,
    pub(crate) file_ids: FileIds,
    /// Streams that new transactions are spread over; those above are appended to by what an earlier open left.
    pub(crate) streams_for_new: usize,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) redo_start: Mutex<Lv>,
    pub(crate) participants: Participants,
    /// How often a participant could not let go of log that it was asked for.
    pub(crate) held_back: Counter,
}

pub(crate) fn group_bytes(page_size: PageSize) -> usize {
    2 * page_size.bytes() + 4096
}

/// Refuses a log whose ring is too small for the largest group of a page size.
pub(crate) fn check_config(config: &StoreConfig) -> Result<()> {
    let (page_size, ring) = (config.buffer.page_size, config.wal.ring_bytes);
    let needed = group_bytes(page_size);
    if config.wal.group_bytes_max() < needed {
        return Err(Error::invalid(format!(
            "a log ring of {ring} bytes is too small for pages of {} bytes; give it at least {}",
            page_size.bytes(),
            (4 * needed).next_power_of_two()
        )));
    }
    Ok(())
}

impl Store {
    /// The pool.
    pub fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// The log; none if the store is volatile.
    pub fn log(&self) -> Option<&Arc<Wal>> {
        self.durable.as_ref().map(|durable| &durable.log)
    }

    /// The environment: files, clock, entropy.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The home; none if the store is volatile.
    pub fn home(&self) -> Option<&Path> {
        self.durable.as_ref().map(|durable| durable.home.as_path())
    }

    /// The store's random id.
    pub fn id(&self) -> StoreId {
        self.id
    }

    /// The memory budget.
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// The size of a page.
    pub fn page_size(&self) -> PageSize {
        self.config.buffer.page_size
    }

    /// How the store was opened.
    pub fn config(&self) -> &StoreConfig {
        &self.config
    }

    /// Log streams that are appended to: as many as the configuration says, or more if an earlier open had more and
    /// left transactions in them that are not over.
    pub fn streams(&self) -> usize {
        self.config.wal.streams
    }

    /// The stream for what an earlier open kept in `stream`, which may not be appended to any more.
    pub fn stream_in_use(&self, stream: StreamId) -> StreamId {
        if usize::from(stream.get()) < self.streams() {
            return stream;
        }
        StreamId::new((usize::from(stream.get()) % self.streams_for_new) as u8)
    }

    pub(crate) fn space(&self) -> &Space {
        self.space.get().expect("the space map is found before the store is handed out")
    }

    /// Bytes of log that a mini-transaction may ask for in general: what two pages hold, and some.
    pub fn group_bytes(&self) -> usize {
        group_bytes(self.page_size())
    }

    /// Bytes of log that a mini-transaction may ask for at the most.
    pub fn group_bytes_max(&self) -> usize {
        self.config.wal.group_bytes_max()
    }

    /// The number of the incarnation that this open writes: rising from open to open; 0 for a volatile store.
    pub fn incarnation(&self) -> u64 {
        self.log().map_or(0, |log| log.incarnation().epoch)
    }

    /// The stream that the next transaction should use.
    pub fn pick_stream(&self) -> StreamId {
        let streams = self.streams_for_new as u64;
        StreamId::new((self.next_txn.load(Relaxed) % streams) as u8)
    }

    /// Enters a transaction that is about to change pages; it has a new id and ends with
    /// [`Store::append_commit`] or [`Store::append_end`]. The first of an open begins the incarnation, and blocks for it.
    pub fn begin_active(&self, stream: StreamId) -> Result<Arc<ActiveTxn>> {
        if let Some(log) = self.log() {
            log.start()?;
        }
        let id = TxnId::new(self.next_txn.fetch_add(1, Relaxed));
        let txn = ActiveTxn::new(id, stream, UndoPtr::none());
        self.active.insert(txn.clone());
        Ok(txn)
    }

    /// Room in the log for the last record of a transaction; none if the store is volatile. Blocks for it, hence is
    /// asked for before a commit is published: from then on nothing can fail.
    ///
    /// # Errors
    /// `Poisoned` or `Full` if the log takes nothing more.
    pub fn last_credit(&self, txn: &ActiveTxn) -> Result<Option<Credit<'_>>> {
        self.log().map(|log| log.reserve_urgent(txn.stream(), group::LAST_BYTES_MAX)).transpose()
    }

    /// Appends the commit record; the transaction is committed once the log is durable up to the vector. `deps`
    /// joins the commit vectors of what it read.
    pub fn append_commit(&self, txn: &ActiveTxn, at: Timestamp, deps: &Lv, credit: Option<Credit<'_>>) -> Lv {
        self.append_last(txn, group::COMMIT, deps, &group::commit(txn.id(), at), credit)
    }

    /// Appends the record that ends a rollback.
    pub fn append_end(&self, txn: &ActiveTxn, credit: Option<Credit<'_>>) -> Lv {
        self.append_last(txn, group::END, &Lv::ZERO, &group::end(txn.id()), credit)
    }

    /// The table forgets the transaction only after its last record is in the log: a checkpoint between the two
    /// lists it, and the record, which lies above the checkpoint's redo start, ends it.
    fn append_last(
        &self,
        txn: &ActiveTxn,
        kind: u8,
        deps: &Lv,
        body: &[u8],
        credit: Option<Credit<'_>>,
    ) -> Lv {
        let lv = self.log_last(txn, kind, deps, body, credit);
        trace::move_head(txn.id(), UndoPtr::none(), true, || self.active.remove(txn.id()));
        lv
    }

    pub(crate) fn log_last(
        &self,
        txn: &ActiveTxn,
        kind: u8,
        deps: &Lv,
        body: &[u8],
        credit: Option<Credit<'_>>,
    ) -> Lv {
        let (Some(log), Some(credit)) = (self.log(), credit) else { return Lv::ZERO };
        if !planted("announce-no-end") {
            txn.announce_last(log.claim_position(txn.stream()));
        }
        log.append(credit, kind, deps, body).lv
    }

    /// The first id that no transaction of an earlier open can have.
    pub fn next_txn_id(&self) -> TxnId {
        TxnId::new(self.next_txn.load(Relaxed))
    }

    /// True if the store has, or has had, an index that is no B+tree.
    pub fn has_index_kinds(&self) -> bool {
        self.has_feature(INDEX_KINDS)
    }

    /// True if the keyspace `default` stands in the catalog.
    pub fn has_default_listed(&self) -> bool {
        self.has_feature(DEFAULT_LISTED)
    }

    fn has_feature(&self, feature: u32) -> bool {
        let has = |durable: &Durable| durable.control.lock().current().features & feature != 0;
        self.durable.as_ref().is_some_and(has)
    }

    /// Notes durably that the store is about to have an index that is no B+tree: from then on a program that knows no
    /// others refuses it. Blocks the first time; call before anything of that index is logged, and without latches.
    pub fn note_index_kinds(&self) -> Result<()> {
        self.note_feature(INDEX_KINDS)
    }

    /// Notes durably that the keyspace `default` is about to stand in the catalog: from then on a program that would not look there
    /// refuses the store. Blocks the first time; call without latches.
    pub fn note_default_listed(&self) -> Result<()> {
        self.note_feature(DEFAULT_LISTED)
    }

    fn note_feature(&self, feature: u32) -> Result<()> {
        let Some(durable) = &self.durable else { return Ok(()) };
        let mut control = durable.control.lock();
        if control.current().features & feature != 0 {
            return Ok(());
        }
        control.update(|control| control.features |= feature)
    }

    /// Fails once a write or sync of a page or of the log has failed (R2).
    pub fn check_healthy(&self) -> Result<()> {
        self.pool.check_healthy()?;
        match self.log().and_then(|log| log.poisoned()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Lets go of the home: another handle or process may open it. The caller has closed the store. Blocks for background threads: what is left
    /// open, with prepared transactions or after a failure, has them still.
    pub fn release_lock(&self) {
        self.stop_background();
        if let Some(durable) = &self.durable {
            durable.log.stop_flusher();
            durable.lock.lock().take();
        }
    }

    pub(crate) fn poison(&self, why: &str) {
        self.pool.fail(&Error::new(aether_types::ErrorKind::Poisoned, why));
    }
}
