//! The one file that knows TLA+: the actions of `tla/btree`, `tla/undo`, `tla/version_gc` and `tla/carry_over` that this
//! crate takes. Who acts is known by the thread.

#![cfg_attr(
    not(all(feature = "btree", feature = "skiplist")),
    allow(dead_code, reason = "the actions of some indexes")
)]

use aether_page::Swip;
use aether_page::node::Node;
use aether_trace::{act, act_if};
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{StripePlace, psn_count};
use aether_types::{Lv, PageNo, Psn, StreamId, TxnId};

/// Fixing the root.
#[inline(always)]
pub(crate) fn fix_root<T, E>(body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("FixRoot", body, |fixed| fixed.is_ok().then_some([]))
}

/// Fixing a child by the reference to it.
#[inline(always)]
pub(crate) fn fix_child<T, E>(child: Swip, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("FixChild", body, |fixed| fixed.is_ok().then(|| [child.page().get()]))
}

/// Validating the parent of a child that was fixed.
#[inline(always)]
pub(crate) fn couple<E>(body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("Couple", body, |valid| valid.is_ok().then_some([]))
}

/// Validating a leaf, of which a reader has seen a key at `slot`, or none.
#[inline(always)]
pub(crate) fn answer<E>(
    node: &Node<'_>,
    slot: Option<usize>,
    body: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    // Before the validation, like everything that was read there.
    let is_there = cfg!(aether_trace) && slot.is_some_and(|slot| !node.flags(slot).is_ghost());
    act_if("Answer", body, |valid| valid.is_ok().then(|| [u64::from(is_there)]))
}

/// Latching the leaf of a row in the version that was found.
#[inline(always)]
pub(crate) fn upgrade<T, E>(body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("Upgrade", body, |latched| latched.is_ok().then_some([]))
}

/// What became of a row under its leaf's latch.
pub(crate) enum Written {
    /// There was no room for it.
    NoRoom,
    /// There was nothing to change, or it was changed.
    Done,
}

/// Changing a row, or finding that this cannot be.
#[inline(always)]
pub(crate) fn write<T>(outcome: Written, body: impl FnOnce() -> T) -> T {
    act("Write", body, |_| [u64::from(matches!(outcome, Written::Done))])
}

/// Finding a node that has room by now.
#[inline(always)]
pub(crate) fn has_room<E>(level: u8, body: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
    act_if("LatchForSplit", body, |valid| valid.is_ok().then(|| [u64::from(level), 1]))
}

/// Latching the first page of a split.
#[inline(always)]
pub(crate) fn latch_for_split<T, E>(level: u8, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("LatchForSplit", body, |latched| latched.is_ok().then(|| [u64::from(level), 0]))
}

/// Latching the node that is to be split, under its parent's latch.
#[inline(always)]
pub(crate) fn latch_child<T, E>(body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("LatchChild", body, |latched| latched.is_ok().then_some([]))
}

/// Splitting a node at a separator, which is told by its first byte, into pages of which these are new.
#[inline(always)]
pub(crate) fn split<T>(separator: u8, new: [PageNo; 2], body: impl FnOnce() -> T) -> T {
    act("Split", body, |_| [u64::from(separator), new[0].get(), new[1].get()])
}

/// How [`split`] is told of a separator.
#[inline(always)]
pub(crate) fn first_byte(separator: &[u8]) -> u8 {
    separator.first().copied().unwrap_or_default()
}

/// Finding that nothing is to be merged.
#[inline(always)]
pub(crate) fn no_merge(level: u8) {
    act("LatchForMerge", || (), |()| [u64::from(level), 0, 0]);
}

/// Latching the parent of two children that may be merged: `left` and the one after it.
#[inline(always)]
pub(crate) fn latch_for_merge<T, E>(
    level: u8,
    left: usize,
    body: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    act_if("LatchForMerge", body, |latched| latched.is_ok().then(|| [u64::from(level), 1, left as u64 + 1]))
}

/// Latching one of them.
#[inline(always)]
pub(crate) fn latch_sibling<T, E>(child: Swip, body: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    act_if("LatchSibling", body, |latched| latched.is_ok().then(|| [child.page().get()]))
}

/// Merging them, or finding that both together leave too little room.
#[inline(always)]
pub(crate) fn merge<T>(fits: bool, body: impl FnOnce() -> T) -> T {
    act("Merge", body, |_| [u64::from(fits)])
}

/// Undoing a part in groups of its own, if there is one: the undo head stays.
#[inline(always)]
pub(crate) fn undo_part<T>(txn: TxnId, body: impl FnOnce() -> T) -> T {
    act("UndoPart", body, |_| [txn.get()])
}

/// Reading a row up to the validation of its page; `behind` tells the writer behind whose version is to be looked.
#[inline(always)]
pub(crate) fn read_row<T, E>(
    body: impl FnOnce() -> Result<T, E>,
    behind: impl FnOnce(&T) -> Option<TxnId>,
) -> Result<T, E> {
    act_if("ReadRow", body, |read| read.as_ref().ok().map(|read| [behind(read).map_or(0, TxnId::get)]))
}

/// Looking behind a version; 0: the record is gone, 1: it is another's turn, 2: what was before is what is shown.
#[inline(always)]
pub(crate) fn older<T>(body: impl FnOnce() -> T, outcome: impl FnOnce(&T) -> Option<u64>) -> T {
    act_if("Older", body, |read| outcome(read).map(|outcome| [outcome]))
}

/// Stripping the version of a row whose page is latched.
#[inline(always)]
pub(crate) fn strip_row(writer: impl FnOnce() -> Option<TxnId>) {
    act_if("StripRow", || (), |()| writer().map(|writer| [writer.get()]));
}

/// Marking the slice of a row whose stripe is latched and gets this number, before the change is logged.
#[inline(always)]
pub(crate) fn mark_row(place: StripePlace, stream: StreamId, body: impl FnOnce()) {
    let values = [u64::from(place.stripe), psn_count(place.psn), u64::from(stream.get())];
    act("Mark", body, |()| values);
}

/// Taking a row out of memory that nobody can see any more.
#[inline(always)]
pub(crate) fn purge(stripe: u32, body: impl FnOnce()) {
    act("Purge", body, |()| [u64::from(stripe)]);
}

/// Beginning to write slices out, if any are due.
#[inline(always)]
pub(crate) fn begin_slice<T>(body: impl FnOnce() -> Option<T>) -> Option<T> {
    act_if("BeginSlice", body, |due| due.is_some().then_some([]))
}

/// Reading the number of a stripe.
#[inline(always)]
pub(crate) fn read_known(stripe: u32, body: impl FnOnce() -> Psn) -> Psn {
    act("ReadKnown", body, |psn| [u64::from(stripe), psn_count(*psn)])
}

/// Gathering a row for a slice; told with the number of its change if that is not settled.
#[inline(always)]
pub(crate) fn gather<T, E>(
    stripe: u32,
    body: impl FnOnce() -> Result<(T, Option<Psn>), E>,
) -> Result<(T, Option<Psn>), E> {
    act_if("Gather", body, |found| {
        let unsettled = found.as_ref().ok().map(|(_, unsettled)| unsettled.map_or(0, psn_count));
        unsettled.map(|psn| [u64::from(stripe), psn])
    })
}

/// Reading up to where all streams have to be durable.
#[inline(always)]
pub(crate) fn wait_for_streams(body: impl FnOnce() -> Lv) -> Lv {
    act("WaitForStreams", body, |_| [])
}

/// Letting the log of slices go that are written.
#[inline(always)]
pub(crate) fn written(body: impl FnOnce()) {
    act("Written", body, |()| []);
}
