//! Checkpoints: fuzzy, continuous, and paid for by those who write.
//!
//! A checkpoint reads the claim positions and the vectors there, then each frame's first-dirty and `writing`
//! positions (P5), then the active transactions; it is written to the log, and stands in the control file once
//! every stream is durable up to those vectors. It never goes back. Nothing is stopped for it.

use crate::control::{Control, IncarnationEntry};
use crate::group;
use crate::store::Store;
use aether_types::{Lsn, Lv, Result, StreamId};
use aether_wal::Wal;

/// Bytes of log between two checkpoints, as a part of `max_recovery_bytes`.
const CHECKPOINT_SHARE: u64 = 8;

/// When the last checkpoint was taken, and how many there were.
#[derive(Default)]
pub(crate) struct Checkpointer {
    taken_at: u64,
    count: u64,
}

/// Checkpoints in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Checkpoints of this open.
    pub checkpoints: u64,
    /// Bytes of log that a restart now would read.
    pub log_bytes: u64,
}

fn total(lv: &Lv, streams: usize) -> u64 {
    lv.iter(streams).map(|(_, lsn)| lsn.get()).sum()
}

impl Store {
    /// Bytes of log from the redo start on.
    fn log_used(&self, log: &Wal) -> u64 {
        let start = *self.redo_start.lock();
        total(&log.positions(), self.streams()).saturating_sub(total(&start, self.streams()))
    }

    /// What each mini-transaction pays before its first latch: write-back and checkpoints in proportion to the
    /// log in use, so that a restart never reads more than `max_recovery_bytes`. Blocks for at most a batch.
    pub(crate) fn pay(&self) -> Result<()> {
        let Some(log) = self.log() else { return Ok(()) };
        let due = self.config.max_recovery_bytes / CHECKPOINT_SHARE;
        let position = total(&log.positions(), self.streams());
        let Some(mut checkpointer) = self.checkpointer.try_lock() else { return Ok(()) };
        if position.saturating_sub(checkpointer.taken_at) < due {
            return Ok(());
        }
        checkpointer.taken_at = position;
        self.write_back_oldest(log)?;
        checkpointer.count += 1;
        self.take_checkpoint(log)
    }

    /// Writes back the pages that hold the redo start below the newest half of the allowed log.
    fn write_back_oldest(&self, log: &Wal) -> Result<()> {
        let keep = self.config.max_recovery_bytes / 2 / self.streams() as u64;
        let mut bound = Lv::ZERO;
        for (stream, lsn) in log.positions().iter(self.streams()) {
            bound.set(stream, Lsn::new(lsn.get().saturating_sub(keep)));
        }
        while self.pool.write_back_below(&bound)? > 0 {}
        Ok(())
    }

    /// Takes a checkpoint now: writes back everything that was dirty, then notes where redo starts. Blocks.
    pub fn checkpoint(&self) -> Result<()> {
        let Some(log) = self.log() else { return Ok(()) };
        let mut checkpointer = self.checkpointer.lock();
        log.start()?;
        while self.pool.write_back_below(&log.positions())? > 0 {}
        checkpointer.taken_at = total(&log.positions(), self.streams());
        checkpointer.count += 1;
        self.take_checkpoint(log)
    }

    fn take_checkpoint(&self, log: &Wal) -> Result<()> {
        let positions = log.positions();
        let mut need = log.slv_join();
        let start = self.pool.redo_start(positions);
        // After the frames: whoever changed a page that is clean by now has moved its undo head.
        let active = self.active.list();
        let body = group::checkpoint(&active);
        let stream = StreamId::new(0);
        let credit = log.reserve_urgent(stream, body.len())?;
        let record = log.append(credit, group::CHECKPOINT, &Lv::ZERO, &body);
        need.join(&record.lv);
        log.wait_durable(&need)?;
        self.publish(log, start, record.lsn)
    }

    fn publish(&self, log: &Wal, start: Lv, record: Lsn) -> Result<()> {
        let durable = self.durable.as_ref().expect("only a store with a log takes checkpoints");
        let mut now = *self.redo_start.lock();
        now.join(&start);
        durable.control.lock().update(|control| {
            control.redo_start = now;
            control.checkpoint = Some((StreamId::new(0), record));
            drop_old_incarnations(control, log);
        })?;
        *self.redo_start.lock() = now;
        log.truncate_below(&now)
    }

    /// Checkpoints in numbers.
    pub fn checkpoint_stats(&self) -> CheckpointStats {
        let checkpoints = self.checkpointer.lock().count;
        CheckpointStats { checkpoints, log_bytes: self.log().map_or(0, |log| self.log_used(log)) }
    }

    /// Writes everything back and notes the end of every stream, so that the next open reads no log. Blocks. A
    /// store on which nothing was written is left as it is.
    ///
    /// # Errors
    /// `Poisoned` after an earlier failure: then the next open recovers.
    pub fn close(&self) -> Result<()> {
        let Some(durable) = &self.durable else { return Ok(()) };
        let _checkpointer = self.checkpointer.lock();
        if !durable.log.is_started() || durable.control.lock().current().clean_end.is_some() {
            return Ok(());
        }
        self.check_healthy()?;
        self.pool.flush_all()?;
        if !self.active.list().is_empty() {
            return Ok(());
        }
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
