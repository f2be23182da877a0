//! Deadlocks: found when a wait begins, or when an entry made in a waiter's name lets others wait for it; ended by taking
//! the youngest's wait away.
//!
//! A waiter waits for whoever blocks its want: those who stand against it, and those who wait before it for a mode
//! that excludes its own. A cycle of waits can only close through whoever has just begun to wait, or has just been
//! given an entry, so the search begins there.

use super::book::Book;
use super::report::{Cycle, LockWait};
use super::request::Request;
use aether_sync::Arc;
use aether_trace::planted;
use aether_types::TxnId;
use std::collections::HashSet;

impl Book {
    /// Ends waits until no cycle goes through `start`.
    pub(super) fn resolve(&mut self, start: TxnId) {
        while let Some(path) = self.cycle_through(start) {
            let victim = victim_of(&path);
            let waits = path.iter().filter_map(|waiter| self.wait_of(*waiter)).collect();
            let cycle = Arc::new(Cycle { waits, victim });
            self.remember(cycle.clone());
            let holder = self.holder(victim);
            holder.denied = Some(cycle);
            holder.state.lock_owner().granted.notify_all();
            if let Some(resource) = self.holder(victim).waits_at.clone() {
                self.cancel(victim, &resource);
            }
        }
    }

    /// Whom `owner` waits for; nobody if it does not wait.
    pub(super) fn blockers_of(&self, owner: TxnId) -> Vec<TxnId> {
        self.wait_of(owner).map_or_else(Vec::new, |wait| wait.blockers)
    }

    /// The wait of `owner`, if it waits.
    pub(super) fn wait_of(&self, owner: TxnId) -> Option<LockWait> {
        let resource = self.holders.get(&owner)?.waits_at.clone()?;
        let want = self.queues.get(&resource, owner).and_then(Request::waiting)?;
        let blockers = self.queues.blockers(owner, &resource, &want);
        Some(LockWait { waiter: owner, resource, mode: want.mode, blockers })
    }

    /// Depth first: the owners on a cycle through `start`, each waiting for the next.
    fn cycle_through(&self, start: TxnId) -> Option<Vec<TxnId>> {
        let mut seen = HashSet::from([start]);
        let mut path = vec![(start, self.blockers_of(start).into_iter())];
        while let Some((_, ahead)) = path.last_mut() {
            match ahead.next() {
                None => drop(path.pop()),
                Some(next) if next == start => return Some(path.iter().map(|(owner, _)| *owner).collect()),
                Some(next) if seen.insert(next) => path.push((next, self.blockers_of(next).into_iter())),
                Some(_) => {}
            }
        }
        None
    }
}

/// The youngest of a cycle.
fn victim_of(cycle: &[TxnId]) -> TxnId {
    let found = if planted("oldest-dies") { cycle.iter().min() } else { cycle.iter().max() };
    *found.expect("a cycle has members")
}
