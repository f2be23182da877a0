//! Threads that are each given jobs of their own, and do them in the order given.
//!
//! No member's end is missed: one that fails or panics takes no further job, which whoever gives the next one learns; the
//! end of the crew waits for all members and returns the first error, in the order of the members.

use crate::Rank;
use crate::feed::{Receiver, Sender, feed};
use crate::thread::{JoinHandle, try_spawn};
use aether_types::{Error, ErrorKind, Result};
use std::any::Any;

/// What a member of a [`Crew`] does.
pub trait Work: Send + Sized + 'static {
    /// What it is given.
    type Job: Send + 'static;
    /// What it has in the end.
    type Outcome: Send + 'static;

    /// Does a job.
    ///
    /// # Errors
    /// Ends the member: it takes no further job.
    fn work(&mut self, job: Self::Job) -> Result<()>;

    /// There are no more jobs.
    ///
    /// # Errors
    /// Of what was left to do.
    fn finish(self) -> Result<Self::Outcome>;
}

struct Member<W: Work> {
    jobs: Sender<W::Job>,
    thread: JoinHandle<Result<W::Outcome>>,
}

/// Threads with a bounded queue of jobs each. Dropped, it gives no more jobs and waits for those given.
pub struct Crew<W: Work> {
    name: &'static str,
    members: Vec<Member<W>>,
}

impl<W: Work> Crew<W> {
    /// Starts a thread called `name` for each of `workers`; at most `queued_max` jobs of each wait, in a queue of `rank`.
    ///
    /// # Errors
    /// `OverLimit` if the system refuses a thread.
    pub fn start(name: &'static str, rank: Rank, queued_max: usize, workers: Vec<W>) -> Result<Self> {
        let mut crew = Self { name, members: Vec::with_capacity(workers.len()) };
        for worker in workers {
            let (jobs, own) = feed(rank, queued_max);
            let thread = try_spawn(name, move || run(worker, &own))?;
            crew.members.push(Member { jobs, thread });
        }
        Ok(crew)
    }

    /// Gives a member a job; blocks while its queue is full. False if it has failed: [`Crew::finish`] tells why.
    ///
    /// # Panics
    /// If there is no such member.
    #[must_use]
    pub fn give(&self, member: usize, job: W::Job) -> bool {
        self.members[member].jobs.send(job)
    }

    /// Gives no more jobs and waits for every member; what they have in the end, in their order. The crew is empty then.
    ///
    /// # Errors
    /// The first member's that has failed; `Poisoned` if one has panicked.
    pub fn finish(&mut self) -> Result<Vec<W::Outcome>> {
        let threads: Vec<_> = self.members.drain(..).map(|member| member.thread).collect();
        let ended: Vec<_> = threads.into_iter().map(JoinHandle::join).collect();
        let name = self.name;
        ended.into_iter().map(|end| end.unwrap_or_else(|panic| Err(panicked(name, &*panic)))).collect()
    }
}

impl<W: Work> Drop for Crew<W> {
    fn drop(&mut self) {
        drop(self.finish());
    }
}

/// `jobs` goes with the worker, however it ends: whoever gives a job does not wait for a member that is gone.
fn run<W: Work>(mut worker: W, jobs: &Receiver<W::Job>) -> Result<W::Outcome> {
    while let Some(job) = jobs.next() {
        worker.work(job)?;
    }
    worker.finish()
}

fn panicked(name: &str, panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no text");
    Error::new(ErrorKind::Poisoned, format!("the thread `{name}` panicked: {text}"))
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Fails at 13, panics at 17.
    #[derive(Default)]
    struct Sum(Vec<u32>);

    impl Work for Sum {
        type Job = u32;
        type Outcome = Vec<u32>;

        fn work(&mut self, job: u32) -> Result<()> {
            assert!(job != 17, "seventeen");
            self.0.push(job);
            if job == 13 { Err(Error::invalid("thirteen")) } else { Ok(()) }
        }

        fn finish(self) -> Result<Vec<u32>> {
            Ok(self.0)
        }
    }

    #[allow(clippy::unwrap_used, reason = "the helpers of tests may")]
    fn crew() -> Crew<Sum> {
        Crew::start("sum", Rank::new(1, "sum"), 2, vec![Sum::default(), Sum::default()]).unwrap()
    }

    /// Gives jobs until one is refused, as somebody does that cannot know when a member fails.
    fn give_until_refused(crew: &Crew<Sum>, member: usize) {
        while crew.give(member, 1) {}
    }

    #[test]
    fn each_member_does_its_jobs_in_order() {
        let mut crew = crew();
        (0..1000).for_each(|job| assert!(job == 13 || job == 17 || crew.give(job as usize % 2, job)));
        let done = crew.finish().unwrap();
        let expected = |odd| (0..1000).filter(|job| job % 2 == odd && ![13, 17].contains(job)).collect();
        let expected: [Vec<u32>; 2] = [expected(0), expected(1)];
        assert_eq!(done, expected);
    }

    #[test]
    fn a_failed_member_is_no_hang_and_its_error_is_told() {
        let mut crew = crew();
        assert!(crew.give(1, 13));
        give_until_refused(&crew, 1);
        assert!(crew.give(0, 5), "the other goes on");
        assert_eq!(crew.finish().unwrap_err().what(), "thirteen");
    }

    #[test]
    fn a_panic_is_an_error() {
        let mut crew = crew();
        assert!(crew.give(0, 17));
        give_until_refused(&crew, 0);
        let error = crew.finish().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        assert!(error.what().contains("`sum` panicked: seventeen"), "{error}");
    }

    #[test]
    fn who_lets_a_crew_go_waits_for_it() {
        let crew = crew();
        assert!(crew.give(0, 1) && crew.give(1, 13));
        drop(crew);
    }
}
