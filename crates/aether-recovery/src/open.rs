//! Opening a store, in typed stages: each consumes the one before, so that no page is written before the log is
//! cut and its new incarnation stands in the control file (L1).

use crate::active::ActiveTable;
use crate::checkpoint::Checkpoints;
use crate::control::{Control, ControlFile, IncarnationEntry};
use crate::create::{self, reserve_ids};
use crate::file_ids::FileIds;
use crate::identify::pages_path;
use crate::participant::Participants;
use crate::rebuild::Rebuild;
use crate::space::{Space, map_page_no};
use crate::store::{Durable, PAGES_FILE, Store, StoreConfig};
use crate::{group, rank, redo, trace};
use aether_page::{PageFile, PageType, Swip, UndoPtr, header, space_map};
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::{Arc, Counter, Mutex, OnceLock};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, PageNo, Reader, Result, StreamId, Timestamp, TxnId};
use aether_vfs::{Create, Env, File, Mode, OpenOptions};
use aether_wal::buffer::page as aether_page;
use aether_wal::buffer::{Budget, Charge, DoubleWrite, Pool, PoolParts, PsnTable};
use aether_wal::{Incarnation, Record, Scan, Wal, WalConfig};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The name of the lock file inside a home.
pub const LOCK_NAME: &str = "lock";

/// A transaction that had not ended when the log was cut; its changes must be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loser {
    /// The transaction.
    pub id: TxnId,
    /// Its stream.
    pub stream: StreamId,
    /// Its newest change that is not undone.
    pub undo_head: UndoPtr,
}

/// What an open found and did.
#[derive(Clone, Debug, Default)]
pub struct RecoveryReport {
    /// The store had been closed cleanly: nothing was read but its last state.
    pub clean: bool,
    /// Bytes of log read by redo.
    pub log_bytes: u64,
    /// Threads that applied it; 0 if there was nothing to do.
    pub redo_threads: usize,
    /// Log groups applied, wholly or in part.
    pub groups: u64,
    /// Page changes applied.
    pub pages_redone: u64,
    /// Page changes that the file already had.
    pub pages_skipped: u64,
    /// Page changes that were met before an earlier one of their page, and waited for it.
    pub pages_waited: u64,
    /// Torn pages restored from the double-write area.
    pub torn_pages_restored: usize,
    /// Transactions to undo.
    pub losers: usize,
    /// Changes of rows in memory that were applied.
    pub rows_redone: u64,
    /// Pages that were damaged and lack changes: every read of one fails, the rest of the store is sound.
    pub fenced: Vec<PageNo>,
}

/// Locked, control file read.
pub struct Opening {
    env: Env,
    home: PathBuf,
    config: StoreConfig,
    lock: Arc<dyn File>,
    control: ControlFile,
}

