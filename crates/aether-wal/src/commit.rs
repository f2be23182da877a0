//! Waiting for durability: leaders, followers, wakers (group commit).
//!
//! A stream has no thread of its own. Whoever waits and finds no leader leads: it closes the group, writes it,
//! publishes, and steps down. Meanwhile the others sleep and the next group fills, so that a flush serves
//! everyone who came during the one before.

use crate::rank;
use crate::record::BLOCK_BYTES;
use crate::stream::{Leader, Stream};
use crate::trace;
use crate::wal::Wal;
use aether_buffer::FlushGate;
use aether_sync::atomic::{AtomicUsize, Ordering::*, fence};
use aether_sync::{Mutex, thread};
use aether_trace::planted;
use aether_types::{Error, Lv, Result};
use std::task::Waker;
use std::time::Duration;

/// Those who wait without a thread.
pub(crate) struct Commits {
    wakers: Mutex<Vec<(Lv, Waker)>>,
    /// How many there are, so that a flush without any takes no lock.
    count: AtomicUsize,
}

impl Commits {
    pub(crate) fn new() -> Self {
        Self { wakers: Mutex::new(rank::WAKERS, Vec::new()), count: AtomicUsize::new(0) }
    }

    fn add(&self, lv: &Lv, waker: Waker) {
        let mut wakers = self.wakers.lock();
        wakers.push((*lv, waker));
        self.count.store(wakers.len(), SeqCst);
        drop(wakers);
        // The caller looks at the durable vector after this, a flusher at the count after it has published: one of
        // them sees the other.
        fence(SeqCst);
    }

    fn wake(&self, ready: impl Fn(&Lv) -> bool) {
        fence(SeqCst);
        if self.count.load(SeqCst) == 0 {
            return;
        }
        let mut wakers = self.wakers.lock();
        let (woken, kept) = wakers.drain(..).partition(|(lv, _)| ready(lv));
        *wakers = kept;
        self.count.store(wakers.len(), SeqCst);
        drop(wakers);
        let woken: Vec<(Lv, Waker)> = woken;
        woken.into_iter().for_each(|(_, waker)| waker.wake());
    }

    pub(crate) fn wake_all(&self) {
        self.wake(|_| true);
    }
}

impl Wal {
    /// True if everything up to `lv` is durable.
    #[inline]
    pub fn is_durable(&self, lv: &Lv) -> bool {
        self.durable().covers(lv) || self.is_answered_early(lv)
    }

    /// Never, but for planted bugs.
    #[inline(always)]
    fn is_answered_early(&self, lv: &Lv) -> bool {
        planted("answer-when-closed") && self.vector(|stream| stream.ring.closed()).covers(lv)
            || planted("answer-by-block")
                && self.vector(|stream| stream.ring.durable() + BLOCK_BYTES - 1).covers(lv)
            || planted("answer-on-one-stream") && self.covers_one(lv)
    }

    /// For a planted bug: some stream of several is durable up to its part of `lv`, and had something to flush.
    #[cold]
    fn covers_one(&self, lv: &Lv) -> bool {
        let start = self.incarnation.start;
        let mut asked = self.streams.iter().filter(|stream| lv.get(stream.id) > start.get(stream.id));
        asked.any(|stream| stream.ring.durable() >= lv.get(stream.id).get())
    }

    /// Blocks until everything up to `lv` is durable (L4). Leads the flush if nobody else does.
    ///
    /// # Errors
    /// `InDoubt` if a write or sync failed and `lv` was not durable before; `InvalidInput` if `lv` is beyond what was
    /// claimed.
    pub fn wait_durable(&self, lv: &Lv) -> Result<()> {
        self.wait(lv, Duration::ZERO)
    }

    /// As [`Wal::wait_durable`], but a leader first waits up to `max_wait` for others to join. It
    /// waits no longer once someone calls [`Wal::wait_durable`] or the ring runs full.
    ///
    /// # Errors
    /// As [`Wal::wait_durable`].
    pub fn wait_durable_within(&self, lv: &Lv, max_wait: Duration) -> Result<()> {
        self.wait(lv, max_wait)
    }

