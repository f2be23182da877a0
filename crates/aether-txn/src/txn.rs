//! A transaction: its view, and what it needs to change rows.

use crate::commit::Durability;
use crate::isolation::{Isolation, TxnOptions};
use crate::manager::TxnManager;
use crate::rank;
use crate::segment::Segment;
use crate::serial::{Meter, Predicates, RangeMark, ReadSet};
use crate::snapshot::ReadView;
use crate::state::TxnState;
use crate::undo::UndoRecord;
use aether_page::slotted::Slotted;
use aether_page::{PageOp, PageType, UndoPtr};
use aether_recovery::wal::buffer::page as aether_page;
use aether_recovery::{ActiveTxn, Mtr, PAGES_FILE, Store};
use aether_sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_sync::{Arc, Mutex};
use aether_types::{Error, ErrorKind, PageNo, Result, StreamId, Timestamp, TxnId};
use core::ops::Bound;
use std::borrow::Cow;
use std::time::Duration;

/// What a transaction has once it writes.
pub(crate) struct Writer {
    pub(crate) active: Arc<ActiveTxn>,
    pub(crate) state: Arc<TxnState>,
    pub(crate) segment: Segment,
    /// The tree whose intention locks were taken last.
    pub(crate) intended: Option<u32>,
}

/// What a serializable transaction has read.
pub(crate) struct Reads {
    manager: Arc<TxnManager>,
    /// Its snapshot, for validation.
    pub(crate) since: Timestamp,
    noted: Mutex<Noted>,
}

struct Noted {
    set: ReadSet,
    meter: Meter,
}

impl Reads {
    fn new(manager: &Arc<TxnManager>, since: Timestamp) -> Self {
        let meter = Meter::new(manager.reads_account.clone());
        let noted = Mutex::new(rank::READS, Noted { set: ReadSet::default(), meter });
        Self { manager: manager.clone(), since, noted }
    }

    /// Notes something; beyond the memory budget, less exactly.
    fn note<T>(&self, add: impl FnOnce(&mut ReadSet) -> T) -> T {
        let mut noted = self.noted.lock();
        let Noted { set, meter } = &mut *noted;
        let added = add(set);
        if !meter.covers(set.size_bytes()) {
            set.coarsen();
        }
        added
    }

    /// What was read, to be validated; nothing is read from now on.
    pub(crate) fn take(&self) -> Predicates {
        core::mem::take(&mut self.noted.lock().set).into_predicates()
    }
}

impl Drop for Reads {
    fn drop(&mut self) {
        self.manager.publication.leave_serializable(self.since);
    }
}

/// A transaction. `Send`; may change threads; used by one at a time. Dropped without commit, it is rolled back.
pub struct Txn {
    pub(crate) view: ReadView,
    pub(crate) writer: Option<Writer>,
    pub(crate) reads: Option<Reads>,
    pub(crate) over: bool,
    /// It has read or changed something: its snapshot stays.
    has_begun: AtomicBool,
    /// Prepared and not decided: dropping it leaves it to the next open.
    pub(crate) prepared: bool,
    /// Stubs of large values that this transaction replaced.
    pub(crate) retired: Vec<Vec<u8>>,
    /// The savepoints set and not gone, oldest first.
    pub(crate) marks: Vec<u64>,
    durability: Durability,
    isolation: Isolation,
    lock_timeout: Duration,
    /// It writes rows of the store's own, which no lock of a user's is about.
    pub(crate) bookkeeping: bool,
}

/// A point inside a transaction to which it can be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    /// Unlike that of any other savepoint of this open.
    pub(crate) serial: u64,
    pub(crate) head: UndoPtr,
    pub(crate) retired: usize,
    pub(crate) locks: usize,
}

/// Where an undo record will stand once its mini-transaction commits; hand it to [`Txn::applied`] then.
#[derive(Clone, Copy, Debug)]
#[must_use = "the transaction must learn that its undo record was applied"]
pub struct UndoPlan {
    /// The record's place.
    pub pointer: UndoPtr,
    page: PageNo,
    is_new_page: bool,
}

