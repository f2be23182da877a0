//! The one file that knows TLA+: the actions of `tla/publication` and `tla/version_gc` that this crate takes.

use aether_trace::{act, act_if};
use aether_types::{Lv, PageNo, StreamId, Timestamp, TxnId};

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

/// Leaving the table after a rollback.
#[inline(always)]
pub(crate) fn end(txn: TxnId, body: impl FnOnce()) {
    act("End", body, |()| [txn.get()]);
}

/// Freeing undo pages, sixteen at the most; 0 is none.
#[inline(always)]
pub(crate) fn trim<E>(pages: &[PageNo], body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("Trim", body, |freed| {
        let page = |at: usize| pages.get(at).map_or(0, |page| page.get());
        freed.is_ok().then(|| core::array::from_fn::<u64, 16, _>(page))
    })
}
