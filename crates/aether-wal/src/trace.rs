//! The one file that knows TLA+: the actions of `tla/log_buffer` that this crate takes. Values start with the stream.

use aether_trace::act;
use aether_types::{Lsn, Lv, StreamId};

/// Claiming a place and merging into the stream's vector: the append of the spec.
#[inline(always)]
pub(crate) fn reserve<T>(
    stream: StreamId,
    body: impl FnOnce() -> T,
    span: impl FnOnce(&T) -> (u64, u64),
) -> T {
    act("Reserve", body, |claimed| values(stream, span(claimed)))
}

/// Filling a claimed record.
#[inline(always)]
pub(crate) fn fill(stream: StreamId, span: (u64, u64), body: impl FnOnce()) {
    act("Fill", body, |()| values(stream, span));
}

/// Closing a group.
#[inline(always)]
pub(crate) fn flush_begin<T>(stream: StreamId, body: impl FnOnce() -> T, at: impl FnOnce(&T) -> u64) -> T {
    act("FlushBegin", body, |closed| values(stream, (at(closed), 0)))
}

/// Raising the durable position.
#[inline(always)]
pub(crate) fn publish(stream: StreamId, to: u64, body: impl FnOnce()) {
    act("Publish", body, |()| values(stream, (to, 0)));
}

/// Answering that a vector is durable (L4); the first four components of the vector.
#[inline(always)]
pub(crate) fn ack(lv: &Lv) {
    let part = |stream| lv.get(StreamId::new(stream)).get();
    act("Ack", || (), |()| [part(0), part(1), part(2), part(3)]);
}

fn values(stream: StreamId, (from, to): (u64, u64)) -> [u64; 4] {
    [u64::from(stream.get()), Lsn::new(from).get(), Lsn::new(to).get(), 0]
}
