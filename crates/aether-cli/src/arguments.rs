//! The whole command line.

mod bulk;
mod convert;
mod history;

pub(crate) use bulk::{
    Batches, Dump, Import, InputFormat, Load, OnDuplicate, OutputFormat, Salvage, StoreKind,
};

pub(crate) use convert::{Convert, KindName};
pub(crate) use history::{History, Level};

use crate::exit;
use aether::Durability;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The home used without `--home`.
pub(crate) const DEFAULT_HOME: &str = "aether-home";

/// Aether, an embedded ACID key-value store: load, read, change and examine a home.
#[derive(Parser)]
#[command(name = "aether", version, about, after_help = exit::HELP)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(Args)]
pub(crate) struct Common {
    /// The home: the store's directory. `load`, `import` and `put` create it, the others want it
    /// to exist.
    /// Default: ./aether-home; `demo`: a temporary one.
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) home: Option<PathBuf>,
    /// How results are printed: for people and pipes, as JSON, or as a table.
    #[arg(long, global = true, value_enum, default_value_t = Format::Plain)]
    pub(crate) format: Format,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Plain,
    Json,
    Table,
}

/// The commands.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Load rows from a file or standard input, a transaction per batch.
    #[command(after_help = exit::HELP)]
    Load(Load),
    /// Copy the rows of another engine's file into a keyspace, a transaction per batch.
    #[command(after_help = exit::HELP)]
    Import(Import),
    /// Print a whole keyspace, in key order.
    #[command(after_help = exit::HELP)]
    Dump(Dump),
    /// Print the value of a key.
    #[command(after_help = exit::HELP)]
    Get(Get),
    /// Set a key, durably.
    #[command(after_help = exit::HELP)]
    Put(Put),
    /// Delete a key, durably; exit code 1 if it was not there.
    #[command(after_help = exit::HELP)]
    Delete(Delete),
    /// Print rows in key order.
    #[command(after_help = exit::HELP)]
    Scan(Scan),
    /// Give a keyspace another kind of index. Killed at any time, it leaves the keyspace whole, in one or the other.
    ///
    /// There must be room for both indexes, in memory for those that are kept there. What it did is printed: the rows
    /// copied, and how long that took.
    #[command(after_help = exit::HELP)]
    Convert(Convert),
    /// Print sizes and counters.
    #[command(after_help = exit::HELP)]
    Stat {
        /// Count the rows too; reads every page
        #[arg(long)]
        full: bool,
    },
    /// Check every page and every index; exit code 3 if anything is wrong.
    #[command(after_help = exit::HELP)]
    Verify,
    /// Write out all that is sound of a damaged home, a file for each keyspace, and list what is not; the home is
    /// not changed. Exit code 3 if anything is lost.
    #[command(after_help = exit::HELP)]
    Salvage(Salvage),
    /// Load Unicode's character table, query it, kill a loading process and show that nothing is lost.
    #[command(after_help = exit::HELP)]
    Demo,
    /// Black-box probes of the store's promises.
    #[command(subcommand)]
    Torture(Torture),
}

/// The keyspace a command works on.
#[derive(Args)]
pub(crate) struct InKeyspace {
    /// The keyspace; `load`, `import` and `put` create it.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(crate) keyspace: String,
}

/// `get`
#[derive(Args)]
pub(crate) struct Get {
    /// The key.
    pub(crate) key: OsString,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
    /// Print the bytes alone, without a newline behind them.
    #[arg(long)]
    pub(crate) raw: bool,
}

/// `put`
#[derive(Args)]
pub(crate) struct Put {
    /// The key.
    pub(crate) key: OsString,
    /// The value.
    #[arg(required_unless_present = "from", conflicts_with = "from")]
    pub(crate) value: Option<OsString>,
    /// Take the value from a file; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
}

/// `delete`
#[derive(Args)]
pub(crate) struct Delete {
    /// The key.
    pub(crate) key: OsString,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
}

/// `scan`
#[derive(Args)]
pub(crate) struct Scan {
    /// Only keys that begin so.
    #[arg(long, value_name = "P")]
    pub(crate) prefix: Option<OsString>,
    /// From this key on, itself included.
    #[arg(long, value_name = "A")]
    pub(crate) from: Option<OsString>,
    /// Up to this key, itself excluded.
    #[arg(long, value_name = "B")]
    pub(crate) to: Option<OsString>,
    /// From the last key to the first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// At most so many rows.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
}

