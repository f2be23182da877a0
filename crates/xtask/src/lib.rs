//! The automation of the house: what CI runs after the tests, and the rules that no compiler checks.
//!
//! `steps` is the table of the gate and `gate` runs it; `checks` holds the steps that want more than one command
//! (loom, shuttle, Miri, ThreadSanitizer, torture), `fuzz` the fuzz targets, `mutants` small changes of the code, `tla` the specs. [`floors`] judges the arrows between crates, [`rules`] the text of the sources,
//! [`tree`] the top level of the repository: functions from a small model to a list of breaches, so that each rule
//! can be shown a planted violation. `tests/it` applies them to the repository itself.
//!
//! This crate must not know the engine: it names no crate of ours.
#![forbid(unsafe_code)]

mod checks;
mod cli;
mod fuzz;
mod gate;
mod mutants;
mod steps;
mod terminal;
mod tla;

pub mod floors;
pub mod repository;
pub mod rules;
pub mod source;
pub mod tree;

pub use cli::run;
