//! The one file that knows TLA+: the actions that this crate takes, of `tla/log_buffer`, `tla/stream_cut` and `tla/group_commit`. Values
//! start with the stream.

use crate::ring::Boundary;
use aether_trace::{act, act_if};
use aether_types::{Error, Lsn, Lv, StreamId};

/// Reserving `bytes` of the ring, if there is room.
#[inline(always)]
pub(crate) fn credit<E>(stream: StreamId, bytes: u64, body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("Credit", body, |reserved| reserved.is_ok().then(|| [of(stream), bytes]))
}

/// Claiming a place and merging into the stream's vector: the append of the spec.
#[inline(always)]
pub(crate) fn reserve<T>(
    stream: StreamId,
    body: impl FnOnce() -> T,
    span: impl FnOnce(&T) -> (u64, u64),
) -> T {
    act("Reserve", body, |claimed| spanning(stream, span(claimed)))
}

/// Storing the bytes of a claimed record.
#[inline(always)]
pub(crate) fn store<T>(stream: StreamId, span: (u64, u64), body: impl FnOnce() -> T) -> T {
    act("Store", body, |_| spanning(stream, span))
}

/// Counting them as filled.
#[inline(always)]
pub(crate) fn fill(stream: StreamId, span: (u64, u64), body: impl FnOnce()) {
    act("Fill", body, |()| spanning(stream, span));
}

/// Closing a group; nothing happens if it is empty.
#[inline(always)]
pub(crate) fn flush_begin(
    stream: StreamId,
    start_bytes: u64,
    body: impl FnOnce() -> Option<Boundary>,
) -> Option<Boundary> {
    act_if("FlushBegin", body, |closed| closed.map(|b| [of(stream), b.pad, b.at, start_bytes]))
}

/// Waiting for a group to be filled, after which its bytes are copied out.
#[inline(always)]
pub(crate) fn copy_out(stream: StreamId, span: (u64, u64), body: impl FnOnce()) {
    act("CopyOut", body, |()| spanning(stream, span));
}

/// Raising the durable position.
#[inline(always)]
pub(crate) fn publish(stream: StreamId, to: u64, body: impl FnOnce()) {
    act("Publish", body, |()| [of(stream), to]);
}

/// Answering that a vector is durable (L4).
#[inline(always)]
pub(crate) fn ack(lv: &Lv) {
    act("Ack", || (), |()| first_four(lv));
}

/// Looking whether what is waited for is durable, and if not, whether writing has ended.
#[inline(always)]
pub(crate) fn look_further(body: impl FnOnce() -> Option<Option<Error>>) -> Option<Option<Error>> {
    act_if("LookFurther", body, |seen| seen.as_ref().map(|doubt| [u64::from(doubt.is_some())]))
}

/// Looking once more before there is a doubt.
#[inline(always)]
pub(crate) fn doubt(body: impl FnOnce() -> bool) -> bool {
    act_if("Doubt", body, |is_durable| (!is_durable).then_some([]))
}

/// Finding nothing that lags.
#[inline(always)]
pub(crate) fn return_to_look() {
    act("Return", || (), |()| []);
}

/// Becoming the leader.
#[inline(always)]
pub(crate) fn lead<T>(stream: StreamId, body: impl FnOnce() -> Option<T>) -> Option<T> {
    act_if("Lead", body, |leader| leader.is_some().then(|| [of(stream)]))
}

/// Trying to lead a stream if it lags, and finding that others do.
#[inline(always)]
pub(crate) fn is_led<T>(stream: StreamId, body: impl FnOnce() -> Option<Option<T>>) -> Option<Option<T>> {
    act_if("IsLed", body, |led| matches!(led, Some(None)).then(|| [of(stream)]))
}

/// Deciding, under the lock of the lead, whether to sleep.
#[inline(always)]
pub(crate) fn follow(stream: StreamId, body: impl FnOnce() -> bool) -> bool {
    act("Follow", body, |sleeps| [of(stream), u64::from(*sleeps)])
}

/// Having slept.
#[inline(always)]
pub(crate) fn wake() {
    act("Wake", || (), |()| []);
}

/// Handing the lead over.
#[inline(always)]
pub(crate) fn step_down(stream: StreamId, body: impl FnOnce()) {
    act("StepDown", body, |()| [of(stream)]);
}

/// Beginning an incarnation that was cut back to `cut`, with the record at its start.
#[inline(always)]
pub(crate) fn recover<T>(stream: StreamId, cut: Lsn, start: Lsn, body: impl FnOnce() -> T) -> T {
    act("Recover", body, |_| [of(stream), cut.get(), start.get()])
}

/// Writing anew what is kept of a stream that was readable up to `end`: whether or not that comes to its end, what lies
/// above `cut` may be gone.
#[inline(always)]
pub(crate) fn cut_back<T>(stream: StreamId, end: u64, cut: u64, body: impl FnOnce() -> T) -> T {
    act("CutBack", body, |_| [of(stream), end, cut])
}

fn of(stream: StreamId) -> u64 {
    u64::from(stream.get())
}

fn spanning(stream: StreamId, (from, to): (u64, u64)) -> [u64; 3] {
    [of(stream), from, to]
}

fn first_four(lv: &Lv) -> [u64; 4] {
    core::array::from_fn(|stream| lv.get(StreamId::new(stream as u8)).get())
}
