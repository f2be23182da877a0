//! The traits of `aether-vfs` as an adversary: torn, lost and reordered writes, lost names, full disks, failed syncs.
//!
//! A [`Sim`] is a machine in memory. A program that does its input and output through an [`Env`](aether_vfs::Env)
//! runs on it unchanged, while the simulation records what each call has promised by the crash contract of
//! `aether-vfs`, and what not. Then cut the power at any operation, ask for the [crash images](Sim::crash_image)
//! that the contract allows, and start the program again on each. Everything follows from the seed.
//!
//! This crate must not know any engine.
//!
//! # What is modelled
//!
//! - Bytes: each file is its durable content and the list of changes since. A 512-byte sector survives as it was
//!   after one of the changes that touched it; the size survives as it was after one of the changes. Policies choose.
//! - Names: each creation, removal and rename of a file or directory survives whole or not at all, in any
//!   combination in which no name is taken from a file that then has none. An image holds what the root leads to.
//! - [`File::sync`](aether_vfs::File::sync) makes bytes and size durable, [`Vfs::sync_dir`](aether_vfs::Vfs::sync_dir)
//!   names, a write in [`Mode::DirectDurable`](aether_vfs::Mode) its own bytes. Neither does the other's work.
//! - Process death ([`Sim::kill_image`]) loses nothing that was written.
//! - Devices that lie or fail while the power is on: [`Fault`].
//!
//! # Example: a small journal, and the sync it forgot
//!
//! ```
//! use aether_sim::{CrashPolicy, Sim};
//! use aether_types::Result;
//! use aether_vfs::{Create, Env, OpenOptions, read_file};
//! use std::path::Path;
//!
//! const PATH: &str = "/journal";
//!
//! /// Appends one byte per call; when it returns, the byte is promised to last.
//! fn append(env: &Env, byte: u8, sync: bool) -> Result<()> {
//!     let file = env.vfs.open(Path::new(PATH), OpenOptions::write(Create::IfMissing))?;
//!     file.write_at(file.size()?, &[byte])?;
//!     if sync {
//!         file.sync()?;
//!         env.vfs.sync_dir(Path::new("/"))?;
//!     }
//!     Ok(())
//! }
//!
//! /// Cuts the power at every operation and counts the images in which a promised byte is gone.
//! fn broken_promises(sync: bool) -> usize {
//!     let mut broken = 0;
//!     for cut in 0.. {
//!         let sim = Sim::new(1);
//!         sim.cut_power_at(cut);
//!         let promised: Vec<u8> =
//!             (1..=5).take_while(|byte| append(&sim.env(), *byte, sync).is_ok()).collect();
//!         for policy in CrashPolicy::all(cut) {
//!             let after = sim.crash_image(policy).env();
//!             let found = read_file(&*after.vfs, Path::new(PATH)).unwrap_or_default();
//!             broken += usize::from(!found.starts_with(&promised));
//!         }
//!         if !sim.is_off() {
//!             break;
//!         }
//!     }
//!     broken
//! }
//!
//! assert_eq!(broken_promises(true), 0);
//! assert!(broken_promises(false) > 0);
//! ```

#![forbid(unsafe_code)]

mod content;
mod crash;
mod data;
mod disk;
mod fault;
mod log;
mod names;
mod rng;
mod sim;
mod vfs;

pub use crash::CrashPolicy;
pub use fault::{Errno, Fault};
pub use log::{OpKind, OpRecord};
pub use sim::Sim;
pub use vfs::SimVfs;
