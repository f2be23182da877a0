//! Files, directories, clock and entropy as traits with a written crash contract.
//!
//! Every byte that the engine stores passes through [`Vfs`] and [`File`], so the same code runs over the operating
//! system ([`RealVfs`]), over memory ([`MemoryVfs`]) and over the adversary of `aether-sim`. Any implementation must
//! pass [`conformance::run`]. This crate must not know pages or logs. It keeps F2 (in [`write_file_durably`]), F3 and
//! the parts of R2 and R3 that are about reporting every failure once and never retrying a failed sync.
//!
//! # The crash contract
//!
//! What a caller may rely on after the power fails, on POSIX's weakest reading. After the death of the process
//! alone, everything that was written survives and every lock is free.
//!
//! | call | when it returned, a power cut... |
//! |---|---|
//! | [`File::write_at`] | ...may keep any subset of its 512-byte sectors, in any order relative to other unsynced writes, later ones before earlier ones included. A sector holds the old or the new bytes. Where the write grew the file, the size may be old or new independent of the bytes, and grown space whose bytes were lost may hold anything. |
//! | [`File::write_at`] with [`Mode::DirectDurable`] | ...keeps its bytes and the size, provided the file's name is durable. Its sectors may be torn if the cut came before it returned. |
//! | [`File::set_size`] | ...may keep the old or the new size. Space gained reads as zeroes now, as anything after the cut. |
//! | [`File::sync`] | ...keeps the bytes and size that the file had when the call began, provided its name is durable. It says nothing of the name. |
//! | [`Vfs::open`] that created, [`Vfs::create_dir`], [`Vfs::remove`], [`Vfs::rename`] | ...may undo it, each independently of the others. A rename is atomic: one of the two names leads to the file, and a replaced `to` leads to the old or the new file, never to neither. |
//! | [`Vfs::sync_dir`] | ...keeps the names in this directory as they were when the call began. It says nothing of the bytes of the files, nor of this directory's own name in its parent. |
//!
//! When a sync or a write fails, nothing is known about any unsynced byte of the file: the system may have dropped
//! them and marked them clean, so that a second sync succeeds with the data gone. Callers give the handle up (R2).
//!
//! # Concurrency
//!
//! All calls may be made from any thread at any time. Concurrent writes to ranges that do not overlap are
//! independent; overlapping ones leave a mixture. A file that was removed or replaced lives on for its open handles.

#![forbid(unsafe_code)]

mod aligned;
pub mod conformance;
mod env;
mod memory;
mod real;
mod traits;
mod whole;

pub use aligned::{ALIGNMENT, AlignedBuf};
pub use env::{Clock, Entropy, Env, ManualClock, RealClock, RealEntropy, SeededEntropy};
pub use memory::MemoryVfs;
pub use real::RealVfs;
pub use traits::{Create, Entry, File, Mode, OpenOptions, Vfs};
pub use whole::{read_exact_at, read_file, write_file_durably};
