//! The threads that flush and merge, for all LSM trees of a home: most of the work is theirs, and writers pay for what they leave.

use super::{Inner, OnBehalf, rank};
use crate::pacer::{Next, SLICE_BYTES};
use aether_index::txn::recovery::wal::buffer::page::sync::thread::{self, JoinHandle};
use aether_index::txn::recovery::wal::buffer::page::sync::{Arc, Condvar, Mutex, Weak};
use aether_index::{Anchor, Index};
use aether_types::Result;
use std::time::Duration;

/// Bytes done before another tree has its turn.
const TURN_BYTES: u64 = 8 * SLICE_BYTES;
/// An idle thread looks around so often.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What the threads share.
#[derive(Default)]
struct State {
    trees: Vec<Weak<Inner>>,
    is_over: bool,
    threads: Vec<JoinHandle<()>>,
}

/// The threads of a home.
pub(super) struct Workers {
    state: Mutex<State>,
    wake: Condvar,
}

impl Workers {
    /// None yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(rank::WORKERS, State::default()), wake: Condvar::new() })
    }

    /// Works for `tree` from now on; starts the threads with the first one.
    ///
    /// # Errors
    /// `OverLimit` if the system refuses a thread.
    pub(super) fn serve(self: &Arc<Self>, tree: Weak<Inner>, threads: usize) -> Result<()> {
        let mut state = self.state.lock();
        state.trees.retain(|tree| tree.strong_count() > 0);
        state.trees.push(tree);
        while !state.is_over && state.threads.len() < threads {
            let (this, number) = (self.clone(), state.threads.len());
            let thread = thread::try_spawn_batch("aether-lsm", move || this.run(number))?;
            state.threads.push(thread);
        }
        Ok(())
    }

    /// The tree at `at` is no more; blocks until nobody flushes it, merges or edits its manifest.
    pub(super) fn end(&self, at: Anchor) {
        let trees: Vec<_> = self.state.lock().trees.iter().filter_map(Weak::upgrade).collect();
        trees.iter().filter(|tree| Index::anchor(&tree.rows) == at).for_each(|tree| tree.end());
    }

    /// There is something to do.
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Ends the threads, each after the slice in hand; blocks for that. From then on those who write do their work.
    pub(super) fn stop(&self) {
        let threads = {
            let mut state = self.state.lock();
            state.is_over = true;
            core::mem::take(&mut state.threads)
        };
        self.wake.notify_all();
        for thread in threads {
            // A panic has been reported where it happened.
            let _ = thread.join();
        }
    }

    fn run(&self, number: usize) {
        loop {
            let trees: Vec<_> = {
                let state = self.state.lock();
                if state.is_over {
                    return;
                }
                state.trees.iter().filter_map(Weak::upgrade).collect()
            };
            let mut did_any = false;
            let mut failed = false;
            for tree in &trees {
                match tree.take_turn(number) {
                    Ok(did) => did_any |= did,
                    // Those who write meet it too, and are told.
                    Err(_) => failed = true,
                }
            }
            drop(trees);
            let state = self.state.lock();
            if !state.is_over && (!did_any || failed) {
                let _ = self.wake.wait_for(state, LOOK_EVERY);
            }
        }
    }
}

impl Inner {
    /// Flushes or merges for a while; true if there was something. The first thread flushes first, the others merge first.
    fn take_turn(&self, number: usize) -> Result<bool> {
        self.observe();
        let (first, second) =
            if number == 0 { (Next::Flush, Next::Merge) } else { (Next::Merge, Next::Flush) };
        Ok(self.work_at(first)? || self.work_at(second)?)
    }

    fn work_at(&self, next: Next) -> Result<bool> {
        let mut left = TURN_BYTES;
        while left > 0 {
            let done = match next {
                Next::Flush => self.flush_in_background()?,
                Next::Merge => self.merge_some(SLICE_BYTES, OnBehalf::Worker)?,
            };
            let Some(bytes) = done else { break };
            if next == Next::Flush {
                self.pacer.done(next, bytes);
            }
            left = left.saturating_sub(bytes.max(1));
        }
        Ok(left < TURN_BYTES)
    }

    fn flush_in_background(&self) -> Result<Option<u64>> {
        let Some(mut job) = self.flush.try_lock() else { return Ok(None) };
        if job.is_none() && !self.is_flush_due() {
            return Ok(None);
        }
        self.flush_slice(&mut job, SLICE_BYTES, OnBehalf::Worker)
    }
}
