//! Threads that repeat an operation until time is up.

use super::{Bench, Tally};
use crate::engine::{Failure, Result};
use crate::latency::Histogram;
use crate::meter::Meter;
use crate::workload::Task;
use std::thread;
use std::time::{Duration, Instant};

/// Gets between two looks at the clock, where single ones are not timed.
const STRIDE: u64 = 32;

/// What an operation did.
#[derive(Clone, Copy)]
pub(super) struct Done {
    /// Operations that it counts as.
    pub(super) operations: u64,
    /// Attempts that it took.
    pub(super) attempts: u64,
    /// Bytes of keys and values written.
    pub(super) user_bytes: u64,
}

impl Done {
    /// One operation that writes so many bytes, at once.
    pub(super) const fn put(user_bytes: u64) -> Self {
        Self { operations: 1, attempts: 1, user_bytes }
    }

    /// One operation that writes nothing.
    pub(super) const READ: Self = Self::put(0);
}

#[derive(Default)]
struct Share {
    operations: u64,
    attempts: u64,
    user_bytes: u64,
    latency: Histogram,
}

impl Share {
    fn add(&mut self, done: Done) {
        self.operations += done.operations;
        self.attempts += done.attempts;
        self.user_bytes += done.user_bytes;
    }

    fn timed(&mut self, until: Instant, step: &mut impl FnMut() -> Result<Done>) -> Result<()> {
        let mut before = Instant::now();
        while before < until {
            self.add(step()?);
            let now = Instant::now();
            self.latency.add(now - before);
            before = now;
        }
        Ok(())
    }

    fn untimed(
        &mut self,
        stride: u64,
        until: Instant,
        step: &mut impl FnMut() -> Result<Done>,
    ) -> Result<()> {
        while Instant::now() < until {
            for _ in 0..stride {
                self.add(step()?);
            }
        }
        Ok(())
    }
}

impl Bench<'_> {
    /// Runs the operation that `make` gives each thread until `time` is up.
    pub(super) fn hammer<S>(&self, time: Duration, make: impl Fn(u64) -> S + Sync) -> Result<Tally>
    where
        S: FnMut() -> Result<Done>,
    {
        let meter = Meter::start();
        let until = Instant::now() + time;
        let stride = if matches!(self.workload.task, Task::Scan { .. }) { 1 } else { STRIDE };
        let work = |thread: u64| {
            let (mut share, mut step) = (Share::default(), make(thread));
            let outcome = if self.workload.has_latency() {
                share.timed(until, &mut step)
            } else {
                share.untimed(stride, until, &mut step)
            };
            outcome.map(|()| share)
        };
        let shares = thread::scope(|scope| {
            let work = &work;
            let others: Vec<_> = (1..u64::from(self.workload.threads))
                .map(|thread| scope.spawn(move || work(thread)))
                .collect();
            let own = work(0);
            let joined = others.into_iter().map(|other| {
                other.join().unwrap_or_else(|_| Err(Failure::from("a thread of the bench panicked")))
            });
            joined.chain([own]).collect::<Result<Vec<Share>>>()
        })?;
        Ok(sum(shares, &meter))
    }
}

fn sum(shares: Vec<Share>, meter: &Meter) -> Tally {
    let spent = meter.spent();
    let mut tally = Tally { spent, ..Tally::default() };
    for share in shares {
        tally.operations += share.operations;
        tally.attempts += share.attempts;
        tally.user_bytes += share.user_bytes;
        tally.latency.merge(&share.latency);
    }
    tally
}
