//! Rows in memory over something else: what goes there, and for what a writer looks there.

use crate::kept::Kept;
use crate::world::{Shape, World};
use aether_index::rows::ValueReader;
use aether_index::txn::{Durability, TxnConfig};
use aether_sim::Sim;
use aether_types::Timestamp;
use std::io::Read;

#[test]
fn a_writer_looks_below_once() {
    let world = World::volatile(u64::MAX);
    let (table, kept) = Kept::table(&world.manager, &world.factory.tables().unwrap(), 70);
    for key in [b"a", b"b"] {
        let mut txn = world.manager.begin();
        table.put(&mut txn, key, b"value").unwrap();
        txn.commit().unwrap();
    }
    kept.flush(&table);
    assert!(table.is_empty());
    kept.looks.lock().clear();
    let mut txn = world.manager.begin();
    let newer = Timestamp::new(txn.view().at().get() + 1);
    table.put(&mut txn, b"a", b"anew").unwrap();
    assert_eq!(*kept.looks.lock(), [newer], "what the snapshot sees is of no account");
    assert!(table.delete(&mut txn, b"b").unwrap());
    assert!(!table.delete(&mut txn, b"c").unwrap());
    let all = Timestamp::new(0);
    assert_eq!(*kept.looks.lock(), [newer, all, all]);
    assert!(table.delete(&mut txn, b"a").unwrap() && !table.delete(&mut txn, b"a").unwrap());
    assert_eq!(kept.looks.lock().len(), 3, "it is in memory");
    txn.commit().unwrap();
    let view = world.manager.view();
    assert_eq!([b"a", b"b"].map(|key| kept.get(&table, &view, key)), [None, None]);
}

/// A version that was committed and not durable when a flush began: a snapshot that is taken then shows the one before. Once the newer one
/// is durable both leave.
#[test]
fn a_snapshot_that_comes_during_a_flush_keeps_its_version() {
    let txns = TxnConfig { read_newest: false, ..TxnConfig::new(Durability::Sync) };
    let world = World::open_as(&Sim::new(1), Shape::of_streams(1), txns).unwrap();
    let (table, kept) = Kept::table(&world.manager, &world.factory.tables().unwrap(), 70);
    for (value, durability) in [(b"old", Durability::Sync), (b"new", Durability::None)] {
        let mut txn = world.manager.begin();
        table.put(&mut txn, b"row", value).unwrap();
        txn.commit_with(durability).unwrap().wait_as(durability).unwrap();
    }
    let leaving = table.begin_flush(false).unwrap();
    let early = world.manager.view();
    let log = world.store.log().unwrap();
    log.wait_durable(&log.slv_join()).unwrap();
    kept.finish(&table, leaving);
    assert!(table.is_empty(), "it was settled");
    assert_eq!(kept.get(&table, &early, b"row").as_deref(), Some(&b"old"[..]));
    assert_eq!(kept.get(&table, &world.manager.view(), b"row").as_deref(), Some(&b"new"[..]));
}

/// A hold of the map gathered 256 rows, however long: of long ones, megabytes in one slice.
#[test]
fn long_rows_leave_a_few_at_a_time() {
    let world = World::volatile(u64::MAX);
    let (table, _kept) = Kept::table(&world.manager, &world.factory.tables().unwrap(), 70);
    for number in 0..100u8 {
        let mut txn = world.manager.begin();
        table.put(&mut txn, &[number], &[number; 4000]).unwrap();
        txn.commit().unwrap();
    }
    let (mut leaving, mut all) = (table.begin_flush(false).unwrap(), 0);
    loop {
        let mut rows = 0;
        let left = table.leave(&mut leaving, 1, &mut |_| {
            rows += 1;
            Ok(())
        });
        if left.unwrap().is_none() {
            break;
        }
        assert!(rows <= 9, "{rows} rows of 4,000 bytes in one slice");
        all += rows;
    }
    assert_eq!(all, 100);
    table.give_up(&leaving);
}

/// Nothing kept the extents of a value that a flush had gathered and not copied yet: who replaced the row meanwhile freed them.
#[test]
fn a_large_value_stays_until_it_has_left() {
    let world = World::volatile(u64::MAX);
    let (table, _kept) = Kept::table(&world.manager, &world.factory.tables().unwrap(), 70);
    let put = |value: &[u8]| {
        let mut txn = world.manager.begin();
        table.put(&mut txn, b"row", value).unwrap();
        txn.commit().unwrap();
    };
    put(&[1; 100_000]);
    let held = world.manager.view();
    put(&[2; 100_000]);
    let (mut held, mut leaving, mut left) = (Some(held), table.begin_flush(false).unwrap(), Vec::new());
    let gathered = table.leave(&mut leaving, u64::MAX, &mut |leaver| {
        if held.take().is_some() {
            put(&[3; 100_000]);
            world.manager.collect().unwrap();
            put(&[4; 100_000]);
        }
        let mut value = Vec::new();
        ValueReader::of_stub(&world.store, &leaver.value.unwrap())?.read_to_end(&mut value).unwrap();
        left.push(value);
        Ok(())
    });
    gathered.unwrap();
    assert!(left == [vec![2; 100_000], vec![1; 100_000]], "{} versions", left.len());
    table.give_up(&leaving);
}
