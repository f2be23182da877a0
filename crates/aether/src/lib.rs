//! Aether: an embedded, ACID, multi-index storage engine.
//!
//! One process opens a directory (a *home*) and gets ordered keyspaces with real transactions: many concurrent
//! writers under snapshot isolation, savepoints, durable commits that share their flushes, and recovery that survives
//! crashes during recovery.
//!
//! ```
//! use aether::{Db, KvStore};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let dir = tempfile::TempDir::new()?;
//! let mut kv = KvStore::open(dir.path().join("kv.db"))?;
//! kv.put(b"hello", b"world")?;
//! assert_eq!(kv.get(b"hello")?, Some(b"world".to_vec()));
//! drop(kv);
//!
//! let db = Db::open(dir.path().join("kv.db"))?;
//! let mut txn = db.begin()?;
//! txn.put(db.keyspace(), b"a", b"1")?;
//! let mark = txn.savepoint();
//! txn.put(db.keyspace(), b"b", b"2")?;
//! txn.rollback_to(&mark)?;
//! txn.commit()?;
//! let rows = db.iter()?.collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(rows.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - A commit acknowledged under [`Durability::Sync`] or [`Durability::Group`] survives the death of the process and the
//!   loss of power. After a crash the store equals the state after every acknowledged commit, plus some that were
//!   requested and not answered, closed under what they had read.
//! - [`Durability::Async`] may lose what was committed less than its interval (plus one sync) ago,
//!   [`Durability::None`] what no flush has reached; both keep atomicity and order.
//! - A transaction sees one committed state and its own changes. Of two that change one key, the second to do so gets
//!   [`ErrorKind::Conflict`].
//! - Damage is reported with its place and never served as data.
//!
//! This crate only re-exports; it holds no logic.

#![forbid(unsafe_code)]

/// Ordered maps in memory, on their own: without transactions, and gone with the process. And what an index of a program's own is made
/// of: its traits, and, for one whose rows lie in pages, `rows`.
pub mod index {
    pub use aether_kv::lsm::index::{
        Anchor, BulkLoad, Index, IndexCheck, IndexFactory, LazyRow, LostRange, OrderedCursor, OrderedIndex,
        RowSource, Salvaged, Shape, Sink, Tree, rax, rows, skiplist, txn,
    };
}
/// LSM trees: the small [`Engine`](lsm::Engine) on its own, and what a keyspace of the kind `LSM` is made of.
pub mod lsm {
    pub use aether_kv::engine::{Engine, Error, Result};
    pub use aether_kv::lsm::policy::{self, PolicyKind};
    pub use aether_kv::lsm::tree::{LevelStat, Lsm, LsmConfig, LsmCursor, LsmStat, MergeStat};
    pub use aether_kv::lsm::{filter, levels, merge, run};
}
pub use aether_kv::lsm::index::txn::recovery::wal::buffer;
pub use aether_kv::lsm::index::txn::recovery::wal::buffer::page::{types, vfs};
pub use aether_kv::wal;
pub use aether_kv::{
    Advice, BTreeIndex, CommitHandle, CommitStatus, Conversion, ConversionProgress, Cursor, Cycle, Db, DbEnv,
    Deadlocks, Durability, Error, ErrorKind, GenericKvStore, IndexKind, IndexKinds, Isolation, Iter,
    Keyspace, KeyspaceOptions, KeyspaceStat, KvIndex, KvStore, LockMode, LockTarget, LockWait, LogStat, Lost,
    LsmIndex, Options, Place, RaxIndex, RecoveryReport, Resolution, Resource, Result, SalvageReport,
    Salvaged, Savepoint, SkiplistIndex, Snapshot, Stat, Transact, Transacted, Txn, TxnOptions, ValueReader,
    VerifyReport, WriteBatch, salvage,
};