/// `torture`
#[derive(Subcommand)]
pub(crate) enum Torture {
    /// Run transactions against a store, whatever it holds, and print one JSON line per event.
    ///
    /// {"t":"I","c":0,"s":7,"w":[["c0/k1","v"],["c0/k2",null]],"dep":{"1":4}} before the commit of
    /// client 0's transaction 7, which puts c0/k1 and deletes c0/k2 and has read a write of client 1's
    /// transaction 4; {"t":"A",..} once it is durable, {"t":"F",..} if it certainly failed, {"t":"U",..}
    /// if it is in doubt. Each line is one write to standard output.
    #[command(after_help = exit::HELP)]
    Work(Work),
    /// Run concurrent transactions over few lists and print what each has done and seen, one JSON line per event.
    ///
    /// {"p":3,"t":"invoke","id":17,"ops":[["append","x",41],["r","x",null]]} before client 3 begins transaction 17;
    /// then, with the same id, {"t":"ok",..} once its commit has returned, with the lists that it read in place of
    /// null; {"t":"fail",..} if it certainly did not commit, {"t":"info",..} if that is unknown. The lines are in the
    /// order of one clock. A list is a row of the default keyspace, its numbers in decimal, blanks between them. No
    /// number is appended twice, also by later runs on the same home, which go on with the same lists: their
    /// histories, one behind the other, are one history.
    #[command(after_help = exit::HELP)]
    History(History),
    /// Open and recover any store and print its default keyspace as TSV; exit code 3 if it is damaged.
    #[command(after_help = exit::HELP)]
    Dump(TortureDump),
}

/// `torture work`
#[derive(Args)]
pub(crate) struct Work {
    /// The home; created if absent.
    pub(crate) dir: PathBuf,
    /// Transactions, of all clients together.
    #[arg(long, default_value_t = 1000)]
    pub(crate) txs: u64,
    /// Clients, a thread each.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) clients: u32,
    /// The seed of the workload; what the store holds is mixed in.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Keys per client.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) keys: u64,
    /// The largest value in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 12_000)]
    pub(crate) value_bytes_max: u64,
    /// Frames of the buffer pool.
    #[arg(long, value_name = "FRAMES", default_value_t = 64)]
    pub(crate) pool_frames: usize,
    /// Bytes of a log segment.
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 10)]
    pub(crate) segment_bytes: u64,
    /// Log that a recovery may have to read, in bytes: more makes a checkpoint.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    pub(crate) max_recovery_bytes: u64,
    /// Bytes of a page; counts when the store is created.
    #[arg(long, value_name = "BYTES", default_value_t = 4096)]
    pub(crate) page_bytes: usize,
    /// Log streams.
    #[arg(long, default_value_t = 1)]
    pub(crate) streams: usize,
    /// The durability of each commit.
    #[arg(long, value_enum, default_value_t = DurabilityName::Sync)]
    pub(crate) durability: DurabilityName,
    /// The longest wait of `group`, or the interval of `async`, in microseconds.
    #[arg(long, value_name = "US", default_value_t = 500)]
    pub(crate) wait_us: u64,
    /// What the default keyspace is to be; if it is of another kind, it is converted while the clients work. An LSM tree
    /// merges as the seed has it.
    #[arg(long, value_enum)]
    pub(crate) kind: Option<KindName>,
}

/// A durability by name.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityName {
    Sync,
    Group,
    Async,
    None,
}

impl DurabilityName {
    /// The durability, with this for the longest wait of `group` and the interval of `async`.
    pub(crate) fn with_wait(self, wait: Duration) -> Durability {
        match self {
            Self::Sync => Durability::Sync,
            Self::Group => Durability::Group { max_wait: wait },
            Self::Async => Durability::Async { interval: wait },
            Self::None => Durability::None,
        }
    }
}

/// `torture dump`
#[derive(Args)]
pub(crate) struct TortureDump {
    /// The home.
    pub(crate) dir: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
