//! Locks of keys and ranges against writers.

use crate::world::World;
use aether_index::txn::LockMode;
use aether_types::ErrorKind;
use core::ops::Bound::{Excluded, Included};
use std::thread;
use std::time::Duration;

fn impatient() -> aether_index::txn::TxnOptions {
    aether_index::txn::TxnOptions { lock_timeout: Some(Duration::ZERO), ..Default::default() }
}

#[test]
fn a_locked_range_has_no_writers_and_what_is_beside_it_does() {
    let world = World::volatile(u64::MAX);
    let mut owner = world.manager.begin();
    world.table.lock_range(&mut owner, Included(b"b"), Excluded(b"d"), LockMode::S).unwrap();
    for (key, is_free) in [(b"a", true), (b"b", false), (b"c", false), (b"d", true)] {
        let mut txn = world.manager.begin_with(impatient());
        let put = world.table.put(&mut txn, key, b"v");
        assert_eq!(put.is_ok(), is_free, "{put:?}");
        assert!(put.err().is_none_or(|error| error.kind() == ErrorKind::Conflict));
    }
    owner.commit().unwrap();
    let mut txn = world.manager.begin_with(impatient());
    world.table.put(&mut txn, b"c", b"v").unwrap();
}

#[test]
fn a_writer_is_found_by_who_locks_its_row() {
    let world = World::volatile(u64::MAX);
    let mut writer = world.manager.begin();
    world.table.put(&mut writer, b"key", b"v").unwrap();
    let mut other = world.manager.begin_with(impatient());
    let locked = world.table.lock_key(&mut other, b"key", LockMode::S);
    assert_eq!(locked.unwrap_err().kind(), ErrorKind::Conflict);
    world.table.lock_key(&mut other, b"none", LockMode::X).unwrap();
    let range = world.table.lock_range(&mut other, Included(b"a"), Included(b"z"), LockMode::X);
    assert_eq!(range.unwrap_err().kind(), ErrorKind::Conflict);
    writer.abort().unwrap();
    world.table.lock_range(&mut other, Included(b"a"), Included(b"z"), LockMode::X).unwrap();
}

/// Who has locked a range and seen nothing there is alone there until the end.
#[test]
fn nobody_writes_where_a_range_is_locked() {
    let world = World::volatile(u64::MAX);
    thread::scope(|scope| {
        for seed in 0..2u64 {
            let world = &world;
            scope.spawn(move || {
                for n in 0..400u64 {
                    let mut txn =
                        world.manager.begin_with(aether_index::txn::Isolation::ReadCommitted.into());
                    let key = (n * 7 + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
                    match world.table.put(&mut txn, &key, b"v") {
                        Ok(()) => txn.commit().unwrap(),
                        Err(error) => assert!(error.kind() == ErrorKind::Deadlock, "{error}"),
                    }
                }
            });
        }
        let world = &world;
        scope.spawn(move || {
            for _ in 0..200 {
                let mut txn = world.manager.begin_with(aether_index::txn::Isolation::ReadCommitted.into());
                let all = core::ops::Bound::Unbounded;
                world.table.lock_range(&mut txn, all, all, LockMode::S).unwrap();
                let before = crate::scripts::rows(&world.table, txn.read()).len();
                thread::yield_now();
                let after = crate::scripts::rows(&world.table, txn.read()).len();
                assert_eq!(before, after, "a row came into a locked range");
                txn.commit().unwrap();
            }
        });
    });
}
