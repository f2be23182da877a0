//! The one file that knows TLA+: the actions of `tla/write_back`, `tla/checkpoint`, `tla/page_redo` and `tla/carry_over` that this crate
//! takes. Values of positions are those of the first four streams.

use aether_page::UndoPtr;
use aether_trace::{act, act_if};
use aether_types::{Lsn, Lv, PageNo, StreamId, TxnId};
use aether_wal::buffer::page as aether_page;

/// Moving a transaction's undo head, or forgetting it.
#[inline(always)]
pub(crate) fn move_head(txn: TxnId, head: UndoPtr, is_over: bool, body: impl FnOnce()) {
    act("MoveHead", body, |()| [txn.get(), head.word(), u64::from(is_over)]);
}

/// Having latched pages, of which the first three are named, and asking where their change will stand in the log.
#[inline(always)]
pub(crate) fn latch(
    stream: StreamId,
    pages: impl Iterator<Item = PageNo>,
    body: impl FnOnce() -> Lsn,
) -> Lsn {
    act("Latch", body, |position| {
        let mut values = [u64::from(stream.get()), position.get(), 0, 0, 0];
        values[2..].iter_mut().zip(pages).for_each(|(value, page)| *value = page.get());
        values
    })
}

/// Marking them dirty.
#[inline(always)]
pub(crate) fn mark_dirty(body: impl FnOnce()) {
    act("MarkDirty", body, |()| []);
}

/// Changing them as was logged, under the vector `lv`.
#[inline(always)]
pub(crate) fn apply(lv: &Lv, body: impl FnOnce()) {
    act("Apply", body, |()| first_four(lv));
}

/// Reading positions and vectors for a checkpoint.
#[inline(always)]
pub(crate) fn read_positions<T>(body: impl FnOnce() -> T) -> T {
    act("ReadPositions", body, |_| [])
}

/// Reading what all frames lack on disk; `body` returns the redo start.
#[inline(always)]
pub(crate) fn read_frames(body: impl FnOnce() -> Lv) -> Lv {
    act("ReadFrames", body, first_four)
}

/// Lowering the redo start to what participants need; `body` returns it.
#[inline(always)]
pub(crate) fn read_floors(body: impl FnOnce() -> Lv) -> Lv {
    act("ReadFloors", body, first_four)
}

/// Reading the whole table: who was not read in it was not there.
#[inline(always)]
pub(crate) fn read_table<T>(body: impl FnOnce() -> T) -> T {
    act("ReadList", body, |_| [])
}

/// Reading the undo head of one transaction of the table.
#[inline(always)]
pub(crate) fn read_list(body: impl FnOnce() -> (TxnId, StreamId, UndoPtr)) -> (TxnId, StreamId, UndoPtr) {
    act("ReadList", body, |(txn, _, head)| [txn.get(), head.word()])
}

/// Reading the vectors once more.
#[inline(always)]
pub(crate) fn read_vectors(body: impl FnOnce() -> Lv) -> Lv {
    act("ReadVectors", body, |_| [])
}

/// Naming a checkpoint in the control file.
#[inline(always)]
pub(crate) fn install<E>(redo_start: &Lv, body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("Install", body, |done| done.is_ok().then(|| first_four(redo_start)))
}

/// Reading the log; `cut` tells up to where it is kept.
#[inline(always)]
pub(crate) fn open<T, E>(body: impl FnOnce() -> Result<T, E>, cut: impl FnOnce(&T) -> Lv) -> Result<T, E> {
    act_if("Open", body, |scan| scan.as_ref().ok().map(|scan| first_four(&cut(scan))))
}

/// Repairing torn pages, the sync included.
#[inline(always)]
pub(crate) fn repair<T, E>(body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("SyncRepair", body, |done| done.is_ok().then_some([]))
}

/// Redoing the log from `start` on.
#[inline(always)]
pub(crate) fn redo<E>(start: &Lv, body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("Redo", body, |done| done.is_ok().then(|| first_four(start)))
}

/// Naming a checkpoint in the control file.
#[inline(always)]
pub(crate) fn publish_checkpoint<E>(redo_start: &Lv, body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("PublishCheckpoint", body, |done| done.is_ok().then(|| first_four(redo_start)))
}

fn first_four(lv: &Lv) -> [u64; 4] {
    core::array::from_fn(|stream| lv.get(StreamId::new(stream as u8)).get())
}
