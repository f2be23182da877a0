//! Rows that live in memory, as the log has them.
//!
//! A table of rows is spread over stripes by the hash of the key. A stripe is a page that is nowhere: it has a latch, a
//! sequence number and a vector, and each group that changes a row of it raises that number by one. What a group says of a
//! row is what the row is from then on; so of several changes of a row the one with the highest number counts, in whatever order
//! redo meets them.
//!
//! Sequence numbers begin again with each open that writes, above all before: an upper part, the number of the
//! incarnation, and a lower part that counts from 1.

use crate::group::{read_row, read_string};
use aether_page::node::Row;
use aether_types::{Error, ErrorKind, Lsn, Lv, PageNo, PageSize, Psn, Reader, Result, StreamId, Writer};
use aether_types::{FileId, checksum};
use aether_wal::buffer::page as aether_page;

/// Stripes of a table of rows.
pub const STRIPES: u32 = 64;

/// Bits of a stripe's sequence number that count the changes of one open.
const COUNT_BITS: u32 = 36;
const COUNT_END: u64 = 1 << COUNT_BITS;
const LIFE_END: u64 = Psn::END >> COUNT_BITS;

/// The file that redo takes stripes to be in; no file has this number.
pub(crate) const ROWS_FILE: FileId = FileId::new(0);

/// The stripe of a key; the same for ever.
pub fn stripe_of(key: &[u8]) -> u32 {
    (checksum(0, key) % u64::from(STRIPES)) as u32
}

/// The open that gave a stripe this number: that of its incarnation.
pub fn psn_life(psn: Psn) -> u64 {
    psn.get() >> COUNT_BITS
}

/// Which change of its open this number is.
pub fn psn_count(psn: Psn) -> u64 {
    psn.get() % COUNT_END
}

/// The number of change `count` of the open `life`.
pub(crate) fn psn_of(life: u64, count: u64) -> Psn {
    Psn::new(life << COUNT_BITS | count)
}

/// Below all numbers that the open `life` gives, and above those of all before.
pub fn first_psn(life: u64) -> Psn {
    psn_of(life, 0)
}

/// What follows `psn` in a stripe while the incarnation `life` is written.
///
/// # Errors
/// `OverLimit` if there are no more numbers: after 2^36 changes of a stripe in one open, or 2^24 opens.
pub fn next_psn(psn: Psn, life: u64) -> Result<Psn> {
    let next = if psn_life(psn) == life { psn_count(psn) + 1 } else { 1 };
    if life >= LIFE_END || next >= COUNT_END {
        let what =
            format!("a stripe of rows has no more sequence numbers after {next} changes in open {life}");
        return Err(Error::new(ErrorKind::OverLimit, what));
    }
    Ok(psn_of(life, next))
}

/// A stripe, and the number that a group gives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StripePlace {
    /// The table's id.
    pub table: u32,
    /// Below [`STRIPES`].
    pub stripe: u32,
    /// The stripe's sequence number after the group.
    pub psn: Psn,
}

impl StripePlace {
    /// As redo parts its work: the stripe as a page.
    pub(crate) fn page(&self) -> PageNo {
        PageNo::new(u64::from(self.table) * u64::from(STRIPES) + u64::from(self.stripe))
    }

    /// The stripe that redo has as this page.
    pub(crate) fn of_page(page: PageNo, psn: Psn) -> Self {
        let (table, stripe) = (page.get() / u64::from(STRIPES), page.get() % u64::from(STRIPES));
        Self { table: table as u32, stripe: stripe as u32, psn }
    }
}

/// What a row is from a group on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RowOp<'a> {
    /// This.
    Set {
        /// The whole key.
        key: &'a [u8],
        /// Flags, version and value.
        row: Row<'a>,
    },
    /// Not there, as if it had never been.
    Remove {
        /// The whole key.
        key: &'a [u8],
    },
}

const SET: u8 = 1;
const REMOVE: u8 = 2;

