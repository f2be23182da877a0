//! The lock table: the book under its mutex, and the waits.

use super::book::{Asked, Book};
use super::mode::LockMode;
use super::report::{Deadlocks, at_resource, names};
use super::request::{Part, Request};
use super::resource::Resource;
use super::watch::Watches;
use crate::rank;
use crate::state::TxnState;
use crate::trace;
use aether_recovery::wal::buffer::Account;
use aether_sync::{Arc, Mutex, MutexGuard, thread};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Result, TxnId};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest sleep before a waiter looks whether the store has failed.
const SLICE: Duration = Duration::from_millis(100);

/// How long to wait for one lock, and for what else to give up.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// The longest wait; zero: none at all.
    pub timeout: Duration,
    /// Fails when waiting has become pointless.
    pub check: &'a dyn Fn() -> Result<()>,
}

/// What a running writer has without an entry.
pub struct Found {
    /// The writer.
    pub writer: Arc<TxnState>,
    /// On what.
    pub resource: Resource,
    /// In which mode.
    pub mode: LockMode,
}

/// All locks of a store that are contended or were asked for. Locks of rows are in the rows, intentions of
/// writers with the writers, until somebody is in their way.
pub struct LockTable {
    watches: Arc<Watches>,
    pub(super) book: Mutex<Book>,
}

type Guard<'a> = MutexGuard<'a, Book>;

impl LockTable {
    /// An empty table whose entries are charged to `account`.
    pub fn new(account: Account) -> Self {
        let watches = Arc::new(Watches::new());
        Self { book: Mutex::new(rank::LOCKS, Book::new(watches.clone(), account)), watches }
    }

    /// `own` is about to write to `tree` for the first time: intention locks on the tree and the database. Touches
    /// nothing shared unless a strong lock stands. Blocks; call without latches.
    ///
    /// # Errors
    /// `Conflict` without patience, `TimedOut`, `Deadlock`, `OverLimit`, what the patience says.
    pub fn intend(&self, own: &Arc<TxnState>, tree: u32, patience: &Patience<'_>) -> Result<()> {
        if own.lock_owner().try_intend(tree, || self.watches.is_strong(tree)) {
            return Ok(());
        }
        self.take(own, &Resource::Database, LockMode::IX, Part::Written, patience)?;
        self.take(own, &Resource::Keyspace(tree), LockMode::IX, Part::Written, patience)
    }

    /// May `own` write the row, as far as those go who have entries? Ask under the leaf's exclusive latch, of a row
    /// that no other running transaction has written. Reads one counter unless rows of the tree have entries.
    pub fn admits(&self, own: TxnId, tree: u32, key: &[u8]) -> bool {
        !self.watches.has_rows(tree) || self.book.lock().admits(own, &Resource::key(tree, key))
    }

    /// Waits until `own` is next to write the row. `writer`: the running transaction that has written it, if that is
    /// what is in the way. Whoever returns from here looks at the row again. Blocks; call without latches.
    ///
    /// # Errors
    /// As [`LockTable::intend`].
    pub fn wait_for_row(
        &self,
        own: &Arc<TxnState>,
        row: &Resource,
        writer: Option<&Arc<TxnState>>,
        patience: &Patience<'_>,
    ) -> Result<()> {
        let mut book = self.book.lock();
        if let Some(writer) = writer {
            if !book.put_written(writer, row, LockMode::X)? {
                return Ok(());
            }
            book.resolve(writer.id());
        }
        book.adopt_self(own);
        let asked = book.ask_or_wait(own.id(), row, LockMode::X, Part::Written, patience)?;
        self.finish(book, own, asked, row, patience).map(drop)
    }

