//! Two-phase commit, the participant's part: a transaction that is prepared survives crashes undecided (T5).
//!
//! A prepared transaction is one that the log calls active, and of which a row of another, durable transaction says that
//! it is prepared. The layer above keeps that row, and takes it away in the transaction itself when it commits, or
//! durably before it is rolled back. At open a loser with such a row is taken up again instead of rolled back.
//!
//! While it waits, it pins neither the log (its undo records stand on pages) nor a snapshot. Its rows stay locked by their
//! versions; what it has read stays locked if it is serializable, see [`crate::serial`].

use crate::commit::{CommitHandle, Durability};
use crate::isolation::{Isolation, TxnOptions};
use crate::lock::{LockMode, Resource, codec};
use crate::manager::TxnManager;
use crate::serial::{Predicates, WriteSet};
use crate::state::TxnState;
use crate::trace;
use crate::txn::{Reads, Txn, Writer};
use crate::undo::{ChainWalk, UndoKind, UndoRecord};
use aether_page::slotted::Slotted;
use aether_page::{Swip, UndoPtr};
use aether_recovery::wal::buffer::page as aether_page;
use aether_recovery::{Loser, PAGES_FILE};
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{Error, Reader, Result, TxnId, Writer as Encode};
use std::collections::BTreeSet;

/// What must be known of a prepared transaction beside its undo records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The transaction.
    pub txn: TxnId,
    /// Its newest change when it was prepared; none: the log does not know it.
    pub undo_head: UndoPtr,
    /// What it has read, if it is serializable.
    reads: Arc<Predicates>,
    /// Its locks, but rows it has changed.
    locks: Vec<(Resource, LockMode)>,
    /// Stubs of large values that it replaced.
    retired: Vec<Vec<u8>>,
}

impl Prepared {
    /// The bytes of the row: see `docs/formats.md`.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u64(self.txn.get());
        out.put_u64(self.undo_head.word());
        self.reads.encode_into(&mut out);
        codec::encode_into(&self.locks, &mut out);
        out.put_varint(self.retired.len() as u64);
        self.retired.iter().for_each(|stub| out.put_string(stub));
        out
    }

    /// Reads a row.
    ///
    /// # Errors
    /// `Corruption`.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let txn = TxnId::new(reader.u64()?);
        let undo_head = UndoPtr::from_word(reader.u64()?);
        let reads = Arc::new(Predicates::decode(&mut reader)?);
        let locks = codec::decode(&mut reader)?;
        let count = reader.varint()?;
        let retired = (0..count).map(|_| Ok(reader.string()?.to_vec())).collect::<Result<_>>()?;
        reader.finish()?;
        Ok(Self { txn, undo_head, reads, locks, retired })
    }

    /// The trees that it has to itself: it may have changed rows of them of which no undo record tells.
    fn locked_trees(&self) -> impl Iterator<Item = u32> + '_ {
        self.locks.iter().filter_map(|(resource, mode)| match (resource, mode) {
            (Resource::Keyspace(tree), LockMode::X) => Some(*tree),
            _ => None,
        })
    }
}

impl Txn {
    /// Validates the transaction and locks what it has read. From now on it can only be decided; until a durable row says
    /// that it is prepared, [`Txn::unprepare`] takes that back. `record_in` is a transaction for that row, in the same log
    /// stream, so that the row is never durable before the changes.
    ///
    /// # Errors
    /// `Conflict` if it is serializable and has read what others have changed since, or what another who is prepared
    /// changes; if it changes what one who is prepared has read; `TxnOver`; `Poisoned`.
    pub fn prepare(&mut self, record_in: &mut Txn) -> Result<Prepared> {
        self.begin_write()?;
        let manager = self.manager().clone();
        let Writer { active, segment, state, .. } = self.writer();
        record_in.begin_write_in(Some(active.stream()))?;
        let (txn, undo_head) = (active.id(), active.undo_head());
        let since = self.reads.as_ref().map(|reads| reads.since);
        let reads = Arc::new(self.reads.as_ref().map(Reads::take).unwrap_or_default());
        manager.publication.prepare(txn, reads.clone(), since, segment.writes.clone())?;
        let locks = manager.locks.held_by(state);
        (self.prepared, self.reads) = (true, None);
        self.view.let_go();
        Ok(Prepared { txn, undo_head, reads, locks, retired: self.retired.clone() })
    }

    /// The row could not be written: the transaction is what it was, but for its snapshot. Only abort remains.
    pub fn unprepare(&mut self) {
        self.manager().publication.decide(self.id());
        self.prepared = false;
    }

    /// Reads and writes again, with the newest commits in sight: for what a decision changes with the transaction.
    pub fn wake(&mut self) {
        self.view.renew();
    }

    /// The decision could not be written: prepared as before.
    pub fn sleep(&mut self) {
        self.over = false;
        self.view.let_go();
    }

    /// Commits a prepared transaction, or leaves it prepared.
    ///
    /// # Errors
    /// `Full` or `Poisoned`: it stays prepared.
    pub fn commit_prepared(&mut self, durability: Durability) -> Result<CommitHandle> {
        let (manager, id) = (self.manager().clone(), self.id());
        let handle = self.try_commit(durability)?;
        manager.end_prepared(id);
        Ok(handle)
    }

