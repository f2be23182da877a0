//! LSM trees: the suite that every index passes, with rows that are flushed and merged all the time.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "lsm_tests/carried.rs"]
mod carried;
#[path = "lsm_tests/conformance.rs"]
mod conformance;
#[path = "lsm_tests/crash.rs"]
mod crash;
#[path = "lsm_tests/faults.rs"]
mod faults;
#[path = "lsm_tests/garbage.rs"]
mod garbage;
#[path = "lsm_tests/held.rs"]
mod held;
#[path = "lsm_tests/ingest.rs"]
mod ingest;
#[path = "lsm_tests/ingest_damage.rs"]
mod ingest_damage;
#[path = "lsm_tests/ingest_faults.rs"]
mod ingest_faults;
#[path = "lsm_tests/ingest_held.rs"]
mod ingest_held;
#[path = "lsm_tests/ingest_levels.rs"]
mod ingest_levels;
#[path = "lsm_tests/merging.rs"]
mod merging;
#[path = "../../aether-index/tests/shared/rng.rs"]
mod rng;
#[path = "lsm_tests/room.rs"]
mod room;
#[path = "../../aether-index/tests/shared/simulated.rs"]
mod simulated;
#[path = "lsm_tests/slices.rs"]
mod slices;
#[path = "lsm_tests/stale.rs"]
mod stale;
#[path = "lsm_tests/threads.rs"]
mod threads;
#[path = "lsm_tests/world.rs"]
mod world;
