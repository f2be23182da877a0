//! Rollback: newest change first, each undone by a mini-transaction of its own (a compensation) that moves the
//! transaction's undo head to the change before. Interrupted anywhere, it goes on from the head; a compensation is
//! never undone (T4).

use crate::manager::TxnManager;
use crate::state::TxnState;
use crate::trace;
use crate::txn::{Savepoint, Txn, Writer};
use crate::undo::{ChainWalk, UndoKind, UndoRecord};
use aether_page::slotted::Slotted;
use aether_page::{PageType, Swip, UndoPtr, header};
use aether_recovery::wal::buffer::page as aether_page;
use aether_recovery::{ActiveTxn, Loser, PAGES_FILE};
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{Error, Result};

/// Undoes changes in the structures above. Stateless: everything it needs is in the record.
pub trait UndoHandler: Send + Sync + 'static {
    /// Undoes the change that `record`, standing at `pointer`, describes, as one mini-transaction that is part of
    /// `txn` with `record.previous` as its undo head; also if there is nothing left to undo.
    fn undo(
        &self,
        manager: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()>;

    /// Writes down, as part of `txn`, that the extents behind a stub are to be freed once nobody can see them: so that a crash before
    /// that does not lose their space. Unless this is overridden it does. Blocks; called without latches.
    ///
    /// # Errors
    /// Those of a change of a row; the transaction can only be aborted then.
    fn list_retired(&self, txn: &mut Txn, stub: &[u8]) -> Result<()> {
        let _ = (txn, stub);
        Ok(())
    }

    /// Frees the extents behind stubs that no version refers to any more, and takes them off the list if they are on one. Blocks.
    ///
    /// # Errors
    /// The first, of a stub whose extents stay in use; the others are freed all the same.
    fn free_extents(&self, manager: &Arc<TxnManager>, stubs: &[Vec<u8>]) -> Result<()>;
}

impl TxnManager {
    /// The bytes of an undo record, or none if the page does not hold it any more.
    pub fn read_undo(&self, pointer: UndoPtr) -> Result<Option<Vec<u8>>> {
        if pointer.is_none() {
            return Ok(None);
        }
        self.store.check_page(pointer.page())?;
        let guard = self.store.pool().shared(PAGES_FILE, Swip::new(pointer.page()))?;
        if !header::is_type(guard.view(), PageType::Undo) {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        Ok(Slotted::new(guard.view()).bytes_into(usize::from(pointer.slot()), &mut bytes).then_some(bytes))
    }

    /// Undoes changes of `txn` from its undo head back to `until`.
    pub(crate) fn undo_until(self: &Arc<Self>, txn: &ActiveTxn, until: UndoPtr) -> Result<()> {
        let mut walk = ChainWalk::default();
        while txn.undo_head() != until {
            let head = txn.undo_head();
            walk.visit(head)?;
            let missing =
                || Error::corruption("an undo record is missing").at_page(head.page()).at_txn(txn.id());
            let bytes = self.read_undo(head)?.ok_or_else(missing)?;
            let record =
                UndoRecord::decode(&bytes).map_err(|error| error.at_page(head.page()).at_txn(txn.id()))?;
            if record.txn != txn.id() {
                return Err(missing());
            }
            match record.kind {
                UndoKind::Part => self.pass_over(txn, record.previous)?,
                _ => {
                    trace::undo(txn.id(), record.key.first(), || self.handler.undo(self, txn, head, &record))?
                }
            }
            debug_assert_eq!(txn.undo_head(), record.previous, "a compensation moves the undo head");
        }
        Ok(())
    }

    pub(crate) fn announce_loser(&self, loser: &Loser) {
        let state = TxnState::new(loser.id);
        state.publish_aborted();
        self.table.insert(state);
    }

    pub(crate) fn roll_back_loser(self: &Arc<Self>, loser: &Loser) -> Result<()> {
        let active = self.store.resume_loser(loser);
        if !planted("end-a-loser") {
            self.undo_until(&active, UndoPtr::none())?;
        }
        let credit = self.store.last_credit(&active)?;
        trace::end(active.id(), || self.store.append_end(&active, credit));
        self.table.remove(loser.id);
        Ok(())
    }
}

impl Txn {
    /// Undoes everything; blocks for page changes.
    ///
    /// # Errors
    /// `Poisoned` or `Io` if the store has failed: then the next open rolls back.
    pub fn abort(mut self) -> Result<()> {
        self.abort_in_place()
    }

    fn abort_in_place(&mut self) -> Result<()> {
        self.over = true;
        let Some(writer) = self.writer.take().filter(|_| !self.prepared) else { return Ok(()) };
        let state = writer.state.clone();
        let undone = self.roll_back(writer);
        // Only now: who waits for a row must find it undone.
        self.view.manager().locks.end(&state);
        undone
    }

    fn roll_back(&self, writer: Writer) -> Result<()> {
        let manager = self.view.manager().clone();
        writer.state.publish_aborted();
        if planted("leave-before-undo") {
            trace::end(writer.active.id(), || manager.table.remove(writer.active.id()));
        }
        if planted("end-before-undo") {
            let credit = manager.store.last_credit(&writer.active)?;
            manager.store.append_end(&writer.active, credit);
        }
        manager.undo_until(&writer.active, UndoPtr::none())?;
        let credit = manager.store.last_credit(&writer.active)?;
        trace::end(writer.active.id(), || {
            manager.store.append_end(&writer.active, credit);
            manager.table.remove(writer.active.id());
        });
        let now = manager.clock();
        manager.segments.give_back(writer.segment, now);
        manager.aborts.add(1);
        Ok(())
    }

    /// Undoes what was done since the savepoint; the transaction goes on.
    ///
    /// # Errors
    /// `InvalidInput` for a savepoint that is not this transaction's, or is gone.
    pub fn rollback_to(&mut self, to: &Savepoint) -> Result<()> {
        self.check_usable()?;
        let at = self.find_mark(to)?;
        self.marks.truncate(at + 1);
        let Some(writer) = &self.writer else { return Ok(()) };
        let until = if planted("back-to-the-beginning") { UndoPtr::none() } else { to.head };
        let undone = self.view.manager().undo_until(&writer.active, until);
        self.view.manager().locks.roll_back(&writer.state, to.locks);
        self.retired.truncate(to.retired);
        self.over |= undone.is_err();
        undone
    }

    /// Ends the transaction's usefulness after an error that left it half done; only abort remains.
    pub fn fail(&mut self) {
        self.over = true;
    }
}

impl Drop for Txn {
    fn drop(&mut self) {
        // A rollback that fails here is done by the next open; the store is poisoned by its cause.
        let _ = self.abort_in_place();
    }
}
