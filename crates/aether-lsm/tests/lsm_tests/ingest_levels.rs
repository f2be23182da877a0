//! Where ingested runs stand: over what they overlap, as deep as that allows, so that no merge takes along what it has nothing to do with.

use crate::ingest::{ingest, judge_files, sorted};
use crate::ingest_faults::cut_everywhere_of;
use crate::rng::Rng;
use crate::world::{Model, Shape, World, rows};
use aether_lsm::index::txn::Txn;
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{Lsm, LsmConfig};
use aether_sim::Sim;
use aether_types::{FileId, Result};
use std::collections::BTreeSet;

const POLICIES: [PolicyKind; 5] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled, PolicyKind::Adaptive];
const UNIT_BYTES: u64 = 64 << 10;

fn world(sim: &Sim, policy: PolicyKind) -> World {
    let shape = Shape::of_streams(1);
    let lsm = LsmConfig { policy, memtable_bytes: UNIT_BYTES, ..shape.lsm };
    World::open(sim, Shape { lsm, ..shape }).unwrap()
}

/// Rows whose keys begin with `block`.
fn block(block: u8, count: u16, rng: &mut Rng) -> Vec<(Vec<u8>, Vec<u8>)> {
    let row = |number: u16| {
        let value = (0..100).map(|_| rng.next() as u8).collect();
        ([&[block][..], &number.to_be_bytes()].concat(), value)
    };
    (0..count).map(row).collect()
}

/// Commits an ingest of its own; the run's file.
fn bring(world: &World, model: &mut Model, rows: Vec<(Vec<u8>, Vec<u8>)>) -> FileId {
    let before = world.tree.files();
    let mut txn = world.manager.begin();
    ingest(&world.tree, &mut txn, &rows).unwrap();
    txn.commit().unwrap();
    model.extend(rows);
    let after = world.tree.files();
    after.difference(&before).next().copied().unwrap()
}

/// The runs of each level.
fn levels(world: &World) -> Vec<usize> {
    world.tree.stat().levels.iter().map(|level| level.runs).collect()
}

/// Puts of all of a range, again and again, each time flushed and merged.
fn put_beside(world: &World, model: &mut Model, rng: &mut Rng) {
    for _ in 0..8 {
        for (key, value) in block(100, 700, rng) {
            world.put(&key, &value);
            model.insert(key, value);
        }
        world.sync();
        world.tree.flush().unwrap();
        world.manager.collect().unwrap();
        world.tree.merge_all().unwrap();
    }
}

/// An ingest began in the first level, and went through all of them.
#[test]
fn what_is_ingested_in_ranges_of_their_own_is_not_merged() {
    for policy in POLICIES {
        let (sim, mut model, mut rng) = (Sim::new(1), Model::new(), Rng(1));
        let world = world(&sim, policy);
        let mut brought = BTreeSet::new();
        let mut bytes = 0;
        for number in 0..12u8 {
            let rows = block(10 + 10 * number, 350, &mut rng);
            bytes += rows.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum::<u64>();
            brought.insert(bring(&world, &mut model, rows));
            assert_eq!(levels(&world)[0], 0, "{policy}: none is in the first level");
            world.manager.collect().unwrap();
            world.tree.merge_all().unwrap();
        }
        let stat = world.tree.stat();
        let written = (stat.ingested_bytes + stat.merged_bytes) as f64 / bytes as f64;
        println!("{policy}: {bytes} bytes ingested, {written:.3} times written, {:?}", levels(&world));
        assert_eq!((stat.merged_bytes, stat.flushed_bytes), (0, 0), "{policy}");
        // Each of these small runs has a head and a tail of 4 KiB.
        assert!(written < 1.3, "{policy}: written {written} times");
        // 100 is the first byte of one block of them.
        let overlapped = brought.iter().nth(9).copied().unwrap();
        put_beside(&world, &mut model, &mut rng);
        assert!(world.tree.stat().merged_bytes > 0, "{policy}");
        brought.remove(&overlapped);
        let left = world.tree.files();
        assert!(brought.is_subset(&left), "{policy}: {brought:?} were brought, {left:?} are left");
        assert_eq!(world.rows(), model, "{policy}");
        assert_eq!(world.problems(), Vec::<String>::new());
        judge_files(&world);
    }
}

/// A bottom of several runs grew where it was, and each merge into it had more to write.
#[test]
fn a_bottom_of_ingested_runs_goes_down_as_it_is() {
    let (sim, mut model, mut rng) = (Sim::new(2), Model::new(), Rng(2));
    let world = world(&sim, PolicyKind::Fast);
    let brought: BTreeSet<_> =
        (0..20u8).map(|number| bring(&world, &mut model, block(10 * number, 350, &mut rng))).collect();
    let before = levels(&world);
    world.manager.collect().unwrap();
    world.tree.merge_all().unwrap();
    let after = levels(&world);
    assert!(after.len() > before.len() && after.last() == Some(&20), "{before:?} became {after:?}");
    assert_eq!((world.tree.files(), world.tree.stat().merged_bytes), (brought, 0));
    assert_eq!(world.rows(), model);
}

/// Newer over older, wherever the older one stands; a snapshot before it sees nothing of it.
#[test]
fn an_ingested_run_stands_over_what_it_overlaps() {
    for policy in POLICIES {
        let (sim, mut model, mut rng) = (Sim::new(3), Model::new(), Rng(3));
        let world = world(&sim, policy);
        for number in 0..4 {
            bring(&world, &mut model, block(10 * number, 300, &mut rng));
        }
        world.manager.collect().unwrap();
        world.tree.merge_all().unwrap();
        let (held, before) = (world.manager.begin(), model.clone());
        for round in 0..3 {
            for number in [1, 3, 20 + round] {
                let rows = block(10 * number, 150, &mut rng);
                bring(&world, &mut model, rows);
                assert_eq!(world.rows(), model, "{policy}");
                assert_eq!(rows_of(&world, &held), before, "{policy}");
            }
        }
        drop(held);
        world.manager.collect().unwrap();
        world.tree.merge_all().unwrap();
        assert_eq!(world.rows(), model, "{policy}");
        let again = World::open(&sim.kill_image(), Shape::of_streams(1)).unwrap();
        assert_eq!((again.rows(), again.problems()), (model, Vec::new()), "{policy}");
    }
}

fn rows_of(world: &World, txn: &Txn) -> Model {
    rows(&world.tree, txn.view())
}

/// Blocks of keys, so that many an ingest overlaps nothing, and some what others have brought.
fn change(tree: &Lsm, txn: &mut Txn, rng: &mut Rng, model: &mut Model) -> Result<()> {
    for _ in 0..1 + rng.below(2) {
        let (mark, kept, block) = (txn.savepoint(), model.clone(), rng.below(8));
        let some = sorted(rng, 3, |rng| format!("key {block} {}", rng.below(3)).into_bytes());
        if rng.below(5) == 0 {
            for (key, value) in &some {
                tree.put(txn, key, value)?;
            }
        } else {
            ingest(tree, txn, &some)?;
        }
        model.extend(some);
        if rng.below(5) == 0 {
            txn.rollback_to(&mark)?;
            *model = kept;
        }
    }
    Ok(())
}

#[test]
fn deep_runs_survive_every_power_cut() {
    for (streams, seed) in [(1, 5), (2, 6)] {
        let deep = cut_everywhere_of(streams, seed, change);
        assert!(deep > 10, "{deep} lives had runs in deep levels");
    }
}
