//! What is undone, in which order, and by whom.

use crate::cells::{World, sync};
use aether_txn::{Durability, Txn};

/// As a process that is killed: nothing is undone, nothing but the log written out.
fn killed(world: World, txn: Txn) {
    world.manager.store().log().unwrap().flush_all().unwrap();
    world.manager.store().release_lock();
    core::mem::forget((txn, world));
}

#[test]
fn an_abort_puts_everything_back_newest_first() {
    let world = World::new(sync());
    let (a, b) = (world.cell(), world.cell());
    world.commit_one(a, 7, 0);
    let mut txn = world.manager.begin();
    world.set(&mut txn, a, 8, 0);
    world.set(&mut txn, b, 9, 0);
    assert_eq!((world.get(a), world.get(b)), (8, 9));
    txn.abort().unwrap();
    assert_eq!((world.get(a), world.get(b)), (7, 0));
    assert_eq!(*world.undone.lock(), [b, a]);
    assert_eq!((world.manager.stats().commits, world.manager.stats().aborts), (1, 1));
}

#[test]
fn a_savepoint_puts_back_what_came_after_it() {
    let world = World::new(sync());
    let cell = world.cell();
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let point = txn.savepoint();
    world.set(&mut txn, cell, 2, 0);
    world.set(&mut txn, cell, 3, 0);
    txn.rollback_to(&point).unwrap();
    assert_eq!((world.get(cell), world.undone.lock().len()), (1, 2));
    txn.commit().unwrap();
    assert_eq!(world.get(cell), 1);
}

#[test]
fn who_was_interrupted_is_undone_by_the_next_open() {
    let world = World::new(sync());
    let (cell, clock, env) = (world.cell(), world.clock.clone(), world.env.clone());
    world.commit_one(cell, 7, 0);
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 8, 0);
    killed(world, txn);
    let world = World::open(env, clock, sync()).unwrap();
    assert_eq!((world.get(cell), world.undone.lock().len()), (7, 1));
}

#[test]
fn who_is_prepared_is_taken_up_as_it_was_then() {
    let world = World::new(sync());
    let (cell, clock, env) = (world.cell(), world.clock.clone(), world.env.clone());
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let row = txn.prepare(&mut world.manager.begin()).unwrap();
    // A commit that is cut short may have changed more.
    world.set(&mut txn, cell, 2, 0);
    killed(world, txn);
    let (world, mut txn) = World::open_prepared(env, clock, row).unwrap();
    assert_eq!(world.get(cell), 1);
    txn.commit_prepared(Durability::Sync).unwrap().wait().unwrap();
    assert_eq!(world.get(cell), 1);
}

#[test]
fn undo_pages_of_an_earlier_open_are_freed_by_the_first_who_writes() {
    let world = World::new(sync());
    let (cell, clock, env) = (world.cell(), world.clock.clone(), world.env.clone());
    let free_pages = |world: &World| world.manager.store().space_stats().unwrap().free_pages;
    let before = free_pages(&world);
    (0..40).for_each(|number| world.commit_one(cell, number, 3000));
    assert!(free_pages(&world) < before - 20);
    let txn = world.manager.begin();
    killed(world, txn);
    let world = World::open(env, clock, sync()).unwrap();
    world.commit_one(cell, 40, 0);
    assert_eq!(free_pages(&world), before - 1);
}
