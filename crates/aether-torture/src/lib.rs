//! Whole-engine simulation and oracle: is every state that a crash can leave behind a right one?
//!
//! A [`script::Script`] of transactions follows from a seed. The [`player`] runs it on a store that lives on a
//! simulated machine ([`world::World`]) and keeps its [`history::History`]: the states that a restart may show. The
//! [`study::Study`] repeats the run, cuts the power at each operation in turn, restarts under every crash policy and
//! has the [`oracle`] read the store in every way there is; then it cuts the power inside that recovery, two deep.
//! [`faults`] lets operations fail instead; [`damage`] harms files at rest; in [`threads`] several threads write until the
//! power goes. A [`mutant::Mutant`] plants a bug that the rest must find; [`shrink`] makes a script that fails small. On
//! the real file system, [`kill`] kills the real binary and [`soak`] watches that hours of mixed work neither go wrong nor
//! leak. [`fuzz`] holds what is done with bytes from outside.
//!
//! What transactions promise each other is seen in [`histories`] of real threads, in [`anomalies`] played step by step, in
//! the [`invariants`] of small programs, and with [`prepared`] transactions.
//!
//! This crate stands above the engine and knows it from outside: the facade and the file-system traits. It tests T1, T2, T3, T5,
//! L1, L4, P1, P4, F2 and R2 of the design; see `docs/testing.md`.

#![deny(unsafe_code)]

pub mod allocation;
pub mod anomalies;
mod calls;
pub mod campaign;
pub mod damage;
pub mod faults;
pub mod fuzz;
mod held;
pub mod histories;
pub mod history;
pub mod invariants;
pub mod kill;
pub mod kind;
mod lives;
pub mod model;
pub mod mutant;
pub mod oracle;
pub mod player;
pub mod prepared;
pub mod report;
pub mod rng;
pub mod script;
pub mod shape;
pub mod shrink;
pub mod soak;
pub mod study;
pub mod threads;
pub mod world;
