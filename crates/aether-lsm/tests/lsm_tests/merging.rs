//! Merges side by side: small ones while a large one is under way, what is told of them, and what ends them all.

use crate::rng::Rng;
use crate::world::{Model, Shape, World};
use aether_lsm::index::Index;
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{LsmConfig, MergeStat};
use aether_sim::{CrashPolicy, Sim};

const MEMTABLE_BYTES: u64 = 32 << 10;
/// A memtable has some two hundred rows.
const VALUE_BYTES: usize = 100;

fn shape(policy: PolicyKind) -> Shape {
    let shape = Shape::of_streams(1);
    Shape { lsm: LsmConfig { policy, memtable_bytes: MEMTABLE_BYTES, ..shape.lsm }, ..shape }
}

/// Writes rows until `is_enough` says so of the merges under way; every write pays what it owes, and nobody else works.
fn fill(
    world: &World,
    model: &mut Model,
    rng: &mut Rng,
    mut is_enough: impl FnMut(&[MergeStat]) -> bool,
) -> bool {
    for number in 0..40_000u64 {
        let key = rng.next().to_be_bytes();
        // Bytes that no codec makes smaller.
        let value: Vec<u8> = (0..VALUE_BYTES).map(|_| rng.next() as u8).collect();
        world.put(&key, &value);
        model.insert(key.to_vec(), value);
        if number % 16 == 0 {
            world.sync();
        }
        if is_enough(&world.tree.stat().merges) {
            return true;
        }
    }
    false
}

/// A merge of two deep runs, part of which is done.
fn large(merges: &[MergeStat]) -> Option<MergeStat> {
    let is_large = |merge: &&MergeStat| merge.level >= 2 && merge.left_bytes < merge.bytes;
    merges.iter().find(is_large).copied()
}

/// Until now one merge had to be over before another began, so a merge of hours let runs pile up above it.
#[test]
fn small_merges_come_and_go_while_a_large_one_is_under_way() {
    for policy in [PolicyKind::Predictable, PolicyKind::Hanoi] {
        let sim = Sim::new(1);
        let world = World::open(&sim, shape(policy)).unwrap();
        let (mut model, mut rng) = (Model::new(), Rng(5));
        let (mut held, mut began, mut ended) = (None, false, 0);
        fill(&world, &mut model, &mut rng, |merges| {
            let now = large(merges);
            if held.is_none() || now.map(|merge| (merge.level, merge.bytes)) != held {
                (held, began) = (now.map(|merge| (merge.level, merge.bytes)), false);
                return false;
            }
            let is_there = merges.iter().any(|merge| merge.level == 0);
            ended += usize::from(began && !is_there);
            began = is_there;
            ended > 1
        });
        assert!(ended > 1, "{policy}: no small merge passed a large one: {:?}", world.tree.stat());
        world.tree.merge_all().unwrap();
        assert_eq!(world.tree.stat().merges, []);
        assert_eq!(world.rows(), model);
        assert_eq!(world.problems(), Vec::<String>::new());
    }
}

/// With binary doubling each write pays for all merges under way, so they go on side by side.
#[test]
fn what_a_write_pays_is_shared_out_over_the_merges() {
    let sim = Sim::new(1);
    let world = World::open(&sim, shape(PolicyKind::Hanoi)).unwrap();
    let (mut model, mut rng, mut most) = (Model::new(), Rng(6), 0);
    let mut last: Vec<MergeStat> = Vec::new();
    let mut together = 0;
    fill(&world, &mut model, &mut rng, |merges| {
        let went_on = |merge: &&MergeStat| {
            let before =
                last.iter().find(|before| (before.level, before.bytes) == (merge.level, merge.bytes));
            before.is_some_and(|before| merge.left_bytes < before.left_bytes)
        };
        together = together.max(merges.iter().filter(went_on).count());
        most = most.max(merges.len());
        last = merges.to_vec();
        together >= 2
    });
    // One write pays a slice, which would be of one merge.
    assert!(together >= 2, "{together} merges of {most} went on together");
    assert_eq!(world.rows(), model);
}

/// What was owed left out the merges under way, and the levels that wait for them: so nobody paid for a merge that had outlived a flush, and
/// runs piled up.
#[test]
fn merges_under_way_are_owed_and_what_waits_behind_them() {
    for policy in [PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Hanoi] {
        let sim = Sim::new(1);
        let world = World::open(&sim, shape(policy)).unwrap();
        let (mut model, mut rng, mut most) = (Model::new(), Rng(3), 0);
        fill(&world, &mut model, &mut rng, |_| {
            let stat = world.tree.stat();
            let left: u64 = stat.merges.iter().map(|merge| merge.left_bytes).sum();
            assert!(stat.owed_bytes + (64 << 10) >= left, "{policy}: {left} bytes are left: {stat:?}");
            most = most.max(stat.levels.iter().map(|level| level.runs).max().unwrap_or(0));
            false
        });
        assert!(most < 30, "{policy}: {most} runs in a level");
    }
}

