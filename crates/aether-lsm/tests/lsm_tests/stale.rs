//! Handles on trees that are no more. The next tree of the id has the same rows in memory; what an old handle flushed went
//! into a manifest whose pages were free, and was lost.

use crate::ingest::ingest;
use crate::world::{Model, Opened, Shape, TREE, World};
use aether_lsm::index::{Index, IndexFactory, OrderedIndex};
use aether_lsm::policy::PolicyKind;
use aether_lsm::tree::{Lsm, LsmConfig};
use aether_sim::{CrashPolicy, Sim};
use aether_types::{ErrorKind, IndexKind, Result};
use std::ops::Bound;
use std::time::Duration;

/// Loads several memtables into a tree whose creation is rolled back, and keeps the handle.
fn rolled_back(opened: &Opened) -> Lsm {
    let mut txn = opened.manager.begin();
    let at = opened.factory.create(&mut txn, IndexKind::LSM, TREE).unwrap();
    let tree = opened.factory.open_tree(&opened.manager, at).unwrap();
    for n in 0..200u64 {
        tree.put(&mut txn, &n.to_be_bytes(), &[1; 100]).unwrap();
    }
    txn.abort().unwrap();
    tree
}

fn refused<T>(done: Result<T>) {
    let error = done.err().expect("the tree is no more");
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
}

/// Whatever a program asks of a tree that is no more; nothing of it touches the rows of another one.
fn use_it(world: &World, old: &Lsm) {
    refused(old.flush());
    refused(old.merge_all());
    refused(old.set_policy(PolicyKind::Leveled));
    let mut txn = world.manager.begin();
    refused(old.put(&mut txn, b"stale", b"never"));
    refused(old.delete(&mut txn, &3u64.to_be_bytes()));
    refused(Index::put_from(old, &mut txn, b"stale", 5, &mut &b"never"[..]));
    refused(ingest(old, &mut txn, &[(b"stale".to_vec(), b"never".to_vec())]));
    refused(old.delete_range(&mut txn, Bound::Unbounded, Bound::Unbounded));
    txn.abort().unwrap();
}

fn fill(world: &World, model: &mut Model, round: u8) {
    for n in 0..150u64 {
        world.put(&(n * 3).to_be_bytes(), &[round; 90]);
        model.insert((n * 3).to_be_bytes().to_vec(), vec![round; 90]);
    }
    world.sync();
}

#[test]
fn a_handle_of_a_creation_that_was_rolled_back_does_nothing() {
    for threads in [0, 2] {
        let (sim, shape) = (Sim::new(7), Shape::of_streams(2));
        let shape = Shape { lsm: LsmConfig { threads, ..shape.lsm }, ..shape };
        let opened = Opened::on(&sim, shape).unwrap();
        let old = rolled_back(&opened);
        let (world, mut model) = (opened.world().unwrap(), Model::new());
        for round in 2..6 {
            fill(&world, &mut model, round);
            use_it(&world, &old);
            // Time for threads that still work for it.
            std::thread::sleep(Duration::from_millis(20 * threads as u64));
            assert_eq!(world.rows(), model);
        }
        world.tree.flush().unwrap();
        use_it(&world, &old);
        world.tree.merge_all().unwrap();
        assert_eq!((world.rows(), world.problems()), (model.clone(), Vec::new()));
        world.sync();
        for image in [sim.kill_image(), sim.crash_image(CrashPolicy::LoseAll)] {
            let again = World::open(&image, shape).unwrap();
            assert_eq!((again.rows(), again.problems()), (model.clone(), Vec::new()));
        }
        world.close().unwrap();
    }
}

#[test]
fn a_handle_of_a_tree_that_was_freed_does_nothing() {
    let sim = Sim::new(8);
    let world = World::open(&sim, Shape::of_streams(1)).unwrap();
    fill(&world, &mut Model::new(), 1);
    Index::free_below(&world.tree).unwrap();
    use_it(&world, &world.tree);
}
