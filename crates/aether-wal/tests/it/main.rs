//! The tests of the log, over files in memory and over the adversary of `aether-sim`.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)]

mod append;
mod crash;
mod flusher;
mod history;
mod hostile;
mod reuse;
mod store;
