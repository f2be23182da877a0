//! How a commit becomes visible, and up to where everything is durable (T2, T3). The store is not needed for it, so that loom can
//! try every schedule: `tests/loom_publication.rs`.

use crate::rank;
use crate::state::Outcome;
pub use crate::state::TxnState;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_sync::{Arc, Mutex};
use aether_types::{Lv, Timestamp};
use std::collections::VecDeque;

/// The clock of commits, and those that are not known to be durable.
#[derive(Debug)]
pub struct Publication {
    /// The newest timestamp drawn.
    clock: AtomicU64,
    /// Everything at or below is durable.
    durable: AtomicU64,
    /// Committing, or committed and not known to be durable, in the order of their bounds.
    pending: Mutex<VecDeque<(Timestamp, Arc<TxnState>)>>,
}

impl Publication {
    /// Everything at or below `floor` is durable.
    pub fn new(floor: Timestamp) -> Self {
        Self {
            clock: AtomicU64::new(floor.get()),
            durable: AtomicU64::new(floor.get()),
            pending: Mutex::new(rank::PENDING, VecDeque::new()),
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
        let mut pending = self.pending.lock();
        let bound = self.clock();
        state.publish_committing(bound);
        pending.push_back((bound, state.clone()));
        drop(pending);
        Timestamp::new(self.clock.fetch_add(1, AcqRel) + 1)
    }

    /// Takes durable commits off the front of the queue. Whatever has a timestamp at or below the front's bound drew it before
    /// that bound was read, so it joined before, and has left. Returns the vector of a commit that holds
    /// [`Publication::known_durable`] back, if one does.
    pub fn advance(&self, is_durable: impl Fn(&Lv) -> bool) -> Option<Lv> {
        let mut pending = self.pending.lock();
        let (bound, holder) = loop {
            let Some((bound, state)) = pending.front() else { break (self.clock(), None) };
            match state.outcome() {
                Outcome::Committing(_) => break (*bound, None),
                Outcome::Committed(_) if !is_durable(&state.lv()) => break (*bound, Some(state.lv())),
                _ => drop(pending.pop_front()),
            }
        };
        // Under the lock: a later, smaller bound must not be overtaken by an earlier, larger one.
        self.durable.fetch_max(bound.get(), AcqRel);
        holder
    }
}
