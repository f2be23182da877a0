//! Old values that are too long for an undo record: in records of their own before it, part by part.
//!
//! The record links back to the last part as to any change before it, each part to the one before. To undo a part is to pass over it; so parts
//! are kept as long as their record, and go with it.

use crate::manager::TxnManager;
use crate::txn::Txn;
use crate::undo::{UndoKind, UndoRecord};
use aether_page::UndoPtr;
use aether_recovery::ActiveTxn;
use aether_recovery::wal::buffer::page as aether_page;
use aether_types::{Error, IndexKind, PageNo, PageSize, Reader, Result, Writer};
use std::borrow::Cow;

/// Bytes of a part: two records stand on a page.
const fn part_bytes(page_size: PageSize) -> usize {
    page_size.bytes() / 2 - 128
}

impl Txn {
    /// Logs an old value in parts, each in a group of its own, and returns what the record of the change has in its place, which must be logged
    /// next, with `in_parts`. Blocks.
    ///
    /// # Errors
    /// `TxnOver`; those of the log and of pages. Nothing is half done: parts that no record follows are passed over.
    pub fn log_parts(&mut self, value: &[u8]) -> Result<Vec<u8>> {
        self.begin_write()?;
        let store = self.store().clone();
        let stream = self.writer().active.stream();
        for part in value.chunks(part_bytes(store.page_size())) {
            let plan = {
                let mut mtr = store.mtr(stream, store.group_bytes())?;
                let plan = self.log_undo(&mut mtr, &part_record(self, part))?;
                mtr.commit();
                plan
            };
            self.applied(plan);
        }
        let mut length = Vec::new();
        length.put_varint(value.len() as u64);
        Ok(length)
    }
}

fn part_record<'a>(txn: &Txn, part: &'a [u8]) -> UndoRecord<'a> {
    UndoRecord {
        txn: txn.id(),
        previous: txn.undo_head(),
        kind: UndoKind::Part,
        flags: 0,
        in_parts: false,
        index: IndexKind::BTREE,
        root: PageNo::new(0),
        tree: 0,
        key: &[],
        version: None,
        value: part,
    }
}

impl TxnManager {
    /// The old value of a record, put together if it is in parts; none if a part is not there any more, as may be without a snapshot that needs
    /// it. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption` if the parts are not what the record says; `Io`.
    pub fn old_value<'r>(&self, record: &UndoRecord<'r>) -> Result<Option<Cow<'r, [u8]>>> {
        if !record.in_parts {
            return Ok(Some(Cow::Borrowed(record.value)));
        }
        let mut reader = Reader::new(record.value);
        let length = reader.varint_below(1 << 32)? as usize;
        reader.finish()?;
        let (mut parts, mut found, mut at) = (Vec::new(), 0, record.previous);
        while found < length {
            let Some(bytes) = self.read_undo(at)? else { return Ok(None) };
            let part = UndoRecord::decode(&bytes).map_err(|error| error.at_page(at.page()))?;
            if part.txn != record.txn {
                return Ok(None);
            }
            found += part.value.len();
            if part.kind != UndoKind::Part || part.value.is_empty() || found > length {
                let what = format!("an undo record that is no part of an old value of {length} bytes");
                return Err(Error::corruption(what).at_page(at.page()).at_txn(record.txn));
            }
            parts.push(part.value.to_vec());
            at = part.previous;
        }
        parts.reverse();
        Ok(Some(Cow::Owned(parts.concat())))
    }

    /// Undoes a part: there is nothing to undo.
    pub(crate) fn pass_over(&self, txn: &ActiveTxn, previous: UndoPtr) -> Result<()> {
        let mut mtr = self.store.mtr(txn.stream(), self.store.group_bytes())?;
        mtr.in_txn(txn, previous);
        mtr.commit();
        Ok(())
    }
}
