//! A store with one table of rows, in memory or on a simulated machine.

use crate::scripts::{Model, Stage, rows};
use aether_index::txn::recovery::wal::WalConfig;
use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::recovery::{FIRST_TREE_ROOT, Opening, RecoveryReport, Store, StoreConfig};
use aether_index::txn::{Durability, TxnConfig, TxnManager};
use aether_index::{Anchor, BTree, Index, IndexFactory, KindsUndo, Resident, ResidentFactory, TablesConfig};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_types::{IndexKind, PageNo, PageSize, Result, Timestamp};
use std::path::Path;
use std::time::Duration;

/// The table's id.
pub(crate) const TABLE: u32 = 7;

pub(crate) struct World {
    pub(crate) store: Arc<Store>,
    pub(crate) manager: Arc<TxnManager>,
    pub(crate) factory: Arc<ResidentFactory>,
    pub(crate) table: Resident,
    pub(crate) report: RecoveryReport,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) streams: usize,
    pub(crate) redo_threads: usize,
    pub(crate) max_recovery_bytes: u64,
    pub(crate) memory_bytes: u64,
}

impl Shape {
    pub(crate) fn of_streams(streams: usize) -> Self {
        let redo_threads = if streams == 1 { 1 } else { 3 };
        Self { streams, redo_threads, max_recovery_bytes: 8 << 20, memory_bytes: u64::MAX }
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

fn txn_config(durability: Durability) -> TxnConfig {
    TxnConfig { lock_timeout: Duration::from_secs(10), read_newest: true, ..TxnConfig::new(durability) }
}

/// Bytes of a slice: few, so that there are many.
const SLICE_BYTES: usize = 600;

fn tables_config() -> TablesConfig {
    TablesConfig { slice_bytes: SLICE_BYTES, ..TablesConfig::new(5) }
}

/// Opens the table `id`; makes it if the catalog, tree 1, does not know it.
pub(crate) fn table(manager: &Arc<TxnManager>, factory: &ResidentFactory, id: u32) -> Result<Resident> {
    let catalog = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
    let mut root = Vec::new();
    if !catalog.get_into(&manager.view(), &id.to_le_bytes(), &mut root)? {
        let mut txn = manager.begin();
        let at = factory.create(&mut txn, IndexKind::SKIPLIST, id)?;
        root.extend(at.root.get().to_le_bytes());
        catalog.put(&mut txn, &id.to_le_bytes(), &root)?;
        txn.commit()?;
    }
    let root = PageNo::new(u64::from_le_bytes(root[..].try_into().unwrap()));
    factory.open_table(manager, Anchor { kind: IndexKind::SKIPLIST, id, root })
}

impl World {
    /// Without log and home.
    pub(crate) fn volatile(memory_bytes: u64) -> Self {
        let config = Shape { memory_bytes, ..Shape::of_streams(1) }.config();
        let factory = Arc::new(ResidentFactory::new(tables_config()));
        let store = Store::volatile_with(config, |budget| factory.participant(budget).into_iter().collect());
        let (store, undo) = (store.unwrap(), Box::new(KindsUndo::of(factory.clone())));
        let config = txn_config(Durability::None);
        let manager = TxnManager::resume(store.clone(), Vec::new(), Timestamp::new(1), config, undo).unwrap();
        let table = table(&manager, &factory, TABLE).unwrap();
        Self { store, manager, factory, table, report: RecoveryReport::default() }
    }

    /// The store on a machine; made if there is none.
    pub(crate) fn open(sim: &Sim, shape: Shape) -> Result<Self> {
        Self::open_as(sim, shape, txn_config(Durability::Sync))
    }

    /// The same, with transactions like this.
    pub(crate) fn open_as(sim: &Sim, shape: Shape, txns: TxnConfig) -> Result<Self> {
        let factory = Arc::new(ResidentFactory::new(tables_config()));
        let scanned = Opening::begin(sim.env(), Path::new("/home"), shape.config(), true)?.scan()?;
        let redone = scanned.redo_with(|budget| factory.participant(budget).into_iter().collect())?;
        let floor = redone.timestamp_floor();
        let (store, losers, report) = redone.into_parts();
        let undo = Box::new(KindsUndo::of(factory.clone()));
        let manager = TxnManager::resume(store.clone(), losers, floor, txns, undo)?;
        let table = table(&manager, &factory, TABLE)?;
        Ok(Self { store, manager, factory, table, report })
    }

    /// The table, for scripts.
    pub(crate) fn stage(&self) -> Stage<'_> {
        Stage { txns: &self.manager, index: &self.table }
    }

    /// What is wrong with the table and its image.
    pub(crate) fn problems(&self) -> Vec<String> {
        Index::check(&self.table, &self.manager.view()).unwrap().problems
    }

    /// All rows at the newest commit.
    pub(crate) fn rows(&self) -> Model {
        rows(&self.table, self.manager.begin().view())
    }
}
