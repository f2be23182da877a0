//! The records of this layer: log groups, ends of transactions, checkpoints.
//!
//! | kind | record | body |
//! |---|---|---|
//! | 16 | group | transaction (0 none) and, if any, its undo head after the group (8); page count; per page file, page, new PSN, number of operations, operations |
//! | 17 | commit | transaction, timestamp |
//! | 18 | end of a rollback | transaction |
//! | 19 | checkpoint | count; per active transaction id, stream (1), undo head (8) |
//! | 20 | group with rows | as 16; then stripe count; per stripe table, stripe, its new sequence number (incarnation, count), number of operations, operations |
//!
//! Numbers are varints unless a size is given.

use crate::rows::{RowOp, STRIPES, StripePlace, psn_count, psn_life, psn_of};
use aether_page::node::{Flags, Row};
use aether_types::{
    FileId, PageNo, PageSize, Psn, Reader, Result, StreamId, Timestamp, TxnId, Writer, limits,
};
use aether_wal::buffer::page as aether_page;
use aether_wal::buffer::page::{PageOp, UndoPtr};
use std::borrow::Cow;

pub(crate) const GROUP: u8 = 16;
pub(crate) const COMMIT: u8 = 17;
pub(crate) const END: u8 = 18;
pub(crate) const CHECKPOINT: u8 = 19;
pub(crate) const ROWS_GROUP: u8 = 20;

/// Bytes of the last record of a transaction at the most.
pub(crate) const LAST_BYTES_MAX: usize = 32;

/// Writes the head of a group.
pub(crate) fn put_head(out: &mut Vec<u8>, txn: Option<(TxnId, UndoPtr)>, pages: usize) {
    match txn {
        None => out.put_varint(0),
        Some((id, head)) => {
            out.put_varint(id.get());
            out.put_u64(head.word());
        }
    }
    out.put_varint(pages as u64);
}

/// Writes the head of a page's part of a group.
pub(crate) fn put_page(out: &mut Vec<u8>, file: FileId, page: PageNo, psn: Psn, ops: usize) {
    out.put_varint(u64::from(file.get()));
    out.put_varint(page.get());
    out.put_varint(psn.get());
    out.put_varint(ops as u64);
}

/// A group's head, as read back.
pub(crate) fn read_head(reader: &mut Reader<'_>) -> Result<(Option<(TxnId, UndoPtr)>, u64)> {
    let id = TxnId::new(reader.varint()?);
    let txn = if id.is_none() { None } else { Some((id, UndoPtr::from_word(reader.u64()?))) };
    Ok((txn, reader.varint_below(1 << 20)?))
}

/// One page's part of a group.
pub(crate) struct PagePart<'a> {
    pub(crate) file: FileId,
    pub(crate) page: PageNo,
    pub(crate) psn: Psn,
    pub(crate) ops: Vec<PageOp<'a>>,
}

/// The head of a page's part of a group, as read back.
pub(crate) struct PageHead {
    pub(crate) file: FileId,
    pub(crate) page: PageNo,
    pub(crate) psn: Psn,
    /// Operations that follow.
    pub(crate) count: u64,
}

/// Reads the head of a page's part of a group.
pub(crate) fn read_page_head(reader: &mut Reader<'_>) -> Result<PageHead> {
    let file = FileId::new(reader.varint_below(1 << FileId::BITS)? as u32);
    let page = PageNo::new(reader.varint_below(PageNo::END)?);
    let psn = Psn::new(reader.varint_below(Psn::END)?);
    Ok(PageHead { file, page, psn, count: reader.varint_below(1 << 16)? })
}

/// Reads one page's part of a group.
pub(crate) fn read_page<'a>(reader: &mut Reader<'a>, page_size: PageSize) -> Result<PagePart<'a>> {
    let PageHead { file, page, psn, count } = read_page_head(reader)?;
    let ops = (0..count).map(|_| PageOp::decode(reader, page_size)).collect::<Result<_>>()?;
    Ok(PagePart { file, page, psn, ops })
}

/// Whether a record of this kind is a group.
pub(crate) fn is_group(kind: u8) -> bool {
    kind == GROUP || kind == ROWS_GROUP
}

