//! The one file that knows TLA+: the actions of `tla/undo` that this crate takes.

use aether_trace::act;

/// Undoing a part in groups of its own, if there is one: the undo head stays.
#[inline(always)]
pub(crate) fn undo_part<T>(body: impl FnOnce() -> T) -> T {
    act("UndoPart", body, |_| [])
}
