//! Tables of rows in memory: against a sorted map, under threads, and through power cuts.
//!
//! Bugs can be planted that these tests are there for: build with `--cfg aether_mutants` and name one in the environment
//! variable `AETHER_PLANTED` (`docs/testing.md` lists them).
#![cfg(all(feature = "skiplist", feature = "btree", not(any(loom, shuttle))))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

mod crash;
mod image;
mod locks;
mod model;
mod world;
