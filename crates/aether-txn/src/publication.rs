//! How a commit becomes visible, and up to where everything is durable (T2, T3). The store is not needed for it, so that loom can
//! try every schedule: `tests/loom_publication.rs`.

use crate::rank;
use crate::serial::{Draw, History, Predicates, WriteSet};
use crate::state::Outcome;
pub use crate::state::TxnState;
use crate::trace;
use aether_recovery::wal::buffer::Account;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_sync::{Arc, Mutex, thread};
use aether_trace::planted;
use aether_types::{Lv, Result, Timestamp, TxnId};
use std::collections::VecDeque;

/// The clock of commits, and those that are not known to be durable.
#[derive(Debug)]
pub struct Publication {
    /// The newest timestamp drawn.
    clock: AtomicU64,
    /// Everything at or below is durable.
    durable: AtomicU64,
    pending: Mutex<Pending>,
}

#[derive(Debug)]
struct Pending {
    /// Committing, or committed and not known to be durable, in the order of their timestamps.
    queue: VecDeque<(Timestamp, Arc<TxnState>)>,
    history: History,
}

impl Publication {
    /// Everything at or below `floor` is durable. What is kept for validation is charged to `account`.
    pub fn new(floor: Timestamp, account: Account) -> Self {
        let pending = Pending { queue: VecDeque::new(), history: History::new(account) };
        Self {
            clock: AtomicU64::new(floor.get()),
            durable: AtomicU64::new(floor.get()),
            pending: Mutex::new(rank::PENDING, pending),
        }
    }

    /// The newest timestamp drawn.
    pub fn clock(&self) -> Timestamp {
        Timestamp::new(self.clock.load(Acquire))
    }

    /// The newest timestamp known to have nothing at or below it that a crash could undo; never blocks.
    pub fn known_durable(&self) -> Timestamp {
        Timestamp::new(self.durable.load(Acquire))
    }

    /// A commit joins the queue of those that are not durable yet, with the clock as its bound, and is visible as
    /// committing; then it draws its timestamp, which is above the bound.
    pub fn draw(&self, state: &Arc<TxnState>) -> Timestamp {
        self.draw_in(&mut self.pending.lock(), state)
    }

    fn draw_in(&self, pending: &mut Pending, state: &Arc<TxnState>) -> Timestamp {
        if planted("draw-before-committing") {
            return self.draw_first(pending, state);
        }
        let bound = trace::bound(state.id, || self.clock());
        trace::committing(|| state.publish_committing(bound));
        trace::enqueue(|| pending.queue.push_back((bound, state.clone())));
        trace::draw(|| self.next_timestamp())
    }

    fn next_timestamp(&self) -> Timestamp {
        Timestamp::new(self.clock.fetch_add(1, AcqRel) + 1)
    }

    /// A planted bug: between the two a reader takes the commit for one of the future.
    #[cold]
    fn draw_first(&self, pending: &mut Pending, state: &Arc<TxnState>) -> Timestamp {
        let bound = trace::bound(state.id, || self.clock());
        let at = trace::draw(|| self.next_timestamp());
        trace::committing(|| state.publish_committing(bound));
        trace::enqueue(|| pending.queue.push_back((bound, state.clone())));
        at
    }

    /// As [`Publication::draw`], if nothing speaks against the commit: validation and draw are one step (T2). What the
    /// transaction has changed is noted for those that are validated later.
    ///
    /// # Errors
    /// `Conflict`: then nothing was drawn.
    pub(crate) fn draw_checked(
        &self,
        state: &Arc<TxnState>,
        reads: Option<(&Predicates, Timestamp)>,
        writes: &mut WriteSet,
    ) -> Result<Timestamp> {
        let draw = self.look_ahead(Draw { writer: state.id, reads })?;
        let mut pending = self.pending.lock();
        pending.history.check(draw, writes)?;
        if planted("validate-before-the-lock") {
            drop(pending);
            (0..16).for_each(|_| thread::yield_now());
            pending = self.pending.lock();
        }
        let at = self.draw_in(&mut pending, state);
        pending.history.note(at, state.id, writes);
        Ok(at)
    }

