//! The room of the LSM tree: memtables, immutable runs, merge policies, the pacer.
//!
//! What stands so far: [`run`], immutable files of sorted versions that are read through the buffer pool; [`merge`], layers of
//! versions into one; [`filter`], pure code that makes and reads the filters of runs. The LSM tree will join the same log,
//! transactions and memory budget as the other indexes; until then this crate hands the floor below to the one above.
//!
//! Keeps R1, R3, R4, F1 and F2 for runs. Must not know the catalog.

#![forbid(unsafe_code)]

pub mod filter;
pub mod merge;
pub mod run;

pub use aether_index as index;
