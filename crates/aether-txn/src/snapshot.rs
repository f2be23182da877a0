//! Snapshots: a registered timestamp, and what is visible there.

use crate::manager::TxnManager;
use crate::rank;
use crate::state::Outcome;
use crate::trace;
use aether_recovery::ActiveTxn;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::{Arc, Backoff, Mutex};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Lv, Result, Timestamp, TxnId};

/// One committed state of the store, kept readable while this lives.
pub struct ReadView {
    manager: Arc<TxnManager>,
    /// Moves only upward, and only at the level `ReadCommitted`.
    at: AtomicU64,
    /// Held while it moves.
    moving: Mutex<()>,
    own: TxnId,
    active: Option<Arc<ActiveTxn>>,
    /// False while a prepared transaction waits: it reads nothing and keeps nothing.
    is_registered: bool,
    /// The vectors of commits read that were not durable at the time.
    deps: Mutex<Lv>,
}

impl ReadView {
    /// A view of the newest commits, for a transaction that writes.
    pub(crate) fn newest(manager: &Arc<TxnManager>) -> Self {
        Self::register(manager, false, TxnManager::clock)
    }

    /// A view at `durable_ts`: what it shows no crash can undo (T3). On a store that does not promise
    /// durability, of the newest commits.
    pub(crate) fn durable(manager: &Arc<TxnManager>) -> Self {
        if manager.config.read_newest {
            return Self::newest(manager);
        }
        manager.advance_durable();
        Self::register(manager, true, TxnManager::known_durable_ts)
    }

    /// Nobody strips a version between the draw and the registration: see [`Registry::enter`](crate::registry::Registry::enter).
    fn register(
        manager: &Arc<TxnManager>,
        is_durable: bool,
        draw: impl FnOnce(&TxnManager) -> Timestamp,
    ) -> Self {
        Self::at_bound(
            manager,
            trace::draw_snapshot(is_durable, || manager.snapshots.enter(|| draw(manager))),
        )
    }

    /// As old as the oldest in use: what that sees, and all since, stays.
    pub(crate) fn oldest(manager: &Arc<TxnManager>) -> Self {
        manager.advance_durable();
        Self::at_bound(manager, manager.snapshots.enter_oldest(|| manager.known_durable_ts()))
    }

    fn at_bound(manager: &Arc<TxnManager>, at: Timestamp) -> Self {
        Self {
            manager: manager.clone(),
            at: AtomicU64::new(at.get()),
            moving: Mutex::new(rank::MOVING, ()),
            own: TxnId::NONE,
            active: None,
            is_registered: true,
            deps: Mutex::new(rank::DEPS, Lv::ZERO),
        }
    }

    /// A view for a serializable transaction, see [`crate::serial`].
    pub(crate) fn serializable(manager: &Arc<TxnManager>) -> Self {
        Self::register(manager, false, |manager| manager.publication.enter_serializable())
    }

    /// Reads nothing any more, until [`ReadView::renew`].
    pub(crate) fn let_go(&mut self) {
        if core::mem::take(&mut self.is_registered) {
            trace::let_go(|| self.manager.snapshots.leave(self.at()));
        }
    }

    /// Shows the newest commits from now on.
    pub(crate) fn renew(&mut self) {
        self.let_go();
        let at = self.manager.snapshots.enter(|| self.manager.clock());
        self.at = AtomicU64::new(at.get());
        self.is_registered = true;
    }

    pub(crate) fn adopt(&mut self, own: &Arc<ActiveTxn>) {
        self.own = own.id();
        self.active = Some(own.clone());
    }

    /// Ask after a read and before its result is used: was the snapshot still kept?
    ///
    /// # Errors
    /// `Expired` if it was held for longer than the store allows.
    #[inline]
    pub fn check(&self) -> Result<()> {
        if self.at() < self.manager.snapshots.expired_below() { Err(expired(self.at())) } else { Ok(()) }
    }

    /// A number that changes whenever the own transaction changes something; 0 without one.
    pub fn own_changes(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.undo_head().word())
    }

    /// The snapshot's timestamp.
    pub fn at(&self) -> Timestamp {
        Timestamp::new(self.at.load(Relaxed))
    }

    /// Moves the snapshot up to the newest commits: for a reader that wants no more than committed rows.
    pub(crate) fn refresh(&self) {
        self.raise(self.manager.clock());
    }

    /// Moves the snapshot up to `to`.
    pub(crate) fn raise(&self, to: Timestamp) {
        let _one_at_a_time = self.moving.lock();
        let from = self.at();
        if from < to {
            self.manager.snapshots.raise(from, to);
            self.at.store(to.get(), Relaxed);
        }
    }

    /// The manager.
    pub fn manager(&self) -> &Arc<TxnManager> {
        &self.manager
    }

    /// The transaction whose own changes are visible.
    pub fn own(&self) -> TxnId {
        self.own
    }

    /// True if the view shows what `writer` wrote. Ask after the row was read and before its page is validated:
    /// a writer that is gone from the table by then has committed, or its rollback has changed the page. Blocks
    /// for the moment in which a commit is being published.
    pub fn sees(&self, writer: TxnId) -> bool {
        if writer == self.own {
            return true;
        }
        let Some(state) = self.manager.table.get(writer) else { return true };
        let mut backoff = Backoff::new();
        loop {
            match state.outcome() {
                Outcome::Active | Outcome::Aborted => return false,
                Outcome::Committing(bound) if self.at() <= bound => return false,
                Outcome::Committing(_) if planted("pass-by-committing") => return false,
                Outcome::Committing(_) => backoff.wait(),
                Outcome::Committed(at) => {
                    let visible = at <= self.at();
                    if visible && at > self.manager.known_durable_ts() {
                        self.depend(&state.lv());
                    }
                    return visible;
                }
            }
        }
    }

    pub(crate) fn depend(&self, lv: &Lv) {
        self.deps.lock().join(lv);
    }

    pub(crate) fn deps(&self) -> Lv {
        *self.deps.lock()
    }
}

#[cold]
fn expired(at: Timestamp) -> Error {
    let what = "was held for longer than snapshot_age_max; begin again";
    Error::new(ErrorKind::Expired, format!("the snapshot at {at} {what}"))
}

impl Drop for ReadView {
    fn drop(&mut self) {
        self.let_go();
    }
}
