//! Histories of concurrent transactions, and what they show of the isolation that a store gives.
//!
//! Transactions append values to lists and read them; no value is appended twice. Whoever reads `[1, 2]` tells that 1
//! was there before 2, so the reads of a key give the order of its versions, and that order tells who overwrote whom
//! (ww), who read from whom (wr) and who read what another then overwrote (rw). An isolation level forbids some cycles
//! of these edges. The method is that of Kingsbury & Alvaro, "Elle: Inferring Isolation Anomalies from Experimental
//! Observations" (VLDB 2020), the names those of Adya, "Weak Consistency" (MIT, 1999).
//!
//! [`event`] reads and writes histories as JSON lines, [`transaction`] finds what belongs together, [`order`] the versions
//! and what is wrong without any cycle, [`edge`] the edges, `graph` the cycles that a level forbids, [`judge`] does it
//! all. [`run`] makes histories of the engine itself, through power cuts and conversions of the keyspace, with a planted [`lie::Lie`] if the test asks,
//! and [`campaign`] many of them.

pub mod anomaly;
pub mod campaign;
mod client;
mod converter;
pub mod edge;
pub mod event;
mod graph;
pub mod judge;
pub mod level;
pub mod lie;
mod lists;
pub mod order;
pub mod run;
pub mod transaction;