impl Opening {
    /// Locks `home` and reads its control file. Creates the store first if there is none and `create` says so.
    ///
    /// # Errors
    /// `Locked` naming the holder; `NotFound`; `Corruption`; `Unsupported`; `InvalidInput` for a directory that
    /// holds something else.
    pub fn begin(env: Env, home: &Path, config: StoreConfig, create: bool) -> Result<Self> {
        if !create::exists(&env, home)? {
            create::check_creatable(&env, home)?;
            if !create {
                return Err(Error::new(ErrorKind::NotFound, "there is no store").at_path(home));
            }
            match env.vfs.create_dir(home) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        let lock = take_lock(&env, home)?;
        if !create::exists(&env, home)? {
            create::create(&env, home, &config)?;
        }
        let mut control = ControlFile::open(&env, home, true)?;
        if create && create::is_unfinished(&env, home, control.current())? {
            create::create(&env, home, &config)?;
            control = ControlFile::open(&env, home, true)?;
        }
        let config = adopt(config, control.current());
        crate::store::check_config(&config)?;
        Ok(Self { env, home: home.to_path_buf(), config, lock, control })
    }

    /// Reads the log and cuts it; writes nothing.
    pub fn scan(self) -> Result<Scanned> {
        let open = || open_scan(&self.env, &self.home, &self.config.wal, self.control.current());
        let scan = trace::open(open, Scan::cut)?;
        Ok(Scanned { opening: self, scan })
    }
}

/// Reads the log that is kept, as the control file has it, and cuts it.
pub(crate) fn open_scan(env: &Env, home: &Path, config: &WalConfig, control: &Control) -> Result<Scan> {
    let incarnations: Vec<Incarnation> = control.incarnations.iter().map(IncarnationEntry::to_wal).collect();
    let (from, clean_end) = (&control.redo_start, control.clean_end.as_ref());
    Scan::open(env, home, control.store, config, &incarnations, from, clean_end)
}

fn take_lock(env: &Env, home: &Path) -> Result<Arc<dyn File>> {
    let options = OpenOptions { write: true, create: Create::IfMissing, mode: Mode::Buffered };
    let lock = env.vfs.open(&home.join(LOCK_NAME), options)?;
    lock.lock("aether store")?;
    Ok(lock)
}

/// What was fixed when the store was created counts, whatever the configuration says.
fn adopt(mut config: StoreConfig, control: &Control) -> StoreConfig {
    config.buffer.page_size = control.page_size;
    config
}

/// The log is read and cut.
pub struct Scanned {
    opening: Opening,
    scan: Scan,
}

impl Scanned {
    /// Brings the pages up to the cut. Writes nothing if the store was closed cleanly.
    ///
    /// # Errors
    /// `Corruption` naming the page if a change is missing. A damaged page that cannot be repaired is fenced.
    pub fn redo(self) -> Result<Redone> {
        self.redo_with(|_| Vec::new())
    }

    /// The same, with participants, which are made with the store's memory budget.
    ///
    /// # Errors
    /// As [`Scanned::redo`]; `Corruption` if the log has rows that none of them takes.
    pub fn redo_with(self, participants: impl FnOnce(&Budget) -> Participants) -> Result<Redone> {
        let Self { opening, scan } = self;
        let Opening { env, home, mut config, lock, mut control } = opening;
        let current = control.current().clone();
        let clean = current.clean_end.is_some();
        if !clean {
            control.prove()?;
        }
        let control = Arc::new(Mutex::new(rank::CONTROL, control));
        let budget = Budget::new(config.memory_bytes);
        let found = Analysis::read(&scan, &current, clean)?;
        let streams_for_new = config.wal.streams;
        config.wal.streams = streams_for_new.max(found.streams());
        config.buffer.streams = config.wal.streams.max(streams_read(&scan, clean));
        let pages = env_open_pages(&env, &home, &current)?;
        let double_write = DoubleWrite::open(&env, &home, current.store, current.page_size)?;
        let psns = PsnTable::open(&env, &home, current.store, PAGES_FILE)?;
        scan.check_durable(&double_write.log_durable())?;
        let log_memory = Charge::new(budget.account("log rings"), config.wal.memory_bytes() as u64)?;
        let log =
            Wal::resume(&scan, config.wal.clone(), begin_incarnation(control.clone(), streams_for_new))?;
        if !clean {
            log.start()?;
        }
        let mut report = RecoveryReport { clean, ..RecoveryReport::default() };
        if !clean {
            let find = |id| (id == PAGES_FILE).then(|| pages.clone());
            report.torn_pages_restored = trace::repair(|| double_write.repair(&find))?;
        }
        let parts = PoolParts {
            gate: log.clone(),
            double_write: Some(double_write),
            source: Arc::new(Rebuild::new(env.clone(), home.clone(), config.wal.clone(), control.clone())),
            store: current.store,
            budget: budget.clone(),
        };
        let pool = Pool::new(config.buffer.clone(), parts)?;
        pool.add_file(pages, Some(psns))?;
        let store = Arc::new(Store {
            env,
            id: current.store,
            pool,
            durable: Some(Durable {
                log,
                _log_memory: log_memory,
                control,
                lock: Mutex::new(rank::LOCK, Some(lock)),
                home,
            }),
            active: ActiveTable::new(),
            space: OnceLock::new(),
            next_txn: AtomicU64::new(current.txn_floor.get()),
            file_ids: FileIds::none(),
            streams_for_new,
            checkpoints: Checkpoints::new(),
            redo_start: Mutex::new(rank::REDO_START, current.redo_start),
            participants: participants(&budget),
            held_back: Counter::new(),
            budget,
            config,
        });
        if !clean {
            trace::redo(&current.redo_start, || redo::run(&scan, &current.redo_start, &store, &mut report))?;
        }
        store.pool.end_redo();
        report.log_bytes = found.bytes;
        let losers = found.enter_losers(&store);
        let _ = store.space.set(Space::new(count_maps(&store)?));
        report.losers = losers.len();
        Ok(Redone { store, losers, report, timestamp_floor: current.timestamp_floor })
    }
}

fn env_open_pages(env: &Env, home: &Path, control: &Control) -> Result<Arc<PageFile>> {
    let path = pages_path(home);
    match PageFile::open(&*env.vfs, &path, control.store, PAGES_FILE, control.page_size) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Err(Error::corruption("the store's page file is missing").at_path(&path))
        }
        opened => opened.map(Arc::new),
    }
}

