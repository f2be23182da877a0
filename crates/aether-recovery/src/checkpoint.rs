//! Checkpoints: fuzzy, continuous, and paid for by those who write.
//!
//! A checkpoint reads the claim positions and the vectors there, then each frame's first-dirty and `writing`
//! positions (P5), then the active transactions; it is written to the log, and stands in the control file once
//! every stream is durable up to those vectors and the PSN tables for every page write synced by then. It never goes back. Nothing is stopped for it.

use crate::control::{Control, IncarnationEntry};
use crate::group;
use crate::participant::Advance;
use crate::store::Store;
use crate::trace;
use aether_page::UndoPtr;
use aether_sync::thread;
use aether_trace::planted;
use aether_types::limits::STREAMS_MAX;
use aether_types::{Lsn, Lv, Result, StreamId, TxnId};
use aether_wal::Wal;
use aether_wal::buffer::page as aether_page;

/// Bytes of log between two checkpoints, as a part of `max_recovery_bytes`.
const CHECKPOINT_SHARE: u64 = 8;

/// Slices of write-back that fit between two checkpoints.
const SLICES: u64 = 256;

/// When the last checkpoint was taken, how many there were, and the one that is being paid for.
#[derive(Default)]
pub(crate) struct Checkpointer {
    taken_at: u64,
    count: u64,
    /// What the next checkpoint waits for: pages first dirtied below.
    bound: Option<Lv>,
    /// When the last slice of write-back was paid.
    paid_at: u64,
    /// Participants have done what they can for it.
    is_let_go: bool,
}

impl Checkpointer {
    /// True if whoever comes at `position` has to pay a slice.
    fn is_due(&mut self, position: u64, due: u64) -> bool {
        if self.taken_at == 0 {
            self.taken_at = position.saturating_sub(due);
        }
        let begins = self.bound.is_none() && position.saturating_sub(self.taken_at) >= due;
        let goes_on = self.bound.is_some() && position.saturating_sub(self.paid_at) >= due / SLICES;
        begins || goes_on
    }

    /// True if slices have not been enough: the next checkpoint should have been taken by now.
    fn is_late(&self, position: u64, due: u64) -> bool {
        position.saturating_sub(self.taken_at) >= 2 * due
    }

    fn finish(&mut self, position: u64) {
        (self.taken_at, self.bound, self.is_let_go) = (position, None, false);
        self.count += 1;
    }
}

/// Checkpoints in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Checkpoints of this open.
    pub checkpoints: u64,
    /// Bytes of log that a restart now would read.
    pub log_bytes: u64,
    /// How often whoever keeps rows in memory was asked to let log go, and could not.
    pub held_back: u64,
    /// Bytes beside the log that a restart would read for rows in memory.
    pub image_bytes: u64,
}

/// Of all streams, also of those that are not appended to any more: their log may still be read by a restart.
fn total(lv: &Lv) -> u64 {
    lv.iter(STREAMS_MAX).map(|(_, lsn)| lsn.get()).sum()
}

impl Store {
    /// Bytes of log from the redo start on.
    fn log_used(&self, log: &Wal) -> u64 {
        let start = *self.redo_start.lock();
        total(&log.positions()).saturating_sub(total(&start))
    }

    /// What each mini-transaction pays before its first latch: write-back and checkpoints in proportion to the
    /// log in use, so that a restart never reads more than `max_recovery_bytes`. Blocks for a batch now and then, and for
    /// all that is owed only if batches have not kept up.
    pub(crate) fn pay(&self) -> Result<()> {
        let Some(log) = self.log() else { return Ok(()) };
        let due = self.config.max_recovery_bytes / CHECKPOINT_SHARE;
        let position = total(&log.positions());
        let Some(mut checkpointer) = self.checkpointer.try_lock() else { return Ok(()) };
        if !checkpointer.is_due(position, due) {
            return Ok(());
        }
        checkpointer.paid_at = position;
        let late = checkpointer.is_late(position, due);
        let bound = *checkpointer.bound.get_or_insert_with(|| self.write_back_bound(log));
        while self.pool.write_back_below(&bound)? > 0 {
            if !late {
                return Ok(());
            }
        }
        if !checkpointer.is_let_go && !self.is_let_go(&bound) {
            drop(checkpointer);
            return self.pay_participants(&bound, late);
        }
        checkpointer.finish(position);
        self.take_checkpoint(log)
    }

