//! Checkpoints: fuzzy, continuous, and in slices that are due as the log grows.
//!
//! A thread does the slices ([`Background`]); where it falls behind those who write help, and where there is none they do all of it.
//!
//! A checkpoint reads the claim positions and the vectors there, then each frame's first-dirty and `writing`
//! positions (P5), then the active transactions; it is written to the log, and stands in the control file once
//! every stream is durable up to those vectors and the PSN tables for every page write synced by then. It never goes back. Nothing is stopped for it.

mod background;
mod pace;

use crate::control::{Control, IncarnationEntry};
use crate::group;
use crate::participant::Advance;
use crate::rank;
use crate::store::Store;
use crate::trace;
use aether_page::UndoPtr;
use aether_sync::{Arc, Mutex, MutexGuard, thread};
use aether_trace::planted;
use aether_types::limits::STREAMS_MAX;
use aether_types::{Lsn, Lv, Result, StreamId, TxnId};
use aether_wal::Wal;
use aether_wal::buffer::{BATCH_PAGES, page as aether_page};
use background::Background;
use pace::Pace;

/// Bytes of log between two checkpoints, as a part of `max_recovery_bytes`.
const CHECKPOINT_SHARE: u64 = 8;

/// Slices of write-back that fit between two checkpoints.
const SLICES: u64 = 256;

/// Where there is a thread for it, others help from this part of the way between one checkpoint and the next on.
const HELP_FROM: (u64, u64) = (3, 2);

/// From so many times the way from one checkpoint to the next on, whoever finds it so pays for all of it at once: the bound is near.
const TIMES_MAX: u64 = 3;

/// The checkpoints of a store.
pub(crate) struct Checkpoints {
    pace: Pace,
    state: Mutex<State>,
    background: Background,
}

/// How many there were, and the one that is being paid for.
#[derive(Default)]
struct State {
    count: u64,
    /// What the next checkpoint waits for: pages first dirtied below.
    bound: Option<Lv>,
    /// Participants have done what they can for it.
    is_let_go: bool,
}

impl Checkpoints {
    /// None yet, and no thread.
    pub(crate) fn new() -> Self {
        let state = Mutex::new(rank::CHECKPOINT, State::default());
        Self { pace: Pace::new(), state, background: Background::none() }
    }

