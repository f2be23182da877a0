//! The level list: what edits make of it, what is refused, and when a run's file goes.

use crate::simulator::{Keys, Load, Pace, Simulator, World};
use aether_lsm::policy::{MergePolicy, Plan, PolicyKind, Predictable, Reason};
use aether_lsm::version::{Claim, Edit, Refused};
use aether_types::{FileId, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn plan(inputs: &[u32], target: usize) -> Plan {
    Plan {
        inputs: inputs.iter().map(|id| FileId::new(*id)).collect(),
        target,
        is_bottom: false,
        bytes: u64::MAX,
        run_bytes_max: u64::MAX,
        reason: Reason::Full,
    }
}

fn keys(keys: &[u32]) -> Keys {
    keys.iter().map(|key| (*key, false)).collect()
}

/// Flushes of these keys, called 1 and on.
fn flushed(flushes: &[&[u32]]) -> World {
    let world = World::new();
    for flush in flushes {
        world.set.install(&Edit::flush(world.run(keys(flush)))).unwrap();
    }
    world
}

fn ids(world: &World) -> Vec<Vec<u32>> {
    let version = world.set.current();
    version.levels().iter().map(|level| level.iter().map(|run| run.id().get()).collect()).collect()
}

fn deleted(world: &World) -> Vec<u32> {
    world.deleted.lock().unwrap().iter().map(|id| id.get()).collect()
}

#[test]
fn a_file_goes_with_the_last_reference() {
    let world = flushed(&[&[1, 2], &[2, 3]]);
    let held = world.set.current();
    let reading = world.set.read();
    assert_eq!(reading.runs().count(), 2);
    let plan = plan(&[2, 1], 1);
    world.set.install(&Edit::merge(&plan, world.merged(&plan))).unwrap();
    assert_eq!(ids(&world), [vec![], vec![3]]);
    assert_eq!(deleted(&world), [0; 0]);
    drop(reading);
    assert_eq!(deleted(&world), [0; 0]);
    drop(held);
    assert_eq!(deleted(&world).into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    assert_eq!(world.set.read().runs().count(), 1);
    let log = world.deleted.clone();
    drop(world);
    assert_eq!(log.lock().unwrap().len(), 2, "closing deletes nothing, and nothing goes twice");
}

/// Who has read, on any thread, and rests, keeps no file from going.
#[test]
fn what_was_read_is_not_kept_over_an_install() {
    let world = flushed(&[&[1, 2], &[2, 3]]);
    let all_have_read = Barrier::new(33);
    let is_installed = Barrier::new(33);
    thread::scope(|scope| {
        (0..32).for_each(|_| {
            scope.spawn(|| {
                assert_eq!(world.set.read().runs().count(), 2);
                all_have_read.wait();
                is_installed.wait();
            });
        });
        all_have_read.wait();
        let plan = plan(&[2, 1], 1);
        world.set.install(&Edit::merge(&plan, world.merged(&plan))).unwrap();
        let gone = deleted(&world);
        is_installed.wait();
        assert_eq!(gone.into_iter().collect::<BTreeSet<_>>(), BTreeSet::from([1, 2]));
    });
}

#[test]
fn an_edit_that_no_longer_fits_is_refused_and_changes_nothing() {
    let world = flushed(&[&[1, 2], &[2, 3], &[1, 3]]);
    let (first, second) = (plan(&[2, 1], 1), plan(&[3, 2], 1));
    let late = world.merged(&second);
    world.set.install(&Edit::merge(&first, world.merged(&first))).unwrap();
    let before = ids(&world);
    let refused = world.set.install(&Edit::merge(&second, late.clone())).unwrap_err();
    assert_eq!(refused, Refused::Missing(FileId::new(2)));
    assert_eq!(ids(&world), before);
    assert_eq!(refused.to_string(), "run 2 is gone");
    // Whoever made the runs gives them up.
    late.iter().for_each(|run| run.doom());
    let given_up = late[0].id().get();
    drop(late);
    assert!(deleted(&world).contains(&given_up));
}

#[test]
fn what_is_newer_stays_before_what_is_older() {
    let world = flushed(&[&[1, 5], &[1, 5], &[1, 5]]);
    for inputs in [&[3, 2][..], &[3], &[3, 1]] {
        let plan = plan(inputs, 1);
        let refused = world.set.install(&Edit::merge(&plan, world.merged(&plan))).unwrap_err();
        assert_eq!(refused, Refused::OutOfOrder, "{inputs:?}");
    }
    let outer = plan(&[3, 1], 0);
    assert_eq!(world.set.install(&Edit::merge(&outer, Vec::new())).unwrap_err(), Refused::OutOfOrder);
    let inner = plan(&[2], 0);
    world.set.install(&Edit::merge(&inner, world.merged(&inner))).unwrap();
    assert_eq!(ids(&world)[0].len(), 3);
}

#[test]
fn runs_that_do_not_overlap_have_no_order() {
    let world = flushed(&[&[1, 2], &[5, 6], &[3, 4]]);
    let newest = plan(&[3], 1);
    let moved = Plan { bytes: 1, ..newest };
    assert!(moved.is_move());
    world.set.install(&Edit::merge(&moved, world.merged(&moved))).unwrap();
    assert_eq!(ids(&world), [vec![2, 1], vec![3]]);
    let log = world.deleted.clone();
    drop(world);
    assert!(log.lock().unwrap().is_empty(), "what moves stays, also when the list is closed");
}

#[test]
fn a_run_takes_part_in_one_merge_until_that_is_over() {
    let world = flushed(&[&[1], &[1], &[1], &[1]]);
    let policy = Predictable::new(2);
    let claim = || world.claims.claim(&world.set, 200, Timestamp::new(0), |shape| policy.pick(shape));
    let first = claim().unwrap();
    assert_eq!(first.plan().inputs.len(), 4);
    assert!(claim().is_none(), "its runs are taken");
    let shape = world.claims.shape(&world.set, 200, Timestamp::new(0));
    assert!(shape.runs().all(|run| run.is_merging));
    drop(first);
    assert!(claim().is_some(), "given up, they are free again");
}

/// The result of a merge of runs that lie apart is in the way of what lies between them: the newer of the two edits would be refused.
#[test]
fn a_merge_that_would_not_fit_behind_one_under_way_waits() {
    let world = flushed(&[&[50], &[90], &[1], &[40, 60]]);
    let newest = ids(&world)[0].clone();
    let down = |run: u32, target| Plan { bytes: 1, ..plan(&[run], target) };
    // The oldest run two levels down, the others one, the newest of them between the other two by key.
    for (run, target) in [(newest[3], 2), (newest[2], 1), (newest[1], 1), (newest[0], 1)] {
        let down = down(run, target);
        world.set.install(&Edit::merge(&down, world.merged(&down))).unwrap();
    }
    let (left, middle, right, bottom) = (newest[2], newest[0], newest[1], newest[3]);
    let claim = |inputs: &[u32], target| {
        world.claims.claim(&world.set, 1, Timestamp::new(0), |_| Some(plan(inputs, target)))
    };
    let one = claim(&[left], 2);
    assert!(one.is_some() && claim(&[right], 2).is_none(), "a level begins one merge at a time");
    drop(one);
    let apart = claim(&[left, right], 2);
    assert_eq!(apart.as_ref().map(Claim::level), Some(1));
    // Of the same level, and in the way also if it were not.
    assert!(claim(&[middle, bottom], 2).is_none());
    let shape = world.claims.shape(&world.set, 1, Timestamp::new(0));
    let between = plan(&[middle, bottom], 2);
    assert!(shape.fits(&between.inputs, 2) && !shape.agree(apart.unwrap().plan(), &between));
    assert!(claim(&[middle, bottom], 2).is_some(), "it was given up");
}

#[test]
fn flushes_and_merges_of_several_threads_lose_nothing() {
    let world = World::new();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let mergers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) || merge(&world) {
                        std::thread::yield_now();
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read(&world, &is_over))).collect();
        let flushers: Vec<_> = (0..2_u32)
            .map(|thread| {
                let world = &world;
                scope.spawn(move || {
                    for flush in 0..200 {
                        let run = world.run(keys(&[thread, 2 + flush * 2 + thread]));
                        world.set.install(&Edit::flush(run)).unwrap();
                    }
                })
            })
            .collect();
        flushers.into_iter().for_each(|thread| thread.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
        mergers.into_iter().chain(readers).for_each(|thread| thread.join().unwrap());
    });
    assert_eq!(world.contents().len(), 402);
    let there: BTreeSet<u32> = ids(&world).into_iter().flatten().collect();
    let mut gone = deleted(&world);
    gone.sort_unstable();
    let all = gone.len();
    gone.dedup();
    assert_eq!(gone.len(), all, "a file was deleted twice");
    assert!(gone.iter().all(|id| !there.contains(id)), "a file was deleted that is there");
    // Runs that were made and never installed were never doomed.
    assert!(all > 200);
}

