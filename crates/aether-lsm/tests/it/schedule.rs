//! Merges side by side: who goes first, when results come in, what ends when one fails or all are given up.

use aether_lsm::policy::{Plan, Reason};
use aether_lsm::schedule::{Begun, Crew, Did, Round, Schedule, Turn};
use aether_types::{Error, FileId, Result};
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A merge of so many bytes, which fails when so many are left.
#[derive(Clone, Copy)]
struct Job {
    level: usize,
    left: u64,
    fails_at: Option<u64>,
    /// The same, but who works at it panics; at 0 as its result comes in.
    panics_at: Option<u64>,
}

/// Has merges to begin, the next one last, and notes what is done.
#[derive(Default)]
struct Tree {
    to_begin: RefCell<Vec<Job>>,
    version: Cell<u64>,
    log: RefCell<Vec<String>>,
}

impl Tree {
    fn of(jobs: &[(usize, u64)]) -> Self {
        let tree = Self::default();
        jobs.iter().rev().for_each(|(level, left)| tree.offer(*level, *left, None));
        tree
    }

    /// A merge that may begin from now on.
    fn offer(&self, level: usize, left: u64, fails_at: Option<u64>) {
        self.begin_with(Job { level, left, fails_at, panics_at: None });
    }

    fn begin_with(&self, job: Job) {
        self.to_begin.borrow_mut().push(job);
        self.version.set(self.version.get() + 1);
    }

    fn take_log(&self) -> Vec<String> {
        self.log.take()
    }
}

impl Crew<Job> for Tree {
    fn claim(&self) -> Option<Begun<Job>> {
        let job = self.to_begin.borrow_mut().pop()?;
        let plan = Plan {
            inputs: vec![FileId::new(job.level as u32 + 1)],
            target: job.level + 1,
            is_bottom: false,
            bytes: job.left,
            run_bytes_max: u64::MAX,
            reason: Reason::Full,
        };
        Some(Begun { level: job.level, plan, left_bytes: job.left, job })
    }

    fn version(&self) -> u64 {
        self.version.get()
    }

    fn work(&self, job: &mut Job, bytes: u64, _: bool) -> Result<Did> {
        let bytes = bytes.min(job.left);
        job.left -= bytes;
        assert!(!job.panics_at.is_some_and(|left| left > 0 && job.left <= left), "planned");
        if job.fails_at.is_some_and(|left| job.left <= left) {
            return Err(Error::invalid("the disk is gone"));
        }
        self.log.borrow_mut().push(format!("{} of {}", bytes, job.level));
        Ok(Did { bytes, left_bytes: job.left })
    }

    fn arrive(&self, job: Job) -> Result<()> {
        assert_eq!(job.left, 0);
        assert_ne!(job.panics_at, Some(0), "planned");
        self.log.borrow_mut().push(format!("{} arrives", job.level));
        Ok(())
    }
}

fn levels(schedule: &Schedule<Job>) -> Vec<(usize, u64)> {
    schedule.under_way().iter().map(|told| (told.level, told.left_bytes)).collect()
}

#[test]
fn a_large_merge_holds_up_no_small_one() {
    let (schedule, tree) = (Schedule::default(), Tree::of(&[(3, 1000)]));
    assert_eq!(schedule.work_at_one(&tree, 10, true).unwrap(), Some(10));
    tree.offer(0, 25, None);
    tree.offer(1, 15, None);
    for _ in 0..6 {
        schedule.work_at_one(&tree, 10, true).unwrap();
    }
    let wanted =
        ["10 of 3", "10 of 0", "10 of 0", "5 of 0", "0 arrives", "10 of 1", "5 of 1", "1 arrives", "10 of 3"];
    assert_eq!(tree.take_log(), wanted);
    assert_eq!((levels(&schedule), schedule.left_bytes()), (vec![(3, 980)], 980));
    assert!(schedule.work_at_all(&tree).unwrap());
    assert_eq!(levels(&schedule), []);
    assert_eq!(schedule.work_at_one(&tree, 10, true).unwrap(), None);
}

const ROUND: Round = Round { level_bytes: 10, levels: 4, saved_max: 15, is_bought: true };