    /// Undoes a prepared transaction; the row that says so is gone durably.
    ///
    /// # Errors
    /// `Poisoned` or `Io`: then the next open rolls back.
    pub fn roll_back_prepared(mut self) -> Result<()> {
        let (manager, id) = (self.manager().clone(), self.id());
        self.prepared = false;
        trace::roll_back_prepared(id);
        let undone = self.abort();
        manager.end_prepared(id);
        undone
    }
}

impl TxnManager {
    fn end_prepared(&self, id: TxnId) {
        self.publication.decide(id);
        self.segments.let_go(id);
    }

    /// Ends the recovery of transactions: `undone` are rolled back; `prepared` are taken up again, each with what recovery
    /// found of it, none if it has changed nothing. Blocks for reading undo records and for page changes.
    ///
    /// # Errors
    /// `Corruption` if an undo record is missing or damaged.
    pub fn resume_losers(
        self: &Arc<Self>,
        undone: &[Loser],
        prepared: Vec<(Prepared, Option<Loser>)>,
    ) -> Result<Vec<Txn>> {
        // No segment is leased, and its earlier pages freed, before it is known which must be kept.
        let held = prepared.iter().map(|(_, loser)| loser.as_ref().map(|loser| self.hold(loser)).transpose());
        let held = held.collect::<Result<Vec<_>>>()?;
        self.roll_back(undone)?;
        prepared
            .into_iter()
            .zip(held)
            .map(|((row, loser), writes)| self.take_up(row, loser.zip(writes)))
            .collect()
    }

    fn take_up(self: &Arc<Self>, row: Prepared, loser: Option<(Loser, WriteSet)>) -> Result<Txn> {
        let mut txn = self.begin_with(TxnOptions::at(Isolation::Snapshot));
        match loser {
            None => {
                txn.begin_write()?;
            }
            Some((loser, mut writes)) => {
                row.locked_trees().for_each(|tree| writes.add_whole(tree));
                self.resume_writer(&mut txn, &loser, writes)?;
            }
        }
        if let Some(writer) = &txn.writer {
            self.locks.take_again(&writer.state, &row.locks)?;
            // A commit that was under way may have changed more.
            let (active, is_marked) = (&writer.active, writer.active.undo_head() != row.undo_head);
            if !planted("keep-an-interrupted-commit") {
                trace::unmark(txn.id(), is_marked, || self.undo_until(active, row.undo_head))?;
            }
        }
        txn.prepared = true;
        txn.retired = row.retired;
        txn.view.let_go();
        let writes =
            txn.writer.as_ref().map_or_else(WriteSet::default, |writer| writer.segment.writes.clone());
        self.publication.adopt(txn.id(), row.reads, writes);
        Ok(txn)
    }

    fn resume_writer(self: &Arc<Self>, txn: &mut Txn, loser: &Loser, writes: WriteSet) -> Result<()> {
        let mut segment = self.segments.lease(&self.store, loser.stream)?;
        segment.writes = writes;
        let active = self.store.resume_loser(loser);
        let state = TxnState::new(loser.id);
        self.table.insert(state.clone());
        txn.view.adopt(&active);
        txn.writer = Some(Writer { active, state, segment, intended: None });
        Ok(())
    }

    /// Keeps the undo records of `loser`; returns the keys it has changed.
    fn hold(&self, loser: &Loser) -> Result<WriteSet> {
        let (numbers, writes) = self.read_chain(loser)?;
        self.segments.hold(loser.id, &numbers);
        Ok(writes)
    }

    /// The segments that hold a transaction's undo records, and the keys it has changed.
    fn read_chain(&self, loser: &Loser) -> Result<(BTreeSet<u32>, WriteSet)> {
        let (mut numbers, mut writes) = (BTreeSet::new(), WriteSet::default());
        let (mut head, mut walk) = (loser.undo_head, ChainWalk::default());
        while !head.is_none() {
            walk.visit(head)?;
            let wrong =
                || Error::corruption("an undo record is missing").at_page(head.page()).at_txn(loser.id);
            let bytes = self.read_undo(head)?.ok_or_else(wrong)?;
            let record = UndoRecord::decode(&bytes).map_err(|error| error.at_page(head.page()))?;
            if record.txn != loser.id {
                return Err(wrong());
            }
            if matches!(record.kind, UndoKind::Insert | UndoKind::Update) {
                writes.add(record.tree, record.key);
            }
            numbers.insert(self.segment_of(head)?);
            head = record.previous;
        }
        Ok((numbers, writes))
    }

    fn segment_of(&self, pointer: UndoPtr) -> Result<u32> {
        let guard = self.store.pool().shared(PAGES_FILE, Swip::new(pointer.page()))?;
        Ok(Slotted::new(guard.view()).owner() as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::ReadSet;
    use aether_types::PageNo;

    #[test]
    fn rows_round_trip() {
        let mut reads = ReadSet::default();
        reads.add_key(2, b"key");
        let reads = Arc::new(reads.into_predicates());
        let row = Prepared {
            txn: TxnId::new(77),
            undo_head: UndoPtr::new(PageNo::new(5), 6),
            reads,
            locks: vec![(Resource::key(2, b"k"), LockMode::X)],
            retired: vec![b"stub".to_vec(), vec![]],
        };
        let bytes = row.encode();
        assert_eq!(Prepared::decode(&bytes).unwrap(), row);
        (0..bytes.len()).for_each(|end| assert!(Prepared::decode(&bytes[..end]).is_err()));
    }
}
