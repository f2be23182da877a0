//! A home: opened, shared, closed.

use crate::catalog::{Catalog, Entry};
use crate::garbage::Garbage;
use crate::keyspace::{Keyspace, KeyspaceOptions};
use crate::kinds::Indexes;
use crate::lsm::index::txn::recovery::{Opening, RecoveryReport, Store};
use crate::lsm::index::txn::{Deadlocks, TxnManager, TxnOptions};
use crate::lsm::tree::Lsm;
use crate::options::Options;
use crate::rank;
use crate::slot::Slot;
use crate::snapshot::Snapshot;
use crate::two_phase::Register;
use crate::txn::Txn;
use aether_sync::{Arc, Mutex};
use aether_types::{ErrorKind, IndexKind, Result};
use aether_vfs::Env;
use std::path::{Path, PathBuf};

/// An open home: one log, one memory budget, many keyspaces. Cheap to clone; used by any number of threads. The last
/// handle closes it; [`DbEnv::close`] says how that went.
#[derive(Clone)]
pub struct DbEnv(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<Store>,
    pub(crate) txns: Arc<TxnManager>,
    pub(crate) catalog: Catalog,
    pub(crate) indexes: Arc<Indexes>,
    report: RecoveryReport,
    home: PathBuf,
    pub(crate) garbage: Mutex<Garbage>,
    pub(crate) prepared: Register,
}

impl DbEnv {
    /// Opens a home; recovers it first if it was not closed. Blocks.
    ///
    /// # Errors
    /// `NotFound` without a store and without `create`; `Locked` naming the holder; `Corruption` naming file and place;
    /// `Unsupported`, also for a keyspace whose kind of index is not registered; `InvalidInput`.
    pub fn open(home: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::open_in(Env::real(), home.as_ref(), options)
    }

    /// Opens a home in an environment of the caller's: a simulator, or memory.
    pub fn open_in(env: Env, home: &Path, options: Options) -> Result<Self> {
        let config = options.store_config()?;
        let indexes = Indexes::new(options.indexes.clone(), options.lsm_config(), draw(&env));
        let scanned = Opening::begin(env, home, config, options.create)?.scan()?;
        let redone = scanned.redo_with(|budget| indexes.participants(budget))?;
        let floor = redone.timestamp_floor();
        let (store, losers, report) = redone.into_parts();
        let handler = Box::new(indexes.undo());
        let txns = TxnManager::take_over(store.clone(), &losers, floor, options.txn_config(), handler)?;
        let catalog = Catalog::new(&txns);
        check_kinds(&catalog, &indexes, &txns)?;
        let prepared = Register::resume(&txns, &catalog, losers)?;
        let garbage = Mutex::new(rank::GARBAGE, Garbage::default());
        let inner =
            Inner { store, txns, catalog, indexes, report, home: home.to_path_buf(), garbage, prepared };
        // Housekeeping: what is damaged there is reported to who reads it, and the rest stays readable.
        unless_damaged(inner.find_garbage())?;
        unless_damaged(inner.find_retired())?;
        unless_damaged(inner.open_rows_in_memory())?;
        if options.background {
            inner.store.start_background()?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Result<Txn> {
        self.begin_with(TxnOptions::default())
    }

    /// Begins a transaction with options, or just a level: `begin_with(Isolation::Serializable)`.
    pub fn begin_with(&self, options: impl Into<TxnOptions>) -> Result<Txn> {
        self.0.store.check_healthy()?;
        Ok(Txn::new(self.clone(), options.into()))
    }

    /// One committed state that no crash can undo, repeatable for as long as it is held.
    pub fn snapshot(&self) -> Result<Snapshot> {
        Ok(Snapshot::new(self.clone()))
    }

    /// The keyspace called `name`.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn keyspace(&self, name: &str) -> Result<Keyspace> {
        // Held until the slot is found: what it shows is not freed before.
        let view = self.0.txns.view();
        let entry = self.0.catalog.find(&view, name)?;
        self.0.open_keyspace(name, &entry)
    }

    /// Creates a keyspace as part of a transaction.
    ///
    /// # Errors
    /// `AlreadyExists`; `InvalidInput` for a name of more than 255 bytes; `Conflict` with another creator; `Unsupported`
    /// for a kind that is not registered.
    pub fn create_keyspace(&self, txn: &mut Txn, name: &str, options: KeyspaceOptions) -> Result<Keyspace> {
        let entry = self.0.catalog.create(txn.inner_mut()?, name, options, &self.0.indexes)?;
        self.0.open_keyspace(name, &entry)
    }

    /// The keyspace called `name`, created in a transaction of its own if it is missing.
    pub fn open_or_create_keyspace(&self, name: &str) -> Result<Keyspace> {
        loop {
            match self.keyspace(name) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => return other,
            }
            let mut txn = self.begin()?;
            match self.create_keyspace(&mut txn, name, KeyspaceOptions::default()).and_then(|_| txn.commit())
            {
                Err(error) if !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::AlreadyExists) => {
                    return Err(error);
                }
                _ => {}
            }
        }
    }

    /// Drops a keyspace as part of a transaction; its pages are freed once no snapshot can read them.
    ///
    /// # Errors
    /// `NotFound`; `InvalidInput` for `default`.
    pub fn drop_keyspace(&self, txn: &mut Txn, name: &str) -> Result<()> {
        let entry = self.0.catalog.drop_keyspace(txn.inner_mut()?, name)?;
        txn.dropped(entry);
        Ok(())
    }

    /// The names of all keyspaces, `default` first.
    pub fn keyspaces(&self) -> Result<Vec<String>> {
        let all = self.0.catalog.list(&self.0.txns.view())?;
        Ok(all.into_iter().map(|(name, _)| name).collect())
    }

    /// The LSM tree of a keyspace: its policy, its levels, flushes and merges by call. None for a keyspace of another kind.
    pub fn lsm(&self, keyspace: &Keyspace) -> Option<Lsm> {
        self.0.indexes.lsm(keyspace.id())
    }

    /// Writes back what is dirty and moves the start of the next recovery. Blocks; others go on.
    pub fn checkpoint(&self) -> Result<()> {
        self.0.store.checkpoint()
    }

    /// Who waits for locks now, and the last 16 deadlocks.
    pub fn deadlocks(&self) -> Deadlocks {
        self.0.txns.locks().deadlocks()
    }

    /// What opening found and did.
    pub fn recovery_report(&self) -> &RecoveryReport {
        &self.0.report
    }

    /// The home's directory.
    pub fn home(&self) -> &Path {
        &self.0.home
    }

    /// Lets this handle go. The last one writes everything back, so that the next open has nothing to recover, and
    /// reports how that went.
    pub fn close(self) -> Result<()> {
        match Arc::try_unwrap(self.0) {
            Ok(inner) => inner.shut(),
            Err(_) => Ok(()),
        }
    }
}

