//! The image: what it holds, that the log below can go, that damage is named.

use crate::rng::Rng;
use crate::scripts::{Model, rows};
use crate::world::{Shape, TABLE, World, table};
use aether_index::txn::Durability;
use aether_index::{BTree, Cursor, OrderedCursor};
use aether_sim::{CrashPolicy, Sim};
use aether_types::ErrorKind;

const SMALL: Shape =
    Shape { streams: 1, redo_threads: 1, max_recovery_bytes: 1 << 20, memory_bytes: u64::MAX };

/// How many slices the image has.
fn slices(world: &World) -> usize {
    let catalog = BTree::open(world.manager.clone(), aether_index::txn::recovery::FIRST_TREE_ROOT, 1);
    let mut root = Vec::new();
    assert!(catalog.get_into(&world.manager.view(), &TABLE.to_le_bytes(), &mut root).unwrap());
    let root = aether_types::PageNo::new(u64::from_le_bytes(root[..].try_into().unwrap()));
    let tree = BTree::open(world.manager.clone(), root, TABLE | 1 << 31);
    let (mut cursor, view, mut count) = (Cursor::new(tree), world.manager.view(), 0);
    while cursor.next(&view).unwrap().is_some() {
        count += 1;
    }
    count
}

fn put(world: &World, model: &mut Model, n: u64, value: &[u8]) {
    let mut txn = world.manager.begin();
    world.table.put(&mut txn, &n.to_be_bytes(), value).unwrap();
    drop(txn.commit_with(Durability::None).unwrap());
    model.insert(n.to_be_bytes().to_vec(), value.to_vec());
}

/// Far more is written than the log may have; a crash then leaves little to redo.
#[test]
fn the_log_is_let_go_while_rows_are_written() {
    for streams in [1, 3] {
        let (sim, shape) = (Sim::new(3), Shape { streams, ..SMALL });
        let world = World::open(&sim, shape).unwrap();
        let (mut model, mut rng) = (Model::new(), Rng(9));
        // What is never settled is carried over all the time.
        let mut open = world.manager.begin();
        world.table.put(&mut open, b"open", b"never seen").unwrap();
        let mut most = 0;
        for n in 0..30_000u64 {
            let n = if n < 2_000 { n } else { rng.below(2_000) };
            put(&world, &mut model, n, &[n as u8; 100]);
            let stats = world.store.checkpoint_stats();
            most = most.max(stats.log_bytes);
            assert_eq!(stats.held_back, 0);
        }
        let stats = world.store.checkpoint_stats();
        assert!(stats.checkpoints > 5, "{stats:?}");
        assert!(most < 4 << 20, "{most} bytes of log were kept");
        assert!(stats.image_bytes > 100_000, "{stats:?}");
        assert!(slices(&world) > 50, "{} slices", slices(&world));
        assert_eq!(world.problems(), Vec::<String>::new());
        let log = world.store.log().unwrap();
        log.wait_durable(&log.slv_join()).unwrap();
        let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), shape).unwrap();
        assert_eq!(again.rows(), model);
        assert!(again.report.log_bytes < 4 << 20 && again.report.losers == 1, "{:?}", again.report);
        assert_eq!(again.problems(), Vec::<String>::new());
        drop(open);
    }
}

/// What nobody changes any more does not hold the log.
#[test]
fn an_idle_table_lets_the_log_go() {
    let sim = Sim::new(4);
    let world = World::open(&sim, SMALL).unwrap();
    let other = table(&world.manager, &world.factory, TABLE + 1).unwrap();
    let mut model = Model::new();
    (0..50).for_each(|n| put(&world, &mut model, n, b"idle"));
    for n in 0..20_000u64 {
        let mut txn = world.manager.begin();
        other.put(&mut txn, &(n % 100).to_be_bytes(), &[1; 100]).unwrap();
        drop(txn.commit_with(Durability::None).unwrap());
    }
    assert!(world.store.checkpoint_stats().log_bytes < 4 << 20);
    world.store.close().unwrap();
    let again = World::open(&sim.kill_image(), SMALL).unwrap();
    assert!(again.report.clean);
    assert_eq!(again.rows(), model);
    let other = table(&again.manager, &again.factory, TABLE + 1).unwrap();
    assert_eq!(rows(&other, again.manager.begin().view()).len(), 100);
}

