//! Two-phase commit: the part of a participant. Prepared transactions wait here for their coordinator's decision, over
//! any number of restarts (T5).
//!
//! Which write comes first: the row `p` is committed durably by a transaction of its own, in the log stream of the prepared
//! one and behind its changes. A commit takes `p` away and puts `o` inside the prepared transaction. A rollback does so
//! durably in a transaction of its own, and only then undoes: a crash in between leaves a loser without a row.

use crate::catalog::{Catalog, Entry};
use crate::env::{DbEnv, Inner};
use crate::lsm::index::txn::recovery::Loser;
use crate::lsm::index::txn::{self as inner, Durability, TxnManager};
use crate::rank;
use crate::trace;
use crate::txn::Txn;
use aether_sync::{Arc, Condvar, Mutex};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Result, Timestamp};
use std::collections::BTreeMap;

/// Bytes of a global transaction id: as many as X/Open XA allows.
pub(crate) const GTID_BYTES_MAX: usize = 128;

/// What is known of a global transaction id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// The transaction is committed, durably.
    Committed,
    /// The transaction is rolled back, durably.
    RolledBack,
    /// No such transaction was prepared here, or it was decided and forgotten.
    Unknown,
}

enum Slot {
    Waiting(Box<Waiting>),
    /// Somebody is preparing or deciding it.
    Busy,
}

struct Waiting {
    txn: inner::Txn,
    dropped: Vec<Entry>,
}

/// The prepared transactions of a home.
pub(crate) struct Register {
    slots: Mutex<BTreeMap<Vec<u8>, Slot>>,
    changed: Condvar,
}

impl Register {
    /// Takes up again what an earlier open left prepared, and rolls the other losers back.
    pub(crate) fn resume(txns: &Arc<TxnManager>, catalog: &Catalog, losers: Vec<Loser>) -> Result<Self> {
        let rows = match catalog.prepared(&txns.view()) {
            // Nobody is in doubt: the rest of the store can be read.
            Err(error) if error.kind() == ErrorKind::Corruption && losers.is_empty() => Vec::new(),
            _ if planted("resume-prepared-as-losers") => Vec::new(),
            rows => rows?,
        };
        let (mut gtids, mut prepared, mut undone) = (Vec::new(), Vec::new(), losers);
        for (gtid, row) in rows {
            let at = undone.iter().position(|loser| loser.id == row.txn);
            if at.is_none() && !row.undo_head.is_none() {
                let what = "the log does not know a prepared transaction any more";
                return Err(Error::corruption(what).at_txn(row.txn));
            }
            prepared.push((row, at.map(|at| undone.swap_remove(at))));
            gtids.push(gtid);
        }
        let txns = txns.resume_losers(&undone, prepared)?;
        let waiting =
            txns.into_iter().map(|txn| Slot::Waiting(Box::new(Waiting { txn, dropped: Vec::new() })));
        let slots = Mutex::new(rank::PREPARED, gtids.into_iter().zip(waiting).collect());
        Ok(Self { slots, changed: Condvar::new() })
    }

    /// True if nothing is prepared.
    pub(crate) fn is_empty(&self) -> bool {
        self.slots.lock().is_empty()
    }

    fn set(&self, gtid: &[u8], slot: Option<Slot>) {
        let mut slots = self.slots.lock();
        match slot {
            Some(slot) => drop(slots.insert(gtid.to_vec(), slot)),
            None => drop(slots.remove(gtid)),
        }
        self.changed.notify_all();
    }

    /// Claims an id that nobody uses.
    fn claim(&self, gtid: &[u8]) -> Result<()> {
        let mut slots = self.slots.lock();
        if slots.contains_key(gtid) {
            return Err(taken(gtid, "is in doubt"));
        }
        slots.insert(gtid.to_vec(), Slot::Busy);
        Ok(())
    }

    /// Takes a prepared transaction out to decide it; waits for whoever is deciding it.
    fn take(&self, gtid: &[u8]) -> Option<Box<Waiting>> {
        let mut slots = self.slots.lock();
        loop {
            let slot = slots.get_mut(gtid)?;
            match core::mem::replace(slot, Slot::Busy) {
                Slot::Waiting(waiting) => return Some(waiting),
                Slot::Busy => slots = self.changed.wait(slots),
            }
        }
    }
}

