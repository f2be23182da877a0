//! Rows that are not settled when their slice is written out are logged again, in whatever stream comes next. The slice takes the place of
//! what was logged before, so that stream is durable before the slice is. Here a commit waits for the streams that it needs and no
//! other; then a crash loses all that was not synced.

use crate::world::{Shape, World};
use aether_index::txn::recovery::{Advance, Participant};
use aether_index::txn::{Durability, Txn};
use aether_sim::{CrashPolicy, Sim};

/// Writes out what needs the log, about a slice.
fn advance(world: &World) -> Advance {
    let bound = world.store.log().unwrap().slv_join();
    world.factory.tables().unwrap().advance(&bound).unwrap()
}

/// Puts every third of so many rows.
fn put(world: &World, txn: &mut Txn, rows: u8, first: u8) {
    for n in (first..rows).step_by(3) {
        world.table.put(txn, &[n], &[first; 100]).unwrap();
    }
}

/// Rows that others have settled lie between those that are not, in a slice that has grown to several; `turns` transactions begin between
/// the rows and their writing out.
fn script(streams: usize, turns: u8) {
    const ROWS: u8 = 30;
    let sim = Sim::new(6);
    let world = World::open(&sim, Shape::of_streams(streams)).unwrap();
    for rows in [3, ROWS] {
        let mut txn = world.manager.begin();
        put(&world, &mut txn, rows, 0);
        txn.commit().unwrap();
        while rows == 3 && advance(&world) == Advance::Again {}
    }
    let (mut txn, mut other) = (world.manager.begin(), world.manager.begin());
    put(&world, &mut txn, ROWS, 1);
    put(&world, &mut other, ROWS, 2);
    let turn = |n: u8| {
        let mut txn = world.manager.begin();
        world.table.put(&mut txn, &[200 + n], b"turn").unwrap();
        txn
    };
    let _turns: Vec<_> = (0..turns).map(turn).collect();
    assert_eq!(advance(&world), Advance::Again, "slices are written out, and rows logged again");
    for (txn, first) in [(txn, 1), (other, 2)] {
        txn.commit_with(Durability::Sync).unwrap().wait().unwrap();
        let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), Shape::of_streams(streams)).unwrap();
        let rows = again.rows();
        let is_there = |n: &u8| *n % 3 > first || rows.get(&[*n][..]) == Some(&vec![n % 3; 100]);
        let lost: Vec<_> = (0..ROWS).filter(|n| !is_there(n)).collect();
        assert_eq!(lost, Vec::<u8>::new(), "of {streams} streams, after {turns} turns");
        assert_eq!(again.problems(), Vec::<String>::new());
    }
}

#[test]
fn a_row_that_is_logged_again_is_durable_before_its_slice() {
    for streams in [1, 2, 3] {
        (0..4).for_each(|turns| script(streams, turns));
    }
}
