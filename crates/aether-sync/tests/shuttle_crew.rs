//! shuttle: whoever gives jobs against the members that do them, fail, or run out of them, under random schedules.
//! Run by `cargo xtask shuttle -p aether-sync`.
//!
//! A wait that nobody ends is a deadlock of the schedule, which shuttle reports.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_sync::{Crew, Rank, Work};
use aether_types::{Error, Result};

const SCHEDULES: usize = 20_000;
const JOBS: u32 = 4;

/// Notes its jobs; fails at one of them, or at the end.
#[derive(Clone, Default)]
struct Notes {
    done: Vec<u32>,
    fails_at: Option<u32>,
}

impl Work for Notes {
    type Job = u32;
    type Outcome = Vec<u32>;

    fn work(&mut self, job: u32) -> Result<()> {
        if self.fails_at == Some(job) {
            return Err(Error::invalid(format!("job {job}")));
        }
        self.done.push(job);
        Ok(())
    }

    fn finish(self) -> Result<Vec<u32>> {
        if self.fails_at == Some(JOBS) { Err(Error::invalid("the end")) } else { Ok(self.done) }
    }
}

fn crew(queued_max: usize, fails_at: Option<u32>) -> Crew<Notes> {
    let workers = vec![Notes::default(), Notes { fails_at, ..Notes::default() }];
    Crew::start("notes", Rank::new(1, "notes"), queued_max, workers).unwrap()
}

/// Gives both members every job; false once one is refused.
fn give_all(crew: &Crew<Notes>) -> bool {
    (0..JOBS).all(|job| crew.give(0, job) && crew.give(1, job))
}

#[test]
fn every_job_is_done_in_order() {
    let model = || {
        for queued_max in [1, 2] {
            let mut crew = crew(queued_max, None);
            assert!(give_all(&crew));
            let all: Vec<u32> = (0..JOBS).collect();
            assert_eq!(crew.finish().unwrap(), [all.clone(), all]);
        }
    };
    shuttle::check_random(model, SCHEDULES);
}

#[test]
fn a_member_that_fails_keeps_nobody_waiting() {
    let model = || {
        for fails_at in [0, 1, JOBS] {
            let mut crew = crew(1, Some(fails_at));
            assert!(give_all(&crew) || fails_at < JOBS);
            let expected = if fails_at == JOBS { "the end".into() } else { format!("job {fails_at}") };
            assert_eq!(crew.finish().unwrap_err().what(), expected);
        }
    };
    shuttle::check_random(model, SCHEDULES);
}

#[test]
fn a_crew_let_go_in_the_middle_ends() {
    let model = || {
        let crew = crew(1, Some(1));
        let _ = crew.give(0, 0) && crew.give(1, 0) && crew.give(1, 1);
        drop(crew);
    };
    shuttle::check_random(model, SCHEDULES);
}
