//! Many rows at once, for indexes that have nothing better: sorted rows put one by one, a range deleted row by row.

use crate::traits::{OrderedIndex, RowSource};
use aether_txn::Txn;
use aether_types::{Error, Result};
use core::cmp::Ordering;
use core::ops::Bound;

/// Sorted rows as they come, held to their order.
pub struct Ascending<'r, 's> {
    rows: &'r mut RowSource<'s>,
    last: Option<Vec<u8>>,
    count: u64,
}

impl<'r, 's> Ascending<'r, 's> {
    /// Those of `rows`.
    pub fn new(rows: &'r mut RowSource<'s>) -> Self {
        Self { rows, last: None, count: 0 }
    }

    /// The next row; none at the end. Blocks as the source does.
    ///
    /// # Errors
    /// Those of the source; `InvalidInput` with the key and its number, counted from 1, for one that is not above the last one.
    #[allow(clippy::should_implement_trait, reason = "an iterator of results has `None` after an error")]
    pub fn next(&mut self) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
        let Some((key, value)) = (self.rows)()? else { return Ok(None) };
        self.count += 1;
        match self.last.as_deref().map(|last| key[..].cmp(last)) {
            Some(Ordering::Less) => return Err(self.refuse("is below the one before", &key)),
            Some(Ordering::Equal) => return Err(self.refuse("is there twice", &key)),
            _ => {}
        }
        let last = self.last.get_or_insert_default();
        last.clear();
        last.extend_from_slice(&key);
        Ok(Some((key, value)))
    }

    /// Rows given out, and the one that was refused.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn refuse(&self, what: &str, key: &[u8]) -> Error {
        Error::invalid(format!("rows in bulk come by rising key: key {} {what}", self.count)).at_key(key)
    }
}

/// Puts sorted rows one by one; returns how many. Blocks.
///
/// # Errors
/// As [`BulkLoad::load`](crate::BulkLoad::load).
pub fn put_rows<I: OrderedIndex + ?Sized>(index: &I, txn: &mut Txn, rows: &mut RowSource<'_>) -> Result<u64> {
    let mut rows = Ascending::new(rows);
    while let Some((key, value)) = rows.next()? {
        index.put(txn, &key, &value)?;
    }
    Ok(rows.count())
}

/// Deletes the rows between two bounds one by one; returns how many. What a serializable transaction looks through counts as read.
/// Blocks.
///
/// # Errors
/// As [`Index::delete`](crate::Index::delete).
pub fn delete_rows<I: OrderedIndex + ?Sized>(
    index: &I,
    txn: &mut Txn,
    from: Bound<&[u8]>,
    to: Bound<&[u8]>,
) -> Result<u64> {
    let owned = |bound: Bound<&[u8]>| bound.map(<[u8]>::to_vec);
    txn.note_range(index.anchor().id, || (owned(from), owned(to)));
    let (mut cursor, mut deleted) = (index.cursor(), 0);
    match from {
        Bound::Included(key) | Bound::Excluded(key) => cursor.seek(key),
        Bound::Unbounded => cursor.seek_first(),
    }
    while let Some((key, _)) = cursor.next(txn.read())? {
        let key = key.to_vec();
        match lies(&key, from, to) {
            Ordering::Less => {}
            Ordering::Equal => deleted += u64::from(index.delete(txn, &key)?),
            Ordering::Greater => break,
        }
    }
    Ok(deleted)
}

/// Where a key lies: below two bounds, between them (`Equal`), or above.
pub fn lies(key: &[u8], from: Bound<&[u8]>, to: Bound<&[u8]>) -> Ordering {
    match (from, to) {
        (Bound::Included(first), _) if key < first => Ordering::Less,
        (Bound::Excluded(before), _) if key <= before => Ordering::Less,
        (_, Bound::Included(last)) if key > last => Ordering::Greater,
        (_, Bound::Excluded(end)) if key >= end => Ordering::Greater,
        _ => Ordering::Equal,
    }
}
