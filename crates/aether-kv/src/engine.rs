//! The small engine: keys and values in one LSM tree, without transactions of the caller's.
//!
//! A home of its own with one keyspace; so there are a write-ahead log, crash recovery, flush and merge threads, block reads through the
//! buffer pool, and any number of readers and writers. Who wants transactions opens the same directory as a [`Db`].

use crate::db::Db;
use crate::env::DbEnv;
use crate::keyspace::KeyspaceOptions;
use crate::lsm::tree::{Lsm, LsmConfig};
use crate::options::Options;
use aether_sync::Arc;
use aether_types::{Error as StoreError, ErrorKind, IndexKind};
use bytes::Bytes;
use core::fmt;
use std::path::Path;

/// The keyspace that an engine keeps its rows in.
const KEYSPACE: &str = "engine";

/// What an [`Engine`] answers in place of a value.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// There is no such key.
    KeyNotFound,
    /// The value is there, and is no UTF-8: see [`Engine::get_bytes`].
    NotUtf8,
    /// What the store met.
    Store(Arc<StoreError>),
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::KeyNotFound, Self::KeyNotFound) | (Self::NotUtf8, Self::NotUtf8) => true,
            (Self::Store(one), Self::Store(other)) => {
                one.kind() == other.kind() && one.to_string() == other.to_string()
            }
            _ => false,
        }
    }
}

impl Eq for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyNotFound => f.write_str("there is no such key"),
            Self::NotUtf8 => f.write_str("the value is not UTF-8; get_bytes gives it as it is"),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            _ => None,
        }
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

/// What an [`Engine`] gives.
pub type Result<T> = core::result::Result<T, Error>;

/// Keys and values in an LSM tree. Used by any number of threads; cheap to clone. The last one closes it.
///
/// ```
/// use aether_kv::engine::{Engine, Error};
/// # fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let dir = tempfile::TempDir::new()?;
/// // Memtable bytes before a flush, runs before a merge.
/// let engine = Engine::new(dir.path(), 64 * 1024 * 1024, 10)?;
/// engine.put("1", "1")?;
/// assert_eq!(engine.get("1")?, "1");
/// engine.del("1")?;
/// assert_eq!(engine.get("1"), Err(Error::KeyNotFound));
///
/// engine.put(b"no text", [0xff, 0xfe])?;
/// assert_eq!(engine.get("no text"), Err(Error::NotUtf8));
/// assert_eq!(engine.get_bytes("no text")?.as_ref(), [0xff, 0xfe]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Engine {
    db: Db,
    tree: Lsm,
}

impl Engine {
    /// Opens the engine in the directory `dir`; makes it if there is none. `memtable_bytes` are held in memory before they are flushed to
    /// a run; so many runs of a level are merged. A put is durable when it returns: see [`Engine::open`] for other ways. Blocks.
    ///
    /// # Errors
    /// As [`DbEnv::open`]; `InvalidInput` for numbers out of bounds, which are those of [`LsmConfig`].
    pub fn new(dir: impl AsRef<Path>, memtable_bytes: u64, runs: usize) -> Result<Self> {
        let lsm = LsmConfig { memtable_bytes, level_runs: Some(runs), ..LsmConfig::default() };
        Self::open(dir, Options { lsm, ..Options::default() })
    }

    /// The same with all options of a home: how durable a put is, how much memory there is.
    ///
    /// # Errors
    /// As [`DbEnv::open`].
    pub fn open(dir: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::in_env(DbEnv::open(dir, options)?)
    }

    /// The engine of a home that is open.
    ///
    /// # Errors
    /// As [`DbEnv::create_keyspace`]; `InvalidInput` if its keyspace is not an LSM tree.
    pub fn in_env(env: DbEnv) -> Result<Self> {
        match env.keyspace(KEYSPACE) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                env.transact(|txn| {
                    env.create_keyspace(txn, KEYSPACE, KeyspaceOptions::of(IndexKind::LSM)).map(drop)
                })?;
            }
            other => drop(other?),
        }
        let db = Db::in_env(env, KEYSPACE)?;
        let tree = db.env().lsm(db.keyspace()).ok_or_else(|| {
            StoreError::invalid(format!("the keyspace `{KEYSPACE}` of this home is not an LSM tree"))
        })?;
        Ok(Self { db, tree })
    }

    /// Inserts or replaces. Blocks as the durability says, and pays for flushes and merges, should they be behind.
    ///
    /// # Errors
    /// `Store`: what [`Db::put`] meets.
    pub fn put(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        Ok(self.db.put(key.as_ref(), value.as_ref())?)
    }

    /// Deletes; it is no error if there was nothing. Blocks likewise.
    ///
    /// # Errors
    /// `Store`: what [`Db::delete`] meets.
    pub fn del(&self, key: impl AsRef<[u8]>) -> Result<()> {
        self.db.delete(key.as_ref())?;
        Ok(())
    }

    /// The value as text. Blocks for reads.
    ///
    /// # Errors
    /// `KeyNotFound`, `NotUtf8`; `Store`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<String> {
        String::from_utf8(self.value(key.as_ref())?).map_err(|_| Error::NotUtf8)
    }

    /// The value. Blocks for reads.
    ///
    /// # Errors
    /// `KeyNotFound`; `Store`.
    pub fn get_bytes(&self, key: impl AsRef<[u8]>) -> Result<Bytes> {
        self.value(key.as_ref()).map(Bytes::from)
    }

    fn value(&self, key: &[u8]) -> Result<Vec<u8>> {
        self.db.get(key)?.ok_or(Error::KeyNotFound)
    }

    /// The store below: transactions, snapshots, iterators.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// The tree: its levels, its policy, flushes and merges by call. It is the one that was opened, also after a conversion of the keyspace.
    pub fn tree(&self) -> &Lsm {
        &self.tree
    }
}
