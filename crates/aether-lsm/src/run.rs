//! Runs: immutable files of sorted versions, written once from beginning to end, read through the buffer pool.
//!
//! [`RunBuilder`] takes entries in order and makes a file; what it could not finish it removes. [`Run`] reads one: [`Run::get`]
//! answers for a key and a snapshot, [`RunCursor`] goes through all versions both ways. Reading order: `layout.rs` (the file),
//! `block.rs` (a block), `build.rs`, `read.rs`, `cursor.rs`. Bytes: `docs/formats.md`, "Runs".
//!
//! Every byte that is read is checked: blocks by a checksum that knows store, file and number, everything else of the file when it is
//! opened. What a checksum lets pass and nobody can have written is `Corruption` and never a panic (R4).

mod aligned;
mod block;
mod build;
mod codec;
mod cursor;
mod damage;
mod file;
mod head;
mod home;
mod info;
mod ingest;
mod layout;
mod locate;
mod output;
mod probe;
mod ranges;
mod read;
mod top;
mod version;

#[cfg(test)]
pub(crate) mod tests;

pub(crate) use aligned::{read_span, span, with_buffer};
pub use build::{BuildOptions, RunBuilder};
pub use codec::Codec;
pub use cursor::RunCursor;
pub(crate) use damage::Unread;
pub(crate) use head::{
    ALIGNMENT, FOOTER_BYTES, FileKind, HEADER_BYTES, Seed, check_footer, footer, footer_at, header, open,
};
pub use home::{RunHome, run_name, values_name};
pub use info::RunInfo;
pub use ingest::ingest;
pub(crate) use output::Output;
pub(crate) use ranges::{Around, Ranges};
pub use read::{Answer, Run};
pub use version::{Entry, Kind, RangeTombstone};
