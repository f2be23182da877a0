//! The one file that knows TLA+: the actions that this crate takes, of `tla/publication`, `tla/snapshots`, `tla/lock_manager`,
//! `tla/two_phase_commit`, `tla/group_commit` and `tla/version_gc`.

use aether_trace::{act, act_if};
use aether_types::{Lv, PageNo, Result, StreamId, Timestamp, TxnId};

/// Drawing a snapshot and registering it, of everything or of what is durable.
#[inline(always)]
pub(crate) fn draw_snapshot(is_durable: bool, body: impl FnOnce() -> Timestamp) -> Timestamp {
    act("DrawSnapshot", body, |at| [at.get(), u64::from(is_durable)])
}

/// Reading the clock for the bound of a commit, under the lock of the queue.
#[inline(always)]
pub(crate) fn bound(txn: TxnId, body: impl FnOnce() -> Timestamp) -> Timestamp {
    act("Bound", body, |bound| [txn.get(), bound.get()])
}

/// Being seen as committing.
#[inline(always)]
pub(crate) fn committing(body: impl FnOnce()) {
    act("Committing", body, |()| []);
}

/// Joining the queue.
#[inline(always)]
pub(crate) fn enqueue(body: impl FnOnce()) {
    act("Enqueue", body, |()| []);
}

/// Drawing the timestamp of a commit.
#[inline(always)]
pub(crate) fn draw(body: impl FnOnce() -> Timestamp) -> Timestamp {
    act("Draw", body, |at| [at.get()])
}

/// Validating a transaction that is being prepared, and locking what it has read.
#[inline(always)]
pub(crate) fn prepare(txn: TxnId, body: impl FnOnce() -> Result<()>) -> Result<()> {
    act_if("Prepare", body, |done| done.is_ok().then(|| [txn.get()]))
}

/// Beginning to undo a prepared transaction, durably decided.
#[inline(always)]
pub(crate) fn roll_back_prepared(txn: TxnId) {
    act("RollBackPrepared", || (), |()| [txn.get()]);
}

/// Undoing what a commit has changed that was interrupted; nothing if there was none.
#[inline(always)]
pub(crate) fn unmark(txn: TxnId, is_marked: bool, body: impl FnOnce() -> Result<()>) -> Result<()> {
    act_if("Unmark", body, |undone| (is_marked && undone.is_ok()).then(|| [txn.get()]))
}

/// Undoing one change, of a row whose key begins with `first`.
#[inline(always)]
pub(crate) fn undo(txn: TxnId, first: Option<&u8>, body: impl FnOnce() -> Result<()>) -> Result<()> {
    act_if("Undo", body, |undone| undone.is_ok().then(|| [txn.get(), first.copied().map_or(0, u64::from)]))
}

/// Appending the record that ends a rollback, and leaving the table.
#[inline(always)]
pub(crate) fn end<T>(txn: TxnId, body: impl FnOnce() -> T) {
    act("End", body, |_| [txn.get()]);
}

/// Appending the record of a commit.
#[inline(always)]
pub(crate) fn append_commit(stream: StreamId, body: impl FnOnce() -> Lv) -> Lv {
    act("AppendCommit", body, |lv| [u64::from(stream.get()), lv.get(stream).get()])
}

/// Being seen as committed.
#[inline(always)]
pub(crate) fn committed(body: impl FnOnce()) {
    act("Committed", body, |()| []);
}

/// Looking for a commit that is not durable and lies before one that waits.
#[inline(always)]
pub(crate) fn wait_for_earlier(body: impl FnOnce() -> Option<Lv>) -> Option<Lv> {
    act_if("WaitForEarlier", body, |holder| holder.is_some().then_some([]))
}

/// Leaving the queue.
#[inline(always)]
pub(crate) fn pop(txn: TxnId, body: impl FnOnce()) {
    act("Pop", body, |()| [txn.get()]);
}

/// Raising what is known to be durable; `body` returns what was known before.
#[inline(always)]
pub(crate) fn advance(to: Timestamp, body: impl FnOnce() -> u64) {
    act_if("Advance", body, |before| (*before < to.get()).then(|| [to.get()]));
}

/// Forgetting a transaction: what it wrote is everybody's.
#[inline(always)]
pub(crate) fn strip(txn: TxnId, body: impl FnOnce()) {
    act("Strip", body, |()| [txn.get()]);
}

/// Asking for a lock that one does not have, and what that ends.
#[inline(always)]
pub(crate) fn request<B, T>(
    book: &mut B,
    body: impl FnOnce(&mut B) -> T,
    told: impl FnOnce(&B, &T) -> Option<[u64; 5]>,
) -> T {
    act_if("Request", || (body(book), book), |(asked, book)| told(book, asked)).0
}

/// Giving a wait up.
#[inline(always)]
pub(crate) fn timeout<B>(book: &mut B, body: impl FnOnce(&mut B), told: impl FnOnce(&B) -> [u64; 2]) {
    act("Timeout", || (body(book), book), |(_, book)| told(book));
}

/// Giving back all that a transaction has.
#[inline(always)]
pub(crate) fn release<B>(book: &mut B, body: impl FnOnce(&mut B), told: impl FnOnce(&B) -> [u64; 2]) {
    act("Release", || (body(book), book), |(_, book)| told(book));
}

/// Letting a snapshot go.
#[inline(always)]
pub(crate) fn let_go(body: impl FnOnce()) {
    act("LetGo", body, |()| []);
}

/// Ending the oldest snapshot for its age, if it is due.
#[inline(always)]
pub(crate) fn expire(body: impl FnOnce() -> Option<Timestamp>) -> Option<Timestamp> {
    act_if("Expire", body, |ended| ended.map(|at| [at.get()]))
}

/// Reading what is durable, for the collector.
#[inline(always)]
pub(crate) fn gc_durable(body: impl FnOnce() -> Timestamp) -> Timestamp {
    act("GcDurable", body, |durable| [durable.get()])
}

/// Looking for the oldest snapshot; `body` returns the horizon.
#[inline(always)]
pub(crate) fn gc_oldest(body: impl FnOnce() -> Timestamp) -> Timestamp {
    act("GcOldest", body, |horizon| [horizon.get()])
}

/// Ending a collection.
#[inline(always)]
pub(crate) fn gc_end() {
    act("GcEnd", || (), |()| []);
}

/// Freeing undo pages, sixteen at the most; 0 is none.
#[inline(always)]
pub(crate) fn trim<E>(pages: &[PageNo], body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("Trim", body, |freed| {
        let page = |at: usize| pages.get(at).map_or(0, |page| page.get());
        freed.is_ok().then(|| core::array::from_fn::<u64, 16, _>(page))
    })
}
