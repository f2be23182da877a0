//! The image of a table: its settled rows, in slices.
//!
//! A slice is a row of a B+tree of its own, by the first key that belongs to it; its value, mostly a large one, has the
//! rows in order. So it is written by ordinary transactions, in pages that are checked, repaired and recovered like all
//! others, and an old slice goes when the new one is committed.
//!
//! A slice says of each stripe up to which change it knows the rows. What redo meets up to there it knows already: with several
//! streams the log may go back further in one of them than in another, and what it tells then is not the whole story.

use crate::btree::{BTree, Cursor};
use crate::traits::OrderedCursor;
use aether_page::node::Row;
use aether_sync::Arc;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{STRIPES, psn_count, psn_life};
use aether_txn::{ReadView, TxnManager};
use aether_types::{Error, PageNo, Psn, Reader, Result, Writer};
use std::borrow::Cow;

/// In the id of a table's own tree: it is none of a keyspace.
const OWN: u32 = 1 << 31;

const VERSION: u8 = 1;
/// A row's value is the stub of a large one.
const OVERFLOW: u8 = 1;

/// The id of the tree that a table has of its own: its image, or what is said of that which it lies over.
pub fn tree_id(table: u32) -> u32 {
    table | OWN
}

/// The image's tree.
pub(super) fn tree(txns: Arc<TxnManager>, root: PageNo, table: u32) -> BTree {
    BTree::open(txns, root, tree_id(table))
}

/// Up to which change of each stripe a slice knows its rows.
pub(super) type Known = [Psn; STRIPES as usize];

/// A slice that knows nothing.
pub(super) const UNKNOWN: Known = [Psn::new(0); STRIPES as usize];

/// Appends what is known of each stripe.
pub(super) fn encode_known(known: &Known, out: &mut Vec<u8>) {
    for psn in known {
        out.put_varint(psn_life(*psn));
        out.put_varint(psn_count(*psn));
    }
}

/// Reads what [`encode_known`] wrote.
///
/// # Errors
/// `Corruption`.
pub(super) fn decode_known(reader: &mut Reader<'_>) -> Result<Known> {
    let mut known = UNKNOWN;
    for psn in &mut known {
        let (life, count) = (reader.varint_below(1 << 24)?, reader.varint_below(1 << 36)?);
        *psn = Psn::new(life << 36 | count);
    }
    Ok(known)
}

/// A row of a slice: key, whether the value is a stub, value.
pub(super) type ImageRow = (Vec<u8>, Row<'static>);

/// A slice.
pub(super) struct SliceImage {
    pub(super) known: Known,
    /// False if the log has all rows that there are of it: nothing was written out yet.
    pub(super) is_written: bool,
    /// In rising order of keys.
    pub(super) rows: Vec<ImageRow>,
}

impl SliceImage {
    /// The slice as a value.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION, u8::from(self.is_written)];
        encode_known(&self.known, &mut out);
        out.put_varint(self.rows.len() as u64);
        for (key, row) in &self.rows {
            out.put_string(key);
            out.put_u8(if row.overflow { OVERFLOW } else { 0 });
            out.put_string(&row.value);
        }
        out
    }

    /// Reads a slice that begins with the key `lower`.
    ///
    /// # Errors
    /// `Corruption`.
    pub(super) fn decode(bytes: &[u8], lower: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let version = reader.u8()?;
        if version != VERSION {
            return Err(reader.bad(format!("a slice of version {version}")));
        }
        let is_written = match reader.u8()? {
            written @ 0..=1 => written == 1,
            other => return Err(reader.bad(format!("a slice with unknown flags {other}"))),
        };
        let known = decode_known(&mut reader)?;
        let count = reader.varint_below(bytes.len() as u64)?;
        let mut rows: Vec<ImageRow> = Vec::new();
        for _ in 0..count {
            let row = read_row(&mut reader)?;
            let is_behind = rows.last().map_or(row.0.as_slice() >= lower, |(last, _)| *last < row.0);
            if !is_behind {
                return Err(reader.bad("rows that do not rise").at_key(&row.0));
            }
            rows.push(row);
        }
        reader.finish()?;
        Ok(Self { known, is_written, rows })
    }
}

