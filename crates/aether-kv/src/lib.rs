//! Homes, keyspaces, transactions over them: the composition root.
//!
//! [`DbEnv`] opens a home: one directory, one log, one memory budget, many keyspaces. [`Db`] is the short way, with one
//! current keyspace; [`KvStore`] the shortest, for a single owner. The knot between the layers below is tied once,
//! in `env.rs`; nothing is wired later. Must not know protocols.

#![forbid(unsafe_code)]

mod batch;
mod bulk;
mod catalog;
mod convert;
mod db;
pub mod engine;
mod env;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod garbage;
mod handle;
mod iter;
mod keyspace;
mod kinds;
mod kv_store;
mod lock;
mod options;
mod rank;
mod retired;
mod rows;
mod salvage;
mod slot;
mod snapshot;
mod stat;
mod trace;
mod transact;
mod two_phase;
mod txn;

pub use aether_lsm as lsm;
pub use batch::WriteBatch;
pub use buffer::page::types::{Advice, Error, ErrorKind, IndexKind, Place, Result};
pub use convert::{Conversion, ConversionProgress};
pub use db::Db;
pub use env::DbEnv;
pub use handle::{CommitHandle, CommitStatus};
pub use iter::{Cursor, Iter, Row};
pub use keyspace::{Keyspace, KeyspaceOptions};
pub use kinds::IndexKinds;
pub use kv_store::{BTreeIndex, GenericKvStore, KvIndex, KvStore, LsmIndex, RaxIndex, SkiplistIndex};
pub use lock::LockTarget;
pub use lsm::index::txn::recovery::RecoveryReport;
pub use lsm::index::txn::recovery::wal::{self, WalConfig, buffer};
pub use lsm::index::txn::{Cycle, Deadlocks, LockMode, LockWait, Resource};
pub use lsm::index::{IndexFactory, ValueReader};
pub use options::{Durability, Isolation, Options, TxnOptions};
pub use salvage::{Lost, SalvageReport, Salvaged, Sink, salvage};
pub use snapshot::Snapshot;
pub use stat::{KeyspaceStat, LogStat, Stat, VerifyReport};
pub use transact::{Transact, Transacted};
pub use two_phase::Resolution;
pub use txn::{Savepoint, Txn};
