//! Aether beside other engines: one driver, one small trait, an adapter each.
//!
//! Every figure comes from a child process that runs one workload on one engine, so that peak memory, CPU time and
//! bytes written are that cell's alone. Engines take turns, and medians are printed. Cells that Aether loses are
//! printed like the others.
//!
//! Reading order: `engine` (the trait), `adapters`, `check` (are they right?), `draw` (keys and chance), `workload`
//! (what is run), `transact` (transactions that read before they write), `cell` (running one), `driver` (rounds of children), `report` (the document).

#![deny(unsafe_code)]

pub mod engine;

pub mod adapters;
pub mod cell;
pub mod check;
pub mod draw;
pub mod driver;
pub mod latency;
pub mod meter;
pub mod report;
pub mod transact;
pub mod workload;
