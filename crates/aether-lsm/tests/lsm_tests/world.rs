//! A store with one LSM tree and one B+tree, in memory or on a simulated machine.

use aether_lsm::index::txn::recovery::wal::WalConfig;
use aether_lsm::index::txn::recovery::wal::buffer::BufferConfig;
use aether_lsm::index::txn::recovery::{FIRST_TREE_ROOT, Opening, RecoveryReport, Store, StoreConfig};
use aether_lsm::index::txn::{Durability, ReadView, TxnConfig, TxnManager};
use aether_lsm::index::{
    Anchor, BTree, Index, IndexFactory, KindsUndo, OrderedCursor, ResidentFactory, TablesConfig,
};
use aether_lsm::run::RunHome;
use aether_lsm::tree::{Lsm, LsmConfig, LsmCursor, LsmFactory};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_types::{FileId, IndexKind, PageNo, PageSize, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

pub(crate) type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// The tree's id.
pub(crate) const TREE: u32 = 7;
/// That of the B+tree beside it.
pub(crate) const BESIDE: u32 = 70;
pub(crate) const HOME: &str = "/home";

/// Bytes of a value from which on it stands in a file of values.
pub(crate) const SEPARATE_BYTES: usize = 200;

/// An open store. Its factory ends the threads, so it goes before the store does.
pub(crate) struct World {
    pub(crate) resident: Arc<ResidentFactory>,
    pub(crate) factory: Arc<LsmFactory>,
    pub(crate) tree: Lsm,
    pub(crate) beside: BTree,
    pub(crate) manager: Arc<TxnManager>,
    pub(crate) store: Arc<Store>,
    pub(crate) report: RecoveryReport,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) streams: usize,
    pub(crate) redo_threads: usize,
    pub(crate) max_recovery_bytes: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) lsm: LsmConfig,
}

impl Shape {
    pub(crate) fn of_streams(streams: usize) -> Self {
        let redo_threads = if streams == 1 { 1 } else { 3 };
        let lsm = LsmConfig {
            memtable_bytes: LsmConfig::MEMTABLE_BYTES_MIN,
            level_runs: Some(2),
            separate_bytes: SEPARATE_BYTES,
            threads: 0,
            ..LsmConfig::default()
        };
        Self { streams, redo_threads, max_recovery_bytes: 8 << 20, memory_bytes: u64::MAX, lsm }
    }

    fn config(self) -> StoreConfig {
        let buffer = BufferConfig {
            num_frames: 128,
            page_size: PageSize::MIN,
            enable_page_provider: false,
            prefetch_threads: 0,
            streams: self.streams,
            ..BufferConfig::default()
        };
        let wal = WalConfig {
            streams: self.streams,
            segment_bytes: 64 << 10,
            ring_bytes: 64 << 10,
            flusher: false,
            ..WalConfig::default()
        };
        StoreConfig {
            buffer,
            wal,
            max_recovery_bytes: self.max_recovery_bytes,
            memory_bytes: self.memory_bytes,
            redo_threads: self.redo_threads,
            ..StoreConfig::default()
        }
    }
}

fn txn_config() -> TxnConfig {
    let config = TxnConfig::new(Durability::Sync);
    TxnConfig { lock_timeout: Duration::from_secs(10), read_newest: true, ..config }
}

/// Where the index `id` stands, if the catalog, tree 1, knows it.
pub(crate) fn root_of(manager: &Arc<TxnManager>, id: u32) -> Result<Option<PageNo>> {
    let (catalog, mut root) = (BTree::open(manager.clone(), FIRST_TREE_ROOT, 1), Vec::new());
    let is_there = catalog.get_into(&manager.view(), &id.to_le_bytes(), &mut root)?;
    Ok(is_there.then(|| PageNo::new(u64::from_le_bytes(root[..].try_into().unwrap()))))
}

/// Makes both indexes, unless they are there.
fn make(manager: &Arc<TxnManager>, factory: &LsmFactory) -> Result<()> {
    if root_of(manager, TREE)?.is_some() {
        return Ok(());
    }
    let catalog = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
    let mut txn = manager.begin();
    let tree = factory.create(&mut txn, IndexKind::LSM, TREE)?.root;
    let beside = BTree::create(&mut txn, BESIDE)?.root();
    catalog.put(&mut txn, &TREE.to_le_bytes(), &tree.get().to_le_bytes())?;
    catalog.put(&mut txn, &BESIDE.to_le_bytes(), &beside.get().to_le_bytes())?;
    txn.commit().map(drop)
}

fn anchor(manager: &Arc<TxnManager>) -> Result<Anchor> {
    let root = root_of(manager, TREE)?.expect("it was made");
    Ok(Anchor { kind: IndexKind::LSM, id: TREE, root })
}