impl Txn {
    pub(crate) fn new(manager: &Arc<TxnManager>, options: TxnOptions) -> Self {
        let config = manager.config;
        let isolation = options.isolation.unwrap_or(config.isolation);
        let (view, reads) = match isolation {
            Isolation::Serializable => {
                let view = ReadView::serializable(manager);
                let reads = Reads::new(manager, view.at());
                (view, Some(reads))
            }
            _ => (ReadView::newest(manager), None),
        };
        Self {
            view,
            writer: None,
            reads,
            over: false,
            has_begun: AtomicBool::new(false),
            prepared: false,
            retired: Vec::new(),
            marks: Vec::new(),
            durability: options.durability.unwrap_or(config.durability),
            isolation,
            lock_timeout: options.lock_timeout.unwrap_or(config.lock_timeout),
            bookkeeping: false,
        }
    }

    /// The same, for rows of the store's own: it takes no intention locks, so that nobody's lock on the database is in
    /// its way.
    #[must_use]
    pub fn for_bookkeeping(mut self) -> Self {
        self.bookkeeping = true;
        self
    }

    /// Notes that a key was read, or found to be missing: a serializable transaction is validated against that. Whoever
    /// reads through [`Txn::read`] says so.
    pub fn note_key(&self, tree: u32, key: &[u8]) {
        if let Some(reads) = &self.reads {
            reads.note(|set| set.add_key(tree, key));
        }
    }

    /// Notes that a range is being read; None if nobody needs to know. [`Txn::narrow_range`] says later how much of it was.
    pub fn note_range(
        &self,
        tree: u32,
        bounds: impl FnOnce() -> (Bound<Vec<u8>>, Bound<Vec<u8>>),
    ) -> Option<RangeMark> {
        let reads = self.reads.as_ref()?;
        let (lower, upper) = bounds();
        Some(reads.note(|set| set.add_range(tree, lower, upper)))
    }

    /// Replaces a range noted by what was read of it: see [`ReadSet::narrow`].
    pub fn narrow_range(&self, mark: RangeMark, first: Option<Vec<u8>>, last: Option<Vec<u8>>) {
        if let Some(reads) = &self.reads {
            reads.note(|set| set.narrow(mark, first, last));
        }
    }

    /// Notes that a cursor has read from one position to another.
    pub fn note_step(&self, tree: u32, bounds: impl FnOnce() -> (Bound<Vec<u8>>, Bound<Vec<u8>>)) {
        if let Some(reads) = &self.reads {
            let (lower, upper) = bounds();
            reads.note(|set| set.add_step(tree, lower, upper));
        }
    }

    /// What the transaction sees, as it was when it was last asked to read.
    pub fn view(&self) -> &ReadView {
        &self.view
    }

    /// What the transaction's next read sees: at the level `ReadCommitted`, the newest commits.
    pub fn read(&self) -> &ReadView {
        self.mark_begun();
        if self.isolation == Isolation::ReadCommitted {
            self.view.refresh();
        }
        &self.view
    }

    pub(crate) fn mark_begun(&self) {
        if !self.has_begun.load(Relaxed) {
            self.has_begun.store(true, Relaxed);
        }
    }

    /// Sees the newest commits, if nothing was read or changed yet.
    pub(crate) fn renew_unless_begun(&mut self) {
        if self.has_begun.load(Relaxed) {
            return;
        }
        match &mut self.reads {
            None => self.view.refresh(),
            Some(reads) => {
                reads.since = self.view.manager().publication.reenter_serializable(reads.since);
                self.view.raise(reads.since);
            }
        }
    }

    /// The isolation level.
    pub fn isolation(&self) -> Isolation {
        self.isolation
    }

    /// The longest wait for one lock; zero: none at all.
    pub fn lock_timeout(&self) -> Duration {
        self.lock_timeout
    }

    /// The manager.
    pub fn manager(&self) -> &Arc<TxnManager> {
        self.view.manager()
    }

