//! Tables of rows in memory: against a sorted map, under threads, and through power cuts.
#![cfg(all(feature = "skiplist", feature = "btree", not(any(loom, shuttle))))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

mod below;
mod carried;
mod crash;
mod image;
#[path = "../shared/kept.rs"]
mod kept;
mod locks;
mod model;
#[path = "../shared/rng.rs"]
mod rng;
#[path = "../shared/scripts.rs"]
mod scripts;
mod world;
