//! What the driver asks of an engine.

use std::error::Error;
use std::path::Path;

/// Whatever went wrong, in the engine's own words.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A result of the bench.
pub type Result<T> = std::result::Result<T, Failure>;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Until it survives the loss of power.
    Each,
    /// Nothing; at most about a second of commits is at risk.
    EverySecond,
    /// Nothing.
    Never,
}

/// How a store is opened.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// What a commit waits for.
    pub durability: Durability,
    /// Bytes of the engine's own cache.
    pub cache_bytes: u64,
}

/// A put, or a delete if there is no value.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value; none deletes.
    pub value: Option<&'a [u8]>,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Reverse,
}

/// Shown each row of a scan.
pub type See<'a> = dyn FnMut(&[u8], &[u8]) + 'a;

/// An open store. Used by several threads; dropped, it closes.
pub trait Engine: Send + Sync {
    /// Appends the value of `key` to `out`; false if there is none. Reads what is committed.
    fn get(&self, key: &[u8], out: &mut Vec<u8>) -> Result<bool>;

    /// Applies all of `writes` in one transaction, and waits as the setting says.
    fn write(&self, writes: &[Write<'_>]) -> Result<()>;

    /// Shows up to `limit` rows at one state, beginning with the first at or beyond `from`, which is not empty.
    fn scan(&self, from: &[u8], order: Order, limit: u64, see: &mut See<'_>) -> Result<()>;

    /// Makes durable what is committed. Blocks.
    fn sync(&self) -> Result<()>;
}

/// What a transaction reads a row for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// To know it.
    Read,
    /// To replace it; an engine that locks rows locks it now.
    Update,
}

/// A transaction from within.
pub trait Access {
    /// Appends the value of `key` to `out`; false if there is none. Sees what this transaction has put.
    fn get(&mut self, key: &[u8], intent: Intent, out: &mut Vec<u8>) -> Result<bool>;

    /// Inserts or replaces.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
}

/// What a transaction does; run again from the start if another got in the way.
pub type Body<'a> = dyn FnMut(&mut dyn Access) -> Result<()> + 'a;

/// An open store whose transactions read before they write. While they run, [`Engine::write`] does not.
pub trait Transactions: Engine {
    /// Runs `body` in a transaction and commits it, as often as it takes; the number of attempts. If `body` fails, nothing
    /// that it put stays.
    fn transact(&self, body: &mut Body<'_>) -> Result<u64>;
}

/// One way in which an engine keeps transactions apart; a column of its own.
pub struct Level {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// How it is done, and what it promises.
    pub isolation: &'static str,
    /// Opens or creates a store in a directory of its own.
    pub open: fn(&Path, &Setting) -> Result<Box<dyn Transactions>>,
}

/// An engine that can be opened, and what a reader of its figures must know.
pub struct Peer {
    /// The name on the command line and in tables.
    pub name: &'static str,
    /// The crate that stands behind the adapter.
    pub package: &'static str,
    /// Opens or creates a store in a directory of its own.
    pub open: fn(&Path, &Setting) -> Result<Box<dyn Engine>>,
    /// What [`Durability::Each`] is.
    pub each: &'static str,
    /// What [`Durability::EverySecond`] is.
    pub every_second: &'static str,
    /// What [`Durability::Never`] is.
    pub never: &'static str,
    /// Which bytes are checked when they are read.
    pub checksums: &'static str,
    /// What the cache setting bounds.
    pub cache: &'static str,
    /// How it runs transactions that read before they write; none: not measured.
    pub levels: &'static [Level],
}

impl Peer {
    /// The version in the lock file.
    pub fn version(&self) -> &'static str {
        let mut lines = include_str!("../Cargo.lock").lines();
        let name = format!("name = \"{}\"", self.package);
        lines.by_ref().find(|line| *line == name);
        let version = lines.next().and_then(|line| line.strip_prefix("version = \""));
        version.map_or("?", |version| version.trim_end_matches('"'))
    }
}
