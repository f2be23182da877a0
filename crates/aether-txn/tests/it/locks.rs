//! Who may change what others have changed or locked.

use crate::cells::{World, sync};
use aether_txn::{Isolation, LockMode, Resource, TxnOptions};
use aether_types::ErrorKind;
use std::time::Duration;

/// A transaction that does not wait.
fn hasty() -> TxnOptions {
    TxnOptions { lock_timeout: Some(Duration::ZERO), ..TxnOptions::default() }
}

#[test]
fn the_first_who_changes_a_row_wins_unless_commits_are_read_as_they_come() {
    let world = World::new(sync());
    let cell = world.cell();
    let levels = [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable];
    let txns = levels.map(|level| world.manager.begin_with(level.into()));
    world.commit_one(cell, 1, 0);
    let newest = world.manager.stats().clock;
    let checked = txns.each_ref().map(|txn| txn.check_change(b"k", newest).map_err(|error| error.kind()));
    assert_eq!(checked, [Ok(()), Err(ErrorKind::Conflict), Err(ErrorKind::Conflict)]);
    for txn in &txns {
        txn.check_change(b"k", txn.view().at()).unwrap();
    }
    world.manager.begin().check_change(b"k", newest).unwrap();
}

#[test]
fn a_lock_stands_until_its_transaction_ends() {
    let world = World::new(sync());
    for resource in [Resource::Database, Resource::Keyspace(7)] {
        let mut first = world.manager.begin();
        first.lock(&resource, LockMode::X).unwrap();
        let mut second = world.manager.begin_with(hasty());
        let refused = second.lock(&resource, LockMode::S).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        first.commit().unwrap();
        second.lock(&resource, LockMode::S).unwrap();
        assert_eq!(world.manager.locks().check(), Vec::<String>::new());
        second.abort().unwrap();
    }
}
