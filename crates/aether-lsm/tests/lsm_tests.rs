//! LSM trees: the suite that every index passes, with rows that are flushed and merged all the time.

#[path = "lsm_tests/conformance.rs"]
mod conformance;