/// Removes the runs that no manifest lists, as a home does when it is opened.
fn remove_leftovers(manager: &Arc<TxnManager>, store: &Store) -> Result<()> {
    let known = LsmFactory::listed_files(manager, anchor(manager)?)?;
    let home = RunHome::of(store);
    home.leftovers(&known)?.into_iter().try_for_each(|file| home.remove(file))
}

/// A store that is open; whether it has the indexes is not known yet.
pub(crate) struct Opened {
    resident: Arc<ResidentFactory>,
    pub(crate) factory: Arc<LsmFactory>,
    pub(crate) manager: Arc<TxnManager>,
    store: Arc<Store>,
    report: RecoveryReport,
}

impl Opened {
    pub(crate) fn on(sim: &Sim, shape: Shape) -> Result<Self> {
        let resident = Arc::new(ResidentFactory::new(TablesConfig::new(5)));
        let factory = Arc::new(LsmFactory::alone(resident.clone(), shape.lsm));
        let scanned = Opening::begin(sim.env(), Path::new(HOME), shape.config(), true)?.scan()?;
        let redone = scanned.redo_with(|budget| factory.participant(budget).into_iter().collect())?;
        let floor = redone.timestamp_floor();
        let (store, losers, report) = redone.into_parts();
        let undo = Box::new(KindsUndo::of(factory.clone()));
        let manager = TxnManager::resume(store.clone(), losers, floor, txn_config(), undo)?;
        Ok(Self { resident, factory, manager, store, report })
    }

    /// With both indexes, made if they are not there.
    pub(crate) fn world(self) -> Result<World> {
        let Self { resident, factory, manager, store, report } = self;
        make(&manager, &factory)?;
        remove_leftovers(&manager, &store)?;
        let tree = factory.open_tree(&manager, anchor(&manager)?)?;
        let beside = BTree::open(manager.clone(), root_of(&manager, BESIDE)?.expect("it was made"), BESIDE);
        Ok(World { resident, factory, tree, beside, manager, store, report })
    }
}

impl World {
    /// The store on a machine; made if there is none.
    pub(crate) fn open(sim: &Sim, shape: Shape) -> Result<Self> {
        Opened::on(sim, shape)?.world()
    }

    /// Ends the threads and closes the store.
    pub(crate) fn close(&self) -> Result<()> {
        self.factory.stop();
        self.store.close()
    }

    /// What is wrong with the tree and the one beside it.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.try_problems().unwrap()
    }

    pub(crate) fn try_problems(&self) -> Result<Vec<String>> {
        let view = self.manager.view();
        let mut problems = Index::check(&self.tree, &view)?.problems;
        problems.extend(self.beside.check(&view)?.problems);
        Ok(problems)
    }

    /// The files of runs that lie in the home, and those that the tree names.
    pub(crate) fn run_files(&self) -> Result<(BTreeSet<FileId>, BTreeSet<FileId>)> {
        let there = RunHome::of(&self.store).leftovers(&BTreeSet::new())?;
        Ok((there.into_iter().collect(), self.tree.files()))
    }

    /// All rows at the newest commit.
    pub(crate) fn rows(&self) -> Model {
        rows(&self.tree, self.manager.begin().view())
    }

    /// Commits one change.
    pub(crate) fn put(&self, key: &[u8], value: &[u8]) {
        let mut txn = self.manager.begin();
        self.tree.put(&mut txn, key, value).unwrap();
        drop(txn.commit_with(Durability::None).unwrap());
    }

    /// Commits one deletion; true if there was something.
    pub(crate) fn delete(&self, key: &[u8]) -> bool {
        let mut txn = self.manager.begin();
        let was_there = self.tree.delete(&mut txn, key).unwrap();
        drop(txn.commit_with(Durability::None).unwrap());
        was_there
    }

    /// Makes all commits so far durable: only what is durable is flushed.
    pub(crate) fn sync(&self) {
        let log = self.store.log().unwrap();
        log.wait_durable(&log.slv_join()).unwrap();
    }

    pub(crate) fn get(&self, view: &ReadView, key: &[u8]) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        self.tree.get_into(view, key, &mut value).unwrap().then_some(value)
    }
}

/// All rows that a view shows, as a cursor gives them upward; downward it must give the same.
pub(crate) fn rows(tree: &Lsm, view: &ReadView) -> Model {
    try_rows(tree, view).unwrap()
}

/// The same, of a machine whose power may go.
pub(crate) fn try_rows(tree: &Lsm, view: &ReadView) -> Result<Model> {
    let mut cursor = LsmCursor::new(tree.clone());
    let (mut forward, mut backward) = (Vec::new(), Vec::new());
    while let Some((key, value)) = cursor.next(view)? {
        forward.push((key.to_vec(), value.to_vec()));
    }
    while let Some((key, value)) = cursor.prev(view)? {
        backward.push((key.to_vec(), value.to_vec()));
    }
    backward.reverse();
    assert_eq!(forward, backward, "a cursor gives other rows on its way back");
    assert!(forward.is_sorted_by(|left, right| left.0 < right.0));
    Ok(forward.into_iter().collect())
}
