//! Many rows at once: sorted rows put, ranges deleted.

use crate::db::Db;
use crate::iter::Row;
use crate::keyspace::Keyspace;
use crate::lsm::index::bulk::{self, Ascending};
use crate::options::Isolation;
use crate::txn::Txn;
use aether_types::Result;
use std::cmp::Ordering;
use std::ops::{Bound, RangeBounds};

impl Txn {
    /// Inserts or replaces sorted rows, each key once; returns how many. Into an LSM tree they go as a file of their own, past memory and
    /// log, in a keyspace that the transaction has to itself until it ends; other indexes get them one by one. Memory stays bounded. Blocks.
    ///
    /// In a keyspace that the same transaction has created, rows go one by one.
    ///
    /// # Errors
    /// `InvalidInput` that names the key, for one that is not above the one before or beyond the limits; as [`Txn::put`], where `Conflict`
    /// also means that another has the keyspace; those of `rows`, and of the disk. Nothing of it is done then, and the transaction may
    /// go on.
    pub fn ingest(
        &mut self,
        keyspace: &Keyspace,
        rows: impl IntoIterator<Item = Result<Row>>,
    ) -> Result<u64> {
        let mut rows = rows.into_iter();
        let mut next = || rows.next().transpose();
        self.nested(|txn| {
            let inner = txn.inner_mut()?;
            let (slot, is_captured) = keyspace.slot.to_change_many(inner)?;
            if is_captured {
                return txn.put_each(keyspace, Ascending::new(&mut next));
            }
            match slot.index().as_bulk_load() {
                Some(index) => index.load(inner, &mut next),
                None => bulk::put_rows(slot.index(), inner, &mut next),
            }
        })
    }

    /// Row by row, as a conversion under way wants it.
    fn put_each(&mut self, keyspace: &Keyspace, mut rows: Ascending<'_, '_>) -> Result<u64> {
        while let Some((key, value)) = rows.next()? {
            self.put(keyspace, &key, &value)?;
        }
        Ok(rows.count())
    }

    /// Deletes all rows whose keys lie in a range; how many, if that is known. An LSM tree notes that the range is gone, in a file of its
    /// own, and does not look at its rows: the keyspace is the transaction's own until it ends. Other indexes look for each row and
    /// delete it. Blocks.
    ///
    /// # Errors
    /// As [`Txn::ingest`].
    pub fn delete_range(
        &mut self,
        keyspace: &Keyspace,
        range: impl RangeBounds<Vec<u8>>,
    ) -> Result<Option<u64>> {
        let (from, to) = (slice(range.start_bound()), slice(range.end_bound()));
        self.nested(|txn| {
            let inner = txn.inner_mut()?;
            let (slot, is_captured) = keyspace.slot.to_change_many(inner)?;
            if is_captured {
                return txn.delete_each(keyspace, from, to).map(Some);
            }
            slot.index().delete_range(inner, from, to)
        })
    }

    /// Row by row, as a conversion under way wants it.
    fn delete_each(&mut self, keyspace: &Keyspace, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<u64> {
        let mut deleted = 0;
        let mut rows = self.cursor(keyspace);
        let mut row = match from {
            Bound::Included(key) | Bound::Excluded(key) => rows.seek(self, key)?,
            Bound::Unbounded => rows.next(self)?,
        };
        while let Some((key, _)) = row {
            match bulk::lies(&key, from, to) {
                Ordering::Less => {}
                Ordering::Equal => deleted += u64::from(self.delete(keyspace, &key)?),
                Ordering::Greater => break,
            }
            row = rows.next(self)?;
        }
        Ok(deleted)
    }
}

fn slice(bound: Bound<&Vec<u8>>) -> Bound<&[u8]> {
    bound.map(Vec::as_slice)
}

impl Db {
    /// Inserts or replaces sorted rows as one transaction: see [`Txn::ingest`]. They are asked for once, so nothing is tried again.
    ///
    /// # Errors
    /// As [`Txn::ingest`] and [`Txn::commit`]; then nothing is there.
    pub fn ingest(&self, rows: impl IntoIterator<Item = Result<Row>>) -> Result<u64> {
        let mut txn = self.begin()?;
        let count = txn.ingest(self.keyspace(), rows)?;
        txn.commit().map(|()| count)
    }

    /// Deletes all rows whose keys lie in a range: see [`Txn::delete_range`]. Blocks as [`Db::put`].
    ///
    /// # Errors
    /// As [`Db::put`].
    pub fn delete_range(&self, range: impl RangeBounds<Vec<u8>>) -> Result<Option<u64>> {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        self.run(Isolation::ReadCommitted, |txn| txn.delete_range(self.keyspace(), range.clone()))
    }
}
