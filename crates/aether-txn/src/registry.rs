//! Which snapshots are in use, and for how long.
//!
//! Nobody asks a clock to begin a transaction. The collector, which comes by every few commits, stamps what it meets for
//! the first time; so an age is short by the time of a few commits.

use crate::rank;
use aether_sync::Mutex;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_types::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Default)]
struct Bound {
    count: usize,
    /// On the store's clock.
    seen: Option<Duration>,
}

/// The lower bounds of all snapshots in use.
pub(crate) struct Registry {
    bounds: Mutex<BTreeMap<Timestamp, Bound>>,
    /// Snapshots below have been held for too long: nothing is kept for them.
    expired: AtomicU64,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { bounds: Mutex::new(rank::SNAPSHOTS, BTreeMap::new()), expired: AtomicU64::new(0) }
    }

    pub(crate) fn enter(&self, bound: Timestamp) {
        self.bounds.lock().entry(bound).or_default().count += 1;
    }

    pub(crate) fn leave(&self, bound: Timestamp) {
        leave(&mut self.bounds.lock(), bound);
    }

    pub(crate) fn raise(&self, from: Timestamp, to: Timestamp) {
        let mut bounds = self.bounds.lock();
        bounds.entry(to).or_default().count += 1;
        leave(&mut bounds, from);
    }

    /// The oldest that is not expired.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.bounds.lock().range(self.expired_below()..).next().map(|(bound, _)| *bound)
    }

    /// Stamps those not met before.
    pub(crate) fn stamp(&self, now: Duration) {
        stamp(&mut self.bounds.lock(), now);
    }

    /// The oldest that is not expired, and its age; stamps those not met before.
    pub(crate) fn oldest_age(&self, now: Duration) -> Option<(Timestamp, Duration)> {
        let mut bounds = self.bounds.lock();
        stamp(&mut bounds, now);
        let (at, oldest) = bounds.range(self.expired_below()..).next()?;
        Some((*at, now.saturating_sub(oldest.seen.unwrap_or(now))))
    }

    /// Ends what is older than `longest` and lies below `durable`: new snapshots lie above.
    pub(crate) fn expire(&self, longest: Duration, now: Duration, durable: Timestamp) {
        while let Some((at, age)) = self.oldest_age(now)
            && age > longest
            && at < durable
        {
            // Seen by readers before the effects of what is no longer kept: those come through page latches.
            self.expired.fetch_max(at.get() + 1, AcqRel);
        }
    }

    pub(crate) fn expired_below(&self) -> Timestamp {
        Timestamp::new(self.expired.load(Acquire))
    }
}

fn stamp(bounds: &mut BTreeMap<Timestamp, Bound>, now: Duration) {
    for bound in bounds.values_mut() {
        bound.seen.get_or_insert(now);
    }
}

fn leave(bounds: &mut BTreeMap<Timestamp, Bound>, at: Timestamp) {
    if let Some(bound) = bounds.get_mut(&at) {
        bound.count -= 1;
        if bound.count == 0 {
            bounds.remove(&at);
        }
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(number: u64) -> Timestamp {
        Timestamp::new(number)
    }

    #[test]
    fn ages_count_from_the_first_look() {
        let registry = Registry::new();
        registry.enter(at(5));
        registry.enter(at(7));
        assert_eq!(registry.oldest_age(SECOND), Some((at(5), Duration::ZERO)));
        assert_eq!(registry.oldest_age(3 * SECOND), Some((at(5), 2 * SECOND)));
        registry.leave(at(5));
        assert_eq!(registry.oldest_age(3 * SECOND), Some((at(7), 2 * SECOND)));
        registry.raise(at(7), at(9));
        assert_eq!(registry.oldest(), Some(at(9)));
    }

    #[test]
    fn only_old_ones_below_the_durable_state_expire() {
        let registry = Registry::new();
        [5, 7, 9].iter().for_each(|number| registry.enter(at(*number)));
        registry.expire(SECOND, SECOND, at(9));
        assert_eq!(registry.oldest(), Some(at(5)), "just met");
        registry.expire(SECOND, 3 * SECOND, at(9));
        assert_eq!(registry.oldest(), Some(at(9)), "a new one may lie there");
        assert_eq!(registry.expired_below(), at(8));
        registry.leave(at(5));
    }
}
