//! The arguments of `torture history`.

use super::DurabilityName;
use aether::Isolation;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `torture history`
#[derive(Args)]
pub(crate) struct History {
    /// The home; created if absent.
    pub(crate) dir: PathBuf,
    /// The isolation level of each transaction.
    #[arg(long, value_enum)]
    pub(crate) level: Level,
    /// Clients, a thread each.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// Transactions, of all clients together; the last one reads the newest lists when the others have ended.
    #[arg(long, default_value_t = 1000)]
    pub(crate) txns: u64,
    /// Lists in use at a time: few make conflicts many.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=9999))]
    pub(crate) keys: u64,
    /// The seed of the workload; what the store holds is mixed in.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The most operations of a transaction.
    #[arg(long, value_name = "OPS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) ops_per_txn: u64,
    /// Appends after which another list takes the place of one.
    #[arg(long, value_name = "APPENDS", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) appends_per_key: u64,
    /// The durability of each commit. With `async` and `none` a commit may be told `ok` before a crash undoes it.
    #[arg(long, value_enum, default_value_t = DurabilityName::Sync)]
    pub(crate) durability: DurabilityName,
    /// The longest wait of `group`, or the interval of `async`, in microseconds.
    #[arg(long, value_name = "US", default_value_t = 500)]
    pub(crate) wait_us: u64,
}

/// An isolation level by name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    ReadCommitted,
    Snapshot,
    Serializable,
}

impl From<Level> for Isolation {
    fn from(level: Level) -> Self {
        match level {
            Level::ReadCommitted => Self::ReadCommitted,
            Level::Snapshot => Self::Snapshot,
            Level::Serializable => Self::Serializable,
        }
    }
}