/// What the log calls, once the tail is rewritten, before its first append: the control file learns of the
/// incarnation, the ids it reserves, and that the store is not clean any more.
fn begin_incarnation(control: Arc<Mutex<ControlFile>>, streams: usize) -> aether_wal::Control {
    Box::new(move |incarnation| {
        control.lock().update(|control| {
            control.streams = streams as u8;
            control.incarnations.push(IncarnationEntry::from_wal(incarnation));
            control.clean_end = None;
            reserve_ids(control);
        })
    })
}

/// One above the highest stream that redo reads: a page may be dirty since any position there.
fn streams_read(scan: &Scan, clean: bool) -> usize {
    let last = scan.streams().last().filter(|_| !clean);
    last.map_or(0, |last| usize::from(last.get()) + 1)
}

/// The number of map pages: they lie at known places, one after the other.
fn count_maps(store: &Store) -> Result<u64> {
    let covered = space_map::entries_per_page(store.page_size()) as u64;
    let pages = store.pool.file(PAGES_FILE)?.size_pages()?;
    let mut maps = 1;
    loop {
        let page = map_page_no(maps, covered);
        let resident = store.pool.residence(PAGES_FILE, page).is_some();
        if !resident && page.get() >= pages {
            return Ok(maps);
        }
        match store.pool.shared(PAGES_FILE, Swip::new(page)) {
            Ok(guard) if header::is_type(guard.view(), PageType::SpaceMap) => maps += 1,
            Ok(_) => return Ok(maps),
            // Pages after the last map may have grown the file around a map page that was never written.
            Err(error) if error.kind() == ErrorKind::Corruption && page.get() >= pages => return Ok(maps),
            Err(error) => return Err(error),
        }
    }
}

/// The pages stand as of the cut; losers are known and not undone yet.
pub struct Redone {
    store: Arc<Store>,
    losers: Vec<Loser>,
    report: RecoveryReport,
    timestamp_floor: Timestamp,
}

impl Redone {
    /// The store, the losers that the caller must undo, and what was done. Losers are active transactions again:
    /// a checkpoint keeps them until [`Store::append_end`].
    pub fn into_parts(self) -> (Arc<Store>, Vec<Loser>, RecoveryReport) {
        (self.store, self.losers, self.report)
    }

    /// The first timestamp that no earlier open can have used.
    pub fn timestamp_floor(&self) -> Timestamp {
        self.timestamp_floor
    }
}

/// What the log says of transactions.
struct Analysis {
    losers: BTreeMap<TxnId, (StreamId, UndoPtr)>,
    ended: BTreeSet<TxnId>,
    bytes: u64,
    met_checkpoint: bool,
}

