//! Large values in files of their own.
//!
//! A value file is to large values what a run is to versions: written once, in order, beside the run whose stubs name its values; synced,
//! its directory synced, and only then referred to (F2); removed by whoever could not finish it. A value lies in pieces, each with a
//! checksum that knows store, file, offset and how much of the value is still to come: so a damaged, misplaced or foreign
//! piece is found, and so is a reference that says a wrong place or length. Nothing is kept of a value in memory but a piece.
//!
//! Reading order: `at.rs` (what a stub says), `layout.rs` (the file), `write.rs`, `read.rs`. Bytes: `docs/formats.md`, "Value files".

mod at;
mod layout;
mod read;
mod write;

#[cfg(test)]
mod tests;

pub use at::ValueAt;
pub use read::{ValueFile, ValueReader};
pub use write::{ValueFileInfo, ValueWriter};
