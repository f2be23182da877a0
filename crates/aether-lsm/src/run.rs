//! Runs: immutable files of sorted versions.

mod info;

pub use info::RunInfo;