/// Writes the head of a stripe's part of a group with rows.
pub(crate) fn put_stripe(out: &mut Vec<u8>, place: StripePlace, ops: usize) {
    out.put_varint(u64::from(place.table));
    out.put_varint(u64::from(place.stripe));
    out.put_varint(psn_life(place.psn));
    out.put_varint(psn_count(place.psn));
    out.put_varint(ops as u64);
}

/// Reads how many stripes' parts follow the pages'; none in a group without rows.
pub(crate) fn read_stripes(reader: &mut Reader<'_>, kind: u8) -> Result<u64> {
    if kind == ROWS_GROUP { reader.varint_below(1 << 16) } else { Ok(0) }
}

/// Reads the head of a stripe's part: the stripe, and how many operations follow.
pub(crate) fn read_stripe_head(reader: &mut Reader<'_>) -> Result<(StripePlace, u64)> {
    let table = reader.varint_below(1 << 32)? as u32;
    let stripe = reader.varint_below(u64::from(STRIPES))? as u32;
    let (life, count) = (reader.varint_below(1 << 24)?, reader.varint_below(1 << 36)?);
    if count == 0 {
        return Err(reader.bad("a stripe's sequence numbers count from 1"));
    }
    Ok((StripePlace { table, stripe, psn: psn_of(life, count) }, reader.varint_below(1 << 16)?))
}

/// Reads over the stripes' parts at the end of a group.
pub(crate) fn skip_rows(reader: &mut Reader<'_>, kind: u8, page_size: PageSize) -> Result<()> {
    for _ in 0..read_stripes(reader, kind)? {
        let (_, count) = read_stripe_head(reader)?;
        (0..count).try_for_each(|_| RowOp::decode(reader, page_size).map(|_| ()))?;
    }
    Ok(())
}

/// Reads a string that is shorter than a page: a row's key.
pub(crate) fn read_string<'a>(reader: &mut Reader<'a>, page_size: PageSize) -> Result<&'a [u8]> {
    let len = reader.varint_below(page_size.bytes() as u64)?;
    reader.bytes(len as usize)
}

/// Reads a row's flags, version and value.
pub(crate) fn read_row<'a>(reader: &mut Reader<'a>, page_size: PageSize) -> Result<Row<'a>> {
    let bits = reader.u8()?;
    let flags = Flags::from_bits(bits).ok_or_else(|| reader.bad(format!("unknown row flags {bits}")))?;
    let mut row = Row { ghost: flags.is_ghost(), overflow: flags.is_overflow(), ..Row::default() };
    if flags.is_versioned() {
        row.version = Some((TxnId::new(reader.u64()?), UndoPtr::from_word(reader.u64()?)));
    }
    let longest = limits::MEMORY_VALUE_BYTES_MAX.max(page_size.bytes()) as u64;
    let len = reader.varint_below(longest + 1)?;
    row.value = Cow::Borrowed(reader.bytes(len as usize)?);
    Ok(row)
}

/// The body of a commit record.
pub(crate) fn commit(txn: TxnId, timestamp: Timestamp) -> Vec<u8> {
    let mut out = Vec::with_capacity(20);
    out.put_varint(txn.get());
    out.put_varint(timestamp.get());
    out
}

/// The body of the record that ends a rollback.
pub(crate) fn end(txn: TxnId) -> Vec<u8> {
    let mut out = Vec::with_capacity(10);
    out.put_varint(txn.get());
    out
}

/// The body of a checkpoint record.
pub(crate) fn checkpoint(active: &[(TxnId, StreamId, UndoPtr)]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_varint(active.len() as u64);
    for (id, stream, head) in active {
        out.put_varint(id.get());
        out.put_u8(stream.get());
        out.put_u64(head.word());
    }
    out
}

/// Reads a checkpoint record back.
pub(crate) fn read_checkpoint(body: &[u8]) -> Result<Vec<(TxnId, StreamId, UndoPtr)>> {
    let mut reader = Reader::new(body);
    let count = reader.varint_below(body.len() as u64 + 1)?;
    let mut active = Vec::new();
    for _ in 0..count {
        let id = TxnId::new(reader.varint()?);
        active.push((id, StreamId::new(reader.u8()? & 15), UndoPtr::from_word(reader.u64()?)));
    }
    reader.finish()?;
    Ok(active)
}