    /// Takes a lock that a transaction asks for. `search` names the running writers who have something there without an
    /// entry; it is called with the entry standing, and without the table's mutex: keys and ranges, where the rows are
    /// looked at under the shared latches of their leaves. Blocks; call without latches.
    ///
    /// # Errors
    /// As [`LockTable::intend`], and those of `search`. Then nothing was taken, but perhaps intentions.
    pub fn lock(
        &self,
        own: &Arc<TxnState>,
        resource: &Resource,
        mode: LockMode,
        patience: &Patience<'_>,
        search: &mut dyn FnMut() -> Result<Vec<Found>>,
    ) -> Result<()> {
        for above in enclosing(resource) {
            self.take(own, &above, mode.intention(), Part::Asked, patience)?;
        }
        let mut book = self.book.lock();
        book.adopt_self(own);
        let mut asked = book.ask_or_wait(own.id(), resource, mode, Part::Asked, patience)?;
        while asked != Asked::Has {
            book = self.finish(book, own, asked, resource, patience)?;
            book.begin_search(own.id(), resource);
            drop(book);
            let found = search();
            book = self.book.lock();
            match found.and_then(|found| book.name_all(&found)) {
                Ok(()) => asked = book.asked_again(own.id(), resource, patience),
                Err(error) => {
                    book.cancel(own.id(), resource);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// A lock for which nobody is to be searched.
    fn take(
        &self,
        own: &Arc<TxnState>,
        resource: &Resource,
        mode: LockMode,
        part: Part,
        patience: &Patience<'_>,
    ) -> Result<()> {
        let mut book = self.book.lock();
        book.adopt_self(own);
        let asked = book.ask_or_wait(own.id(), resource, mode, part, patience)?;
        self.finish(book, own, asked, resource, patience).map(drop)
    }

    /// Waits if there is something to wait for: whether a cycle closes has been looked at.
    fn finish<'t>(
        &'t self,
        mut book: Guard<'t>,
        own: &Arc<TxnState>,
        asked: Asked,
        resource: &Resource,
        patience: &Patience<'_>,
    ) -> Result<Guard<'t>> {
        if asked != Asked::Waits {
            return Ok(book);
        }
        if patience.timeout.is_zero() {
            return Err(book.give_up(own.id(), resource, ErrorKind::Conflict));
        }
        let mut left = patience.timeout;
        while !book.is_over(own.id())? {
            if let Err(error) = (patience.check)() {
                book.leave(own.id(), resource);
                return Err(error);
            }
            if left.is_zero() {
                return Err(book.give_up(own.id(), resource, ErrorKind::TimedOut));
            }
            let (slept, time) = self.sleep(book, own, left.min(SLICE));
            (book, left) = (slept, left.saturating_sub(time));
        }
        Ok(book)
    }

    /// Sleeps until woken or for `time`. Returns how much of the patience that took: who is woken before has lost none.
    fn sleep<'t>(&'t self, book: Guard<'t>, own: &TxnState, time: Duration) -> (Guard<'t>, Duration) {
        let condvar = &own.lock_owner().granted;
        if !cfg!(any(loom, shuttle)) {
            let (book, woken) = condvar.wait_for(book, time);
            return (book, if woken { Duration::ZERO } else { time });
        }
        // The schedule checkers know no time: a short one is over once others have had a turn, a long one never.
        if time == SLICE {
            return (condvar.wait(book), Duration::ZERO);
        }
        drop(book);
        thread::yield_now();
        (self.book.lock(), time)
    }

    /// The running transactions that write to what is locked, and have no entry that says so.
    pub fn writers_without_entry(resource: &Resource, running: Vec<Arc<TxnState>>) -> Vec<Found> {
        let intends = |state: &Arc<TxnState>| state.lock_owner().intends(resource.tree());
        running
            .into_iter()
            .filter(intends)
            .map(|writer| Found { writer, resource: resource.clone(), mode: LockMode::IX })
            .collect()
    }

    /// The transaction is over: its outcome is published, and what it did is undone if it is to be. Everything it
    /// has goes.
    pub fn end(&self, own: &TxnState) {
        if own.lock_owner().end() {
            let mut book = self.book.lock();
            trace::release(&mut *book, |book| book.remove(own.id()), |book| book.told_of(own.id()));
        }
    }

    /// How much a transaction has asked for: for a savepoint.
    pub fn mark(&self, own: &TxnState) -> usize {
        if own.lock_owner().has_entries() { self.book.lock().mark(own.id()) } else { 0 }
    }

    /// Takes back what a transaction asked for since `mark`. Who waits for its rows looks at them again: call when
    /// they are undone.
    pub fn roll_back(&self, own: &TxnState, mark: usize) {
        if own.lock_owner().has_entries() {
            self.book.lock().roll_back(own.id(), mark);
        }
    }

    /// All that a transaction has, but rows it has written: what a prepared one keeps over a restart.
    pub fn held_by(&self, own: &TxnState) -> Vec<(Resource, LockMode)> {
        let mut held: BTreeMap<_, _> = self.book.lock().held_by(own.id()).into_iter().collect();
        let trees = own.lock_owner().trees().into_iter().map(Resource::Keyspace);
        for above in trees.flat_map(|tree| [Resource::Database, tree]) {
            let mode = held.entry(above).or_insert(LockMode::IX);
            *mode = mode.join(LockMode::IX);
        }
        held.into_iter().collect()
    }

    /// Takes, before anybody else is there, what [`LockTable::held_by`] told before a restart. Never waits.
    ///
    /// # Errors
    /// `OverLimit`; `Corruption` if it stands against what another prepared transaction has.
    pub fn take_again(&self, own: &Arc<TxnState>, locks: &[(Resource, LockMode)]) -> Result<()> {
        let mut book = self.book.lock();
        book.adopt_self(own);
        for (resource, mode) in locks {
            if book.ask(own.id(), resource, *mode, Part::Asked)? == Asked::Waits {
                book.cancel(own.id(), resource);
                let what = format!("two prepared transactions with locks on {resource}");
                return Err(Error::corruption(what).at_txn(own.id()));
            }
            book.begin_search(own.id(), resource);
            book.try_settle(own.id(), resource);
        }
        Ok(())
    }

    /// Who waits now, and the last cycles that were broken.
    pub fn deadlocks(&self) -> Deadlocks {
        let book = self.book.lock();
        let waits = book.waits.values().filter_map(|(owner, _)| book.wait_of(*owner)).collect();
        Deadlocks { waits, cycles: book.cycles.iter().map(|cycle| (**cycle).clone()).collect() }
    }

    /// Every broken rule of the book; none if all is well.
    pub fn check(&self) -> Vec<String> {
        self.book.lock().check()
    }
}

/// What must be locked with an intention, outermost first.
fn enclosing(resource: &Resource) -> Vec<Resource> {
    match resource {
        Resource::Database => Vec::new(),
        Resource::Keyspace(_) => vec![Resource::Database],
        Resource::Range { tree, .. } | Resource::Key { tree, .. } => {
            vec![Resource::Database, Resource::Keyspace(*tree)]
        }
    }
}

impl Book {
    fn adopt_self(&mut self, own: &Arc<TxnState>) {
        assert!(self.try_adopt(own), "a transaction that takes a lock has not ended");
    }

