//! Runs that leave traces: `cargo xtask tla validate` holds them against the specs below `tla/`.
//!
//! A run of a protocol lets a few threads use the code under test, on the simulated disk, and crashes it now and then;
//! [`schedule`] decides how the threads take turns. The events of all threads are then told in the words of the
//! spec, one [`Step`] each: [`log_buffer`] and its neighbours have the runs and the translation of one protocol each.
//!
//! What a translation may do is give numbers to things and say when something that the code does in one step is two in
//! the spec, or the other way round. It judges nothing: that is the spec's part.
//!
//! Built without `--cfg aether_trace` no run leaves anything.

#![forbid(unsafe_code)]

pub mod arguments;
pub mod btree;
pub mod carry_over;
pub mod checkpoint;
mod dice;
pub mod frames;
pub mod group_commit;
pub mod hanoi;
mod home;
pub mod left_right;
pub mod lock_manager;
pub mod log_buffer;
pub mod page_redo;
pub mod publication;
pub mod schedule;
pub mod snapshots;
mod stage;
mod step;
pub mod stream_cut;
pub mod two_phase_commit;
pub mod undo;
pub mod version_gc;
pub mod version_install;
pub mod write_back;

pub use dice::Dice;
pub use step::{Step, Trace};

/// Makes a trace from a seed.
pub type Run = fn(u64) -> Trace;

/// The protocols, by the names of their folders, and their runs.
pub const PROTOCOLS: &[(&str, Run)] = &[
    ("btree", btree::trace),
    ("carry_over", carry_over::trace),
    ("checkpoint", checkpoint::trace),
    ("frames", frames::trace),
    ("group_commit", group_commit::trace),
    ("hanoi", hanoi::trace),
    ("left_right", left_right::trace),
    ("lock_manager", lock_manager::trace),
    ("log_buffer", log_buffer::trace),
    ("page_redo", page_redo::trace),
    ("publication", publication::trace),
    ("snapshots", snapshots::trace),
    ("stream_cut", stream_cut::trace),
    ("two_phase_commit", two_phase_commit::trace),
    ("undo", undo::trace),
    ("version_gc", version_gc::trace),
    ("version_install", version_install::trace),
    ("write_back", write_back::trace),
];
