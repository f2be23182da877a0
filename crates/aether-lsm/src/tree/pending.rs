//! Ingested runs until everybody sees them.
//!
//! A run that a transaction ingests is listed like any other, with a mark that names the transaction, before that one commits. It is
//! there for whoever sees its row in the manifest, which is a row of the transaction itself: so a snapshot, a rollback, a crash and a
//! prepared transaction do with the run what they do with any row. Once the transaction is over and forgotten, all see the same: the
//! mark goes, or the run. Until then no merge takes it.

use super::Live;
use super::manifest::{Manifest, RunRow};
use super::runs::Runs;
use super::working::Working;
use crate::filter::KeyHash;
use crate::version::{Edit, Run, Version};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{AtomicU8, Ordering::*};
use aether_index::txn::{Outcome, ReadView, Txn};
use aether_types::{FileId, Result, Timestamp, TxnId};

/// Its transaction is not over, or somebody may not see it.
const WAITING: u8 = 0;
/// Everybody sees it; the manifest has the mark.
const OPEN: u8 = 1;
/// Everybody sees it, and the manifest says so.
const LISTED: u8 = 2;
/// Nobody sees it, and somebody takes it out.
const GOING: u8 = 3;

/// Who has brought a run, and whether everybody sees it.
pub(crate) struct Pending {
    writer: TxnId,
    state: AtomicU8,
}

impl Pending {
    pub(super) fn new(writer: TxnId) -> Self {
        Self { writer, state: AtomicU8::new(WAITING) }
    }

    /// As the manifest has a run, and the rows that name files in it.
    pub(super) fn listed(row: &RunRow, rows: &[FileId]) -> Option<Self> {
        match row.pending {
            Some(writer) => Some(Self::new(writer)),
            // The mark went, and the row is to follow.
            None if rows.contains(&row.info.file) => {
                Some(Self { writer: TxnId::NONE, state: AtomicU8::new(OPEN) })
            }
            None => None,
        }
    }

    /// True for who makes this step. Release: pairs with the acquire in `is_open`, so that who finds the row gone knows why.
    fn step(&self, from: u8, to: u8) -> bool {
        self.state.compare_exchange(from, to, Release, Relaxed).is_ok()
    }

    fn is_open(&self) -> bool {
        matches!(self.state.load(Acquire), OPEN | LISTED)
    }
}

impl Live {
    /// True if everybody sees the run.
    pub(super) fn is_open(&self) -> bool {
        self.pending.as_ref().is_none_or(Pending::is_open)
    }

    /// True if the manifest does not say that everybody sees the run.
    pub(super) fn is_unsettled(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.state.load(Acquire) != LISTED)
    }

    /// True if everybody sees the run and the manifest does not say so.
    pub(super) fn is_stale(&self) -> bool {
        self.pending.as_ref().is_some_and(|pending| pending.state.load(Acquire) == OPEN)
    }

    /// The manifest says now that everybody sees it.
    pub(super) fn note_listed(&self) {
        if let Some(pending) = &self.pending {
            pending.step(OPEN, LISTED);
        }
    }

    /// Who has brought it, as long as not everybody sees it.
    pub(super) fn writer(&self) -> Option<TxnId> {
        self.pending.as_ref().filter(|pending| !pending.is_open()).map(|pending| pending.writer)
    }

    /// True if `view` shows the run. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption`, `Io`; `Expired` for a view that is over.
    pub(super) fn is_seen(&self, manifest: &Manifest, view: &ReadView) -> Result<bool> {
        // The row goes only after the state says that it is needed no more, and a view that came before still sees it.
        Ok(self.is_open() || manifest.has_ingested(view, self.run.info().file)?)
    }
}

impl Runs {
    /// When an ingested run that has `key` was committed, if that was after the snapshot of `txn`.
    pub(super) fn ingested_since(
        &self,
        version: &Version<Live>,
        txn: &Txn,
        key: &[u8],
    ) -> Result<Option<Timestamp>> {
        for run in version.candidates(key).filter(|run| !run.file().is_open()) {
            let live = run.file();
            let said = live.run.get(key, KeyHash::of(key), Timestamp::new(u64::MAX), &mut Vec::new());
            if matches!(said, Ok(None)) {
                continue;
            }
            if let Some(at) = self.came_since(txn, live)? {
                // A damaged run is no matter of those for whom it is not there.
                said?;
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// When `live` was committed, if that was after the snapshot of `txn`; none if it was before, or never. Blocks for reads.
    pub(super) fn came_since(&self, txn: &Txn, live: &Live) -> Result<Option<Timestamp>> {
        let Some(writer) = live.writer() else { return Ok(None) };
        // For its own sake too: what `txn` changes from now on depends on a commit that it sees here (T4).
        if live.is_seen(&self.manifest, txn.read())?
            || !live.is_seen(&self.manifest, self.manifest.begin().view())?
        {
            return Ok(None);
        }
        match self.txns.outcome(writer) {
            Some(Outcome::Committed(at)) => Ok(Some(at)),
            _ => Ok(Some(Timestamp::new(u64::MAX))),
        }
    }

    /// Takes the rows out of the runs that are open to all by now, and of those that an edit takes out with all others.
    pub(super) fn remove_rows(
        &self,
        txn: &mut Txn,
        stale: &[Arc<Run<Live>>],
        old: &Version<Live>,
        edit: &Edit<Live>,
    ) -> Result<()> {
        stale.iter().try_for_each(|run| self.manifest.remove_ingested(txn, run.id()))?;
        for run in old.runs().filter(|run| !run.file().is_open() && edit.removes(run.id())) {
            if self.manifest.has_ingested(txn.view(), run.id())? {
                self.manifest.remove_ingested(txn, run.id())?;
            }
        }
        Ok(())
    }

    /// Opens the runs to all that all see by now, and lets those go that came to nothing. Blocks for the log, if there are any.
    ///
    /// # Errors
    /// Those of pages and of the log; what is not done is done next time.
    pub(super) fn settle(&self) -> Result<()> {
        if self.is_over() || !self.has_pending.load(Relaxed) {
            return Ok(());
        }
        self.looks.add(1);
        let version = self.current();
        let is_over = |run: &&Arc<Run<Live>>| {
            run.file().writer().is_some_and(|writer| self.txns.outcome(writer).is_none())
        };
        let over: Vec<_> = version.runs().filter(is_over).cloned().collect();
        let mut any = version.runs().any(|run| run.file().is_stale());
        for run in over {
            if run.file().is_seen(&self.manifest, self.manifest.begin().view())? {
                any |= self.open_to_all(&run);
            } else {
                self.take_out(&run)?;
            }
        }
        if any {
            let _now = Working::begin();
            self.edit(&Edit::nothing(), |_, _| Ok(()))?;
        }
        Ok(())
    }

    fn open_to_all(&self, run: &Run<Live>) -> bool {
        let is_mine = run.file().pending.as_ref().is_some_and(|pending| pending.step(WAITING, OPEN));
        if is_mine {
            self.claims.release(run.id());
        }
        is_mine
    }

    fn take_out(&self, run: &Run<Live>) -> Result<()> {
        let Some(pending) = run.file().pending.as_ref().filter(|pending| pending.step(WAITING, GOING)) else {
            return Ok(());
        };
        let _now = Working::begin();
        let done = self.edit(&Edit::take_out(&self.current(), run.id()), |_, _| Ok(()));
        match &done {
            Ok(()) => self.claims.release(run.id()),
            Err(_) => drop(pending.step(GOING, WAITING)),
        }
        done
    }
}
