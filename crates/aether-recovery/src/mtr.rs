//! The mini-transaction: the only way to change a page.
//!
//! Order of steps, each with its reason (DESIGN, section 4; spec `WriteBack`):
//! 1. buy write-back and log credit, before any latch: both may block;
//! 2. latch and fix the pages; name the changes; each is checked against the page;
//! 3. on commit: mark the pages dirty from the current claim position on (P5), claim and fill the log (L2), apply
//!    the changes, stamp sequence number and vector, move the transaction's undo head, release.
//!
//! A row in memory is changed with the pages: the caller has its stripe's latch, and has made everything ready
//! ([`RowChange`]).
//!
//! Nothing between claim and release can fail; a panic there poisons the store.

use crate::active::ActiveTxn;
use crate::group;
use crate::rows::RowChange;
use crate::store::Store;
use crate::trace;
use aether_page::{PageMut, PageOp, Swip, UndoPtr, View};
use aether_sync::word::Word;
use aether_trace::planted;
use aether_types::{Error, FileId, Lsn, Lv, PageNo, Psn, Result, StreamId, Writer};
use aether_wal::buffer::Exclusive;
use aether_wal::buffer::page as aether_page;
use aether_wal::{Appended, Credit};
use core::cell::Cell;

/// Which of a mini-transaction's pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageSlot(usize);

struct Member<'s> {
    guard: Exclusive<'s>,
    psn: Psn,
}

/// A mini-transaction under way. Dropped without commit, it has changed nothing.
pub struct Mtr<'s, 'o> {
    store: &'s Store,
    stream: StreamId,
    credit: Option<Credit<'s>>,
    members: Vec<Member<'s>>,
    ops: Vec<(PageSlot, PageOp<'o>)>,
    /// A page for which more than one change was named, with all of them.
    changed: Option<(PageSlot, Vec<Word>)>,
    /// A row in memory that is changed with the pages.
    row: Option<&'o mut (dyn RowChange + 'o)>,
    txn: Option<(&'o ActiveTxn, UndoPtr)>,
    deps: Lv,
}

impl Store {
    /// Begins a mini-transaction that will log at most `bytes_max`. Blocks for write-back and log room, hence the
    /// caller holds no latch.
    ///
    /// # Errors
    /// `Poisoned` after a failed write or sync, `Full`, `ReadOnly`.
    pub fn mtr<'o>(&self, stream: StreamId, bytes_max: usize) -> Result<Mtr<'_, 'o>> {
        self.check_healthy()?;
        self.pay()?;
        let credit = match self.log() {
            Some(log) => {
                log.start()?;
                Some(log.reserve(stream, bytes_max)?)
            }
            None => None,
        };
        let (members, ops) = (Vec::with_capacity(4), Vec::with_capacity(4));
        Ok(Mtr {
            store: self,
            stream,
            credit,
            members,
            ops,
            changed: None,
            row: None,
            txn: None,
            deps: Lv::ZERO,
        })
    }
}

