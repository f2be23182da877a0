//! What a snapshot shows, keeps, and waits for.

use crate::cells::{World, sync};
use aether_txn::{Durability, Isolation, Outcome, TxnConfig, TxnOptions};
use aether_types::ErrorKind;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_transaction_runs_at_the_level_that_was_asked_for() {
    let world = World::new(sync());
    for level in [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable] {
        assert_eq!(world.manager.begin_with(TxnOptions::at(level)).isolation(), level);
        assert_eq!(world.manager.begin_with(level.into()).isolation(), level);
    }
}

#[test]
fn a_snapshot_shows_what_was_committed_before_it() {
    let world = World::new(sync());
    let cell = world.cell();
    let before = world.manager.begin();
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let writer = txn.id();
    assert!(txn.view().sees(writer) && !before.view().sees(writer));
    assert_eq!(world.manager.outcome(writer), Some(Outcome::Active));
    txn.commit().unwrap();
    assert!(!before.view().sees(writer));
    assert!(world.manager.begin().view().sees(writer) && world.manager.view().sees(writer));
}

#[test]
fn a_reader_waits_for_what_it_has_seen_alone() {
    let world = World::new(sync());
    let cell = world.cell();
    let before = world.manager.begin();
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let writer = txn.id();
    let handle = txn.commit_with(Durability::None).unwrap();
    let after = world.manager.begin();
    assert!(!before.view().sees(writer) && after.view().sees(writer));
    let before = before.commit_with(Durability::Sync).unwrap();
    assert!(matches!(before.poll_durable(), Some(Ok(()))), "nothing seen, nothing to wait for");
    let after = after.commit_with(Durability::Sync).unwrap();
    assert!(after.poll_durable().is_none(), "the commit that it has seen is not durable");
    after.wait().unwrap();
    handle.wait().unwrap();
}

#[test]
fn undo_pages_stay_as_long_as_a_snapshot_needs_them() {
    let world = World::new(sync());
    let cell = world.cell();
    let view = world.manager.begin();
    let mut first = world.manager.begin();
    world.set(&mut first, cell, 1, 3000);
    let oldest = first.undo_head();
    first.commit().unwrap();
    for number in 2..40 {
        world.commit_one(cell, number, 3000);
    }
    world.manager.collect().unwrap();
    // Pages that are free are given out again.
    let is_free = || (0..20).any(|_| world.cell() == oldest.page());
    assert!(!is_free() && world.manager.read_undo(oldest).unwrap().is_some());
    assert!(world.manager.stats().pinned_bytes > 0 && world.manager.stats().known >= 39);
    drop(view);
    world.manager.collect().unwrap();
    assert!(is_free());
    assert_eq!((world.manager.stats().pinned_bytes, world.manager.stats().known), (0, 0));
}

#[test]
fn a_snapshot_is_ended_for_its_age_when_newer_commits_need_the_room() {
    let world = World::new(TxnConfig { snapshot_age_max: Some(10 * SECOND), ..sync() });
    let cell = world.cell();
    world.commit_one(cell, 1, 0);
    let old = world.manager.begin();
    world.manager.collect().unwrap();
    let stats = world.manager.stats();
    assert_eq!(
        (stats.oldest_snapshot, stats.oldest_snapshot_age),
        (Some(old.view().at()), Some(Duration::ZERO))
    );
    world.clock.advance(20 * SECOND);
    world.manager.collect().unwrap();
    old.view().check().unwrap();
    assert_eq!(world.manager.stats().oldest_snapshot_age, Some(20 * SECOND), "nothing newer: it stays");
    world.commit_one(cell, 2, 0);
    world.manager.collect().unwrap();
    assert_eq!(old.view().check().unwrap_err().kind(), ErrorKind::Expired);
    world.manager.begin().view().check().unwrap();
}

#[test]
fn who_is_prepared_keeps_no_snapshot() {
    let world = World::new(sync());
    let (cell, other) = (world.cell(), world.cell());
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let mut row = world.manager.begin();
    txn.prepare(&mut row).unwrap();
    world.set(&mut row, other, 1, 0);
    row.commit().unwrap();
    assert_eq!(world.manager.stats().oldest_snapshot, None);
    txn.wake();
    assert!(world.manager.stats().oldest_snapshot.is_some());
    txn.commit_prepared(Durability::Sync).unwrap().wait().unwrap();
    assert_eq!(world.get(cell), 1);
}

