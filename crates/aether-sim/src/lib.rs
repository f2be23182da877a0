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
//! - Calls that fail, once or from then on ([`Fault::FailOp`]): every kind of call, with EIO, ENOSPC or EMFILE. A
//!   failed sync that drops what was dirty, as Linux does ([`Fault::FailSyncDropsDirty`]); a write of which half is
//!   done ([`Fault::ShortWrite`]). A short read or write that is no error cannot be: [`File`](aether_vfs::File) finishes it.
//! - Scarcity: a disk of so many bytes, which frees give back ([`Fault::DiskFull`], [`Sim::give_space`]), few handles
//!   ([`Fault::FewHandles`]).
//! - Devices that lie: lost and misplaced writes ([`Fault::LoseWrite`], [`Fault::Misdirect`]), reads of what was
//!   replaced ([`Fault::StaleRead`]), bit rot ([`Fault::FlipBit`]).
//! - Slow and stuck devices: operations that take simulated time ([`Fault::SlowOps`]), or that do not return until
//!   they are let go, while other threads go on ([`Fault::Stuck`], [`Sim::release`]).
//!
//! # Example: a small append-only store, and the sync it forgot
//!
//! `examples/append_only_store.rs` is the long form: records with checksums, recovery, and six mistakes, each caught.
//!
//! ```
//! use aether_sim::{CrashPolicy, Sim};
//! use aether_types::{Result, checksum};
//! use aether_vfs::{Create, Env, OpenOptions, read_file};
//! use std::path::Path;
//!
//! const PATH: &str = "/store";
//!
//! /// Appends a record: a checksum of 8 bytes, the length, the text. When it returns, the record is promised to last.
//! fn append(env: &Env, text: &str, sync: bool) -> Result<()> {
//!     let body = [&[text.len() as u8], text.as_bytes()].concat();
//!     let file = env.vfs.open(Path::new(PATH), OpenOptions::write(Create::IfMissing))?;
//!     let end = records(env).iter().map(|text| 9 + text.len() as u64).sum();
//!     file.write_at(end, &[&checksum(end, &body).to_le_bytes(), &body[..]].concat())?;
//!     if sync {
//!         file.sync()?;
//!         env.vfs.sync_dir(Path::new("/"))?;
//!     }
//!     Ok(())
//! }
//!
//! /// The records up to the first that is not whole.
//! fn records(env: &Env) -> Vec<String> {
//!     let bytes = read_file(&*env.vfs, Path::new(PATH)).unwrap_or_default();
//!     let (mut found, mut at) = (Vec::new(), 0);
//!     while let Some(length) = bytes.get(at + 8) {
//!         let Some(body) = bytes.get(at + 8..at + 9 + usize::from(*length)) else { break };
//!         if bytes[at..at + 8] != checksum(at as u64, body).to_le_bytes() {
//!             break;
//!         }
//!         found.push(String::from_utf8_lossy(&body[1..]).into_owned());
//!         at += 8 + body.len();
//!     }
//!     found
//! }
//!
//! /// Cuts the power at every operation and counts the images in which a promised record is gone.
//! fn broken_promises(sync: bool) -> usize {
//!     let mut broken = 0;
//!     for cut in 0.. {
//!         let sim = Sim::new(1);
//!         sim.cut_power_at(cut);
//!         let texts = ["one", "two", "three"];
//!         let promised = texts.into_iter().take_while(|text| append(&sim.env(), text, sync).is_ok());
//!         let promised: Vec<_> = promised.collect();
//!         let images = CrashPolicy::all(cut).into_iter().map(|policy| sim.crash_image(policy));
//!         broken += images.filter(|image| !is_prefix(&promised, &records(&image.env()))).count();
//!         if !sim.is_off() {
//!             break;
//!         }
//!     }
//!     broken
//! }
//!
//! fn is_prefix(promised: &[&str], found: &[String]) -> bool {
//!     found.len() >= promised.len() && promised.iter().zip(found).all(|(one, other)| one == other)
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
mod trace;
mod vfs;

pub use crash::CrashPolicy;
pub use fault::{Errno, Fault};
pub use log::{OpKind, OpRecord, Strike};
pub use sim::Sim;
pub use trace::file_number;
pub use vfs::SimVfs;
