//! The room of the LSM tree: memtables, immutable runs, merge policies, the pacer.
//!
//! Its floor is laid and nothing public stands on it yet: the LSM tree will join the same log, transactions and
//! memory budget as the other indexes. Until
//! then this crate only hands the floor below to the one above.

#![forbid(unsafe_code)]

pub use aether_index as index;