#[test]
fn a_commit_is_not_durable_before_those_before_it() {
    let world = World::of_streams(2, sync());
    let log = world.manager.store().log().unwrap().clone();
    let (mut first, mut second) = (world.manager.begin(), world.manager.begin());
    first.begin_write().unwrap();
    while second.stream().is_none_or(|stream| Some(stream) == first.stream()) {
        second = world.manager.begin();
        second.begin_write().unwrap();
    }
    let stream = second.stream().unwrap();
    // Undo pages and their links, which all share, are there and durable; then nothing joins the two but the order.
    let (one, other) = (world.cell(), world.cell());
    world.set(&mut first, one, 1, 0);
    world.set(&mut second, other, 1, 0);
    log.flush_all().unwrap();
    world.set(&mut first, one, 2, 0);
    let first = first.commit_with(Durability::None).unwrap();
    let second = second.commit_with(Durability::None).unwrap();
    let mut alone = log.durable();
    alone.raise(stream, log.positions().get(stream));
    log.wait_durable(&alone).unwrap();
    assert!(first.poll_durable().is_none() && second.poll_durable().is_none());
    first.wait().unwrap();
    assert!(matches!(second.poll_durable(), Some(Ok(()))));
}

#[test]
fn who_could_not_be_prepared_is_undone() {
    let world = World::new(sync());
    let cell = world.cell();
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    txn.prepare(&mut world.manager.begin()).unwrap();
    txn.unprepare();
    txn.abort().unwrap();
    assert_eq!(world.get(cell), 0);
}

#[test]
fn what_a_prepared_transaction_has_read_stays_until_it_is_decided() {
    let world = World::new(sync());
    let (cell, other) = (world.cell(), world.cell());
    for commits in [true, false] {
        let mut txn = world.manager.begin_with(Isolation::Serializable.into());
        txn.note_key(1, b"k");
        world.set(&mut txn, cell, 1, 0);
        txn.prepare(&mut world.manager.begin()).unwrap();
        let change = || {
            let mut txn = world.manager.begin();
            world.set(&mut txn, other, 1, 0);
            txn.wrote(1, b"k");
            txn.commit()
        };
        assert_eq!(change().unwrap_err().kind(), ErrorKind::Conflict);
        if commits {
            txn.commit_prepared(Durability::Sync).unwrap().wait().unwrap();
        } else {
            txn.roll_back_prepared().unwrap();
        }
        change().unwrap();
    }
}

#[test]
fn at_read_committed_each_read_sees_the_newest_commits() {
    let world = World::new(sync());
    let cell = world.cell();
    let moves = world.manager.begin_with(Isolation::ReadCommitted.into());
    let stays = world.manager.begin_with(Isolation::Snapshot.into());
    let before = (moves.read().at(), stays.read().at());
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let writer = txn.id();
    txn.commit().unwrap();
    assert!(moves.read().at() > before.0 && moves.read().sees(writer));
    assert!(stays.read().at() == before.1 && !stays.read().sees(writer));
    assert_eq!(world.manager.stats().oldest_snapshot, Some(before.1));
}

#[test]
fn what_a_serializable_transaction_has_read_must_not_have_changed() {
    let world = World::new(sync());
    let (cell, other) = (world.cell(), world.cell());
    let mut txn = world.manager.begin_with(Isolation::Serializable.into());
    txn.note_key(1, b"k");
    world.set(&mut txn, cell, 1, 0);
    let mut change = world.manager.begin();
    world.set(&mut change, other, 1, 0);
    change.wrote(1, b"k");
    change.commit().unwrap();
    assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(world.get(cell), 0);
}

#[test]
fn a_transaction_is_known_to_the_log_once_it_writes() {
    let world = World::new(sync());
    let cell = world.cell();
    let mut txn = world.manager.begin();
    assert!(txn.active().is_none() && txn.stream().is_none() && txn.id().is_none());
    world.set(&mut txn, cell, 1, 0);
    assert_eq!(txn.active().map(|active| active.id()), Some(txn.id()));
    assert_eq!(txn.undo_head(), txn.active().unwrap().undo_head());
}

/// Nobody else has looked since.
#[test]
fn a_commit_is_known_to_be_durable_as_soon_as_its_log_is() {
    let world = World::new(sync());
    let cell = world.cell();
    let mut txn = world.manager.begin();
    world.set(&mut txn, cell, 1, 0);
    let commit = txn.commit_with(Durability::None).unwrap();
    assert!(commit.poll_durable().is_none());
    world.manager.store().log().unwrap().flush_all().unwrap();
    assert!(matches!(commit.poll_durable(), Some(Ok(()))));
}

#[test]
fn extents_go_when_no_snapshot_needs_them() {
    let world = World::new(sync());
    let cell = world.cell();
    let retire = |stub: &[u8], commits: bool| {
        let mut txn = world.manager.begin();
        world.set(&mut txn, cell, 1, 0);
        txn.retire(stub.to_vec()).unwrap();
        if commits { txn.commit() } else { txn.abort() }
    };
    let view = world.manager.begin();
    retire(b"one", true).unwrap();
    retire(b"two", false).unwrap();
    retire(b"three", true).unwrap();
    world.manager.collect().unwrap();
    assert!(world.freed.lock().is_empty());
    drop(view);
    world.manager.collect().unwrap();
    assert_eq!(*world.freed.lock(), [&b"one"[..], b"three"]);
}
