//! The shortest way: one owner, one keyspace, each call a transaction.

use crate::db::Db;
use crate::env::DbEnv;
use crate::iter::Iter;
use crate::keyspace::KeyspaceOptions;
use crate::options::Options;
use aether_types::{Error, ErrorKind, IndexKind, Result};
use core::marker::PhantomData;
use std::ops::RangeBounds;
use std::path::Path;

/// Which index a [`GenericKvStore`] keeps its rows in.
pub trait KvIndex {
    /// The kind.
    const KIND: IndexKind;

    /// Makes the kind known to a home, if it is not one of the engine's own.
    fn register(options: Options) -> Options {
        options
    }
}

/// A B+tree: the keyspace `default`.
#[derive(Clone, Copy, Debug)]
pub enum BTreeIndex {}

impl KvIndex for BTreeIndex {
    const KIND: IndexKind = IndexKind::BTREE;
}

/// A radix tree whose rows lie in pages.
#[derive(Clone, Copy, Debug)]
pub enum RaxIndex {}

impl KvIndex for RaxIndex {
    const KIND: IndexKind = IndexKind::RAX;
}

/// An LSM tree: the newest rows in memory, the others in runs.
#[derive(Clone, Copy, Debug)]
pub enum LsmIndex {}

impl KvIndex for LsmIndex {
    const KIND: IndexKind = IndexKind::LSM;
}

/// A skiplist: all rows in memory, made durable by the log and an image.
#[derive(Clone, Copy, Debug)]
pub enum SkiplistIndex {}

impl KvIndex for SkiplistIndex {
    const KIND: IndexKind = IndexKind::SKIPLIST;
}

/// The keyspace of a store whose index is no B+tree.
const KEYSPACE: &str = "kv";

/// A store with a single owner, whose rows lie in an index of the kind that `I` says. Its path is a home like any other; with a B+tree its
/// rows are the keyspace `default`, else the keyspace `kv`.
pub struct GenericKvStore<I> {
    db: Db,
    index: PhantomData<fn() -> I>,
}

/// A store with a single owner, in the keyspace `default`.
pub type KvStore = GenericKvStore<BTreeIndex>;

impl<I: KvIndex> GenericKvStore<I> {
    /// Opens or creates a store.
    ///
    /// # Errors
    /// As [`crate::DbEnv::open`]; `InvalidInput` if the rows there lie in another kind of index.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, Options::default())
    }

    /// As [`GenericKvStore::open`], with options.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let env = DbEnv::open(path, I::register(options))?;
        let db = if I::KIND == IndexKind::BTREE {
            Db::in_env(env, crate::catalog::DEFAULT_NAME)?
        } else {
            Self::in_own_keyspace(env)?
        };
        Ok(Self { db, index: PhantomData })
    }

    fn in_own_keyspace(env: DbEnv) -> Result<Db> {
        match env.keyspace(KEYSPACE) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut txn = env.begin()?;
                env.create_keyspace(&mut txn, KEYSPACE, KeyspaceOptions::of(I::KIND))?;
                txn.commit()?;
            }
            Ok(there) if there.kind() != I::KIND => {
                let what = format!("the keyspace `{KEYSPACE}` is of {}, not of {}", there.kind(), I::KIND);
                return Err(Error::invalid(what));
            }
            other => drop(other?),
        }
        Db::in_env(env, KEYSPACE)
    }

    /// Inserts or replaces.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.db.put(key.as_ref(), value.as_ref())
    }

    /// The value of `key`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.db.get(key.as_ref())
    }

    /// Deletes; false if there was nothing.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.db.delete(key.as_ref())
    }

    /// All rows, ascending; `.rev()` descends.
    pub fn iter(&self) -> Result<Iter<'static>> {
        self.db.iter()
    }

    /// The rows whose keys lie in a range.
    pub fn range(&self, range: impl RangeBounds<Vec<u8>>) -> Result<Iter<'static>> {
        self.db.range(range)
    }

    /// The rows whose keys begin with `prefix`.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Iter<'static>> {
        self.db.prefix(prefix.as_ref())
    }

    /// The shared form.
    pub fn into_db(self) -> Db {
        self.db
    }
}