fn read_row(reader: &mut Reader<'_>) -> Result<ImageRow> {
    let key = reader.string()?.to_vec();
    let flags = reader.u8()?;
    if flags & !OVERFLOW != 0 {
        return Err(reader.bad(format!("a row with unknown flags {flags}")));
    }
    let value = Cow::Owned(reader.string()?.to_vec());
    Ok((key, Row { overflow: flags == OVERFLOW, value, ..Row::default() }))
}

/// Hands over each slice with its first key, the first key behind it, and its bytes. Blocks for reads.
///
/// # Errors
/// `Corruption` that names the slice; those of `each`.
pub(super) fn for_each(
    tree: &BTree,
    view: &ReadView,
    mut each: impl FnMut(&[u8], Option<&[u8]>, SliceImage, usize) -> Result<()>,
) -> Result<()> {
    let mut cursor = Cursor::new(tree.clone());
    let mut last: Option<(Vec<u8>, SliceImage, usize)> = None;
    loop {
        let next = read_next(&mut cursor, view, last.as_ref().map(|(lower, ..)| &lower[..]))?;
        let upper = next.as_ref().map(|(key, ..)| &key[..]);
        if let Some((lower, slice, bytes)) = last.take() {
            if upper.is_some_and(|upper| slice.rows.last().is_some_and(|(key, _)| &key[..] >= upper)) {
                return Err(damage("has rows of the next one", &lower));
            }
            each(&lower, upper, slice, bytes)?;
        }
        let Some(next) = next else { return Ok(()) };
        last = Some(next);
    }
}

fn read_next(
    cursor: &mut Cursor,
    view: &ReadView,
    last: Option<&[u8]>,
) -> Result<Option<(Vec<u8>, SliceImage, usize)>> {
    let Some((key, value)) = cursor.next(view).map_err(|error| behind(error, last))? else {
        return Ok(None);
    };
    if last.is_none() && !key.is_empty() {
        return Err(damage("is missing", &[]));
    }
    let slice = SliceImage::decode(value, key).map_err(|error| damage(&error.to_string(), key))?;
    Ok(Some((key.to_vec(), slice, value.len())))
}

/// An error while the slice after the one that begins with `last` was read.
fn behind(error: Error, last: Option<&[u8]>) -> Error {
    error.at_key(last.unwrap_or_default())
}

fn damage(what: &str, lower: &[u8]) -> Error {
    Error::corruption(format!("a slice of rows in memory {what}")).at_key(lower)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    fn row(key: &[u8], value: &[u8], overflow: bool) -> ImageRow {
        (key.to_vec(), Row { overflow, ..Row::bare(value).into_owned() })
    }

    #[test]
    fn slices_round_trip_and_damage_is_found() {
        let mut known = UNKNOWN;
        known[5] = Psn::new(3 << 36 | 77);
        let rows = vec![row(b"b", b"value", false), row(b"c", b"", false), row(b"d", b"stub", true)];
        let slice = SliceImage { known, is_written: true, rows };
        let bytes = slice.encode();
        let again = SliceImage::decode(&bytes, b"b").unwrap();
        assert_eq!((again.known, again.is_written, &again.rows), (known, true, &slice.rows));
        assert!(SliceImage::decode(&bytes, b"bb").is_err(), "a row below its slice");
        assert!((0..bytes.len()).all(|end| SliceImage::decode(&bytes[..end], b"").is_err()));
        let twice =
            SliceImage { known, is_written: true, rows: vec![row(b"b", b"", false), row(b"b", b"", false)] };
        assert!(SliceImage::decode(&twice.encode(), b"").is_err());
    }
}
