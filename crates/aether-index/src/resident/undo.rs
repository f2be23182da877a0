//! Rolling back changes of rows in memory, while a store runs and after a restart.

use super::memory::Need;
use super::rows::{Rows, Wanted};
use crate::rows::{long_row_before, row_mtr_bytes};
use aether_page::UndoPtr;
use aether_page::node::Row;
use aether_txn::recovery::ActiveTxn;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{TxnManager, UndoKind, UndoRecord};
use aether_types::{Error, ErrorKind, Result};

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
        let before = before(manager, record)?;
        let value_bytes = before.as_ref().map_or(0, |row| row.value.len());
        let (pin, mut ready);
        let mut mtr = store.mtr(txn.stream(), row_mtr_bytes(store, value_bytes))?;
        pin = self.map.pin();
        let stripe = self.latch(record.key);
        let is_own = self.find(&pin, record.key).and_then(|cell| cell.version()) == Some((txn.id(), pointer));
        if is_own {
            let wanted = Wanted { key: record.key, row: before, need: Need::Urgent };
            ready = self.prepare(&pin, stripe, store.incarnation(), wanted)?;
            mtr.change_row(&mut ready);
        }
        mtr.in_txn(txn, record.previous);
        mtr.commit();
        Ok(())
    }
}

/// The row before the change; none if it was not there.
fn before<'r>(manager: &TxnManager, record: &UndoRecord<'r>) -> Result<Option<Row<'r>>> {
    if record.kind == UndoKind::Insert {
        return Ok(None);
    }
    let missing =
        || Error::corruption("a part of an old value is missing").at_txn(record.txn).at_key(record.key);
    long_row_before(manager, record)?.ok_or_else(missing).map(Some)
}
