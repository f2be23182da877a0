//! Rolling back changes of rows in memory, while a store runs and after a restart.

use super::memory::Need;
use super::rows::{Rows, Wanted};
use crate::rows::mtr_bytes;
use aether_page::UndoPtr;
use aether_page::node::{Flags, Row};
use aether_txn::recovery::ActiveTxn;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{TxnManager, UndoKind, UndoRecord};
use aether_types::{Error, ErrorKind, Result};
use std::borrow::Cow;

/// How often an undo without room waits for what was removed.
const ATTEMPTS: usize = 64;

impl Rows {
    /// Undoes the change that `record`, standing at `pointer`, describes; also if there is nothing left to undo.
    ///
    /// # Errors
    /// Of the log and of pages; `OverLimit` if the map is full.
    pub(super) fn undo(
        &self,
        manager: &TxnManager,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        let mut undone = self.try_undo(manager, txn, pointer, record);
        for _ in 0..ATTEMPTS {
            match &undone {
                Err(error) if error.kind() == ErrorKind::OverLimit => {
                    self.reclaim();
                    aether_sync::thread::yield_now();
                    undone = self.try_undo(manager, txn, pointer, record);
                }
                _ => break,
            }
        }
        undone
    }

    fn try_undo(
        &self,
        manager: &TxnManager,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        let store = manager.store();
        let (pin, mut ready);
        let mut mtr = store.mtr(txn.stream(), mtr_bytes(store))?;
        pin = self.map.pin();
        let stripe = self.latch(record.key);
        let is_own = self.find(&pin, record.key).and_then(|cell| cell.version()) == Some((txn.id(), pointer));
        if is_own {
            let wanted = Wanted { key: record.key, row: old_row(record)?, need: Need::Urgent };
            ready = self.prepare(&pin, stripe, store.incarnation(), wanted)?;
            mtr.change_row(&mut ready);
        }
        mtr.in_txn(txn, record.previous);
        mtr.commit();
        Ok(())
    }
}

/// The row before the change; none if it was not there.
fn old_row<'r>(record: &UndoRecord<'r>) -> Result<Option<Row<'r>>> {
    if record.kind == UndoKind::Insert {
        return Ok(None);
    }
    let flags = Flags::from_bits(record.flags)
        .ok_or_else(|| Error::corruption("an undo record with unknown flags").at_txn(record.txn))?;
    Ok(Some(Row {
        ghost: flags.is_ghost(),
        overflow: flags.is_overflow(),
        version: record.version,
        value: Cow::Borrowed(record.value),
    }))
}
