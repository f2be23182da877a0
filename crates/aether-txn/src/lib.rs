//! Transactions, snapshots, versions, conflicts, rollback.
//!
//! The newest version of a row stands in its leaf; a version prefix names its writer and points to the
//! before-image on an undo page. Rows older than every snapshot are bare. A writer that is not in the
//! transaction table has committed, and everybody sees it.
//!
//! How a commit becomes visible and durable (T2, T3; spec `Publication`): publish `Committing` with the clock value
//! read before, draw the timestamp, append the commit record, publish `Committed`. `durable_ts` is the newest
//! timestamp at or below which every commit is durable or aborted; read-only work reads there and never waits,
//! and a commit is acknowledged once it is passed.
//!
//! Must not know how a key is found: rollback hands each undo record to an [`UndoHandler`].
//!
//! Papers: "Fast Serializable Multi-Version Concurrency Control for Main-Memory Database Systems" (SIGMOD 2015) for
//! in-place versions and undo; "Scalable and Robust Snapshot Isolation for High-Performance Storage Engines"
//! (PVLDB 16(6)) for versions beyond memory.

#![forbid(unsafe_code)]

mod commit;
mod isolation;
mod lock;
mod manager;
mod parts;
mod prepared;
pub mod publication;
mod rank;
mod registry;
mod rollback;
mod segment;
pub mod serial;
mod snapshot;
mod state;
mod trace;
mod txn;
mod undo;

pub use aether_recovery as recovery;
pub use commit::{CommitHandle, Durability};
pub use isolation::{Isolation, TxnOptions};
pub use lock::{
    Cycle, Deadlocks, ENTRY_BYTES, Found, LockMode, LockOwner, LockTable, LockWait, Patience, Resource,
    RowHolder,
};
pub use manager::{TxnConfig, TxnManager, TxnStats};
pub use prepared::Prepared;
pub use rollback::UndoHandler;
pub use snapshot::ReadView;
pub use state::Outcome;
pub use txn::{Savepoint, Txn, UndoPlan};
pub use undo::{ChainWalk, UndoKind, UndoRecord};