fn taken(gtid: &[u8], how: &str) -> Error {
    let what = format!("the global transaction id {how}; use another one, or forget it first");
    Error::new(ErrorKind::AlreadyExists, what).at_key(gtid)
}

fn check_gtid(gtid: &[u8]) -> Result<()> {
    if gtid.is_empty() || gtid.len() > GTID_BYTES_MAX {
        let what = format!("a global transaction id has 1 to {GTID_BYTES_MAX} bytes, not {}", gtid.len());
        return Err(Error::invalid(what));
    }
    Ok(())
}

impl Txn {
    /// The first phase of a two-phase commit: on return the transaction is durable under `gtid`, undecided, with its locks
    /// and, if it is serializable, what it has read; see [`DbEnv::commit_prepared`]. Blocks for the log, whatever the
    /// durability.
    ///
    /// # Errors
    /// `AlreadyExists` if the id is in doubt or decided and not forgotten; `Conflict` if the transaction is serializable
    /// and has read what others have changed since, or what another prepared transaction changes, and if it changes what a
    /// prepared one has read; `InvalidInput` for an id of no or more than 128 bytes; then the transaction is rolled back. `InDoubt` if the log failed: the next open tells whether it is prepared.
    pub fn prepare(mut self, gtid: &[u8]) -> Result<()> {
        check_gtid(gtid)?;
        let env = self.env().clone();
        env.0.prepared.claim(gtid)?;
        let prepared = self.take_inner().and_then(|txn| env.0.prepare(txn, gtid));
        let waiting = prepared.map(|txn| Box::new(Waiting { txn, dropped: self.take_dropped() }));
        let (slot, outcome) = match waiting {
            Ok(waiting) => (Some(Slot::Waiting(waiting)), Ok(())),
            Err(error) => (None, Err(error)),
        };
        env.0.prepared.set(gtid, slot);
        outcome
    }
}

impl Inner {
    fn prepare(&self, mut txn: inner::Txn, gtid: &[u8]) -> Result<inner::Txn> {
        let mut record = self.txns.begin().for_bookkeeping();
        if self.catalog.decision(record.view(), gtid)?.is_some() {
            return Err(taken(gtid, "is decided"));
        }
        let row = txn.prepare(&mut record)?;
        let written = self.catalog.put_prepared(&mut record, gtid, &row).and_then(|()| {
            if planted("prepare-without-waiting") { commit_only(record) } else { commit(record) }
        });
        match written {
            Ok(_) => Ok(txn),
            // The next open tells: the transaction is left as it is.
            Err(error) if error.kind() == ErrorKind::InDoubt => Err(error),
            Err(error) => {
                txn.unprepare();
                txn.abort().and(Err(error))
            }
        }
    }

    fn commit_waiting(&self, waiting: &mut Waiting, gtid: &[u8]) -> Result<Option<Timestamp>> {
        let txn = &mut waiting.txn;
        txn.wake();
        let before = txn.savepoint();
        let marked = trace::mark(txn.id(), || self.catalog.decide(txn, gtid, true));
        let decided = marked.and_then(|()| txn.commit_prepared(Durability::Sync));
        let handle = decided.inspect_err(|_| {
            // What fails here as well is undone by the next open.
            txn.sleep();
            let _ = txn.rollback_to(&before);
        })?;
        let at = handle.timestamp();
        handle.wait().map(|()| at)
    }

    /// A prepared transaction is over. The last one lets the files go that it could have named; what fails there is found by the next open.
    fn decided(&self, gtid: &[u8]) {
        self.prepared.set(gtid, None);
        let _ = self.remove_leftovers();
    }

    fn write_rollback(&self, gtid: &[u8]) -> Result<()> {
        let mut record = self.txns.begin().for_bookkeeping();
        self.catalog.decide(&mut record, gtid, false)?;
        if planted("decide-without-waiting") { commit_only(record) } else { commit(record) }
    }
}

