//! The one file that knows TLA+: the actions of `tla/undo` and `tla/version_gc` that this crate takes.

use aether_trace::{act, act_if};
use aether_types::TxnId;

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
