//! Which snapshots are in use, and for how long.
//!
//! Nobody asks a clock to begin a transaction. The collector, which comes by every few commits, stamps what it meets for
//! the first time; so an age is short by the time of a few commits.

use crate::rank;
use crate::trace;
use aether_sync::Mutex;
use aether_sync::atomic::{AtomicU64, Ordering::*};
use aether_trace::planted;
use aether_types::Timestamp;
use std::time::Duration;

struct Bound {
    at: Timestamp,
    count: usize,
    /// On the store's clock.
    seen: Option<Duration>,
}

/// The lower bounds of all snapshots in use.
pub(crate) struct Registry {
    /// Ascending, each once. Few, and mostly entered at the end: nothing is allocated for one.
    bounds: Mutex<Vec<Bound>>,
    /// Snapshots below have been held for too long: nothing is kept for them.
    expired: AtomicU64,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self { bounds: Mutex::new(rank::SNAPSHOTS, Vec::new()), expired: AtomicU64::new(0) }
    }

    /// Draws a snapshot and registers it. Nobody can look for the oldest in between: who looked before has a horizon
    /// that was durable then, and no snapshot is drawn below what is durable (T2).
    pub(crate) fn enter(&self, draw: impl FnOnce() -> Timestamp) -> Timestamp {
        let mut bounds = self.bounds.lock();
        let at = draw();
        enter(&mut bounds, at);
        at
    }

    /// Registers one more snapshot as old as the oldest that is not expired; as what is drawn if that is older, or there is none.
    pub(crate) fn enter_oldest(&self, draw: impl FnOnce() -> Timestamp) -> Timestamp {
        let expired = self.expired_below();
        let mut bounds = self.bounds.lock();
        let oldest = bounds.iter().map(|bound| bound.at).find(|at| *at >= expired);
        let drawn = draw();
        let at = oldest.map_or(drawn, |oldest| oldest.min(drawn));
        enter(&mut bounds, at);
        at
    }

    pub(crate) fn leave(&self, bound: Timestamp) {
        leave(&mut self.bounds.lock(), bound);
    }

    pub(crate) fn raise(&self, from: Timestamp, to: Timestamp) {
        let mut bounds = self.bounds.lock();
        enter(&mut bounds, to);
        leave(&mut bounds, from);
    }

    /// The oldest that is not expired.
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        let expired = self.expired_below();
        self.bounds.lock().iter().map(|bound| bound.at).find(|at| *at >= expired)
    }

    /// All that are not expired, each once.
    pub(crate) fn all(&self) -> Vec<Timestamp> {
        let expired = self.expired_below();
        self.bounds.lock().iter().map(|bound| bound.at).filter(|at| *at >= expired).collect()
    }

    /// Stamps those not met before.
    pub(crate) fn stamp(&self, now: Duration) {
        stamp(&mut self.bounds.lock(), now);
    }

    /// The oldest that is not expired, and its age; stamps those not met before.
    pub(crate) fn oldest_age(&self, now: Duration) -> Option<(Timestamp, Duration)> {
        let expired = self.expired_below();
        let mut bounds = self.bounds.lock();
        stamp(&mut bounds, now);
        let oldest = bounds.iter().find(|bound| bound.at >= expired)?;
        Some((oldest.at, now.saturating_sub(oldest.seen.unwrap_or(now))))
    }

    /// Ends what is older than `longest` and lies below `durable`: new snapshots lie above.
    pub(crate) fn expire(&self, longest: Duration, now: Duration, durable: Timestamp) {
        while trace::expire(|| self.expire_oldest(longest, now, durable)).is_some() {}
    }

    fn expire_oldest(&self, longest: Duration, now: Duration, durable: Timestamp) -> Option<Timestamp> {
        let (at, age) = self.oldest_age(now)?;
        let is_over = age > longest && (at < durable || planted("expire-the-durable"));
        // Seen by readers before the effects of what is no longer kept: those come through page latches.
        is_over.then(|| self.expired.fetch_max(at.get() + 1, AcqRel)).map(|_| at)
    }

    pub(crate) fn expired_below(&self) -> Timestamp {
        Timestamp::new(self.expired.load(Acquire))
    }
}

fn stamp(bounds: &mut [Bound], now: Duration) {
    for bound in bounds {
        bound.seen.get_or_insert(now);
    }
}

fn enter(bounds: &mut Vec<Bound>, at: Timestamp) {
    match find(bounds, at) {
        Ok(index) => bounds[index].count += 1,
        Err(index) => bounds.insert(index, Bound { at, count: 1, seen: None }),
    }
}

fn leave(bounds: &mut Vec<Bound>, at: Timestamp) {
    if let Ok(index) = find(bounds, at) {
        bounds[index].count -= 1;
        if bounds[index].count == 0 {
            bounds.remove(index);
        }
    }
}

/// Where `at` stands or belongs: at the end, mostly.
fn find(bounds: &[Bound], at: Timestamp) -> Result<usize, usize> {
    match bounds.last() {
        Some(last) if last.at < at => Err(bounds.len()),
        Some(last) if last.at == at => Ok(bounds.len() - 1),
        _ => bounds.binary_search_by_key(&at, |bound| bound.at),
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
        registry.enter(|| at(5));
        registry.enter(|| at(7));
        assert_eq!(registry.oldest_age(SECOND), Some((at(5), Duration::ZERO)));
        assert_eq!(registry.oldest_age(3 * SECOND), Some((at(5), 2 * SECOND)));
        registry.leave(at(5));
        assert_eq!(registry.oldest_age(3 * SECOND), Some((at(7), 2 * SECOND)));
        registry.raise(at(7), at(9));
        assert_eq!(registry.oldest(), Some(at(9)));
        assert_eq!(registry.enter_oldest(|| at(8)), at(8), "what is durable is older");
        assert_eq!(registry.enter_oldest(|| at(20)), at(8));
        registry.leave(at(8));
        assert_eq!(registry.oldest(), Some(at(8)), "the other is as old");
        registry.leave(at(8));
        registry.leave(at(9));
        assert_eq!(registry.enter_oldest(|| at(20)), at(20));
    }

    #[test]
    fn only_old_ones_below_the_durable_state_expire() {
        let registry = Registry::new();
        for number in [5, 7, 9] {
            registry.enter(|| at(number));
        }
        registry.expire(SECOND, SECOND, at(9));
        assert_eq!(registry.oldest(), Some(at(5)), "just met");
        registry.expire(SECOND, 3 * SECOND, at(9));
        assert_eq!(registry.oldest(), Some(at(9)), "a new one may lie there");
        assert_eq!(registry.expired_below(), at(8));
        registry.leave(at(5));
    }
}
