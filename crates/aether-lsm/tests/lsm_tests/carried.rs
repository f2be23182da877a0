//! Rows that are not settled when they are flushed over are logged again, in whatever stream comes next. The flush takes the place of what
//! was logged before, so that stream is durable before the flush is. Here a commit waits for the streams that it needs and no other; then a
//! crash loses all that was not synced.

use crate::world::{Shape, World};
use aether_lsm::index::txn::recovery::{Advance, Participant};
use aether_lsm::index::txn::{Durability, Txn};
use aether_sim::{CrashPolicy, Sim};

/// Begins a transaction that writes beside the tree: the next one has another stream.
fn turn(world: &World, key: &[u8]) -> Txn {
    let mut txn = world.manager.begin();
    world.beside.put(&mut txn, key, b"turn").unwrap();
    txn
}

/// One slice of what lets the log go.
fn advance(world: &World) -> Advance {
    let bound = world.store.log().unwrap().slv_join();
    world.resident.tables().unwrap().advance(&bound).unwrap()
}

/// `turns` transactions begin between the row and the flush, and others between the flush's slices.
fn script(streams: usize, turns: u8, between: u8) {
    let sim = Sim::new(5);
    let world = World::open(&sim, Shape::of_streams(streams)).unwrap();
    (0..20u8).for_each(|n| world.put(&[n], &[n; 50]));
    world.sync();
    let mut txn = world.manager.begin();
    world.tree.put(&mut txn, b"row", b"is not settled").unwrap();
    let _turns: Vec<_> = (0..turns).map(|n| turn(&world, &[n])).collect();
    assert_eq!(advance(&world), Advance::Again, "rows are handed over, and logged again");
    let _between: Vec<_> = (0..between).map(|n| turn(&world, &[9, n])).collect();
    assert_eq!(advance(&world), Advance::Again, "the run is listed");
    assert!(world.tree.stat().flushed_bytes > 0);
    txn.commit_with(Durability::Sync).unwrap().wait().unwrap();
    let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), Shape::of_streams(streams)).unwrap();
    let of = format!("{streams} streams, {turns} turns, {between} between");
    let row = again.get(&again.manager.view(), b"row");
    assert_eq!(row.as_deref(), Some(&b"is not settled"[..]), "{of}");
    assert_eq!((again.rows().len(), again.problems()), (21, Vec::new()), "{of}");
}

#[test]
fn a_row_that_is_logged_again_is_durable_before_its_flush() {
    for streams in [1, 2, 3] {
        for turns in 0..3 {
            (0..3).for_each(|between| script(streams, turns, between));
        }
    }
}
