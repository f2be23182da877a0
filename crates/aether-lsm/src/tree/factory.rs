//! The factory of LSM trees.

use super::charge::Policy;
use super::manifest::Manifest;
use super::runs::Runs;
use super::workers::Workers;
use super::{Inner, Lsm, LsmConfig, rank};
use crate::pacer::Pacer;
use crate::policy::PolicyKind;
use crate::schedule::Schedule;
use aether_index::resident::{Flush, tree_id};
use aether_index::rows::log_creation;
use aether_index::txn::recovery::wal::buffer::Budget;
use aether_index::txn::recovery::wal::buffer::page::UndoPtr;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{
    AtomicBool, AtomicU64, Ordering::Relaxed,
};
use aether_index::txn::recovery::wal::buffer::page::sync::{Arc, Counter, Mutex, Weak};
use aether_index::txn::recovery::{ActiveTxn, Participant};
use aether_index::txn::{Txn, TxnManager, UndoKind, UndoRecord};
use aether_index::{Anchor, BTree, IndexFactory, OrderedIndex, ResidentFactory};
use aether_types::{FileId, IndexKind, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Makes and opens the LSM trees of one open home.
pub struct LsmFactory {
    /// The rows in memory of the home, which skiplist keyspaces share.
    pub(super) rows: Arc<ResidentFactory>,
    config: LsmConfig,
    workers: Arc<Workers>,
    /// There are threads, or will be with the first tree.
    has_threads: Arc<AtomicBool>,
    /// The merge policies of trees that are made and not opened yet: until who makes one commits, nobody can read its manifest.
    pub(super) made: Mutex<BTreeMap<u32, PolicyKind>>,
    /// True if the rows' participant is this factory's to give.
    is_alone: bool,
}

impl LsmFactory {
    /// For trees like this, in a home whose rows in memory are those of `rows`; that factory takes part in recovery.
    pub fn new(rows: Arc<ResidentFactory>, config: LsmConfig) -> Self {
        Self::make(rows, config, false)
    }

    fn make(rows: Arc<ResidentFactory>, config: LsmConfig, is_alone: bool) -> Self {
        let made = Mutex::new(rank::MADE, BTreeMap::new());
        let has_threads = Arc::new(AtomicBool::new(config.threads > 0));
        Self { rows, config, workers: Workers::new(), has_threads, made, is_alone }
    }

    /// The same where no other kind keeps rows in memory: this factory takes part in recovery itself.
    pub fn alone(rows: Arc<ResidentFactory>, config: LsmConfig) -> Self {
        Self::make(rows, config, true)
    }

    /// Opens a tree; as [`IndexFactory::open`].
    ///
    /// # Errors
    /// `Corruption` for a damaged manifest, for a run that is missing, damaged or foreign, which it names, and if changes that the log
    /// should have are missing; `OverLimit` without memory.
    pub fn open_tree(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Lsm> {
        let manifest = Manifest::of(txns, at);
        let listed = manifest.read()?;
        let runs = Runs::open(txns, manifest, &listed, &self.config)?;
        let rows = self.rows.tables()?.open_over(txns, at, runs.clone(), listed.known.as_deref())?;
        let made = self.made.lock().remove(&at.id);
        let policy = listed.policy.or(made).unwrap_or(self.config.policy);
        let policy = Policy::new(policy, self.config.level_runs(), listed.switches);
        let inner = Arc::new(Inner {
            txns: txns.clone(),
            runs,
            config: self.config,
            pacer: Pacer::new(self.config.pacer()),
            policy: Mutex::new(rank::POLICY, policy),
            flush: Mutex::new(rank::FLUSH, None),
            merges: Schedule::default(),
            pending: AtomicU64::new(0),
            workers: self.workers.clone(),
            has_threads: self.has_threads.clone(),
            gets: Counter::new(),
            runs_spared: Counter::new(),
            scans: Counter::new(),
            puts: Counter::new(),
            put_bytes: Counter::new(),
            taken_in: Counter::new(),
            flushed: Counter::new(),
            merged: Counter::new(),
            ingested: Counter::new(),
            ingesting: AtomicU64::new(0),
            rows,
        });
        if !inner.rows.is_empty() {
            inner.pacer.holds(inner.rows.used_bytes());
        }
        // What cannot be done now is done by the first to flush.
        let _ = inner.runs.settle();
        inner.reckon();
        let flush: Weak<Inner> = Arc::downgrade(&inner);
        inner.rows.flush_by(flush.clone() as Weak<dyn Flush>);
        self.workers.serve(flush, self.config.threads)?;
        Ok(Lsm(inner))
    }

    /// Makes an empty tree with this merge policy as part of a transaction; as [`IndexFactory::create`].
    ///
    /// # Errors
    /// Of pages and of the log.
    pub fn create_tree(&self, txn: &mut Txn, kind: IndexKind, id: u32, policy: PolicyKind) -> Result<Anchor> {
        let root = log_creation(txn, kind, id, tree_id(id))?;
        let at = Anchor { kind, id, root };
        let manifest = Manifest::of(txn.manager(), at);
        // The log may have rows of an earlier table with this id, whose creation was rolled back.
        let known = self.rows.tables()?.known_at_creation(txn.store(), id)?;
        manifest.put_known(txn, &known)?;
        manifest.put_policy(txn, policy)?;
        self.made.lock().insert(id, policy);
        Ok(at)
    }

    /// The files that a tree names, without opening it.
    ///
    /// # Errors
    /// `Corruption` for a damaged manifest.
    pub fn listed_files(txns: &Arc<TxnManager>, at: Anchor) -> Result<BTreeSet<FileId>> {
        Ok(Manifest::of(txns, at).read()?.files().collect())
    }

    /// Ends the threads; blocks until they have done the slice in hand. To be called before the store is closed. Trees go on without
    /// them: who writes flushes, merges and syncs, as with no threads at all.
    pub fn stop(&self) {
        self.has_threads.store(false, Relaxed);
        self.workers.stop();
    }
}

impl Drop for LsmFactory {
    fn drop(&mut self) {
        self.stop();
    }
}

impl IndexFactory for LsmFactory {
    fn name(&self) -> &str {
        "lsm"
    }

    fn participant(&self, budget: &Budget) -> Option<Arc<dyn Participant>> {
        if self.is_alone { self.rows.participant(budget) } else { None }
    }

    fn create(&self, txn: &mut Txn, kind: IndexKind, id: u32) -> Result<Anchor> {
        self.create_tree(txn, kind, id, self.config.policy)
    }

    fn open(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Arc<dyn OrderedIndex>> {
        Ok(Arc::new(self.open_tree(txns, at)?))
    }

    fn undo(
        &self,
        txns: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        let tables = self.rows.tables()?;
        if record.kind != UndoKind::CreateTree {
            return tables.undo(txns, txn, pointer, record);
        }
        let at = Anchor { kind: record.index, id: record.tree, root: record.root };
        self.made.lock().remove(&at.id);
        // Programs may keep handles, which share the rows in memory with the next tree of this id.
        self.workers.end(at);
        tables.abandon(record.tree)?;
        BTree::open(txns.clone(), record.root, tree_id(record.tree)).undo(txn, pointer, record)
    }
}