/// What was done of a merge was counted as keys and values, and what it has to do as bytes of files, which are fewer: so it seemed to be
/// over long before it was, and nobody paid for the rest.
#[test]
fn what_is_left_of_a_merge_is_told_in_bytes_of_its_files() {
    let sim = Sim::new(1);
    let world = World::open(&sim, shape(PolicyKind::Predictable)).unwrap();
    let (mut seen, mut most_at_once) = (0, 0);
    let mut before: Option<MergeStat> = None;
    let mut rng = Rng(4);
    for number in 0..40_000u64 {
        // A codec makes half of it.
        let mut value = [7; VALUE_BYTES];
        value[..40].iter_mut().for_each(|byte| *byte = rng.next() as u8);
        world.put(&rng.next().to_be_bytes(), &value);
        if number % 16 == 0 {
            world.sync();
        }
        let now = large(&world.tree.stat().merges);
        assert!(now.is_none_or(|merge| merge.left_bytes > 0), "nothing is left, and it is not over: {now:?}");
        // Where more is left than before it is another one of the same size.
        if let (Some(before), Some(now)) = (before, now)
            && (before.level, before.bytes) == (now.level, now.bytes)
            && now.left_bytes < before.left_bytes
        {
            most_at_once = most_at_once.max(before.left_bytes - now.left_bytes);
            seen += 1;
        }
        before = now;
    }
    assert!(seen > 20, "{seen} slices of large merges were seen");
    // A slice, and a block of each run.
    assert!(most_at_once < 64 << 10, "{most_at_once} bytes in one write");
}

fn with_merges_under_way(sim: &Sim, policy: PolicyKind) -> (World, Model) {
    let world = World::open(sim, shape(policy)).unwrap();
    let mut model = Model::new();
    let several = |merges: &[MergeStat]| merges.len() > 1 && large(merges).is_some();
    assert!(fill(&world, &mut model, &mut Rng(7), several), "{policy}: {:?}", world.tree.stat());
    (world, model)
}

#[test]
fn clearing_a_tree_ends_all_merges() {
    let sim = Sim::new(2);
    let (world, _) = with_merges_under_way(&sim, PolicyKind::Hanoi);
    Index::clear(&world.tree).unwrap();
    let stat = world.tree.stat();
    assert_eq!((stat.merges, stat.owed_bytes), (Vec::new(), 0));
    let (there, named) = world.run_files().unwrap();
    assert!(there.is_empty() && named.is_empty(), "{there:?} are there, {named:?} are named");
    let mut model = Model::new();
    fill(&world, &mut model, &mut Rng(8), |merges| merges.len() > 1);
    world.tree.merge_all().unwrap();
    assert_eq!(world.rows(), model);
}

#[test]
fn a_store_that_has_failed_has_no_merges_under_way() {
    let sim = Sim::new(3);
    let (world, model) = with_merges_under_way(&sim, PolicyKind::Predictable);
    sim.cut_power_at(0);
    let mut txn = world.manager.begin();
    let put = world.tree.put(&mut txn, b"key", b"value").and_then(|()| txn.commit().map(drop));
    assert!(put.is_err());
    assert!(world.tree.merge_all().is_err());
    assert_eq!(world.tree.stat().merges, []);
    drop(model);
}

#[test]
fn a_crash_amid_several_merges_loses_nothing_and_leaves_no_files() {
    for policy in [PolicyKind::Hanoi, PolicyKind::Leveled, PolicyKind::Fast] {
        let sim = Sim::new(4);
        let world = World::open(&sim, shape(policy)).unwrap();
        let mut model = Model::new();
        let several = fill(&world, &mut model, &mut Rng(9), |merges| merges.len() > 1);
        assert!(several, "{policy}: {:?}", world.tree.stat());
        world.sync();
        for image in [sim.kill_image(), sim.crash_image(CrashPolicy::LoseAll)] {
            let again = World::open(&image, shape(policy)).unwrap();
            assert_eq!(again.rows(), model, "{policy}");
            assert_eq!(again.problems(), Vec::<String>::new());
            let (there, named) = again.run_files().unwrap();
            assert!(there.is_subset(&named), "{policy}: {there:?} are there, {named:?} are named");
            again.tree.merge_all().unwrap();
            assert_eq!(again.rows(), model, "{policy}");
        }
        // And what closes with merges under way ends them.
        drop(world);
    }
}
