//! The merges of a tree that are under way: who works at which, and in which order their results come in.
//!
//! Each merge is a job with a lock of its own, held by whoever works at it for a slice of work; it is given up if that one panics. There is one for each level at most
//! ([`Claims`](crate::version::Claims)), so a merge that takes hours holds up nobody who has a small one to do. Two orders of work:
//!
//! - [`Schedule::work_at_one`]: the shallowest first, as in SILK (Balmau et al., USENIX ATC 2019). Its result comes in as soon as it is there.
//! - [`Schedule::work_in_rounds`]: in each round every level gets the same (binary doubling). All are paid first, then what was saved is spent on the
//!   deepest, then results come in, the deepest first, and only then another merge or round begins. Several threads may work at one round.
//!
//! Spec of the rounds: `tla/hanoi`.

mod guard;
mod round;
mod state;

pub use round::{Round, Turn};

use crate::policy::Plan;
use crate::rank;
use aether_sync::{Arc, Mutex, MutexGuard};
use aether_types::Result;
use guard::AtWork;
use state::State;

/// What a schedule asks of the tree.
pub trait Crew<J> {
    /// Claims a merge that may begin beside those under way. Waits for nobody: the list of merges is locked.
    fn claim(&self) -> Option<Begun<J>>;

    /// The number of the newest list of runs: what could not begin with it is not tried again.
    fn version(&self) -> u64;

    /// Does about so many bytes of a job. Blocks.
    ///
    /// # Errors
    /// Those of the work; the job is given up then.
    fn work(&self, job: &mut J, bytes: u64, may_sync: bool) -> Result<Did>;

    /// Brings in the result of a job that has nothing left to do. Blocks for syncs.
    ///
    /// # Errors
    /// Those of the disk and of the log; the job is given up then.
    fn arrive(&self, job: J) -> Result<()>;
}

/// A merge that has begun.
pub struct Begun<J> {
    /// The level of the newest run that it reads.
    pub level: usize,
    /// What it does.
    pub plan: Plan,
    /// Bytes that it has to do.
    pub left_bytes: u64,
    /// The merge itself.
    pub job: J,
}

/// What was done of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Did {
    /// Bytes; 0 if it cannot go on without a sync.
    pub bytes: u64,
    /// Bytes that are left; at 0 its result may come in.
    pub left_bytes: u64,
}

/// A merge as others see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The level of the newest run that it reads.
    pub level: usize,
    /// What it does.
    pub plan: Plan,
    /// Bytes that are left, as of the last slice of work.
    pub left_bytes: u64,
}

/// A merge, and who works at it.
struct UnderWay<J> {
    level: usize,
    plan: Plan,
    /// None once it has ended.
    job: Mutex<Option<J>>,
}

/// The merges of a tree.
pub struct Schedule<J> {
    state: Mutex<State<J>>,
}

impl<J> Default for Schedule<J> {
    fn default() -> Self {
        Self { state: Mutex::new(rank::MERGES, State::default()) }
    }
}

impl<J> Schedule<J> {
    /// Begins what may begin, and works at the shallowest merge that nobody works at; how many bytes were done. None: there is none
    /// for this thread. Who may not sync leaves what needs that to others. Blocks.
    ///
    /// # Errors
    /// Those of the merge, which is given up then.
    pub fn work_at_one(&self, crew: &impl Crew<J>, bytes: u64, may_sync: bool) -> Result<Option<u64>> {
        let taken = {
            let mut state = self.state.lock();
            state.start_all(crew);
            state.take(may_sync)
        };
        let Some(merge) = taken else { return Ok(None) };
        let at_work = AtWork::begin(self, &merge, false);
        let did = self.work(crew, &merge, bytes, may_sync)?;
        if did.left_bytes == 0 && may_sync {
            self.bring_in(crew, &merge)?;
            self.state.lock().remove(&merge);
        } else {
            self.state.lock().put_back(&merge, did, may_sync);
        }
        at_work.end();
        Ok(Some(did.bytes))
    }

    /// Works until nothing is under way and nothing may begin; true if there was something. Blocks, also for those who work already.
    ///
    /// # Errors
    /// As [`Schedule::work_at_one`].
    pub fn work_at_all(&self, crew: &impl Crew<J>) -> Result<bool> {
        let mut did_any = false;
        loop {
            if self.work_at_one(crew, u64::MAX, true)?.is_none() {
                let Some(taken) = self.state.lock().first() else { return Ok(did_any) };
                // Somebody works at it: for as long as a slice takes.
                drop(taken.job.lock());
                aether_sync::thread::yield_now();
            }
            did_any = true;
        }
    }

    /// The merges under way, the shallowest first.
    pub fn under_way(&self) -> Vec<Told> {
        self.state.lock().told()
    }

    /// Bytes that they have left, at least one each.
    pub fn left_bytes(&self) -> u64 {
        self.state.lock().left_bytes()
    }

    /// What could not begin may be able to now.
    pub fn look_again(&self) {
        self.state.lock().look_again();
    }

    /// Gives all merges up, each after the slice in hand; none begins as long as what is returned lives. Blocks.
    pub fn close(&self) -> Closed<'_, J> {
        let ended = self.state.lock().close();
        for merge in &ended {
            drop(merge.job.lock().take());
        }
        let mut state = self.state.lock();
        ended.iter().for_each(|merge| state.remove(merge));
        Closed(self)
    }

    /// Does a slice of a merge that was taken. What fails is given up, and no longer under way.
    fn work(&self, crew: &impl Crew<J>, merge: &Arc<UnderWay<J>>, bytes: u64, may_sync: bool) -> Result<Did> {
        let mut job = merge.job.lock();
        let did = match job.as_mut() {
            // Given up by another.
            None => Ok(Did { bytes: 0, left_bytes: 0 }),
            Some(job) => crew.work(job, bytes, may_sync),
        };
        did.inspect_err(|_| self.give_up(merge, &mut job))
    }

    fn bring_in(&self, crew: &impl Crew<J>, merge: &Arc<UnderWay<J>>) -> Result<()> {
        let mut job = merge.job.lock();
        let arrived = job.take().map_or(Ok(()), |job| crew.arrive(job));
        arrived.inspect_err(|_| self.give_up(merge, &mut job))
    }

    fn give_up(&self, merge: &Arc<UnderWay<J>>, job: &mut MutexGuard<'_, Option<J>>) {
        drop(job.take());
        self.state.lock().remove(merge);
    }
}

/// No merge is under way or begins as long as this lives.
pub struct Closed<'a, J>(&'a Schedule<J>);

impl<J> Drop for Closed<'_, J> {
    fn drop(&mut self) {
        self.0.state.lock().open();
    }
}