/// A row that is changed and not committed while its slice is written out: the image has what was there before.
#[test]
fn an_open_transaction_is_rolled_back_after_its_rows_were_written_out() {
    let (sim, shape) = (Sim::new(5), Shape::of_streams(2));
    let world = World::open(&sim, shape).unwrap();
    let mut model = Model::new();
    (0..40).for_each(|n| put(&world, &mut model, n, b"before"));
    let mut open = world.manager.begin();
    for n in 0..40u64 {
        match n % 3 {
            0 => world.table.put(&mut open, &n.to_be_bytes(), b"after").unwrap(),
            1 => assert!(world.table.delete(&mut open, &n.to_be_bytes()).unwrap()),
            _ => world.table.put(&mut open, &(n + 100).to_be_bytes(), b"new").unwrap(),
        }
        world.table.put(&mut open, &n.to_be_bytes(), b"twice").unwrap();
    }
    (0..3).for_each(|_| world.store.checkpoint().unwrap());
    for image in [sim.kill_image(), sim.crash_image(CrashPolicy::LoseAll)] {
        let again = World::open(&image, shape).unwrap();
        assert_eq!(again.report.losers, 1);
        assert!(again.report.rows_redone >= 40, "{:?}", again.report);
        assert_eq!(again.rows(), model);
    }
    open.commit().unwrap();
    let committed = world.rows();
    assert_eq!(committed.len(), 40 + 13);
    (0..2).for_each(|_| world.store.checkpoint().unwrap());
    let again = World::open(&sim.crash_image(CrashPolicy::LoseAll), shape).unwrap();
    assert_eq!((again.rows(), again.report.losers), (committed, 0));
}

/// Old slices give their pages back, and those of rows that are gone are joined.
#[test]
fn the_image_does_not_grow_for_ever() {
    let sim = Sim::new(6);
    let world = World::open(&sim, SMALL).unwrap();
    let mut model = Model::new();
    let pages = |world: &World| {
        let stats = world.store.space_stats().unwrap();
        stats.pages - stats.free_pages
    };
    let mut used = Vec::new();
    for round in 0..6u8 {
        (0..400).for_each(|n| put(&world, &mut model, n, &[round; 200]));
        (0..2).for_each(|_| world.store.checkpoint().unwrap());
        world.manager.collect().unwrap();
        used.push(pages(&world));
    }
    assert!(used[5] < used[1] + used[1] / 2, "pages in use: {used:?}");
    let before = slices(&world);
    let mut txn = world.manager.begin();
    (0..390u64).for_each(|n| assert!(world.table.delete(&mut txn, &n.to_be_bytes()).unwrap()));
    txn.commit().unwrap();
    for _ in 0..4 {
        world.store.checkpoint().unwrap();
        let mut txn = world.manager.begin();
        (0..400u64).step_by(5).for_each(|n| {
            world.table.delete(&mut txn, &n.to_be_bytes()).unwrap();
        });
        world.table.put(&mut txn, &395u64.to_be_bytes(), b"x").unwrap();
        txn.commit().unwrap();
    }
    assert!(slices(&world) < before, "{} slices, {before} before", slices(&world));
    world.store.close().unwrap();
    let again = World::open(&sim.kill_image(), SMALL).unwrap();
    assert_eq!(again.rows(), world.rows());
}

/// A damaged slice is named when the table is opened, and nothing is taken for rows; others stay readable.
#[test]
fn a_damaged_slice_is_named() {
    let sim = Sim::new(7);
    let world = World::open(&sim, SMALL).unwrap();
    let mut model = Model::new();
    (0..200).for_each(|n| put(&world, &mut model, n, &[7; 300]));
    world.store.checkpoint().unwrap();
    let catalog = BTree::open(world.manager.clone(), aether_index::txn::recovery::FIRST_TREE_ROOT, 1);
    let mut root = Vec::new();
    catalog.get_into(&world.manager.view(), &TABLE.to_le_bytes(), &mut root).unwrap();
    let root = aether_types::PageNo::new(u64::from_le_bytes(root[..].try_into().unwrap()));
    let tree = BTree::open(world.manager.clone(), root, TABLE | 1 << 31);
    // The slice that begins with the tenth key is a row of a tree like any other, so a write of ours damages it.
    let (mut cursor, view) = (Cursor::new(tree.clone()), world.manager.view());
    cursor.seek(&10u64.to_be_bytes());
    let (key, mut value) =
        cursor.next(&view).unwrap().map(|(key, value)| (key.to_vec(), value.to_vec())).unwrap();
    let middle = value.len() / 2;
    value.truncate(middle);
    let mut txn = world.manager.begin();
    tree.put(&mut txn, &key, &value).unwrap();
    txn.commit().unwrap();
    world.store.close().unwrap();
    let error = World::open(&sim.kill_image(), SMALL).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Corruption);
    let told = error.to_string();
    assert!(told.contains("table 7") && told.contains("slice"), "{told}");
}
