//! Rounds: each gives every level the same.

use super::guard::AtWork;
use super::state::{Entry, State};
use super::{Crew, Did, Schedule, UnderWay};
use crate::trace;
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::Result;

/// What somebody has for the merges under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Bytes of work for each level.
    pub level_bytes: u64,
    /// Levels that get it, at least.
    pub levels: usize,
    /// Bytes that may be saved of what is not needed.
    pub saved_max: u64,
    /// It was paid for, and takes place also if nothing is under way: then all is saved.
    pub is_bought: bool,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Bytes that this thread has done.
    pub bytes: u64,
    /// The round that was offered has begun.
    pub has_begun: bool,
    /// All is in place that was under way. Else others are at work, or a sync is waited for.
    pub is_settled: bool,
}

/// What a thread does next.
enum Step<J> {
    Work(Share<J>),
    Arrive(Arc<UnderWay<J>>),
    /// Others are at work, or must go on.
    Busy,
    /// All is in place.
    Over,
}

/// A part of a round.
struct Share<J> {
    merge: Arc<UnderWay<J>>,
    bytes: u64,
    is_saved: bool,
}

impl<J> Schedule<J> {
    /// Works at the round under way, then at one of its own, as long as there is something to do that no other thread must end first. Who
    /// may not sync leaves results to others. Blocks.
    ///
    /// # Errors
    /// Those of a merge, which is given up then.
    pub fn work_in_rounds(&self, crew: &impl Crew<J>, round: Round, may_sync: bool) -> Result<Turn> {
        let mut offer = Some(round);
        let mut turn = Turn::default();
        loop {
            let step = self.state.lock().next_step(crew, &mut offer, may_sync);
            match step {
                Step::Work(share) => turn.bytes += self.do_share(crew, &share, may_sync)?,
                Step::Arrive(merge) => turn.bytes += self.end_one(crew, &merge)?,
                Step::Busy => return Ok(Turn { has_begun: offer.is_none(), ..turn }),
                Step::Over => return Ok(Turn { has_begun: offer.is_none(), is_settled: true, ..turn }),
            }
        }
    }

    fn do_share(&self, crew: &impl Crew<J>, share: &Share<J>, may_sync: bool) -> Result<u64> {
        let at_work = AtWork::begin(self, &share.merge, true);
        let did = self.work(crew, &share.merge, share.bytes, may_sync);
        at_work.end();
        let mut state = self.state.lock();
        let ended = Did { bytes: 0, left_bytes: 0 };
        let now = *did.as_ref().unwrap_or(&ended);
        let (level, end) = (share.merge.level, || state.end_share(&share.merge, now, may_sync));
        match share.is_saved {
            true => trace::spend(level, now.bytes, end),
            false => trace::pay(level, now.bytes, end),
        }
        did.map(|did| did.bytes)
    }

    fn end_one(&self, crew: &impl Crew<J>, merge: &Arc<UnderWay<J>>) -> Result<u64> {
        let at_work = AtWork::begin(self, merge, true);
        let arrived = self.bring_in(crew, merge);
        at_work.end();
        let mut state = self.state.lock();
        trace::arrive([merge.level, merge.plan.target], || {
            state.at_work -= 1;
            state.remove(merge);
        });
        arrived.map(|()| 1)
    }
}

impl<J> State<J> {
    fn next_step(&mut self, crew: &impl Crew<J>, offer: &mut Option<Round>, may_sync: bool) -> Step<J> {
        if planted("arrive-before-all-is-paid")
            && let Some(merge) = self.take_ready()
        {
            return Step::Arrive(merge);
        }
        if let Some(share) = self.take_due() {
            return Step::Work(share);
        }
        if self.at_work > 0 || !self.due.is_empty() {
            return Step::Busy;
        }
        if !planted("begin-with-the-next-round") {
            self.start_all(crew);
        }
        if let Some(share) = self.take_saved() {
            return Step::Work(share);
        }
        if !may_sync && self.merges.iter().any(|entry| entry.left_bytes == 0) {
            return Step::Busy;
        }
        if let Some(merge) = self.take_ready() {
            return Step::Arrive(merge);
        }
        let has_work = self.merges.iter().any(|entry| entry.left_bytes > 0);
        let Some(round) = offer.take_if(|round| round.is_bought || has_work) else { return Step::Over };
        self.begin(round);
        if planted("begin-with-the-next-round") {
            self.start_all(crew);
        }
        self.next_step(crew, offer, may_sync)
    }

    /// Bytes that each level has left, of those merges that nobody works at.
    fn remaining(&self, levels: usize) -> Vec<u64> {
        let deepest = self.merges.last().map_or(0, |entry| entry.merge.level + 1);
        let mut remaining = vec![0; levels.max(deepest)];
        for entry in self.merges.iter().filter(|entry| !entry.is_taken) {
            remaining[entry.merge.level] = entry.left_bytes;
        }
        remaining
    }

    fn begin(&mut self, round: Round) {
        let remaining = self.remaining(round.levels);
        trace::begin_round(round.is_bought, self.budget.saved(), || {
            let shares = self.budget.pay(round.level_bytes, &remaining, round.saved_max);
            self.due = shares.into_iter().enumerate().filter(|(_, bytes)| *bytes > 0).collect();
            let busy = self.due.iter().fold(0, |bits, (level, _)| bits | 1_u64.wrapping_shl(*level as u32));
            if planted("skip-the-deepest") {
                self.due.pop();
            }
            [!busy, self.budget.saved()]
        });
    }

    /// The next level that is due, and that nobody works at; those whose merge was given up are no longer.
    fn take_due(&mut self) -> Option<Share<J>> {
        let merges = &self.merges;
        self.due.retain(|(level, _)| merges.iter().any(|entry| entry.merge.level == *level));
        let is_free = |(level, _): &(usize, u64)| {
            merges.iter().any(|entry| entry.merge.level == *level && !entry.is_taken)
        };
        let at = self.due.iter().position(is_free)?;
        let (level, bytes) = self.due.remove(at);
        let merge = self.take_at(|entry| entry.merge.level == level)?;
        Some(Share { merge, bytes, is_saved: false })
    }

    fn take_saved(&mut self) -> Option<Share<J>> {
        let (level, bytes) = self.budget.spend(&self.remaining(0))?;
        let merge = self.take_at(|entry| entry.merge.level == level)?;
        Some(Share { merge, bytes, is_saved: true })
    }

    /// The deepest merge that is done: what comes to a level finds the merge done that was in its way.
    fn take_ready(&mut self) -> Option<Arc<UnderWay<J>>> {
        let is_ready = |entry: &Entry<J>| entry.left_bytes == 0 && !entry.is_taken;
        let level = match planted("the-shallowest-result-first") {
            true => self.merges.iter().find(|entry| is_ready(entry)),
            false => self.merges.iter().rfind(|entry| is_ready(entry)),
        };
        let level = level?.merge.level;
        self.take_at(|entry| entry.merge.level == level)
    }

    fn take_at(&mut self, is_it: impl Fn(&Entry<J>) -> bool) -> Option<Arc<UnderWay<J>>> {
        let taken = self.merges.iter_mut().find(|entry| is_it(entry)).map(Entry::take);
        self.at_work += usize::from(taken.is_some());
        taken
    }

    fn end_share(&mut self, merge: &Arc<UnderWay<J>>, did: Did, may_sync: bool) {
        self.at_work -= 1;
        self.put_back(merge, did, may_sync);
    }
}