impl<'a> RowOp<'a> {
    /// The row's key.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Self::Set { key, .. } | Self::Remove { key } => key,
        }
    }

    /// Encodes the operation.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Set { key, row } => {
                out.put_u8(SET);
                out.put_string(key);
                out.put_u8(row.flags().bits());
                if let Some((writer, undo)) = row.version {
                    out.put_u64(writer.get());
                    out.put_u64(undo.word());
                }
                out.put_string(&row.value);
            }
            Self::Remove { key } => {
                out.put_u8(REMOVE);
                out.put_string(key);
            }
        }
    }

    /// Decodes an operation; a key is shorter than a page, a value no longer than one or [`limits::MEMORY_VALUE_BYTES_MAX`](aether_types::limits::MEMORY_VALUE_BYTES_MAX).
    ///
    /// # Errors
    /// `Corruption`.
    pub fn decode(reader: &mut Reader<'a>, page_size: PageSize) -> Result<Self> {
        match reader.u8()? {
            SET => Ok(Self::Set { key: read_string(reader, page_size)?, row: read_row(reader, page_size)? }),
            REMOVE => Ok(Self::Remove { key: read_string(reader, page_size)? }),
            other => Err(reader.bad(format!("a row operation of unknown code {other}"))),
        }
    }
}

/// A change of one row that only waits to be logged: its stripe's latch is held, and nothing of it can fail.
pub trait RowChange {
    /// The stripe, with the number that it will have.
    fn place(&self) -> StripePlace;

    /// The vector of the last group that changed the stripe.
    fn lv(&self) -> Lv;

    /// What is logged.
    fn op(&self) -> RowOp<'_>;

    /// Remembers that the row is about to be changed by a group that `stream` will place at or after `position`; called
    /// before the claim (P5).
    fn mark_dirty(&mut self, stream: StreamId, position: Lsn);

    /// Changes the row, and stamps the stripe with its number and the vector of the group.
    fn apply(&mut self, lv: &Lv);
}

/// A stripe's part of a group, as redo hands it over.
#[derive(Clone, Debug)]
pub struct RowPart<'a> {
    /// The stripe, and the number that the group gave it.
    pub place: StripePlace,
    /// Where the group stands.
    pub stream: StreamId,
    /// The same.
    pub lsn: Lsn,
    /// The group's vector.
    pub lv: Lv,
    /// What it changed.
    pub ops: Vec<RowOp<'a>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_page::UndoPtr;
    use aether_types::TxnId;

    #[test]
    fn operations_round_trip_and_are_bounded() {
        let versioned = Row::versioned(TxnId::new(7), UndoPtr::new(PageNo::new(9), 1), b"value");
        let ops = [
            RowOp::Set { key: b"key", row: versioned },
            RowOp::Set { key: b"", row: Row::bare(b"") },
            RowOp::Set { key: b"gone", row: Row { ghost: true, ..Row::bare(b"") } },
            RowOp::Set { key: b"large", row: Row { overflow: true, ..Row::bare(b"stub") } },
            RowOp::Remove { key: b"key" },
        ];
        for op in ops {
            let mut bytes = Vec::new();
            op.encode(&mut bytes);
            let mut reader = Reader::new(&bytes);
            assert_eq!(RowOp::decode(&mut reader, PageSize::MIN).unwrap(), op);
            reader.finish().unwrap();
            for end in 0..bytes.len() {
                assert!(RowOp::decode(&mut Reader::new(&bytes[..end]), PageSize::MIN).is_err());
            }
        }
        let mut long = Vec::new();
        RowOp::Remove { key: &[1; 4096] }.encode(&mut long);
        assert!(RowOp::decode(&mut Reader::new(&long), PageSize::MIN).is_err());
    }

    #[test]
    fn numbers_rise_over_opens_and_end_with_an_error() {
        let first = next_psn(Psn::new(0), 3).unwrap();
        assert_eq!((psn_life(first), psn_count(first)), (3, 1));
        let second = next_psn(first, 3).unwrap();
        assert!(second > first && next_psn(second, 4).unwrap() > second);
        assert_eq!(psn_count(next_psn(second, 4).unwrap()), 1);
        assert!(next_psn(psn_of(3, COUNT_END - 1), 3).is_err());
        assert!(next_psn(first, LIFE_END).is_err());
    }

    #[test]
    fn a_stripe_is_a_page_for_redo() {
        let place = StripePlace { table: u32::MAX, stripe: STRIPES - 1, psn: Psn::new(5) };
        assert!(place.page().get() < PageNo::END);
        assert_eq!(StripePlace::of_page(place.page(), place.psn), place);
    }
}
