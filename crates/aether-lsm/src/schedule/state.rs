//! The list of merges under way.

use super::{Begun, Crew, Did, Told, UnderWay};
use crate::policy::WorkBudget;
use crate::{rank, trace};
use aether_sync::{Arc, Mutex};

/// A merge in the list.
pub(super) struct Entry<J> {
    pub(super) merge: Arc<UnderWay<J>>,
    pub(super) left_bytes: u64,
    /// A thread works at it.
    pub(super) is_taken: bool,
    /// It cannot go on without a sync.
    waits: bool,
}

pub(super) struct State<J> {
    /// The shallowest first.
    pub(super) merges: Vec<Entry<J>>,
    pub(super) budget: WorkBudget,
    /// Levels that have not got their bytes of the last round, and that nobody works at.
    pub(super) due: Vec<(usize, u64)>,
    /// Threads that work at the last round.
    pub(super) at_work: usize,
    /// The list of runs for which nothing more could begin.
    looked_at: Option<u64>,
    /// How many want that none begins.
    closed: usize,
}

impl<J> Default for State<J> {
    fn default() -> Self {
        let (merges, due, budget) = (Vec::new(), Vec::new(), WorkBudget::default());
        Self { merges, budget, due, at_work: 0, looked_at: None, closed: 0 }
    }
}

impl<J> State<J> {
    /// Begins all merges that may begin.
    pub(super) fn start_all(&mut self, crew: &impl Crew<J>) {
        loop {
            let version = crew.version();
            let is_known = !self.merges.is_empty() && self.looked_at == Some(version);
            if self.closed > 0 || is_known {
                return;
            }
            match crew.claim() {
                Some(begun) => trace::start_merge(begun.level, || self.insert(begun)),
                None => {
                    self.looked_at = Some(version);
                    return;
                }
            }
        }
    }

    fn insert(&mut self, begun: Begun<J>) {
        let Begun { level, plan, left_bytes, job } = begun;
        let merge = Arc::new(UnderWay { level, plan, job: Mutex::new(rank::MERGE, Some(job)) });
        let place = self.merges.partition_point(|entry| entry.merge.level < level);
        self.merges.insert(place, Entry { merge, left_bytes, is_taken: false, waits: false });
    }

    /// Takes the shallowest merge that nobody works at and that may go on.
    pub(super) fn take(&mut self, may_sync: bool) -> Option<Arc<UnderWay<J>>> {
        let may_go_on =
            |entry: &&mut Entry<J>| !entry.is_taken && (may_sync || !entry.waits && entry.left_bytes > 0);
        self.merges.iter_mut().find(may_go_on).map(Entry::take)
    }

    /// Takes back a merge that was worked at.
    pub(super) fn put_back(&mut self, merge: &Arc<UnderWay<J>>, did: Did, may_sync: bool) {
        if let Some(entry) = self.merges.iter_mut().find(|entry| Arc::ptr_eq(&entry.merge, merge)) {
            entry.left_bytes = did.left_bytes;
            entry.waits = did.bytes == 0 && !may_sync;
            entry.is_taken = false;
        }
    }

    /// Takes a merge out that has ended.
    pub(super) fn remove(&mut self, merge: &Arc<UnderWay<J>>) {
        self.merges.retain(|entry| !Arc::ptr_eq(&entry.merge, merge));
        self.look_again();
    }

    pub(super) fn look_again(&mut self) {
        self.looked_at = None;
    }

    pub(super) fn first(&self) -> Option<Arc<UnderWay<J>>> {
        self.merges.first().map(|entry| entry.merge.clone())
    }

    pub(super) fn told(&self) -> Vec<Told> {
        let tell = |entry: &Entry<J>| Told {
            level: entry.merge.level,
            plan: entry.merge.plan.clone(),
            left_bytes: entry.left_bytes,
        };
        self.merges.iter().map(tell).collect()
    }

    pub(super) fn left_bytes(&self) -> u64 {
        self.merges.iter().map(|entry| entry.left_bytes.max(1)).sum()
    }

    /// Lets none begin; those that are to be given up.
    pub(super) fn close(&mut self) -> Vec<Arc<UnderWay<J>>> {
        self.closed += 1;
        self.due.clear();
        self.merges.iter().map(|entry| entry.merge.clone()).collect()
    }

    pub(super) fn open(&mut self) {
        self.closed -= 1;
        self.look_again();
    }
}

impl<J> Entry<J> {
    pub(super) fn take(&mut self) -> Arc<UnderWay<J>> {
        self.is_taken = true;
        self.merge.clone()
    }
}