    /// As [`Publication::draw`], for a prepared transaction: it was validated when it was prepared, and nothing has been
    /// admitted since that stands against it (T5).
    pub(crate) fn draw_prepared(&self, state: &Arc<TxnState>, writes: &mut WriteSet) -> Timestamp {
        let mut pending = self.pending.lock();
        let at = self.draw_in(&mut pending, state);
        pending.history.note(at, state.id, writes);
        at
    }

    /// Validates against what is listed now without holding anybody up.
    fn look_ahead<'r>(&self, mut draw: Draw<'r>) -> Result<Draw<'r>> {
        while let Some((reads, since)) = draw.reads {
            let Some(newer) = self.pending.lock().history.ahead(since) else { break };
            newer.iter().try_for_each(|changes| changes.check(reads, draw.writer))?;
            draw.reads = newer.first().map(|newest| (reads, newest.at()));
        }
        Ok(draw)
    }

    /// A serializable transaction begins: its snapshot. Every commit above is listed until [`Publication::leave_serializable`].
    pub(crate) fn enter_serializable(&self) -> Timestamp {
        let mut pending = self.pending.lock();
        let at = self.clock();
        pending.history.enter(at);
        at
    }

    /// It has not read anything yet, and begins again: its new snapshot.
    pub(crate) fn reenter_serializable(&self, before: Timestamp) -> Timestamp {
        let mut pending = self.pending.lock();
        let at = self.clock();
        pending.history.enter(at);
        pending.history.leave(before);
        at
    }

    /// It ends.
    pub(crate) fn leave_serializable(&self, at: Timestamp) {
        self.pending.lock().history.leave(at);
    }

    /// Validates a transaction that is being prepared; `since`: its snapshot, if it is serializable. From now on what it has
    /// read stands as a lock, and nobody else is prepared who has read what it changes.
    ///
    /// # Errors
    /// `Conflict`.
    pub(crate) fn prepare(
        &self,
        writer: TxnId,
        reads: Arc<Predicates>,
        since: Option<Timestamp>,
        writes: WriteSet,
    ) -> Result<()> {
        let mut pending = self.pending.lock();
        trace::prepare(writer, || {
            let draw = Draw { writer, reads: since.map(|since| (&*reads, since)) };
            pending.history.check(draw, &writes)?;
            pending.history.check_prepared(writer, &reads)?;
            pending.history.prepare(writer, reads, writes);
            Ok(())
        })
    }

    /// A prepared transaction of an earlier open: it has been validated.
    pub(crate) fn adopt(&self, writer: TxnId, reads: Arc<Predicates>, writes: WriteSet) {
        self.pending.lock().history.prepare(writer, reads, writes);
    }

    /// A prepared transaction is decided, or its preparation has failed.
    pub(crate) fn decide(&self, writer: TxnId) {
        self.pending.lock().history.decide(writer);
    }

    /// Takes durable commits off the front of the queue. Whatever has a timestamp at or below the front's bound drew it before
    /// that bound was read, so it joined before, and has left. Returns the vector of a commit that holds
    /// [`Publication::known_durable`] back, if one does.
    pub fn advance(&self, is_durable: impl Fn(&Lv) -> bool) -> Option<Lv> {
        let mut pending = self.pending.lock();
        let (bound, holder) = loop {
            let Some((bound, state)) = pending.queue.front() else { break (self.clock(), None) };
            match state.outcome() {
                Outcome::Committing(_) if planted("advance-past-committing") => break (self.clock(), None),
                Outcome::Committing(_) => break (*bound, None),
                Outcome::Committed(_) if !is_durable(&state.lv()) && !planted("pop-before-durable") => {
                    break (*bound, Some(state.lv()));
                }
                _ => {
                    let id = state.id;
                    trace::pop(id, || drop(pending.queue.pop_front()));
                }
            }
        };
        // Under the lock: a later, smaller bound must not be overtaken by an earlier, larger one.
        trace::advance(bound, || self.durable.fetch_max(bound.get(), AcqRel));
        holder
    }
}
