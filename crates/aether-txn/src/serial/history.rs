//! Commits that a serializable transaction may have to be validated against, and prepared transactions whose reads stand
//! as locks. Lives under the lock of the publication queue.

use super::meter::Meter;
use super::predicates::Predicates;
use super::write_set::WriteSet;
use aether_recovery::wal::buffer::{Account, Charge};
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Result, Timestamp, TxnId};
use std::collections::{BTreeMap, VecDeque};

/// Bytes of changed keys kept for validation; beyond, the oldest go, and whoever needs them is refused.
const BYTES_MAX: usize = 16 << 20;

/// Bytes of changed keys that are looked at under the lock.
const AHEAD_BYTES: usize = 4 << 10;

/// What one commit changed.
#[derive(Debug)]
pub(crate) struct Changes {
    at: Timestamp,
    writer: TxnId,
    writes: WriteSet,
}

impl Changes {
    /// The commit's timestamp.
    pub(crate) fn at(&self) -> Timestamp {
        self.at
    }

    /// Refuses `own` if it has read what this commit has changed.
    pub(crate) fn check(&self, reads: &Predicates, own: TxnId) -> Result<()> {
        let Some((tree, key)) = reads.find_changed(&self.writes) else { return Ok(()) };
        let how = format!("has read what {} has changed since", self.writer);
        Err(refused(own, &how, tree, key))
    }
}

/// What a transaction has read, and since when nobody else may have changed it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draw<'r> {
    pub(crate) writer: TxnId,
    pub(crate) reads: Option<(&'r Predicates, Timestamp)>,
}

/// What is needed for validation; nothing while no serializable transaction runs.
#[derive(Debug)]
pub(crate) struct History {
    /// Ascending.
    commits: VecDeque<Arc<Changes>>,
    bytes: usize,
    meter: Meter,
    account: Account,
    /// Commits at or below are not all listed any more.
    cut: Timestamp,
    /// The snapshots of the serializable transactions that run.
    snapshots: BTreeMap<Timestamp, usize>,
    prepared: Vec<Undecided>,
}

/// A prepared transaction.
#[derive(Debug)]
struct Undecided {
    txn: TxnId,
    reads: Arc<Predicates>,
    writes: WriteSet,
    /// For its memory, which it may take also beyond the budget: its locks must stand after a restart.
    _memory: Charge,
}

impl History {
    /// An empty one, whose memory is charged to `account`.
    pub(crate) fn new(account: Account) -> Self {
        Self {
            commits: VecDeque::new(),
            bytes: 0,
            meter: Meter::new(account.clone()),
            account,
            cut: Timestamp::new(0),
            snapshots: BTreeMap::new(),
            prepared: Vec::new(),
        }
    }

    /// A serializable transaction begins at `at`.
    pub(crate) fn enter(&mut self, at: Timestamp) {
        *self.snapshots.entry(at).or_insert(0) += 1;
    }

    /// It ends.
    pub(crate) fn leave(&mut self, at: Timestamp) {
        if let Some(count) = self.snapshots.get_mut(&at) {
            *count -= 1;
            if *count == 0 {
                self.snapshots.remove(&at);
            }
        }
        let oldest = self.snapshots.first_key_value().map(|(at, _)| *at);
        while let Some(first) = self.commits.front()
            && oldest.is_none_or(|oldest| first.at <= oldest)
        {
            self.pop();
        }
        if self.commits.is_empty() {
            self.meter.clear();
        }
    }

    fn pop(&mut self) {
        if let Some(first) = self.commits.pop_front() {
            self.bytes -= first.writes.size_bytes();
            self.cut = self.cut.max(first.at);
        }
    }

    /// Refuses what `draw` must not commit: it rests on reads that others have changed, or changes what a prepared
    /// transaction has read.
    pub(crate) fn check(&self, draw: Draw<'_>, writes: &WriteSet) -> Result<()> {
        if let Some((reads, since)) = draw.reads.filter(|_| !planted("commit-without-validation")) {
            self.check_reads(reads, since, draw.writer)?;
        }
        let others = self.prepared.iter().filter(|reader| reader.txn != draw.writer);
        for reader in others.filter(|_| !planted("ignore-prepared-reads")) {
            if let Some((tree, key)) = reader.reads.find_changed(writes) {
                let how = format!("changes what the prepared {} has read", reader.txn);
                return Err(refused(draw.writer, &how, tree, key));
            }
        }
        Ok(())
    }

    /// Refuses to prepare who has read what a prepared transaction changes: else the commit of that one would depend on the
    /// decision about `own` (T5).
    pub(crate) fn check_prepared(&self, own: TxnId, reads: &Predicates) -> Result<()> {
        for writer in self.prepared.iter().filter(|_| !planted("ignore-prepared-writes")) {
            if let Some((tree, key)) = reads.find_changed(&writer.writes) {
                let how = format!("has read what the prepared {} changes", writer.txn);
                return Err(refused(own, &how, tree, key));
            }
        }
        Ok(())
    }

    /// The commits after `since`, if they have changed enough to be looked at before the lock is taken for good.
    pub(crate) fn ahead(&self, since: Timestamp) -> Option<Vec<Arc<Changes>>> {
        let newer = || self.commits.iter().rev().take_while(|changes| changes.at > since);
        let bytes: usize = newer().map(|changes| changes.writes.size_bytes()).sum();
        (bytes > AHEAD_BYTES).then(|| newer().cloned().collect())
    }

