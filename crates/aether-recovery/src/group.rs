//! The records of this layer: log groups, ends of transactions, checkpoints.
//!
//! | kind | record | body |
//! |---|---|---|
//! | 16 | group | transaction (0 none) and, if any, its undo head after the group (8); page count; per page file, page, new PSN, number of operations, operations |
//! | 17 | commit | transaction, timestamp |
//! | 18 | end of a rollback | transaction |
//! | 19 | checkpoint | count; per active transaction id, stream (1), undo head (8) |
//!
//! Numbers are varints unless a size is given.

use aether_types::{FileId, PageNo, PageSize, Psn, Reader, Result, StreamId, Timestamp, TxnId, Writer};
use aether_wal::buffer::page::{PageOp, UndoPtr};

pub(crate) const GROUP: u8 = 16;
pub(crate) const COMMIT: u8 = 17;
pub(crate) const END: u8 = 18;
pub(crate) const CHECKPOINT: u8 = 19;

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
