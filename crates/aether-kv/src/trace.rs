//! The one file that knows TLA+: the actions of `tla/two_phase_commit` that this crate takes.

use aether_trace::act_if;
use aether_types::{Result, TxnId};

/// Putting the outcome in the place of the row of a prepared transaction, as its own last change.
#[inline(always)]
pub(crate) fn mark(txn: TxnId, body: impl FnOnce() -> Result<()>) -> Result<()> {
    act_if("Mark", body, |marked| marked.is_ok().then(|| [txn.get()]))
}