    fn wait(&self, lv: &Lv, mut gather: Duration) -> Result<()> {
        if !self.is_durable(lv) {
            self.start().map_err(|error| self.poison.doubt().unwrap_or(error))?;
            self.waited.add(1);
        }
        let look = || (!self.is_durable(lv)).then(|| self.poison.doubt());
        while let Some(seen) = trace::look_further(look) {
            if let Some(doubt) = seen {
                // A flush may have been published between the two looks.
                let is_hasty = dawdles(planted("doubt-at-first-sight"));
                let is_durable = || self.is_durable(lv) && !is_hasty;
                return if trace::doubt(is_durable) { Ok(()) } else { Err(doubt) };
            }
            if !self.positions().covers(lv) {
                return Err(Error::invalid(format!("{lv:?} is beyond the log, {:?}", self.positions())));
            }
            if self.advance(lv, gather) {
                gather = Duration::ZERO;
            }
        }
        trace::ack(lv);
        Ok(())
    }

    /// Flushes a stream that lags behind `lv`, or waits for one that is being flushed; true if it led.
    fn advance(&self, lv: &Lv, gather: Duration) -> bool {
        let mut behind = None;
        dawdles(planted("flush-after-the-end"));
        for stream in &self.streams {
            let target = lv.get(stream.id).get();
            let try_lead = || (stream.ring.durable() < target).then(|| stream.try_lead(target));
            match trace::is_led(stream.id, try_lead) {
                None => continue,
                Some(Some(leader)) => {
                    self.lead(stream, leader, gather);
                    return true;
                }
                Some(None) => {}
            }
            behind = behind.or(Some((stream, target)));
        }
        match behind {
            Some((stream, target)) => stream.follow(target, gather.is_zero(), || self.poison.is_set()),
            None => trace::return_to_look(),
        }
        false
    }

    /// Flushes `stream` as its leader; blocks.
    fn lead(&self, stream: &Stream, mut leader: Leader<'_>, gather: Duration) {
        if !gather.is_zero() {
            leader.gather(gather);
        }
        // Checked by the leader itself: after a failure nothing is tried again (R2).
        let has_ended = self.poison.is_set() && !planted("flush-after-the-end");
        let flushed = if has_ended { Ok(()) } else { leader.flush(&self.durable()) };
        if let Err(error) = flushed {
            self.fail(error);
        }
        drop(leader);
        self.commits.wake(|lv| self.is_durable(lv));
        self.wake_sleepers();
        self.flusher.notice(stream);
    }

    /// Whether `lv` is durable: `None` while that is open. Never sleeps; without a background flusher it makes up for
    /// an overdue flush (see [`Wal::flush_after`]).
    pub fn poll_durable(&self, lv: &Lv) -> Option<Result<()>> {
        if self.is_durable(lv) {
            trace::ack(lv);
            return Some(Ok(()));
        }
        let overdue = self.flush_if_due();
        match self.poison.doubt() {
            _ if self.is_durable(lv) => Some(Ok(())),
            Some(doubt) => Some(Err(doubt)),
            None => overdue.err().map(Err),
        }
    }

    /// Has `waker` woken once `lv` is durable or writing has ended; then [`Wal::poll_durable`] answers. Asks the
    /// background flusher for a flush; without one it flushes itself, which blocks.
    pub fn subscribe(&self, lv: &Lv, waker: Waker) {
        self.commits.add(lv, waker);
        if !self.is_durable(lv) && !self.poison.is_set() && !self.flusher.ask_now() {
            // The outcome reaches the waker either way.
            let _ = self.wait_durable(lv);
        }
        self.commits.wake(|lv| self.is_durable(lv) || self.poison.is_set());
    }

    /// Flushes everything claimed so far; blocks. Returns the durable vector then.
    ///
    /// # Errors
    /// As [`Wal::wait_durable`].
    pub fn flush_all(&self) -> Result<Lv> {
        self.start().map_err(|error| self.poison.doubt().unwrap_or(error))?;
        self.wait_durable(&self.positions())?;
        Ok(self.durable())
    }
}

/// Lets others do something in the window of a planted bug.
#[inline(always)]
fn dawdles(is_planted: bool) -> bool {
    if is_planted {
        (0..32).for_each(|_| thread::yield_now());
    }
    is_planted
}

impl FlushGate for Wal {
    fn durable(&self) -> Lv {
        Wal::durable(self)
    }

    fn wait_durable(&self, lv: &Lv) -> Result<()> {
        Wal::wait_durable(self, lv)
    }
}