    /// The store.
    pub fn store(&self) -> &Arc<Store> {
        &self.view.manager().store
    }

    /// What [`Txn::commit`] will wait for.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Changes what [`Txn::commit`] will wait for.
    pub fn set_durability(&mut self, durability: Durability) {
        self.durability = durability;
    }

    /// The transaction's id; none until it writes.
    pub fn id(&self) -> TxnId {
        self.view.own()
    }

    /// Makes sure that the transaction can write: an id, and an undo segment of its own. Blocks; call without
    /// latches.
    ///
    /// # Errors
    /// `TxnOver`, `Poisoned`, `Full`, `OverLimit` for too many writers at once.
    pub fn begin_write(&mut self) -> Result<&Arc<ActiveTxn>> {
        self.begin_write_in(None)
    }

    /// As [`Txn::begin_write`], in a stream of the caller's choice.
    pub(crate) fn begin_write_in(&mut self, stream: Option<StreamId>) -> Result<&Arc<ActiveTxn>> {
        self.check_usable()?;
        if self.writer.is_none() {
            let manager = self.view.manager().clone();
            let stream = stream.unwrap_or_else(|| manager.store.pick_stream());
            let segment = manager.segments.lease(&manager.store, stream)?;
            let active = manager.store.begin_active(stream)?;
            let state = TxnState::new(active.id());
            manager.table.insert(state.clone());
            self.view.adopt(&active);
            self.writer = Some(Writer { active, state, segment, intended: None });
        }
        Ok(&self.writer().active)
    }

    /// The stream that the transaction's groups go to; none until it writes.
    pub fn stream(&self) -> Option<StreamId> {
        self.writer.as_ref().map(|writer| writer.active.stream())
    }

    /// The transaction as the log knows it; none until it writes.
    pub fn active(&self) -> Option<&Arc<ActiveTxn>> {
        self.writer.as_ref().map(|writer| &writer.active)
    }

    pub(crate) fn writer(&self) -> &Writer {
        self.writer.as_ref().expect("begin_write was called")
    }

