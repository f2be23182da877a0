//! Redo by several threads: what it leaves, and how it fails.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_kv::buffer::BufferConfig;
use aether_kv::{DbEnv, Error, ErrorKind, Options};
use aether_sim::{Errno, Fault, OpKind, Sim};
use aether_vfs::{Create, OpenOptions, read_file};
use std::path::Path;

const HOME: &str = "/store";
const PAGES: &str = "/store/pages-00000001";
const ROWS: u32 = 3000;

/// Frames for four redo threads, and fewer than there are pages.
const FRAMES: usize = 104;

fn options(redo_threads: usize, num_frames: usize) -> Options {
    let buffer = BufferConfig { num_frames, ..BufferConfig::default() };
    Options { buffer, background: false, redo_threads, ..Options::default() }
}

fn open(sim: &Sim, redo_threads: usize) -> Result<DbEnv, Error> {
    DbEnv::open_in(sim.env(), Path::new(HOME), options(redo_threads, FRAMES))
}

fn put(db: &DbEnv, value: u8) {
    let space = db.keyspace("default").unwrap();
    for first in (0..ROWS).step_by(100) {
        let mut txn = db.begin().unwrap();
        (first..first + 100).for_each(|row| txn.put(&space, &row.to_be_bytes(), &[value; 150]).unwrap());
        txn.commit().unwrap();
    }
}

/// A killed process's store, whose rows are all `3`: what they were before, `2`, is in the pages. Also its page file as it
/// was when they were `1`.
fn killed() -> (Sim, Vec<u8>) {
    let sim = Sim::new(1);
    let db = open(&sim, 1).unwrap();
    put(&db, 1);
    db.checkpoint().unwrap();
    let early = read_file(&*sim.env().vfs, Path::new(PAGES)).unwrap();
    put(&db, 2);
    db.checkpoint().unwrap();
    put(&db, 3);
    (sim.kill_image(), early)
}

fn is_whole(db: &DbEnv) -> bool {
    let space = db.keyspace("default").unwrap();
    let snapshot = db.snapshot().unwrap();
    let rows: Vec<_> = snapshot.iter(&space).unwrap().map(Result::unwrap).collect();
    rows.len() == ROWS as usize && rows.iter().all(|(_, value)| value[..] == [3; 150])
}

#[test]
fn several_threads_do_what_one_does() {
    let (killed, _) = killed();
    let one = open(&killed.fork(), 1).unwrap();
    for threads in [2, 3, 4] {
        let several = open(&killed.fork(), threads).unwrap();
        assert!(is_whole(&several) && several.verify().unwrap().problems.is_empty());
        let (left, right) = (several.recovery_report(), one.recovery_report());
        assert_eq!((left.redo_threads, right.redo_threads), (threads, 1));
        let all =
            |report: &aether_kv::RecoveryReport| (report.groups, report.pages_redone + report.pages_skipped);
        assert_eq!(all(left), all(right));
        let memory = several.stat().unwrap().memory;
        assert_eq!(memory.iter().find(|(name, _)| name == "redo"), Some(&("redo".to_owned(), 0)));
    }
}

#[test]
fn a_pool_has_no_more_redo_threads_than_it_can_feed() {
    let (killed, _) = killed();
    for (frames, threads) in [(16, 1), (47, 1), (48, 2), (103, 4), (4000, 64)] {
        let db = DbEnv::open_in(killed.fork().env(), Path::new(HOME), options(500, frames)).unwrap();
        assert_eq!(db.recovery_report().redo_threads, threads);
        assert!(is_whole(&db));
    }
}

/// Batches took all that the budget had left, and the tables of the pages that redo loads had nothing: a store that had run with
/// so much memory could not be opened after a crash. Now batches are of a few bytes then, and all is done as ever.
#[test]
fn redo_takes_what_the_budget_has_left() {
    let (killed, _) = killed();
    let used =
        open(&killed.fork(), 1).unwrap().stat().unwrap().memory.iter().map(|(_, bytes)| bytes).sum::<u64>();
    for threads in [1, 4] {
        let options = Options { memory_bytes: used + 20_000, ..options(threads, FRAMES) };
        let db = DbEnv::open_in(killed.fork().env(), Path::new(HOME), options).unwrap();
        assert_eq!(db.recovery_report().redo_threads, threads);
        assert!(is_whole(&db));
    }
}

#[test]
fn a_missing_change_is_told_alike() {
    let (killed, early) = killed();
    let refused = |threads| {
        let sim = killed.fork();
        let file = sim.env().vfs.open(Path::new(PAGES), OpenOptions::write(Create::No)).unwrap();
        file.write_at(0, &early).unwrap();
        let refused = open(&sim, threads).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Corruption);
        refused.to_string()
    };
    let one = refused(1);
    assert!(one.contains("a change is missing"), "{one}");
    (2..5).for_each(|threads| assert_eq!(refused(threads), one));
}

/// Whichever thread meets it: the others end, the open fails, and once the cause is gone the next has everything.
#[test]
fn a_failing_disk_ends_redo_and_hangs_nobody() {
    let (killed, _) = killed();
    for kind in [OpKind::Read, OpKind::Write, OpKind::Sync] {
        let calls = {
            let sim = killed.fork();
            let before = sim.calls(kind);
            drop(open(&sim, 1));
            sim.calls(kind) - before
        };
        let mut failed = 0;
        for nth in (0..calls).step_by((calls as usize).div_ceil(60)) {
            let sim = killed.fork();
            sim.inject(Fault::FailOp { nth, kind, error: Errno::Eio, sticky: true });
            failed += u64::from(open(&sim, 4).is_err());
            sim.heal();
            let again = open(&sim.kill_image(), 4).unwrap();
            assert!(is_whole(&again), "{kind:?} {nth}");
        }
        assert!(failed > 3, "{kind:?}: {failed} of {calls}");
    }
}
