//! The one file that knows TLA+: the actions of `tla/checkpoint` and `tla/page_redo` that this crate takes.

use aether_trace::act;
use aether_types::{PageNo, Psn};

/// Copying a page for its way to the file; `body` returns its number.
#[inline(always)]
pub(crate) fn copy_out(page: PageNo, body: impl FnOnce() -> Psn) {
    act("CopyOut", body, |psn| [page.get(), psn.get()]);
}

/// Counting a page as clean as it was written, with the number `psn`.
#[inline(always)]
pub(crate) fn clean(page: PageNo, psn: Psn, body: impl FnOnce()) {
    act("Clean", body, |()| [page.get(), psn.get()]);
}
