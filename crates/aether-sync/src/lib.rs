//! The only door to threads, locks and atomics.
//!
//! Engine crates name nothing of `std::sync`, `parking_lot`, `loom` or `shuttle`: they name this crate, and
//! `--cfg loom` or `--cfg shuttle` (never a feature) swaps what stands behind it. An uninstrumented wait
//! would hang the schedule checkers, so engine crates use no other lock, channel or spin loop.
//!
//! Two families of atomics: [`atomic`] is modelled by both checkers; [`word`] is the memory of pages, modelled
//! under loom (with pages of a few words) and plain under shuttle.
//!
//! This crate must not know pages or files. Spec: `OptLatch`; see `tests/loom_latch.rs` for the orderings.

mod backoff;
mod counter;
mod crew;
mod feed;
mod latch;
mod lock;
mod park;
mod rank;
pub mod thread;
pub mod word;

pub mod atomic;

pub use backoff::Backoff;
pub use counter::Counter;
pub use crew::{Crew, Work};
pub use latch::{HybridLatch, Version};
pub use lock::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use rank::Rank;
/// Reference counting is not modelled: no protocol of ours rests on the orderings inside `Arc`.
pub use std::sync::{Arc, OnceLock, Weak};