#[test]
fn a_round_pays_all_levels_then_spends_then_lets_results_in_from_the_deepest() {
    let (schedule, tree) = (Schedule::default(), Tree::of(&[(0, 10), (1, 4), (2, 40)]));
    let turn = schedule.work_in_rounds(&tree, ROUND, true).unwrap();
    assert_eq!(turn, Turn { bytes: 10 + 4 + 10 + 15 + 2, has_begun: true, is_settled: true });
    // Of the six bytes of level 1 and the ten of level 3 fifteen may be saved.
    let wanted = ["10 of 0", "4 of 1", "10 of 2", "15 of 2", "1 arrives", "0 arrives"];
    assert_eq!(tree.take_log(), wanted);
    assert_eq!(levels(&schedule), [(2, 15)]);
    // What was saved before a merge begins is there for it.
    let (schedule, tree) = (Schedule::default(), Tree::default());
    assert!(schedule.work_in_rounds(&tree, ROUND, true).unwrap().has_begun);
    let free = Round { is_bought: false, ..ROUND };
    assert!(!schedule.work_in_rounds(&tree, free, true).unwrap().has_begun, "there is nothing to do");
    tree.offer(1, 100, None);
    // And what the other levels do not need of its first round.
    assert_eq!(schedule.work_in_rounds(&tree, free, true).unwrap().bytes, 15 + 10 + 15);
}

#[test]
fn who_may_not_sync_leaves_results_to_others() {
    for in_rounds in [false, true] {
        let (schedule, tree) = (Schedule::default(), Tree::of(&[(0, 10)]));
        let work = |may_sync| match in_rounds {
            true => schedule.work_in_rounds(&tree, ROUND, may_sync).unwrap().bytes,
            false => schedule.work_at_one(&tree, 10, may_sync).unwrap().unwrap_or(0),
        };
        assert_eq!((work(false), work(false)), (10, 0));
        assert_eq!((levels(&schedule), schedule.left_bytes()), (vec![(0, 0)], 1));
        work(true);
        assert_eq!(levels(&schedule), []);
        assert_eq!(tree.take_log().last().unwrap(), "0 arrives");
    }
}

#[test]
fn a_merge_that_fails_is_given_up_alone() {
    for in_rounds in [false, true] {
        let (schedule, tree) = (Schedule::default(), Tree::of(&[(2, 100)]));
        tree.offer(0, 30, Some(15));
        let work = || match in_rounds {
            true => schedule.work_in_rounds(&tree, ROUND, true).map(drop),
            false => schedule.work_at_one(&tree, 10, true).map(drop),
        };
        work().unwrap();
        assert!(work().is_err());
        assert_eq!(levels(&schedule).iter().map(|(level, _)| *level).collect::<Vec<_>>(), [2]);
        // Nobody is taken to be at work, and the level is free again.
        goes_on(&schedule, &tree, || work().unwrap());
    }
}

/// What is to be merged of levels 0 and 2 arrives after that.
fn goes_on(schedule: &Schedule<Job>, tree: &Tree, work: impl Fn()) {
    tree.offer(0, 10, None);
    (0..15).for_each(|_| work());
    assert_eq!(levels(schedule), []);
    let log = tree.take_log();
    assert!(["0 arrives", "2 arrives"].iter().all(|end| log.iter().any(|line| line == end)), "{log:?}");
}

/// Who panicked at a merge left it taken: nobody went on with it, its level was never free again, and rounds waited for it for ever.
#[test]
fn a_merge_whose_worker_panics_is_given_up_alone() {
    for (in_rounds, panics_at) in [(false, 15), (false, 0), (true, 15), (true, 0)] {
        let (schedule, tree) = (Schedule::default(), Tree::of(&[(2, 100)]));
        tree.begin_with(Job { level: 0, left: 30, fails_at: None, panics_at: Some(panics_at) });
        let work = || match in_rounds {
            true => schedule.work_in_rounds(&tree, ROUND, true).map(drop),
            false => schedule.work_at_one(&tree, 10, true).map(drop),
        };
        let panics = (0..3).filter(|_| catch_unwind(AssertUnwindSafe(|| work().unwrap())).is_err()).count();
        assert_eq!(panics, 1, "in rounds: {in_rounds}, at {panics_at}");
        assert_eq!(levels(&schedule).iter().map(|(level, _)| *level).collect::<Vec<_>>(), [2]);
        goes_on(&schedule, &tree, || work().unwrap());
    }
}

#[test]
fn what_is_closed_has_no_merges_and_begins_none() {
    let (schedule, tree) = (Schedule::default(), Tree::of(&[(0, 100), (1, 100)]));
    schedule.work_at_one(&tree, 10, true).unwrap();
    let closed = schedule.close();
    assert_eq!(levels(&schedule), []);
    tree.offer(2, 10, None);
    assert_eq!(schedule.work_at_one(&tree, 10, true).unwrap(), None);
    assert_eq!(schedule.work_in_rounds(&tree, ROUND, true).unwrap().bytes, 0);
    drop(closed);
    assert!(schedule.work_at_all(&tree).unwrap());
    assert_eq!(tree.take_log(), ["10 of 0", "10 of 2", "2 arrives"]);
}
