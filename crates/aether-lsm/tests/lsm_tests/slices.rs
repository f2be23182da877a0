//! Slices of merges: none is long, whatever is left out, and what only matters when a merge begins is not done in each.

use crate::ingest::{delete_range, ingest};
use crate::rng::Rng;
use crate::world::{Model, Shape, World};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::LsmConfig;
use aether_sim::Sim;
use std::ops::Bound;

fn shape(memtable_bytes: u64) -> Shape {
    let shape = Shape::of_streams(1);
    Shape { lsm: LsmConfig { policy: PolicyKind::Predictable, memtable_bytes, ..shape.lsm }, ..shape }
}

/// A run of two megabytes under one that takes all of its rows away, both in the first level; memtables are small from now on.
fn covered() -> World {
    let sim = Sim::new(1);
    let (world, mut rng) = (World::open(&sim, shape(16 << 20)).unwrap(), Rng(1));
    for number in 0..10_000u32 {
        let value: Vec<u8> = (0..200).map(|_| rng.next() as u8).collect();
        world.put(&number.to_be_bytes(), &value[..190]);
    }
    world.sync();
    world.tree.flush().unwrap();
    let mut txn = world.manager.begin();
    let all = (Bound::Included(vec![0]), Bound::Excluded(vec![9]));
    delete_range(&world.tree, &mut txn, &mut Model::new(), &all).unwrap();
    txn.commit().unwrap();
    assert_eq!(world.tree.stat().levels[0].runs, 2);
    World::open(&sim.kill_image(), shape(32 << 10)).unwrap()
}

/// Writes until the merge of both runs is over; the most bytes of it that one write has paid for, and in how many writes.
fn pay_for_all(world: &World) -> (u64, u64) {
    let (mut left, mut most, mut slices) = (None::<u64>, 0, 0);
    for number in 0..20_000u32 {
        world.put(&[&[200][..], &number.to_be_bytes()].concat(), &[1; 100]);
        let now =
            world.tree.stat().merges.iter().find(|merge| merge.bytes > 1 << 20).map(|merge| merge.left_bytes);
        let done = left.unwrap_or(2 << 20).saturating_sub(now.unwrap_or(0));
        if now.is_some() || left.is_some() {
            (most, slices) = (most.max(if left.is_some() { done } else { 0 }), slices + u64::from(done > 0));
        }
        if left.is_some() && now.is_none() {
            break;
        }
        left = now;
    }
    (most, slices)
}

/// A merge read on until it met something that it keeps: a range that went was as long a wait as all of its rows, for whoever wrote then.
#[test]
fn a_slice_ends_though_all_that_it_reads_is_left_out() {
    let world = covered();
    let (most, slices) = pay_for_all(&world);
    assert!(slices > 20, "{slices} slices were seen");
    // A slice, and what was read ahead of it.
    assert!(most <= 64 << 10, "{most} bytes in one write");
    world.tree.merge_all().unwrap();
    assert_eq!(world.problems(), Vec::<String>::new());
}

/// Each slice of work looked through all runs for ingested ones to settle; now it does while there are such.
#[test]
fn slices_look_for_ingested_runs_only_while_there_are_some() {
    let world = covered();
    assert!(world.tree.looks_for_pending() > 0, "the range that went is settled at open");
    let before = world.tree.looks_for_pending();
    let (_, slices) = pay_for_all(&world);
    assert!(slices > 20, "{slices} slices were seen");
    assert_eq!(world.tree.looks_for_pending() - before, 0, "of {slices} slices and more");
    let held = world.manager.begin();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &[(vec![1], vec![1])]).unwrap();
    txn.commit().unwrap();
    world.tree.flush().unwrap();
    assert_ne!(world.tree.looks_for_pending(), before, "a run waits");
    drop(held);
    world.manager.collect().unwrap();
    world.tree.merge_all().unwrap();
    let settled = world.tree.looks_for_pending();
    world.tree.flush().unwrap();
    world.tree.merge_all().unwrap();
    assert_eq!(world.tree.looks_for_pending(), settled, "it is settled");
}

/// A value that is longer than a page of a run holds goes to a file of its own, though others of its length need not.
#[test]
fn what_is_too_long_for_a_page_is_separated_in_any_case() {
    let (sim, shape) = (Sim::new(2), Shape::of_streams(1));
    let shape = Shape { lsm: LsmConfig { separate_bytes: 4 << 10, ..shape.lsm }, ..shape };
    let world = World::open(&sim, shape).unwrap();
    world.put(b"long", &[7; 2000]);
    world.sync();
    world.tree.flush().unwrap();
    let stat = world.tree.stat();
    assert_eq!((stat.memory_rows, stat.live_value_bytes), (0, 2000), "{stat:?}");
    let again = World::open(&sim.kill_image(), shape).unwrap();
    assert_eq!(again.rows(), Model::from([(b"long".to_vec(), vec![7; 2000])]));
}
