//! shuttle: flushers, mergers and readers of one level list, under random schedules, read in either way. Run by
//! `cargo xtask shuttle -p aether-lsm`.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_lsm::policy::{KeyRange, MergePolicy, Predictable, RunShape, Shape};
use aether_lsm::version::{Claims, Edit, LeftRight, OnLast, Run, Slots, Version, VersionSet};
use aether_sync::Arc;
use aether_types::{FileId, Timestamp};
use shuttle::thread;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

const SCHEDULES: usize = 3_000;
const FLUSHES: u32 = 3;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 18;
    shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(SCHEDULES), config).run(model);
}

/// A tree whose runs are the numbers of the flushes in them.
struct Tree {
    set: Arc<VersionSet<Vec<u32>>>,
    claims: Claims,
    deleted: std::sync::Arc<Mutex<Vec<FileId>>>,
    on_last: OnLast,
    next_id: AtomicU32,
}

impl Tree {
    fn new() -> Self {
        let deleted = std::sync::Arc::new(Mutex::new(Vec::new()));
        let log = deleted.clone();
        let on_last: OnLast = Arc::new(move |id| log.lock().unwrap().push(id));
        let set = Arc::new(VersionSet::new(Version::default()));
        Self { set, claims: Claims::default(), deleted, on_last, next_id: AtomicU32::new(1) }
    }

    fn run(&self, flushes: Vec<u32>) -> Arc<Run<Vec<u32>>> {
        let entries = flushes.len() as u64;
        let id = FileId::new(self.next_id.fetch_add(1, Relaxed));
        let shape = RunShape {
            id,
            bytes: entries,
            entries,
            tombstones: 0,
            range: KeyRange::new(b"a", b"b"),
            newest: Timestamp::new(1),
            is_merging: false,
        };
        Run::new(shape, flushes, self.on_last.clone())
    }

    fn merge(&self) {
        let policy = Predictable::new(2);
        let pick = |shape: &Shape| policy.pick(shape);
        let claim = self.claims.claim(&self.set, 1, Timestamp::new(0), pick);
        let Some(claim) = claim else { return };
        let version = self.set.current();
        let inputs = version.runs().filter(|run| claim.plan().inputs.contains(&run.id()));
        let outcome = self.run(inputs.flat_map(|run| run.file().clone()).collect());
        drop(version);
        self.set.install(&Edit::merge(claim.plan(), vec![outcome])).unwrap();
    }

    fn read(&self, version: &Version<Vec<u32>>) -> usize {
        let gone = self.deleted.lock().unwrap();
        assert!(version.runs().all(|run| !gone.contains(&run.id())), "a file went while it was read");
        version.runs().map(|run| run.file().len()).sum()
    }
}

#[test]
fn flushes_merges_and_reads_of_one_tree() {
    check(|| {
        let tree = Arc::new(Tree::new());
        let part = |work: fn(&Tree)| {
            let tree = tree.clone();
            thread::spawn(move || work(&tree))
        };
        let flush = |tree: &Tree| {
            for number in 0..FLUSHES {
                tree.set.install(&Edit::flush(tree.run(vec![number]))).unwrap();
            }
        };
        let read = |tree: &Tree| {
            let mut before = 0;
            for _ in 0..4 {
                let now = tree.read(&tree.set.read());
                assert!(before <= now, "the list went back");
                before = now;
            }
        };
        let threads = [
            part(flush),
            part(flush),
            part(read),
            part(|tree| (0..4).for_each(|_| tree.merge())),
            part(Tree::merge),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let version = tree.set.current();
        assert_eq!(tree.read(&version), 2 * FLUSHES as usize, "an edit was lost");
        let gone = tree.deleted.lock().unwrap().clone();
        let made = tree.next_id.load(Relaxed) as usize - 1;
        assert_eq!(gone.len(), made - version.runs().count(), "a file was left, or deleted twice");
    });
}

/// Both ways to hold a value, whichever the build has chosen.
#[test]
fn edits_of_either_cell_are_all_there() {
    check(|| {
        let (slots, sides) = (Arc::new(Slots::new(Arc::new(0))), Arc::new(LeftRight::new(Arc::new(0))));
        let threads = (0..3).map(|_| {
            let (slots, sides) = (slots.clone(), sides.clone());
            thread::spawn(move || {
                for _ in 0..3 {
                    while add(|| slots.load(), |number, next| slots.compare_and_set(number, next).is_ok()) {}
                    while add(|| sides.load(), |number, next| sides.compare_and_set(number, next).is_ok()) {}
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        for _ in 0..3 {
            let (number, value) = slots.load();
            assert_eq!(number, *value);
            assert!(sides.read(|value| **value) <= 9);
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((*slots.load().1, *sides.load().1), (9, 9));
    });
}

/// One try to count one up; whether it failed.
fn add(load: impl Fn() -> (u64, Arc<u64>), replace: impl Fn(u64, Arc<u64>) -> bool) -> bool {
    let (number, value) = load();
    assert_eq!(number, *value);
    !replace(number, Arc::new(*value + 1))
}