    /// Has participants do a slice of what holds the next checkpoint up, or all of it if that is late. They change pages
    /// themselves, hence without the checkpoint's lock; whoever comes next goes on with the checkpoint.
    fn pay_participants(&self, bound: &Lv, late: bool) -> Result<()> {
        loop {
            match self.advance_floors(bound)? {
                Advance::Again if late => {}
                Advance::Again | Advance::Busy => return Ok(()),
                Advance::Reached | Advance::Cannot => break,
            }
        }
        if let Some(mut checkpointer) = self.checkpointer.try_lock() {
            // What still needs older log cannot be helped: the checkpoint is taken, and its redo start stays.
            checkpointer.is_let_go = true;
        }
        Ok(())
    }

    /// Pages first dirtied below this hold the redo start below the newest half of the allowed log. A stream that is not
    /// appended to any more keeps none: its position would never leave that half.
    fn write_back_bound(&self, log: &Wal) -> Lv {
        let keep = self.config.max_recovery_bytes / 2 / self.streams() as u64;
        let mut bound = log.positions();
        for (stream, lsn) in log.positions().iter(self.streams()) {
            bound.set(stream, Lsn::new(lsn.get().saturating_sub(keep)));
        }
        bound
    }

    /// Takes a checkpoint now: writes back everything that was dirty, then notes where redo starts. Blocks.
    pub fn checkpoint(&self) -> Result<()> {
        let Some(log) = self.log() else { return Ok(()) };
        log.start()?;
        self.advance_all(log)?;
        let mut checkpointer = self.checkpointer.lock();
        while self.pool.write_back_below(&log.positions())? > 0 {}
        checkpointer.finish(total(&log.positions()));
        self.take_checkpoint(log)
    }

    /// Has participants need nothing below the present positions, as far as they can.
    fn advance_all(&self, log: &Wal) -> Result<()> {
        // What is durable is settled, and need not be kept in the log for a rollback.
        if !self.participants.is_empty() {
            log.wait_durable(&log.slv_join())?;
        }
        let bound = log.positions();
        loop {
            match self.advance_floors(&bound)? {
                Advance::Again => {}
                Advance::Busy => thread::yield_now(),
                Advance::Reached | Advance::Cannot => return Ok(()),
            }
        }
    }

    fn take_checkpoint(&self, log: &Wal) -> Result<()> {
        let (positions, need) = trace::read_positions(|| (log.positions(), log.slv_join()));
        if planted("list-before-frames") {
            return self.list_first(log, positions, need);
        }
        let read = || if planted("ignore-frames") { positions } else { self.pool.redo_start(positions) };
        let mut start = trace::read_frames(read);
        start = trace::read_floors(|| {
            self.lower_to_floors(&mut start);
            start
        });
        self.pool.settle_psns()?;
        // After the frames: whoever changed a page that is clean by now has moved its undo head.
        let active = trace::read_table(|| self.active.list(&mut start));
        self.log_checkpoint(log, start, need, &active)
    }

    /// A planted bug.
    #[cold]
    fn list_first(&self, log: &Wal, positions: Lv, need: Lv) -> Result<()> {
        let mut start = positions;
        let active = trace::read_table(|| self.active.list(&mut start));
        let start = trace::read_frames(|| self.pool.redo_start(start));
        self.pool.settle_psns()?;
        self.log_checkpoint(log, start, need, &active)
    }

    fn log_checkpoint(
        &self,
        log: &Wal,
        start: Lv,
        mut need: Lv,
        active: &[(TxnId, StreamId, UndoPtr)],
    ) -> Result<()> {
        // What it lists may be younger than the positions: a head whose group a crash cuts off leads nowhere.
        if !planted("list-may-be-lost") {
            need.join(&trace::read_vectors(|| log.slv_join()));
        }
        let body = group::checkpoint(active);
        let stream = StreamId::new(0);
        let credit = log.reserve_urgent(stream, body.len())?;
        let record = log.append(credit, group::CHECKPOINT, &Lv::ZERO, &body);
        need.join(&record.lv);
        if !planted("install-before-durable") {
            log.wait_durable(&need)?;
        }
        self.publish(log, start, record.lsn)
    }

