//! A store with one index of the kind under test. Where its index is stands in tree 1, as in a home.

use crate::btree::BTree;
use crate::traits::{Anchor, IndexFactory, OrderedIndex};
use crate::undo::KindsUndo;
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::BufferConfig;
use aether_txn::recovery::{FIRST_TREE_ROOT, Opening, Store, StoreConfig};
use aether_txn::{Durability, TxnConfig, TxnManager};
use aether_types::{IndexKind, PageNo, Result, Timestamp};
use aether_vfs::Env;
use std::path::Path;

/// The kind under test is registered as.
pub(super) const KIND: IndexKind = IndexKind::FIRST_FOREIGN;
const ID: u32 = 16;
const ROW: &[u8] = b"the index";

/// A disk whose plug can be pulled.
pub trait Disk: Sized {
    /// Its files.
    fn env(&self) -> Env;

    /// Calls of the file system so far.
    fn op_count(&self) -> u64;

    /// Cuts the power at that call: it and all after it fail.
    fn cut_power_at(&self, op: u64);

    /// A disk with what may be left, one of many as the seed says.
    fn after_crash(&self, seed: u64) -> Self;
}

/// An open store, and its index.
pub struct World {
    /// Its transactions.
    pub txns: Arc<TxnManager>,
    /// The index under test.
    pub index: Arc<dyn OrderedIndex>,
}

fn config(frames: usize) -> StoreConfig {
    let buffer = BufferConfig {
        num_frames: frames,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let mut config = StoreConfig { buffer, max_recovery_bytes: 256 << 10, ..StoreConfig::default() };
    config.wal.flusher = false;
    config.redo_threads = 1;
    config
}

impl World {
    /// A store in memory alone, with so many frames.
    ///
    /// # Errors
    /// Those of the factory.
    pub fn volatile(factory: &Arc<dyn IndexFactory>, frames: usize) -> Result<Self> {
        let store =
            Store::volatile_with(config(frames), |budget| factory.participant(budget).into_iter().collect())?;
        let config = TxnConfig::new(Durability::None);
        let handler = Box::new(KindsUndo::of(factory.clone()));
        let txns = TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, handler)?;
        Self::with_index(txns, factory)
    }

    /// A store in these files, recovered if it was not closed.
    ///
    /// # Errors
    /// Those of the files, and of the factory.
    pub fn open(env: Env, factory: &Arc<dyn IndexFactory>) -> Result<Self> {
        let scanned = Opening::begin(env, Path::new("/home"), config(96), true)?.scan()?;
        let redone = scanned.redo_with(|budget| factory.participant(budget).into_iter().collect())?;
        let floor = redone.timestamp_floor();
        let (store, losers, _) = redone.into_parts();
        let handler = Box::new(KindsUndo::of(factory.clone()));
        let config = TxnConfig::new(Durability::Sync);
        let txns = TxnManager::resume(store, losers, floor, config, handler)?;
        Self::with_index(txns, factory)
    }

    /// Frees the index, and forgets where it is.
    pub(super) fn free(self) -> Result<()> {
        self.index.free_below()?;
        names(&self.txns).remove_with_root(ROW, &*self.index)
    }

    fn with_index(txns: Arc<TxnManager>, factory: &Arc<dyn IndexFactory>) -> Result<Self> {
        let names = names(&txns);
        let mut root = Vec::new();
        let at = if names.get_into(&txns.view(), ROW, &mut root)? {
            let root = root.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            Anchor { kind: KIND, id: ID, root: PageNo::new(root) }
        } else {
            let mut txn = txns.begin();
            let at = factory.create(&mut txn, KIND, ID)?;
            names.put(&mut txn, ROW, &at.root.get().to_le_bytes())?;
            let durability = txn.durability();
            txn.commit_with(durability)?.wait_as(durability)?;
            at
        };
        let index = factory.open(&txns, at)?;
        Ok(Self { txns, index })
    }
}

fn names(txns: &Arc<TxnManager>) -> BTree {
    BTree::open(txns.clone(), FIRST_TREE_ROOT, 1)
}
