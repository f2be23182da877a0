//! The room of the LSM tree: memtables, immutable runs, merge policies, the pacer.
//!
//! In reading order: [`run`], immutable files of sorted versions that are read through the buffer pool; [`values`], large
//! values in files beside them; [`read`], what a snapshot sees of several; [`merge`], layers of versions into one; [`policy`] says which runs are
//! merged next; [`version`] is the list of levels, how it is replaced, and when a run's file goes; [`pacer`] is what a write pays for
//! merging; [`schedule`]: who works at which of the merges under way; [`levels`]: whatever has its versions in order can be read and
//! merged as runs are; [`filter`] makes and reads the filters of runs; [`tree`] is the index that all this makes: it shares log,
//! transactions and memory budget with the others.
//!
//! Keeps R1, R3, R4, F1 and F2 for runs. This crate must not know the catalog: what makes an edit of the level list durable is its
//! caller's. It hands the floor below to the one above. Specs: `tla/version_install`, `tla/left_right`, `tla/hanoi`.

#![forbid(unsafe_code)]

pub mod filter;
pub mod levels;
pub mod merge;
pub mod pacer;
pub mod policy;
mod rank;
pub mod read;
pub mod run;
pub mod schedule;
mod trace;
pub mod tree;
pub mod values;
pub mod version;

pub use aether_index as index;
