//! The shortest way: one owner, the keyspace `default`, each call a transaction.

use crate::db::Db;
use crate::iter::Iter;
use crate::options::Options;
use aether_types::Result;
use std::ops::RangeBounds;
use std::path::Path;

/// A store with a single owner. Its path is a home like any other.
pub struct KvStore(Db);

impl KvStore {
    /// Opens or creates a store.
    ///
    /// # Errors
    /// As [`crate::DbEnv::open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Db::open(path).map(Self)
    }

    /// As [`KvStore::open`], with options.
    pub fn open_with(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        Db::open_with(path, options).map(Self)
    }

    /// Inserts or replaces.
    pub fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        self.0.put(key.as_ref(), value.as_ref())
    }

    /// The value of `key`.
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>> {
        self.0.get(key.as_ref())
    }

    /// Deletes; false if there was nothing.
    pub fn delete(&mut self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.0.delete(key.as_ref())
    }

    /// All rows, ascending; `.rev()` descends.
    pub fn iter(&self) -> Result<Iter<'static>> {
        self.0.iter()
    }

    /// The rows whose keys lie in a range.
    pub fn range(&self, range: impl RangeBounds<Vec<u8>>) -> Result<Iter<'static>> {
        self.0.range(range)
    }

    /// The rows whose keys begin with `prefix`.
    pub fn prefix(&self, prefix: impl AsRef<[u8]>) -> Result<Iter<'static>> {
        self.0.prefix(prefix.as_ref())
    }

    /// The shared form.
    pub fn into_db(self) -> Db {
        self.0
    }
}