impl Analysis {
    fn read(scan: &Scan, control: &Control, clean: bool) -> Result<Self> {
        let (losers, ended) = (BTreeMap::new(), BTreeSet::new());
        let mut this = Self { losers, ended, bytes: 0, met_checkpoint: false };
        if clean {
            return Ok(this);
        }
        for_each(scan, control, &mut |record| {
            let is_checkpoint = control.checkpoint == Some((record.stream, record.lsn));
            this.note(&record, is_checkpoint)
        })?;
        if let Some((stream, lsn)) = control.checkpoint.filter(|_| !this.met_checkpoint) {
            // It was durable before the control file named it, and what it lists is nowhere else.
            let what = "the log does not hold the checkpoint that the control file names";
            return Err(scan.damage(stream, lsn, what));
        }
        let Self { losers, ended, .. } = &mut this;
        losers.retain(|id, _| !ended.contains(id));
        Ok(this)
    }

    fn note(&mut self, record: &Record<'_>, is_checkpoint: bool) -> Result<()> {
        self.bytes += record.end.since(record.lsn);
        let mut reader = Reader::new(record.body);
        match record.kind {
            group::GROUP | group::ROWS_GROUP => {
                if let (Some((id, head)), _) = group::read_head(&mut reader)? {
                    let known = self.losers.insert(id, (record.stream, head));
                    if let Some(known) = known.filter(|_| planted("first-head-counts")) {
                        self.losers.insert(id, known);
                    }
                }
            }
            group::COMMIT if planted("commit-is-no-end") => {}
            group::COMMIT | group::END => {
                self.ended.insert(TxnId::new(reader.varint()?));
            }
            group::CHECKPOINT if is_checkpoint => {
                self.met_checkpoint = true;
                for (id, stream, head) in group::read_checkpoint(record.body)? {
                    self.losers.entry(id).or_insert((stream, head));
                }
            }
            group::CHECKPOINT => {}
            other => return Err(Error::corruption(format!("a log record of unknown kind {other}"))),
        }
        Ok(())
    }

    /// One above the highest stream of a loser: a transaction stays in its stream, over any number of opens, so
    /// that its records keep their order.
    fn streams(&self) -> usize {
        let streams = self.losers.values().map(|(stream, _)| usize::from(stream.get()) + 1);
        streams.max().unwrap_or(0)
    }

    /// Losers are active transactions again, until their rollback has ended.
    fn enter_losers(self, store: &Store) -> Vec<Loser> {
        let enter = |(id, (stream, head))| {
            store.active.insert(crate::ActiveTxn::new(id, stream, head));
            Loser { id, stream, undo_head: head }
        };
        self.losers.into_iter().map(enter).collect()
    }
}

/// Every record from the redo start to the cut, stream by stream; an error names its position.
fn for_each(scan: &Scan, control: &Control, each: &mut dyn FnMut(Record<'_>) -> Result<()>) -> Result<()> {
    for stream in scan.streams() {
        scan.for_each(stream, control.redo_start.get(stream), &mut |record| {
            let lsn = record.lsn.get();
            each(record).map_err(|error| error.at_offset(lsn))
        })?;
    }
    Ok(())
}

impl Store {
    /// The active transaction of a loser, for its undo.
    pub fn resume_loser(&self, loser: &Loser) -> Arc<crate::ActiveTxn> {
        let active = crate::ActiveTxn::new(loser.id, loser.stream, loser.undo_head);
        self.active.replace(active.clone());
        active
    }

    /// Page of the well-known roots, see [`crate::ROOTS_PAGE`].
    pub fn next_txn_is_above(&self, id: TxnId) -> bool {
        self.next_txn.load(Relaxed) > id.get()
    }

    /// Refuses references outside the page file.
    pub fn check_page(&self, page: PageNo) -> Result<()> {
        if page.get() < 1 || page.get() >= PageNo::END {
            return Err(Error::corruption(format!("a reference to {page}")).at_file(PAGES_FILE));
        }
        Ok(())
    }
}
