//! Serializability by backward validation.
//!
//! A serializable transaction notes what it reads: keys and ranges. When it commits, it is refused if a transaction that
//! committed after its snapshot has changed any of that. Validation and the drawing of the commit's timestamp are one
//! step under one lock, so the order of commits is a serial order: each transaction has read what it would have read
//! at its own place in that order. A transaction that only reads stands at its snapshot and needs no validation.
//!
//! A prepared transaction has been validated and has no place yet. Until it is decided, what it has read stands as a
//! lock: a commit that changes any of it is refused, at every level (T2). What it changes stands against others who want to be
//! prepared and have read it: or its commit would be refused until those are decided (T5).
//!
//! Papers: Härder, "Observations on Optimistic Concurrency Control Schemes" (Information Systems 9(2), 1984), for backward
//! validation; Neumann, Mühlbauer, Kemper, "Fast Serializable Multi-Version Concurrency Control for Main-Memory Database
//! Systems" (SIGMOD 2015), for predicates instead of locks.

mod history;
mod meter;
mod predicates;
mod read_set;
#[cfg(test)]
mod tests;
mod write_set;

pub(crate) use history::{Draw, History};
pub(crate) use meter::Meter;
pub use predicates::Predicates;
pub use read_set::{RangeMark, ReadSet};
pub use write_set::WriteSet;

use aether_recovery::Store;
use aether_recovery::wal::buffer::Account;
use aether_types::checksum;

/// What is noted for validation is charged to it.
pub(crate) fn account(store: &Store) -> Account {
    store.budget().account("validation")
}

/// A key of a tree in eight bytes. Two keys that share one are taken for the same: a commit refused too many, once in
/// 2^64 pairs.
fn fingerprint(tree: u32, key: &[u8]) -> u64 {
    checksum(u64::from(tree), key)
}