fn unless_damaged(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() == ErrorKind::Corruption => Ok(()),
        other => other,
    }
}

/// True for a keyspace whose newest rows are in memory, and which is opened with the home.
fn is_in_memory(entry: &Entry) -> bool {
    [IndexKind::SKIPLIST, IndexKind::LSM].contains(&entry.kind())
}

fn draw(env: &Env) -> u64 {
    let mut bytes = [0; 8];
    env.entropy.fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// Fails for a keyspace whose kind of index is not registered, before anything of it is undone. What is damaged in the catalog is
/// reported to who reads it.
fn check_kinds(catalog: &Catalog, indexes: &Indexes, txns: &Arc<TxnManager>) -> Result<()> {
    if !txns.store().has_index_kinds() {
        return Ok(());
    }
    let listed = catalog.list(&txns.view()).unwrap_or_default();
    let dropped = catalog.dropped(&txns.view()).unwrap_or_default();
    for (name, entry) in &listed {
        indexes.check_kind(entry.kind(), &format!("the keyspace `{name}`"))?;
    }
    let of = |entry: &Entry| format!("the dropped keyspace {}", entry.id);
    dropped.iter().try_for_each(|entry| indexes.check_kind(entry.kind(), &of(entry)))
}

impl Inner {
    fn open_keyspace(&self, name: &str, entry: &Entry) -> Result<Keyspace> {
        Ok(Keyspace::new(name, self.open_slot(name, entry)?))
    }

    /// What the handles of a keyspace share.
    pub(crate) fn open_slot(&self, name: &str, entry: &Entry) -> Result<Arc<Slot>> {
        self.indexes.slot(&self.txns, entry.anchor(), &format!("the keyspace `{name}`"))
    }

    /// Opens the keyspaces in memory, which keep the log that they were redone from until then, and forgets the rows of those
    /// that are none any more; but not while a prepared transaction may have made them.
    fn open_rows_in_memory(&self) -> Result<()> {
        if !self.store.has_index_kinds() {
            return Ok(());
        }
        let view = self.txns.view();
        let (listed, dropped) = (self.catalog.list(&view)?, self.catalog.dropped(&view)?);
        if self.prepared.is_empty() {
            let all = listed.iter().map(|(_, entry)| entry).chain(&dropped);
            let ids: Vec<u32> = all.filter(|at| is_in_memory(at)).map(|at| at.id).collect();
            self.indexes.retain_rows(|id| ids.contains(&id))?;
        }
        unless_damaged(self.find_leftovers())?;
        for (name, entry) in listed.iter().filter(|(_, entry)| is_in_memory(entry)) {
            unless_damaged(entry.open(&self.indexes, &self.txns, name).map(drop))?;
        }
        Ok(())
    }

    fn shut(&self) -> Result<()> {
        self.store.stop_background();
        self.indexes.stop();
        // With something prepared there is no clean end: the next open recovers, from here.
        let prepared = if self.prepared.is_empty() { Ok(()) } else { self.store.checkpoint() };
        // What cannot be freed is in nobody's way: the next open tries again.
        let closed = prepared
            .map(|()| self.free_garbage())
            .and_then(|()| self.txns.collect())
            .and_then(|()| self.store.close());
        self.store.release_lock();
        self.indexes.forget_all();
        closed
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What is not closed cleanly is recovered by the next open.
        let _ = self.shut();
    }
}
