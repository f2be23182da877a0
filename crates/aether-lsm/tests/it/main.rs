//! Tests of the LSM tree's room.

#![allow(clippy::unwrap_used, reason = "tests")]

mod adaptive;
mod bytes;
mod merges;
mod model;
mod pacing;
mod rates;
mod reads;
mod run_bytes;
mod run_faults;
mod runs;
mod schedule;
mod shapes;
mod simulator;
mod sources;
mod strategies;
mod values;
mod versions;
