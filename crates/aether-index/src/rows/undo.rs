//! Rolling back what writers of rows did.

use super::{FILE, Leaves, Rows, Stop, Towards, mtr_bytes, reclaim, retry};
use crate::trace;
use aether_page::node::{Flags, Node, Row};
use aether_page::{PageOp, Swip, UndoPtr};
use aether_txn::recovery::ActiveTxn;
use aether_txn::recovery::wal::buffer::Access;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{TxnManager, UndoKind, UndoRecord};
use aether_types::{Error, Result};
use std::borrow::Cow;

impl<L: Leaves> Rows<L> {
    /// Undoes the change that `record`, standing at `pointer`, describes, as one mini-transaction of `txn`; needs nothing but the
    /// record. Blocks.
    ///
    /// # Errors
    /// `Corruption`, `Io`, `Poisoned`.
    pub fn undo(&self, txn: &ActiveTxn, pointer: UndoPtr, record: &UndoRecord<'_>) -> Result<()> {
        match record.kind {
            UndoKind::Insert | UndoKind::Update => self.undo_row(txn, pointer, record),
            UndoKind::CreateTree => self.undo_creation(txn, record),
            UndoKind::WriteExtents => reclaim::undo_extents(self.manager(), txn, record),
            UndoKind::Part => {
                Err(Error::corruption("a part of an old value is nobody's change").at_txn(record.txn))
            }
        }
    }

    fn undo_row(&self, txn: &ActiveTxn, pointer: UndoPtr, record: &UndoRecord<'_>) -> Result<()> {
        while !retry(|| self.try_undo_row(txn, pointer, record))? {
            // The leaf filled up since: make room for the old value.
            self.make_room(record.key, record.value.len())?;
        }
        Ok(())
    }

    fn try_undo_row(&self, txn: &ActiveTxn, pointer: UndoPtr, record: &UndoRecord<'_>) -> Result<bool, Stop> {
        let mut mtr = self.store().mtr(txn.stream(), mtr_bytes(self.store()))?;
        let leaf = self.leaf(Towards::Key(record.key), &Access::Normal)?.upgrade()?;
        let node = Node::new(leaf.view());
        let slot = node.search(record.key).ok();
        let Some(slot) = slot.filter(|&slot| node.version(slot) == Some((txn.id(), pointer))) else {
            drop(leaf);
            mtr.in_txn(txn, record.previous);
            mtr.commit();
            return Ok(true);
        };
        let op = match record.kind {
            UndoKind::Insert => PageOp::LeafRemove { slot },
            _ if !node.fits_update(slot, record.value.len(), record.version.is_some()) => return Ok(false),
            _ => PageOp::LeafUpdate { slot, row: row_before(record)? },
        };
        let page = mtr.add(leaf);
        mtr.op(page, op)?;
        mtr.in_txn(txn, record.previous);
        mtr.commit();
        Ok(true)
    }

    /// The root goes in the group that says so: were that another group, perhaps in another stream, a crash could keep a later
    /// life of the page and lose that this one was undone.
    fn undo_creation(&self, txn: &ActiveTxn, record: &UndoRecord<'_>) -> Result<()> {
        trace::undo_part(txn.id(), || self.clear())?;
        let mut mtr = self.store().mtr(txn.stream(), mtr_bytes(self.store()))?;
        let root = mtr.add(self.pool().exclusive(FILE, Swip::new(self.root()))?);
        mtr.free(root)?;
        mtr.in_txn(txn, record.previous);
        mtr.commit();
        Ok(())
    }
}

/// The row as it was before the change that `record` describes.
///
/// # Errors
/// `Corruption` for flags that no row has.
pub(crate) fn row_before<'r>(record: &UndoRecord<'r>) -> Result<Row<'r>> {
    if record.in_parts {
        return Err(Error::corruption("an old value in parts, of a row on a page").at_txn(record.txn));
    }
    row_with(record, Cow::Borrowed(record.value))
}

/// The same of rows in memory, whose old value may be in parts; none if a part is gone. Blocks for reads.
///
/// # Errors
/// As [`row_before`]; those of reading parts.
pub(crate) fn long_row_before<'r>(manager: &TxnManager, record: &UndoRecord<'r>) -> Result<Option<Row<'r>>> {
    manager.old_value(record)?.map(|value| row_with(record, value)).transpose()
}

fn row_with<'r>(record: &UndoRecord<'_>, value: Cow<'r, [u8]>) -> Result<Row<'r>> {
    let flags = Flags::from_bits(record.flags)
        .ok_or_else(|| Error::corruption("an undo record with unknown flags").at_txn(record.txn))?;
    Ok(Row { ghost: flags.is_ghost(), overflow: flags.is_overflow(), version: record.version, value })
}
