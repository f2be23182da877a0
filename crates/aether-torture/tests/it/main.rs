//! The crash test in small, and the proof that it has teeth: each planted bug is caught.
//!
//! The full run with fixed seeds is `cargo run --release -p aether-torture -- crash --ci`.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

mod anomalies;
mod conversion;
mod crash;
mod damage;
mod fuzz;
mod histories;
mod invariants;
mod kill;
mod limits;
mod mutants;
mod poison;
mod prepared;
mod redo;
mod repair;
mod scripts;
mod shrink;
mod soak;
mod streams;
mod threads;

#[global_allocator]
static COUNTED: aether_torture::allocation::Counted = aether_torture::allocation::Counted;