impl<'s, 'o> Mtr<'s, 'o> {
    /// The store.
    pub fn store(&self) -> &'s Store {
        self.store
    }

    /// The stream that the group goes to.
    pub fn stream(&self) -> StreamId {
        self.stream
    }

    /// Adds a latched page.
    pub fn add(&mut self, guard: Exclusive<'s>) -> PageSlot {
        let psn = guard.psn().next();
        self.push(Member { guard, psn })
    }

    /// Adds a page that begins a new life above `floor`; its first operation must be an init operation.
    pub fn add_fresh(&mut self, guard: Exclusive<'s>, floor: Psn) -> PageSlot {
        let psn = guard.psn().max(floor).next();
        self.push(Member { guard, psn })
    }

    fn push(&mut self, member: Member<'s>) -> PageSlot {
        self.members.push(member);
        PageSlot(self.members.len() - 1)
    }

    /// The slot of a page that was added before.
    pub fn find(&self, file: FileId, page: PageNo) -> Option<PageSlot> {
        let at = self
            .members
            .iter()
            .position(|member| (member.guard.file(), member.guard.page_no()) == (file, page));
        at.map(PageSlot)
    }

    /// The operations named so far for a page.
    pub(crate) fn named(&self, slot: PageSlot) -> impl Iterator<Item = &PageOp<'o>> {
        self.ops.iter().filter(move |(other, _)| *other == slot).map(|(_, op)| op)
    }

    /// The page as it stands, without the changes named so far.
    pub fn view(&self, slot: PageSlot) -> View<'_> {
        self.members[slot.0].guard.view()
    }

    /// The page's number.
    pub fn page_no(&self, slot: PageSlot) -> PageNo {
        self.members[slot.0].guard.page_no()
    }

    /// A reference to the page, with its frame as the hint.
    pub fn swip(&self, slot: PageSlot) -> Swip {
        self.members[slot.0].guard.swip()
    }

    /// The sequence number that the page will have after commit.
    pub fn next_psn(&self, slot: PageSlot) -> Psn {
        self.members[slot.0].psn
    }

    /// Names a change and checks that it applies.
    ///
    /// # Errors
    /// `Corruption` if the page does not take the operation: what the caller read there was damaged, or the
    /// caller is wrong.
    pub fn op(&mut self, slot: PageSlot, op: PageOp<'o>) -> Result<()> {
        let is_first = self.named(slot).next().is_none();
        if is_first {
            op.check(self.view(slot)).map_err(|error| self.place(error, slot))?;
        } else {
            self.check_after_earlier(slot, &op)?;
        }
        self.ops.push((slot, op));
        Ok(())
    }

    fn place(&self, error: Error, slot: PageSlot) -> Error {
        error.at_file(self.members[slot.0].guard.file()).at_page(self.page_no(slot))
    }

    /// Checks on a copy of the page that has the earlier operations applied, and applies this one to it.
    fn check_after_earlier(&mut self, slot: PageSlot, op: &PageOp<'o>) -> Result<()> {
        let kept = self.changed.take().filter(|(page, _)| *page == slot);
        let (_, copy) = kept.unwrap_or_else(|| (slot, self.copy_with_changes(slot)));
        op.check(View::new(&copy)).map_err(|error| self.place(error, slot))?;
        self.apply_to(&copy, slot, op);
        self.changed = Some((slot, copy));
        Ok(())
    }

    fn copy_with_changes(&self, slot: PageSlot) -> Vec<Word> {
        let copy = self.view(slot).to_words();
        self.named(slot).for_each(|op| self.apply_to(&copy, slot, op));
        copy
    }

    fn apply_to(&self, copy: &[Word], slot: PageSlot, op: &PageOp<'_>) {
        let guard = &self.members[slot.0].guard;
        op.apply(PageMut::new(copy), guard.file(), guard.page_no());
    }

    /// Adds the change of a row in memory, whose stripe the caller has latched until after the commit.
    ///
    /// # Panics
    /// If there is one already: a thread latches one stripe at a time.
    pub fn change_row(&mut self, change: &'o mut (dyn RowChange + 'o)) {
        assert!(self.row.is_none(), "a group changes rows of one stripe");
        self.row = Some(change);
    }

    /// Makes the group part of a transaction whose undo begins at `head` from then on.
    pub fn in_txn(&mut self, txn: &'o ActiveTxn, head: UndoPtr) {
        debug_assert_eq!(txn.stream(), self.stream, "a transaction belongs to one stream");
        self.txn = Some((txn, head));
    }

    /// Lets the page latched last go, if nothing was named for it.
    pub(crate) fn forget_last(&mut self, slot: PageSlot) {
        let is_last = slot.0 + 1 == self.members.len();
        if is_last && self.named(slot).next().is_none() {
            self.members.pop();
        }
    }

    /// Gives the page a new latch version on release, though no operation changes it.
    pub(crate) fn outdate(&mut self, slot: PageSlot) {
        let _ = self.members[slot.0].guard.page_mut();
    }

    /// Adds what the group depends on besides its pages: the commit vector of a version it replaces (T4).
    pub fn depend(&mut self, lv: &Lv) {
        self.deps.join(lv);
    }

    /// True if no change was named.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty() && self.row.is_none()
    }

    /// Logs and applies the changes, then releases the latches. Never fails; returns the group's vector. A group
    /// without changes is logged only if it moves a transaction's undo head.
    pub fn commit(mut self) -> Lv {
        if self.is_empty() && self.txn.is_none() {
            return Lv::ZERO;
        }
        let store = self.store;
        let unwinding = PoisonOnUnwind(store);
        let lv = self.log();
        trace::apply(&lv, || self.apply(&lv));
        if planted("release-before-the-head") {
            self.members.clear();
        }
        if let Some((txn, head)) = self.txn {
            trace::move_head(txn.id(), head, false, || txn.set_undo_head(head));
        }
        core::mem::forget(unwinding);
        lv
    }

    /// Applies the changes and stamps the pages.
    fn apply(&mut self, lv: &Lv) {
        for (slot, op) in &self.ops {
            let guard = &mut self.members[slot.0].guard;
            let (file, page) = (guard.file(), guard.page_no());
            op.apply(guard.page_mut(), file, page);
        }
        let ops = &self.ops;
        for (at, member) in self.members.iter_mut().enumerate() {
            if ops.iter().any(|(slot, _)| slot.0 == at) {
                member.guard.stamp(member.psn, lv);
            }
        }
        if let Some(row) = &mut self.row {
            row.apply(lv);
        }
    }

    /// Marks the pages dirty, then claims and fills the log.
    fn log(&mut self) -> Lv {
        let Some(log) = self.store.log() else {
            self.mark_dirty(Lsn::new(0));
            return Lv::ZERO;
        };
        let pages = self.changed_members().map(|at| self.members[at].guard.page_no());
        let position = trace::latch(self.stream, pages, || log.claim_position(self.stream));
        if !planted("dirty-after-claim") {
            trace::mark_dirty(|| self.mark_dirty(position));
        }
        let mut deps = self.deps;
        if self.store.streams() > 1 {
            self.members.iter().for_each(|member| deps.join(&member.guard.page_lv()));
            if let Some(row) = &self.row {
                deps.join(&row.lv());
            }
        }
        let credit = self.credit.take().expect("a logged mini-transaction began with credit");
        let appended: Appended = with_buffer(|body| {
            self.encode(body);
            let kind = if self.row.is_some() { group::ROWS_GROUP } else { group::GROUP };
            log.append(credit, kind, &deps, body)
        });
        if planted("dirty-after-claim") {
            trace::mark_dirty(|| self.mark_dirty(position));
        }
        appended.lv
    }

    /// Those for which a change was named.
    fn changed_members(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.members.len()).filter(|&at| self.ops.iter().any(|(slot, _)| slot.0 == at))
    }

    fn mark_dirty(&mut self, position: Lsn) {
        let (stream, ops) = (self.stream, &self.ops);
        for (at, member) in self.members.iter_mut().enumerate() {
            if ops.iter().any(|(slot, _)| slot.0 == at) {
                member.guard.mark_dirty(stream, position);
            }
        }
        if let Some(row) = &mut self.row {
            row.mark_dirty(stream, position);
        }
    }

    fn encode(&self, body: &mut Vec<u8>) {
        let changed = |at: usize| self.ops.iter().filter(move |(slot, _)| slot.0 == at);
        let pages = self.changed_members();
        group::put_head(body, self.txn.map(|(txn, head)| (txn.id(), head)), pages.clone().count());
        for at in pages {
            let Member { guard, psn } = &self.members[at];
            group::put_page(body, guard.file(), guard.page_no(), *psn, changed(at).count());
            changed(at).for_each(|(_, op)| op.encode(body));
        }
        if let Some(row) = &self.row {
            body.put_varint(1);
            group::put_stripe(body, row.place(), 1);
            row.op().encode(body);
        }
    }
}

fn with_buffer<T>(body: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    thread_local! {
        static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    }
    // Taken out meanwhile: a schedule checker lets several of its threads run on one of the system's.
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = body(&mut buffer);
    BUFFER.set(buffer);
    result
}

struct PoisonOnUnwind<'s>(&'s Store);

impl Drop for PoisonOnUnwind<'_> {
    fn drop(&mut self) {
        self.0.poison("a mini-transaction panicked between claim and release");
    }
}
