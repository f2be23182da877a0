//! What every index offers.

use aether_txn::{ReadView, Txn};
use aether_types::Result;

/// A map from keys to values inside transactions.
pub trait Index: Send + Sync {
    /// Appends the value of `key` to `out`; false if there is none.
    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool>;

    /// Inserts or replaces.
    ///
    /// # Errors
    /// `Conflict` if another transaction has changed the key (first updater wins); `InvalidInput` beyond the limits.
    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()>;

    /// Deletes; false if there was nothing.
    ///
    /// # Errors
    /// As [`Index::put`].
    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool>;
}

/// A position in an ordered index. Holds no latch between calls; changes made in between are no trouble.
pub trait OrderedCursor: Send {
    /// Goes to the first key at or above `key`; the next step forward returns it.
    fn seek(&mut self, key: &[u8]);

    /// Goes behind the last key at or below `key`; the next step back returns it.
    fn seek_back(&mut self, key: &[u8]);

    /// Goes before the first key.
    fn seek_first(&mut self);

    /// Goes behind the last key.
    fn seek_last(&mut self);

    /// The next row upward, if there is one.
    fn next(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>>;

    /// The next row downward, if there is one.
    fn prev(&mut self, view: &ReadView) -> Result<Option<(&[u8], &[u8])>>;
}

/// An index whose keys have an order: that of their bytes.
pub trait OrderedIndex: Index {
    /// A cursor before the first key.
    fn cursor(&self) -> Box<dyn OrderedCursor>;
}
