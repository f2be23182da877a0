//! LSM trees: the suite that every index passes, with rows that are flushed and merged all the time.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "lsm_tests/conformance.rs"]
mod conformance;
#[path = "lsm_tests/crash.rs"]
mod crash;
#[path = "lsm_tests/world.rs"]
mod world;
