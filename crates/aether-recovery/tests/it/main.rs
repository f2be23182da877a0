//! The tests of stores without transactions above them, over files in memory and over the adversary of `aether-sim`.
#![cfg(not(any(loom, shuttle)))]
#![allow(clippy::unwrap_used)]

mod checkpoints;
mod creation;
mod damage;
mod groups;
mod losers;
mod redo;
mod rows;
mod space;
mod world;
