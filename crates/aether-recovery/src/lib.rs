//! Mini-transactions, page allocation, analysis, redo, checkpoints, torn-page repair.
//!
//! [`Mtr`], the mini-transaction, is the only way to change a page: it latches, checks, logs, applies and stamps a
//! few pages as one group that happens whole or not at all. Redo applies the same operations by the same
//! function, each page's in the order of its sequence numbers (P2); undo is logical and belongs to the layer
//! above, whose before-images lie on pages and are redone like any other.
//!
//! Rows that live in memory ([`RowChange`], [`Participant`]) are changed by the same groups; a stripe of them is to a
//! mini-transaction what a page is.
//!
//! Opening a store is a sequence of types: [`Opening`] (locked, control file read) then [`Scanned`] (log cut) then
//! [`Redone`] (pages as of the cut, losers known). Each step consumes the one before (L1).
//!
//! Keeps L1, L5, P2, P3, P4 (through the double-write area), P5's checkpoint order, F1 and F2. Must not know which
//! indexes exist. Specs: `PageRedo`, `Writeback`, `StreamCut`.
//!
//! Papers: ARIES (TODS 1992); "Rethinking Logging, Checkpoints, and Recovery for High-Performance Storage Engines"
//! (SIGMOD 2020).

#![forbid(unsafe_code)]

mod active;
mod checkpoint;
mod control;
mod create;
mod file_ids;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod group;
mod identify;
mod mtr;
mod open;
mod participant;
mod rank;
mod rebuild;
mod redo;
mod rows;
mod space;
mod store;
mod trace;

pub use active::ActiveTxn;
pub use aether_wal as wal;
pub use checkpoint::CheckpointStats;
pub use control::CONTROL_NAME;
pub use identify::{Identity, identify, pages_path};
pub use mtr::{Mtr, PageSlot};
pub use open::{LOCK_NAME, Loser, Opening, RecoveryReport, Redone, Scanned};
pub use participant::{Advance, Participant, Participants};
pub use rows::{
    RowChange, RowOp, RowPart, STRIPES, StripePlace, first_psn, next_psn, psn_count, psn_life, stripe_of,
};
pub use space::SpaceStats;
pub use store::{FIRST_TREE_ROOT, PAGES_FILE, ROOTS_PAGE, Store, StoreConfig};
