//! What becomes of a merge whose worker does not come to an end.

use super::{Schedule, UnderWay};
use aether_sync::Arc;

/// Somebody works at a merge that was taken. Dropped before [`AtWork::end`], by an error or a panic, it gives the merge up: nobody else would
/// take it, and its level and its runs would be claimed for ever.
pub(super) struct AtWork<'s, J> {
    schedule: &'s Schedule<J>,
    merge: &'s Arc<UnderWay<J>>,
    in_round: bool,
    has_ended: bool,
}

impl<'s, J> AtWork<'s, J> {
    /// `in_round`: the round counts who works at it.
    pub(super) fn begin(schedule: &'s Schedule<J>, merge: &'s Arc<UnderWay<J>>, in_round: bool) -> Self {
        Self { schedule, merge, in_round, has_ended: false }
    }

    /// It was put back, or has ended.
    pub(super) fn end(mut self) {
        self.has_ended = true;
    }
}

impl<J> Drop for AtWork<'_, J> {
    fn drop(&mut self) {
        if self.has_ended {
            return;
        }
        drop(self.merge.job.lock().take());
        let mut state = self.schedule.state.lock();
        state.at_work -= usize::from(self.in_round);
        state.remove(self.merge);
    }
}
