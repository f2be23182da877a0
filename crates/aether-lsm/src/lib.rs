//! The room of the LSM tree: memtables, immutable runs, merge policies, the pacer.
//!
//! What stands so far is [`filter`]: pure code that makes and reads the filters of runs. The LSM tree will join the same log,
//! transactions and memory budget as the other indexes; until then this crate hands the floor below to the one above.

#![forbid(unsafe_code)]

pub mod filter;
pub mod levels;
pub mod merge;
pub mod pacer;
pub mod policy;
mod rank;
pub mod run;
mod trace;
pub mod version;

pub use aether_index as index;