    /// Latches the page that the next undo record goes to, or that will lead to it. For a group that allocates pages
    /// before it knows what to log: map pages are latched last.
    pub fn latch_undo<'s>(&self, mtr: &mut Mtr<'s, '_>) -> Result<()> {
        self.writer().segment.latch_link(mtr).map(|_| ())
    }

    /// Adds the undo record of a change to the change's own mini-transaction, and makes that part of this
    /// transaction and dependent on what this transaction rests on (T4). Latches the segment's last page; call after the tree's pages are latched.
    pub fn log_undo<'s, 'o>(&'o self, mtr: &mut Mtr<'s, 'o>, record: &UndoRecord<'_>) -> Result<UndoPlan> {
        let Writer { active, segment, .. } = self.writer();
        if self.view.manager().store.streams() > 1 {
            // Those of the versions replaced so far among them: no row ever has two losers.
            mtr.depend(&self.view.deps());
        }
        let bytes = record.encode();
        let plan = match segment.tail {
            Some(tail) => match append(mtr, tail, &bytes)? {
                Some(plan) => plan,
                None => segment.extend(mtr, &bytes)?,
            },
            None => segment.extend(mtr, &bytes)?,
        };
        mtr.in_txn(active, plan.pointer);
        Ok(plan)
    }

    /// The place where the next record of this transaction links back to.
    pub fn undo_head(&self) -> UndoPtr {
        self.writer.as_ref().map_or(UndoPtr::none(), |writer| writer.active.undo_head())
    }

    /// Notes that the mini-transaction of `plan` has committed.
    pub fn applied(&mut self, plan: UndoPlan) {
        if let (true, Some(writer)) = (plan.is_new_page, &mut self.writer) {
            writer.segment.added(plan.page);
        }
    }

    /// Notes that a row was changed: serializable transactions are validated against that.
    pub fn wrote(&mut self, tree: u32, key: &[u8]) {
        if let Some(writer) = &mut self.writer {
            writer.segment.wrote(tree, key);
        }
    }

    /// Notes that any row of `tree` may have been changed: whoever has read there is refused, as if each was.
    pub fn wrote_all(&mut self, tree: u32) {
        if let Some(writer) = &mut self.writer {
            writer.segment.writes.add_whole(tree);
        }
    }

    /// Notes a large value that this transaction has replaced: its extents go when nobody can see it any more. Blocks; call without
    /// latches.
    ///
    /// # Errors
    /// Those of [`UndoHandler::list_retired`](crate::UndoHandler::list_retired); the transaction can only be aborted then.
    pub fn retire(&mut self, stub: Vec<u8>) -> Result<()> {
        let manager = self.manager().clone();
        manager.handler.list_retired(self, &stub).inspect_err(|_| self.fail())?;
        self.retired.push(stub);
        Ok(())
    }

    /// Marks this point.
    pub fn savepoint(&mut self) -> Savepoint {
        let locks = self.writer.as_ref().map_or(0, |writer| self.manager().locks.mark(&writer.state));
        let serial = self.view.manager().savepoints.fetch_add(1, Relaxed);
        self.marks.push(serial);
        Savepoint { serial, head: self.undo_head(), retired: self.retired.len(), locks }
    }

    /// Forgets a savepoint, and those set after it; what was done since stays.
    ///
    /// # Errors
    /// `InvalidInput` for a savepoint that is not this transaction's, or is gone.
    pub fn release(&mut self, savepoint: &Savepoint) -> Result<()> {
        let at = self.find_mark(savepoint)?;
        self.marks.truncate(at);
        Ok(())
    }

    /// Is the savepoint this transaction's, and not gone?
    pub fn has_savepoint(&self, savepoint: &Savepoint) -> bool {
        self.find_mark(savepoint).is_ok()
    }

    /// Where among the savepoints set and not gone it stands.
    pub(crate) fn find_mark(&self, savepoint: &Savepoint) -> Result<usize> {
        let gone = "the savepoint is not this transaction's, or was released or rolled past";
        let at = self.marks.iter().rposition(|serial| *serial == savepoint.serial);
        at.ok_or_else(|| Error::new(ErrorKind::InvalidInput, gone))
    }
}

/// Plans a record at the end of an undo page, if it fits there.
fn append<'s, 'o>(mtr: &mut Mtr<'s, 'o>, page: PageNo, bytes: &[u8]) -> Result<Option<UndoPlan>> {
    let slot = match mtr.find(PAGES_FILE, page) {
        Some(slot) => slot,
        None => {
            let store = mtr.store();
            mtr.add(store.pool().exclusive(PAGES_FILE, aether_page::Swip::new(page))?)
        }
    };
    let records = Slotted::new(mtr.view(slot));
    let at = records.count();
    if !records.fits_insert(at, bytes.len()) {
        return Ok(None);
    }
    mtr.op(slot, PageOp::SlotInsert { slot: at, bytes: Cow::Owned(bytes.to_vec()) })?;
    Ok(Some(UndoPlan { pointer: UndoPtr::new(page, at as u16), page, is_new_page: false }))
}

impl Segment {
    /// Plans a record on a new page at the end of the segment.
    fn extend<'s, 'o>(&self, mtr: &mut Mtr<'s, 'o>, bytes: &[u8]) -> Result<UndoPlan> {
        let link = self.latch_link(mtr)?;
        let new = mtr.allocate()?;
        let page = mtr.page_no(new);
        let owner = u64::from(self.number);
        mtr.op(new, PageOp::SlottedInit { page_type: PageType::Undo, owner, link: 0, aux: 0 })?;
        mtr.op(new, PageOp::SlotInsert { slot: 0, bytes: Cow::Owned(bytes.to_vec()) })?;
        self.link(mtr, link, page)?;
        Ok(UndoPlan { pointer: UndoPtr::new(page, 0), page, is_new_page: true })
    }
}
