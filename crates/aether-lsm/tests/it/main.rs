//! Tests of the LSM tree's room.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bytes;
mod merges;
mod model;
mod rates;
mod run_bytes;
mod run_faults;
mod runs;
mod strategies;
