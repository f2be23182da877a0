//! The write-ahead log: streams, vectors, group commit, records, segments.
//!
//! The log frames bytes and makes them durable; it must never know what a record means. Several streams are
//! appended to in parallel; the vectors of their records (L3) say what of one needs what of another, and after
//! a crash the log is cut back to its largest consistent cut (L5). The other invariants kept here: L1
//! (incarnations, void ranges, rewrite), L2 (one claim, one writer), the durable half of L4, R2 (the first failed write
//! or sync ends all writing), R3 (a segment in reserve), F2 for its files. Bytes: the log part of
//! `docs/formats.md`. Spec: `StreamCut`.
//!
//! [`Wal::reserve`] takes log credit before any latch, [`Wal::append`] cannot fail, [`Wal::wait_durable`]
//! shares flushes among committers. [`Scan`] reads what an earlier incarnation left.
//!
//! After "Taurus: Lightweight Parallel Logging for In-Memory Database Management Systems" (Xia et al., PVLDB
//! 14(2)) and "Aether: A Scalable Approach to Logging" (Johnson et al., PVLDB 3); that the vectors are
//! accumulated per stream is ours.

#![forbid(unsafe_code)]

mod begin;
mod commit;
mod config;
mod cut;
mod flusher;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod home;
mod pieces;
mod poison;
mod rank;
mod record;
mod records;
pub mod ring;
mod scan;
mod segment;
mod segments;
mod stream;
mod trace;
mod wal;
mod walk;

pub use aether_buffer as buffer;
pub use begin::Control;
pub use config::{Incarnation, WalConfig};
pub use record::FIRST_KIND;
pub use records::{Record, Records};
pub use scan::Scan;
pub use stream::Appended;
pub use wal::{Credit, Wal, WalStats};