    /// As [`Book::ask`]; if that is a wait, looks whether it closes a cycle, unless there is no patience for it.
    fn ask_or_wait(
        &mut self,
        own: TxnId,
        resource: &Resource,
        mode: LockMode,
        part: Part,
        patience: &Patience<'_>,
    ) -> Result<Asked> {
        let Some(request) = self.wish(own, resource, mode, part) else { return Ok(Asked::Has) };
        let is_patient = !patience.timeout.is_zero();
        let enter = |book: &mut Self| {
            let asked = book.enter(resource, request);
            if is_patient && matches!(asked, Ok(Asked::Waits)) && !planted("no-search-for-cycles") {
                book.resolve(own);
            }
            asked
        };
        trace::request(self, enter, |book, asked| {
            book.told_of_request(own, resource, mode, asked)
                .filter(|_| is_patient || !matches!(asked, Ok(Asked::Waits)))
        })
    }

    /// Gives a wait up.
    fn leave(&mut self, own: TxnId, resource: &Resource) {
        trace::timeout(self, |book| book.cancel(own, resource), |book| book.told_of(own));
    }

    pub(super) fn admits(&self, own: TxnId, row: &Resource) -> bool {
        let held = self.queues.get(row, own).and_then(Request::held);
        if held.is_some_and(|held| held.covers(LockMode::X)) {
            // Whoever waits waits for this, also if he has something here already and goes before others.
            return true;
        }
        let is_conversion = self.queues.has_foothold(own, row);
        !self.queues.is_blocked(own, row, &super::request::Want::to_write(is_conversion))
    }

    fn name_all(&mut self, found: &[Found]) -> Result<()> {
        for Found { writer, resource, mode } in found {
            self.put_written(writer, resource, *mode)?;
            self.resolve(writer.id());
        }
        Ok(())
    }

    fn asked_again(&mut self, own: TxnId, resource: &Resource, patience: &Patience<'_>) -> Asked {
        if self.try_settle(own, resource) {
            return Asked::Has;
        }
        if self.holder(own).waits_at.is_none() {
            return Asked::Tentative;
        }
        if !patience.timeout.is_zero() {
            self.resolve(own);
        }
        Asked::Waits
    }

    /// Is the wait over? Fails if it was ended because of a deadlock.
    fn is_over(&mut self, own: TxnId) -> Result<bool> {
        let holder = self.holder(own);
        if let Some(cycle) = holder.denied.take() {
            return Err(cycle.error());
        }
        Ok(holder.waits_at.is_none())
    }

    fn give_up(&mut self, own: TxnId, resource: &Resource, kind: ErrorKind) -> Error {
        let wait = self.wait_of(own);
        match kind {
            // Who does not wait at all changes nothing.
            ErrorKind::Conflict => self.cancel(own, resource),
            _ => self.leave(own, resource),
        }
        let (mode, blockers) = wait.map_or((LockMode::X, Vec::new()), |wait| (wait.mode, wait.blockers));
        let what = match kind {
            ErrorKind::TimedOut => format!(
                "{mode} on {resource} is not to be had in time: {} has it or is before",
                names(&blockers)
            ),
            _ => format!("{resource} is locked by {}; abort and run the transaction again", names(&blockers)),
        };
        at_resource(Error::new(kind, what), resource).at_txn(own)
    }
}
