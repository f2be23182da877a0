//! Commit: publication, acknowledgement, and the handle for whoever waits later.

use crate::manager::TxnManager;
use crate::trace;
use crate::txn::{Txn, Writer};
use aether_recovery::wal::Credit;
use aether_sync::{Arc, Backoff};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Lv, Result, Timestamp};
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::time::Duration;

/// What a commit waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Durability {
    /// The log is durable up to the commit before it is acknowledged.
    #[default]
    Sync,
    /// As `Sync`, but whoever flushes first waits for others to join, at most this long.
    Group {
        /// The longest wait of the one who flushes.
        max_wait: Duration,
    },
    /// Acknowledged at once; a crash may lose what was committed less than this long ago, plus one sync.
    Async {
        /// The longest time to the next flush.
        interval: Duration,
    },
    /// Acknowledged at once; durable when the log happens to be flushed. A crash loses no commit that a kept one depends
    /// on; with one log stream, what it loses is the newest.
    None,
}

/// A commit that is visible and may not be durable yet. Poll it, block on it, or await it; no runtime is needed.
/// Dropping it changes nothing.
#[must_use = "the commit may not be durable yet"]
pub struct CommitHandle {
    manager: Arc<TxnManager>,
    /// None: nothing was written.
    at: Option<Timestamp>,
    lv: Lv,
}

impl CommitHandle {
    /// The commit's timestamp; none if the transaction changed nothing.
    pub fn timestamp(&self) -> Option<Timestamp> {
        self.at
    }

    /// The outcome, if it is known by now; never blocks.
    pub fn poll_durable(&self) -> Option<Result<()>> {
        let log = self.manager.store.log()?;
        match log.poll_durable(&self.lv) {
            Some(Ok(())) => self.is_passed().then_some(Ok(())),
            other => other,
        }
    }

    fn is_passed(&self) -> bool {
        self.at.is_none_or(|at| self.manager.known_durable_ts() >= at || self.manager.durable_ts() >= at)
    }

    /// Blocks until the commit is durable, and every commit before it (T3): from then on every read-only
    /// transaction sees it.
    ///
    /// # Errors
    /// `InDoubt` if the log failed first.
    pub fn wait(self) -> Result<()> {
        self.wait_within(Duration::ZERO)
    }

    /// Waits as long as `durability` says.
    pub fn wait_as(self, durability: Durability) -> Result<()> {
        match durability {
            Durability::Sync => self.wait(),
            Durability::Group { max_wait } => self.wait_within(max_wait),
            Durability::Async { .. } | Durability::None => Ok(()),
        }
    }

    fn wait_within(&self, max_wait: Duration) -> Result<()> {
        let Some(log) = self.manager.store.log() else { return Ok(()) };
        log.wait_durable_within(&self.lv, max_wait)?;
        let Some(at) = self.at.filter(|_| !planted("answer-on-vector")) else { return Ok(()) };
        let mut backoff = Backoff::new();
        loop {
            let holder = trace::wait_for_earlier(|| self.manager.advance_durable());
            if self.manager.known_durable_ts() >= at {
                return Ok(());
            }
            match holder {
                Some(earlier) => log.wait_durable(&earlier)?,
                None => backoff.wait(),
            }
        }
    }
}

impl Future for CommitHandle {
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        if self.manager.store.log().is_none() {
            return Poll::Ready(Ok(()));
        }
        if let Some(outcome) = self.poll_durable() {
            return Poll::Ready(outcome);
        }
        if let Some(log) = self.manager.store.log() {
            log.subscribe(&self.lv, context.waker().clone());
            log.flush_after(Duration::ZERO);
        }
        match self.poll_durable() {
            Some(outcome) => Poll::Ready(outcome),
            None => Poll::Pending,
        }
    }
}

impl Txn {
    /// Commits with the store's durability; blocks for it.
    ///
    /// # Errors
    /// `TxnOver` after an earlier error in the transaction; `InDoubt` if the log failed after the commit record was
    /// appended; `Full` or `Poisoned` if it could not be appended: then nothing was committed.
    pub fn commit(self) -> Result<()> {
        let durability = self.durability();
        self.commit_with(durability)?.wait_as(durability)
    }

    /// Commits: visible to others on return. The handle tells when it is durable.
    ///
    /// # Errors
    /// As [`Txn::commit`]; `Conflict` if a serializable transaction has read what others have changed since.
    pub fn commit_with(mut self, durability: Durability) -> Result<CommitHandle> {
        self.try_commit(durability)
    }

    /// Commits, or leaves the transaction as it was.
    pub(crate) fn try_commit(&mut self, durability: Durability) -> Result<CommitHandle> {
        self.check_usable()?;
        let manager = self.view.manager().clone();
        let handle = match self.writer.take() {
            None => CommitHandle { lv: self.view.deps(), manager: manager.clone(), at: None },
            Some(mut writer) => {
                // What was written before a failure is in the log, but nothing is acknowledged after it (R2).
                let healthy = manager.store.check_healthy();
                let credit = healthy.and_then(|()| manager.store.last_credit(&writer.active));
                let published = credit.and_then(|credit| manager.publish(self, &mut writer, credit));
                let (at, lv) = match published {
                    Ok(published) => published,
                    Err(error) => {
                        self.writer = Some(writer);
                        return Err(error);
                    }
                };
                manager.locks.end(&writer.state);
                manager.segments.give_back(writer.segment, at);
                manager.retire(at, core::mem::take(&mut self.retired));
                CommitHandle { manager: manager.clone(), at: Some(at), lv }
            }
        };
        self.over = true;
        self.reads = None;
        self.view.let_go();
        if let (Durability::Async { interval }, Some(log)) = (durability, manager.store.log()) {
            log.flush_after(interval);
        }
        manager.collect_now_and_then(&handle);
        Ok(handle)
    }

    pub(crate) fn check_usable(&self) -> Result<()> {
        if self.over {
            return Err(Error::new(
                ErrorKind::TxnOver,
                "the transaction is over after an earlier error; abort it",
            ));
        }
        Ok(())
    }
}

/// Commits between two collections of versions.
const COLLECT_EVERY: u64 = 64;

impl TxnManager {
    /// The publication protocol (T2). Nothing can fail once the timestamp is drawn: the record's room in the log is taken
    /// already.
    fn publish(&self, txn: &Txn, writer: &mut Writer, credit: Option<Credit<'_>>) -> Result<(Timestamp, Lv)> {
        let Writer { active, state, segment, .. } = writer;
        let at = match &txn.reads {
            _ if txn.prepared => self.publication.draw_prepared(state, &mut segment.writes),
            None => self.publication.draw_checked(state, None, &mut segment.writes)?,
            Some(reads) => {
                let read = reads.take();
                self.publication.draw_checked(state, Some((&read, reads.since)), &mut segment.writes)?
            }
        };
        let append = || self.store.append_commit(active, at, &txn.view.deps(), credit);
        let lv = trace::append_commit(active.stream(), append);
        trace::committed(|| state.publish_committed(at, lv));
        self.remembered.lock().push_back((at, state.id));
        self.commits.add(1);
        Ok((at, lv))
    }

    /// Housekeeping that must not fail a commit that has happened: if the store has failed, the next call says so.
    fn collect_now_and_then(self: &Arc<Self>, handle: &CommitHandle) {
        if handle.at.is_some_and(|at| at.get() % COLLECT_EVERY == 0) {
            let _ = self.collect();
        }
    }
}
