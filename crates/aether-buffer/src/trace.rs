//! The one file that knows TLA+: the actions of `tla/checkpoint` that this crate takes.

use aether_trace::act;
use aether_types::{PageNo, Psn};

/// Counting a page as clean as it was written, with the number `psn`.
#[inline(always)]
pub(crate) fn clean(page: PageNo, psn: Psn, body: impl FnOnce()) {
    act("Clean", body, |()| [page.get(), psn.get()]);
}