    fn check_reads(&self, reads: &Predicates, since: Timestamp, own: TxnId) -> Result<()> {
        if since < self.cut && !reads.is_empty() {
            let what =
                "has run for too long: it cannot be told any more whether what it read has been changed";
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("the serializable transaction {what}; {AGAIN}"),
            )
            .at_txn(own));
        }
        let newer = self.commits.iter().rev().take_while(|changes| changes.at > since);
        newer.into_iter().try_for_each(|changes| changes.check(reads, own))
    }

    /// Notes a commit, if anybody may have to be validated against it. Gives the set back if not.
    pub(crate) fn note(&mut self, at: Timestamp, writer: TxnId, writes: &mut WriteSet) {
        if self.snapshots.is_empty() {
            return;
        }
        let writes = core::mem::take(writes);
        self.bytes += writes.size_bytes();
        self.commits.push_back(Arc::new(Changes { at, writer, writes }));
        while !self.commits.is_empty() && (self.bytes > BYTES_MAX || !self.meter.covers(self.bytes)) {
            self.pop();
        }
    }

    /// What a prepared transaction has read stands as a lock until [`History::decide`]; what it changes, against those who
    /// want to be prepared too.
    pub(crate) fn prepare(&mut self, txn: TxnId, reads: Arc<Predicates>, writes: WriteSet) {
        let bytes = (reads.size_bytes() + writes.size_bytes()) as u64;
        let memory = Charge::counted(self.account.clone(), bytes);
        self.prepared.push(Undecided { txn, reads, writes, _memory: memory });
    }

    /// The prepared transaction is decided.
    pub(crate) fn decide(&mut self, txn: TxnId) {
        self.prepared.retain(|prepared| prepared.txn != txn);
    }
}

const AGAIN: &str = "abort and run it again";

fn refused(own: TxnId, how: &str, tree: u32, key: &[u8]) -> Error {
    let what = format!("the transaction {how} (tree {tree}); {AGAIN}");
    Error::new(ErrorKind::Conflict, what).at_key(key).at_txn(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serial::ReadSet;
    use aether_recovery::wal::buffer::Budget;

    fn at(number: u64) -> Timestamp {
        Timestamp::new(number)
    }

    fn writes(key: &[u8]) -> WriteSet {
        let mut writes = WriteSet::default();
        writes.add(1, key);
        writes
    }

    fn reads(key: &[u8]) -> Predicates {
        let mut reads = ReadSet::default();
        reads.add_key(1, key);
        reads.into_predicates()
    }

    fn history(limit_bytes: u64) -> History {
        History::new(Budget::new(limit_bytes).account("history"))
    }

    fn check(history: &History, reads: &Predicates, since: u64) -> Result<()> {
        let draw = Draw { writer: TxnId::new(9), reads: Some((reads, at(since))) };
        history.check(draw, &WriteSet::default())
    }

    #[test]
    fn only_commits_after_the_snapshot_count() {
        let mut history = history(u64::MAX);
        history.enter(at(5));
        history.note(at(6), TxnId::new(1), &mut writes(b"a"));
        history.note(at(8), TxnId::new(2), &mut writes(b"b"));
        let error = check(&history, &reads(b"b"), 7).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(error.to_string().contains("txn-2") || error.to_string().contains('2'), "{error}");
        check(&history, &reads(b"a"), 7).unwrap();
        check(&history, &reads(b"a"), 5).unwrap_err();
        history.leave(at(5));
        assert!(history.commits.is_empty() && history.bytes == 0);
    }

    #[test]
    fn nothing_is_kept_without_a_serializable_transaction() {
        let mut history = history(u64::MAX);
        let mut set = writes(b"a");
        history.note(at(6), TxnId::new(1), &mut set);
        assert!(history.commits.is_empty());
        assert_eq!(set, writes(b"a"), "the set keeps its memory");
    }

    #[test]
    fn who_needs_what_is_no_longer_listed_is_refused() {
        let mut history = history(u64::MAX);
        history.enter(at(1));
        for number in 2..40 {
            let mut set = WriteSet::default();
            (0..15).for_each(|_| set.add(1, &[0; 60_000]));
            history.note(at(number), TxnId::new(number), &mut set);
        }
        assert!(history.bytes <= BYTES_MAX);
        check(&history, &reads(b"zzz"), 1).unwrap_err();
        check(&history, &reads(b"zzz"), 39).unwrap();
    }

    #[test]
    fn a_full_budget_forgets_the_oldest() {
        let mut history = history(16 << 10);
        history.enter(at(1));
        for number in 2..40 {
            let mut set = WriteSet::default();
            set.add(1, &[0; 3000]);
            history.note(at(number), TxnId::new(number), &mut set);
        }
        assert!(history.bytes <= 20 << 10);
        check(&history, &reads(b"zzz"), 1).unwrap_err();
        check(&history, &reads(b"zzz"), 38).unwrap();
    }

    #[test]
    fn what_a_prepared_transaction_has_read_is_locked() {
        let mut history = history(u64::MAX);
        history.prepare(TxnId::new(7), Arc::new(reads(b"a")), WriteSet::default());
        assert!(history.account.used_bytes() > 0);
        let draw = Draw { writer: TxnId::new(9), reads: None };
        history.check(draw, &writes(b"a")).unwrap_err();
        history.check(draw, &writes(b"b")).unwrap();
        history.check(Draw { writer: TxnId::new(7), reads: None }, &writes(b"a")).unwrap();
        history.decide(TxnId::new(7));
        assert_eq!(history.account.used_bytes(), 0);
        history.check(draw, &writes(b"a")).unwrap();
    }
}
