//! How a home is opened.

use crate::buffer::BufferConfig;
use crate::kinds::IndexKinds;
use crate::lsm::index::IndexFactory;
use crate::lsm::index::txn::TxnConfig;
use crate::lsm::index::txn::recovery::StoreConfig;
use crate::lsm::tree::LsmConfig;
use crate::wal::WalConfig;
use aether_sync::Arc;
use aether_types::{Error, IndexKind, Result};
use std::time::Duration;

pub use crate::lsm::index::txn::{Durability, Isolation, TxnOptions};

/// How a home is opened. The page size counts when it is created, and is kept from then on.
#[derive(Clone, Debug)]
pub struct Options {
    /// Create the home if there is none.
    pub create: bool,
    /// The buffer pool: `num_frames` times the page size is its share of the memory.
    pub buffer: BufferConfig,
    /// The log.
    pub wal: WalConfig,
    /// Bytes of log that a restart may have to read.
    pub max_recovery_bytes: u64,
    /// Threads that redo the log when the home is opened, 64 at most; 0: with `background` one per processor, four at
    /// most, without it one; 1: the opening thread.
    pub redo_threads: usize,
    /// Bytes of memory for everything together.
    pub memory_bytes: u64,
    /// What a commit waits for, unless the transaction says otherwise. With `Async` or `None`, read-only work shows
    /// the newest commits, durable or not.
    pub durability: Durability,
    /// The isolation level of a transaction that does not say otherwise.
    pub isolation: Isolation,
    /// The longest wait for one lock; zero: none at all, a row that another transaction is changing is a `Conflict` at once.
    pub lock_timeout: Duration,
    /// A snapshot or transaction that has been held for longer, and keeps old versions of what others have changed since, is
    /// ended: its next read answers `Expired`. None: never.
    pub snapshot_age_max: Option<Duration>,
    /// Run the threads for pages, read-ahead, log and checkpoints. Without them the same work is done by those who need it.
    pub background: bool,
    /// LSM trees. Without `background` those who write flush and merge.
    pub lsm: LsmConfig,
    /// Kinds of indexes beside the engine's own; see [`Options::register_index`].
    pub indexes: IndexKinds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            create: true,
            buffer: BufferConfig::default(),
            wal: WalConfig::default(),
            max_recovery_bytes: 256 << 20,
            redo_threads: 0,
            memory_bytes: u64::MAX,
            durability: Durability::Sync,
            isolation: Isolation::Snapshot,
            lock_timeout: Duration::from_secs(10),
            snapshot_age_max: None,
            background: true,
            lsm: LsmConfig::default(),
            indexes: IndexKinds::default(),
        }
    }
}

impl Options {
    /// Fewer than this leaves no room for a checkpoint between two others.
    pub const MAX_RECOVERY_BYTES_MIN: u64 = 64 << 10;

    /// Adds a kind of index, under an id from 64 on: keyspaces can be created with it, and those that were can be opened. The id stands
    /// in the home for good.
    pub fn register_index(mut self, kind: IndexKind, factory: impl IndexFactory) -> Self {
        self.indexes.register(kind, Arc::new(factory));
        self
    }

    pub(crate) fn txn_config(&self) -> TxnConfig {
        let Self { isolation, lock_timeout, snapshot_age_max, .. } = *self;
        TxnConfig { isolation, lock_timeout, snapshot_age_max, ..TxnConfig::new(self.durability) }
    }

    pub(crate) fn lsm_config(&self) -> LsmConfig {
        let threads = if self.background { self.lsm.threads } else { 0 };
        LsmConfig { threads, ..self.lsm }
    }

    pub(crate) fn store_config(&self) -> Result<StoreConfig> {
        self.indexes.check()?;
        self.lsm.check()?;
        if self.max_recovery_bytes < Self::MAX_RECOVERY_BYTES_MIN {
            return Err(Error::invalid(format!(
                "max_recovery_bytes is {}; at least {} are needed",
                self.max_recovery_bytes,
                Self::MAX_RECOVERY_BYTES_MIN
            )));
        }
        let mut config = StoreConfig {
            buffer: self.buffer.clone(),
            wal: self.wal.clone(),
            max_recovery_bytes: self.max_recovery_bytes,
            memory_bytes: self.memory_bytes,
            redo_threads: self.redo_threads,
            initial_trees: crate::catalog::INITIAL_TREES,
        };
        config.buffer.streams = config.wal.streams;
        if !self.background {
            config.buffer.enable_page_provider = false;
            config.buffer.prefetch_threads = 0;
            config.wal.flusher = false;
            config.redo_threads = self.redo_threads.max(1);
        }
        Ok(config)
    }
}
