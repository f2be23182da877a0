//! Page bytes: layouts, checksums, page operations and the page file.
//!
//! The byte contract is `docs/formats.md`; this crate implements its page part and nothing else. A page in memory
//! is a slice of words ([`View`] reads it, [`PageMut`] writes it); a page on its way to or from storage is a slice
//! of bytes ([`seal`], [`verify`], [`PageFile`]). Between the two stand [`copy_for_write`] and [`load_words`].
//! The only way to change a page that outlives a crash is a [`PageOp`]: the same `apply` serves running and redo.
//!
//! It must never know residency (frames, eviction, latches: whoever calls holds the latch that the call needs) nor
//! logs (what a group is, when it is durable).
//!
//! Invariants kept here:
//! - P2 Each log group that changes a page raises its PSN by one, across all its lives. [`PageOp::is_init`] tells
//!   the operations that never need the old bytes and may jump from all others, which apply at exactly the next
//!   PSN. `apply` itself does not touch the PSN: the mini-transaction stamps it once per group.
//! - P3 A page's checksum covers store, file, page number and PSN, so that a torn or misplaced page is detected.
//!   Frame hints are 0 on disk.
//! - P6 A reader that validated its latch version saw one consistent state. One that did not may have read any
//!   mixture: so every offset and count is clamped here, and garbage never becomes a panic or an endless loop.
//! - R4 Nothing read from storage is trusted: [`PageOp::decode`] and [`PageOp::check`] refuse what does not fit.

#![forbid(unsafe_code)]

pub use aether_sync as sync;
pub use aether_types as types;
pub use aether_vfs as vfs;

mod page_mut;
mod view;

mod file;
pub mod header;
mod seal;
mod swip;
mod transfer;
mod undo_ptr;

pub mod fixed;
pub mod node;
pub mod overflow;
pub mod radix;
pub mod slotted;
pub mod space_map;

mod check;
mod op;

pub use check::check_page;
pub use file::PageFile;
pub use header::PageType;
pub use op::{Clean, PageOp};
pub use page_mut::PageMut;
pub use seal::{seal, verify};
pub use swip::Swip;
pub use transfer::{copy_for_write, is_never_written, load_words, mask_hints};
pub use undo_ptr::UndoPtr;
pub use view::View;