fn commit(txn: inner::Txn) -> Result<()> {
    txn.commit_with(Durability::Sync)?.wait()
}

/// What is known, whatever was `asked` for; a planted bug agrees with everybody.
fn answer(known: Resolution, asked: Resolution) -> Resolution {
    if planted("agree-with-everybody") && known != Resolution::Unknown { asked } else { known }
}

/// For planted bugs: does not wait until it is durable.
#[cold]
fn commit_only(txn: inner::Txn) -> Result<()> {
    txn.commit_with(Durability::None).map(drop)
}

impl DbEnv {
    /// The ids of the prepared transactions that are not decided, in the order of their bytes.
    pub fn list_prepared(&self) -> Vec<Vec<u8>> {
        self.0.prepared.slots.lock().keys().cloned().collect()
    }

    /// The second phase: commits a prepared transaction, durably. Asked again, it gives the same answer until
    /// [`DbEnv::forget`]; so does a transaction that was rolled back instead. Blocks.
    ///
    /// # Errors
    /// `InDoubt` if the log failed after the decision was handed to it: the next open tells. `Full`, `Poisoned`: still
    /// prepared.
    pub fn commit_prepared(&self, gtid: &[u8]) -> Result<Resolution> {
        let Some(mut waiting) = self.0.prepared.take(gtid) else {
            return self.decision(gtid).map(|known| answer(known, Resolution::Committed));
        };
        match self.0.commit_waiting(&mut waiting, gtid) {
            Ok(at) => {
                self.0.throw_away(at.unwrap_or(Timestamp::new(0)), core::mem::take(&mut waiting.dropped));
                self.0.decided(gtid);
                Ok(Resolution::Committed)
            }
            Err(error) => {
                waiting.txn.sleep();
                self.0.prepared.set(gtid, Some(Slot::Waiting(waiting)));
                Err(error)
            }
        }
    }

    /// The second phase: rolls a prepared transaction back, durably. Asked again, it gives the same answer until
    /// [`DbEnv::forget`]; so does a transaction that was committed instead. Blocks.
    ///
    /// # Errors
    /// As [`DbEnv::commit_prepared`].
    pub fn rollback_prepared(&self, gtid: &[u8]) -> Result<Resolution> {
        let Some(waiting) = self.0.prepared.take(gtid) else {
            return self.decision(gtid).map(|known| answer(known, Resolution::RolledBack));
        };
        if planted("undo-before-deciding") {
            return self.undo_first(waiting, gtid);
        }
        if let Err(error) = self.0.write_rollback(gtid) {
            self.0.prepared.set(gtid, Some(Slot::Waiting(waiting)));
            return Err(error);
        }
        let undone = waiting.txn.roll_back_prepared();
        self.0.decided(gtid);
        undone.map(|()| Resolution::RolledBack)
    }

    /// Forgets how a prepared transaction ended; its id can be used again. False if nothing is known of it. Blocks.
    ///
    /// # Errors
    /// `InvalidInput` if it is still in doubt.
    pub fn forget(&self, gtid: &[u8]) -> Result<bool> {
        if self.0.prepared.slots.lock().contains_key(gtid) {
            return Err(Error::invalid("the global transaction id is in doubt: decide it first").at_key(gtid));
        }
        let mut txn = self.0.txns.begin().for_bookkeeping();
        let known = self.0.catalog.forget_decision(&mut txn, gtid)?;
        commit(txn).map(|()| known)
    }

    /// A planted bug: the outcome is written when there is nothing left to undo.
    #[cold]
    fn undo_first(&self, waiting: Box<Waiting>, gtid: &[u8]) -> Result<Resolution> {
        let undone = waiting.txn.roll_back_prepared().and_then(|()| self.0.write_rollback(gtid));
        self.0.prepared.set(gtid, None);
        undone.map(|()| Resolution::RolledBack)
    }

    fn decision(&self, gtid: &[u8]) -> Result<Resolution> {
        Ok(match self.0.catalog.decision(&self.0.txns.view(), gtid)? {
            Some(true) => Resolution::Committed,
            Some(false) => Resolution::RolledBack,
            None => Resolution::Unknown,
        })
    }
}