fn merge(world: &World) -> bool {
    let policy = PolicyKind::Predictable.policy();
    let pick = |shape: &_| policy.pick(shape);
    let Some(claim) = world.claims.claim(&world.set, 200, Timestamp::new(u64::MAX), pick) else {
        return false;
    };
    let outcome = world.merged(claim.plan());
    world.set.install(&Edit::merge(claim.plan(), outcome)).expect("no other merge has these runs");
    true
}

fn read(world: &World, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Relaxed) {
        let version = world.set.read();
        let gone = world.deleted.lock().unwrap();
        assert!(version.runs().all(|run| !gone.contains(&run.id())), "a file went while it was read");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is merged: if it fits, the newest version of each key is the same as before; picks of policies always fit.
    #[test]
    fn what_fits_changes_no_answer(
        flushes in prop::collection::vec(prop::collection::btree_map(0..12_u32, any::<bool>(), 1..4), 1..8),
        merges in prop::collection::vec((any::<u8>(), 0..4_usize), 1..12),
    ) {
        let world = World::new();
        for flush in flushes {
            let run = world.run(flush.into_iter().collect());
            world.set.install(&Edit::flush(run)).unwrap();
        }
        for (chosen, target) in merges {
            let before = world.contents();
            let shape = world.set.current().shape(1, Timestamp::new(u64::MAX), |_| false);
            let runs: Vec<_> = shape.runs().map(|run| run.id).collect();
            let inputs: Vec<_> = (0..runs.len()).filter(|at| chosen >> (at % 8) & 1 == 1).map(|at| runs[at]).collect();
            if inputs.is_empty() {
                continue;
            }
            let fits = shape.fits(&inputs, target);
            let merge = Plan { inputs, ..plan(&[], target) };
            let installed = world.set.install(&Edit::merge(&merge, world.merged(&merge)));
            prop_assert_eq!(installed.is_ok(), fits);
            prop_assert_eq!(world.contents(), before);
        }
    }
}

#[test]
fn the_policies_pick_what_fits_whatever_is_being_merged() {
    for kind in [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled] {
        for bytes in [1, 3, 7] {
            let load = Load { flush_entries: 16, keys: 900, removals_of_hundred: 30, is_ascending: false };
            let world = World::new();
            let policy = kind.policy();
            let mut simulator = Simulator::new(&world, load, bytes);
            (0..120).for_each(|_| simulator.flush(&*policy, Pace::Bytes(bytes)));
            assert_eq!(world.contents(), simulator.oracle, "{kind} at {bytes}");
            (0..80).for_each(|_| simulator.flush(&*policy, Pace::Budget));
            assert_eq!(world.contents(), simulator.oracle, "{kind} at {bytes}, all at once");
        }
    }
}
