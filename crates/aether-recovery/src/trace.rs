//! The one file that knows TLA+: the actions of `tla/write_back` that this crate takes. Values of positions are those of the
//! first four streams.

use aether_trace::{act, act_if};
use aether_types::{Lsn, Lv, PageNo, StreamId};

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

/// Naming a checkpoint in the control file.
#[inline(always)]
pub(crate) fn publish_checkpoint<E>(redo_start: &Lv, body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("PublishCheckpoint", body, |done| done.is_ok().then(|| first_four(redo_start)))
}

fn first_four(lv: &Lv) -> [u64; 4] {
    core::array::from_fn(|stream| lv.get(StreamId::new(stream as u8)).get())
}