    fn publish(&self, log: &Wal, start: Lv, record: Lsn) -> Result<()> {
        let durable = self.durable.as_ref().expect("only a store with a log takes checkpoints");
        let mut now = *self.redo_start.lock();
        now.join(&start);
        let change = |control: &mut Control| {
            control.redo_start = now;
            control.checkpoint = Some((StreamId::new(0), record));
            drop_old_incarnations(control, log);
        };
        let update = || trace::install(&now, || durable.control.lock().update(change));
        trace::publish_checkpoint(&now, update)?;
        *self.redo_start.lock() = now;
        log.truncate_below(&now)
    }

    /// Checkpoints in numbers.
    pub fn checkpoint_stats(&self) -> CheckpointStats {
        let (checkpoints, held_back) = (self.checkpointer.lock().count, self.held_back.get());
        let log_bytes = self.log().map_or(0, |log| self.log_used(log));
        let image_bytes = self.participants.iter().map(|participant| participant.restart_bytes()).sum();
        CheckpointStats { checkpoints, log_bytes, held_back, image_bytes }
    }

    /// Writes everything back and notes the end of every stream, so that the next open reads no log; but for what
    /// participants keep in the log alone. Blocks. A store on which nothing was written is left as it is.
    ///
    /// # Errors
    /// `Poisoned` after an earlier failure: then the next open recovers.
    pub fn close(&self) -> Result<()> {
        let Some(durable) = &self.durable else { return Ok(()) };
        if durable.log.is_started() && self.check_healthy().is_ok() {
            self.advance_all(&durable.log)?;
        }
        let _checkpointer = self.checkpointer.lock();
        if !durable.log.is_started() || durable.control.lock().current().clean_end.is_some() {
            return Ok(());
        }
        self.check_healthy()?;
        self.pool.flush_all()?;
        if !self.active.is_empty() {
            return Ok(());
        }
        if !self.is_let_go(&durable.log.positions()) {
            // Rows that are in the log alone: the next open redoes them.
            return self.take_checkpoint(&durable.log);
        }
        self.pool.settle_psns()?;
        let ends = durable.log.close()?;
        durable.control.lock().update(|control| {
            control.redo_start = ends;
            control.clean_end = Some(ends);
            control.checkpoint = None;
        })
    }
}

/// An incarnation's pair is dropped only when the log below its start is gone (L1); the newest one stays.
fn drop_old_incarnations(control: &mut Control, log: &Wal) {
    let known: Vec<_> = control.incarnations.iter().map(IncarnationEntry::to_wal).collect();
    control.incarnations.drain(..log.outlived(&known));
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::{Loser, Opening, StoreConfig};
    use aether_page::PageOp;
    use aether_sim::Sim;
    use aether_sync::Arc;
    use aether_types::Timestamp;
    use std::path::Path;

    fn open(sim: &Sim) -> Result<(Arc<Store>, Vec<Loser>)> {
        let opening = Opening::begin(sim.env(), Path::new("/home"), StoreConfig::default(), true)?;
        let (store, losers, _) = opening.scan()?.redo()?.into_parts();
        Ok((store, losers))
    }

    /// A transaction stood between its commit record and leaving the table while a whole checkpoint went by: that listed
    /// it, and had its redo start above the record. It was answered, and after a crash rolled back.
    #[test]
    fn a_commit_is_one_though_a_whole_checkpoint_passes_before_the_table_forgets_it() {
        let sim = Sim::new(1);
        let store = open(&sim).unwrap().0;
        let txn = store.begin_active(StreamId::new(0)).unwrap();
        let mut mtr = store.mtr(txn.stream(), 256).unwrap();
        let slot = mtr.allocate().unwrap();
        mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: 1, link: 0 }).unwrap();
        mtr.in_txn(&txn, UndoPtr::new(mtr.page_no(slot), 1));
        mtr.commit();
        let (credit, body) = (store.last_credit(&txn).unwrap(), group::commit(txn.id(), Timestamp::new(1)));
        let lv = store.log_last(&txn, group::COMMIT, &Lv::ZERO, &body, credit);
        store.checkpoint().unwrap();
        store.active.remove(txn.id());
        store.log().unwrap().wait_durable(&lv).unwrap();
        let (_, losers) = open(&sim.kill_image()).unwrap();
        assert_eq!(losers, Vec::new());
    }
}