    fn finish(&self, state: &mut State, position: u64, due: u64) {
        (state.bound, state.is_let_go) = (None, false);
        state.count += 1;
        self.pace.taken(position, due);
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

    /// Bytes of log between two checkpoints.
    fn checkpoint_bytes(&self) -> u64 {
        self.config.max_recovery_bytes / CHECKPOINT_SHARE
    }

    /// What each mini-transaction pays before its first latch: write-back and checkpoints in proportion to the
    /// log in use, so that a restart never reads more than `max_recovery_bytes`. A background thread takes it over, if there is one and
    /// it keeps up. Blocks for a batch now and then, for more if batches have not kept up, and for all that is owed only near that bound.
    #[inline]
    pub(crate) fn pay(&self) -> Result<()> {
        match self.log() {
            Some(log) if self.checkpoints.pace.is_due(total(&log.positions())) => self.pay_or_ask(log),
            _ => Ok(()),
        }
    }

    #[cold]
    fn pay_or_ask(&self, log: &Wal) -> Result<()> {
        let since = self.checkpoints.pace.since(total(&log.positions()));
        if self.checkpoints.background.takes_over() && !self.is_behind(since) {
            return Ok(());
        }
        let state = match self.checkpoints.background.runs() || self.is_late(since) {
            // Whoever comes while another pays waits, and does not write on at full speed.
            true => Some(self.checkpoints.state.lock()),
            false => self.checkpoints.state.try_lock(),
        };
        let Some(state) = state else { return Ok(()) };
        self.pay_slice(log, state)?;
        self.checkpoints.background.try_again();
        Ok(())
    }

    /// What the thread does: pays slices until none is due; one after the other, once they are behind. Ends with the slice in hand when the thread
    /// is to stop, and where others must go on first: the next write asks again. Blocks.
    fn pay_what_is_due(&self) -> Result<()> {
        let (Some(log), pace) = (self.log(), &self.checkpoints.pace) else { return Ok(()) };
        while self.checkpoints.background.runs() {
            let position = total(&log.positions());
            let state = self.checkpoints.state.lock();
            if self.is_behind(pace.since(position)) {
                pace.wait_until(position);
            }
            if !self.pay_slice(log, state)? {
                break;
            }
        }
        Ok(())
    }

    /// Slices are not enough: those who write help the thread.
    fn is_behind(&self, since: u64) -> bool {
        let (part, of) = HELP_FROM;
        since >= self.checkpoint_bytes() / of * part
    }

    /// Slices have not been enough: the next checkpoint should have been taken by now.
    fn is_late(&self, since: u64) -> bool {
        since >= 2 * self.checkpoint_bytes()
    }

    /// Batches of pages that a slice writes back: one, or if that has not been enough so many that all frames are written before the bound is near, so
    /// that nobody waits for all of them.
    fn batches(&self, since: u64) -> u64 {
        let frames = self.config.buffer.num_frames as u64;
        match since / self.checkpoint_bytes().max(1) {
            0 | 1 => 1,
            times if times < TIMES_MAX => (2 * frames / (SLICES * BATCH_PAGES as u64)).max(2),
            _ => u64::MAX,
        }
    }

    /// Pays a slice, if one is due; false if there was nothing to do, or others are at it.
    fn pay_slice(&self, log: &Wal, mut state: MutexGuard<'_, State>) -> Result<bool> {
        let (pace, due) = (&self.checkpoints.pace, self.checkpoint_bytes());
        let position = total(&log.positions());
        pace.begin(position, due);
        if !pace.is_due(position) {
            return Ok(false);
        }
        pace.wait_until(position + due / SLICES);
        let since = pace.since(position);
        let bound = *state.bound.get_or_insert_with(|| self.write_back_bound(log));
        let mut batches = self.batches(since);
        while self.pool.write_back_below(&bound)? > 0 {
            batches -= 1;
            if batches == 0 {
                return Ok(true);
            }
        }
        if !state.is_let_go && !self.is_let_go(&bound) {
            drop(state);
            return self.pay_participants(&bound, self.is_late(since));
        }
        self.checkpoints.finish(&mut state, position, due);
        self.take_checkpoint(log).map(|()| true)
    }

    /// Has participants do a slice of what holds the next checkpoint up, or all of it if that is late. They change pages
    /// themselves, hence without the checkpoint's lock; whoever comes next goes on with the checkpoint. False if others are at it.
    fn pay_participants(&self, bound: &Lv, late: bool) -> Result<bool> {
        loop {
            match self.advance_floors(bound)? {
                Advance::Again if late => {}
                Advance::Again => return Ok(true),
                Advance::Busy => return Ok(false),
                Advance::Reached | Advance::Cannot => break,
            }
        }
        if let Some(mut state) = self.checkpoints.state.try_lock() {
            // What still needs older log cannot be helped: the checkpoint is taken, and its redo start stays.
            state.is_let_go = true;
        }
        Ok(true)
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

    /// Has a thread do checkpoint work from now on, as long as it keeps up; until [`Store::stop_background`]. For a store that is open and
    /// whose participants can be asked.
    ///
    /// # Errors
    /// `OverLimit` if the system refuses a thread.
    pub fn start_background(self: &Arc<Self>) -> Result<()> {
        match self.log() {
            Some(_) => self.checkpoints.background.start(Arc::downgrade(self)),
            None => Ok(()),
        }
    }

    /// Ends that thread; blocks for the slice in hand. From then on those who write pay.
    pub fn stop_background(&self) {
        self.checkpoints.background.stop();
    }

    /// Takes a checkpoint now: writes back everything that was dirty, then notes where redo starts. Blocks.
    pub fn checkpoint(&self) -> Result<()> {
        let Some(log) = self.log() else { return Ok(()) };
        log.start()?;
        self.advance_all(log)?;
        let mut state = self.checkpoints.state.lock();
        while self.pool.write_back_below(&log.positions())? > 0 {}
        self.checkpoints.finish(&mut state, total(&log.positions()), self.checkpoint_bytes());
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
        let (checkpoints, held_back) = (self.checkpoints.state.lock().count, self.held_back.get());
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
        let _state = self.checkpoints.state.lock();
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
mod tests;
