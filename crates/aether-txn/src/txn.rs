//! A transaction: its view, and what it needs to change rows.

use crate::commit::Durability;
use crate::isolation::{Isolation, TxnOptions};
use crate::manager::TxnManager;
use crate::segment::Segment;
use crate::snapshot::ReadView;
use crate::state::TxnState;
use crate::undo::UndoRecord;
use aether_page::slotted::Slotted;
use aether_page::{PageOp, PageType, UndoPtr};
use aether_recovery::wal::buffer::page as aether_page;
use aether_recovery::{ActiveTxn, Mtr, PAGES_FILE, Store};
use aether_sync::{Arc, Backoff};
use aether_types::{PageNo, Result, StreamId, TxnId};
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

/// A transaction. `Send`; may change threads; used by one at a time. Dropped without commit, it is rolled back.
pub struct Txn {
    pub(crate) view: ReadView,
    pub(crate) writer: Option<Writer>,
    pub(crate) over: bool,
    /// Stubs of large values that this transaction replaced.
    pub(crate) retired: Vec<Vec<u8>>,
    durability: Durability,
    isolation: Isolation,
    lock_timeout: Duration,
}

/// A point inside a transaction to which it can be rolled back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Savepoint {
    pub(crate) txn: TxnId,
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
    pub(crate) fn new(view: ReadView, options: TxnOptions) -> Self {
        let config = view.manager().config;
        let durability = options.durability.unwrap_or(config.durability);
        let isolation = options.isolation.unwrap_or(config.isolation);
        let lock_timeout = options.lock_timeout.unwrap_or(config.lock_timeout);
        Self { view, writer: None, over: false, retired: Vec::new(), durability, isolation, lock_timeout }
    }

    /// What the transaction sees, as it was when it was last asked to read.
    pub fn view(&self) -> &ReadView {
        &self.view
    }

    /// What the transaction's next read sees: at the level `ReadCommitted`, the newest commits.
    pub fn read(&self) -> &ReadView {
        if self.isolation == Isolation::ReadCommitted {
            self.view.refresh();
        }
        &self.view
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
        self.check_usable()?;
        if self.writer.is_none() {
            let manager = self.view.manager().clone();
            let stream = manager.store.pick_stream();
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

    /// Waits a little for another's commit to be published.
    pub fn wait_for_publication(&self, backoff: &mut Backoff) {
        backoff.wait();
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

    /// Notes a large value that this transaction has replaced: its extents go when nobody can see it any more.
    pub fn retire(&mut self, stub: Vec<u8>) {
        self.retired.push(stub);
    }

    /// Marks this point.
    pub fn savepoint(&self) -> Savepoint {
        let locks = self.writer.as_ref().map_or(0, |writer| self.manager().locks.mark(&writer.state));
        Savepoint { txn: self.id(), head: self.undo_head(), retired: self.retired.len(), locks }
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
