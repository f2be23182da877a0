//! Transactions that had not ended: who is listed, with which head, in which stream.

use crate::world::{MTR_BYTES, World, config, number_is, stream};
use aether_recovery::wal::buffer::page::{Swip, UndoPtr};
use aether_recovery::{ActiveTxn, Loser, PAGES_FILE};
use aether_types::{Lv, PageNo, Timestamp};

/// A change of a transaction, whose head it becomes.
fn change(world: &World, txn: &ActiveTxn, cell: PageNo, head: UndoPtr) -> Lv {
    let store = &world.store;
    let mut mtr = store.mtr(txn.stream(), MTR_BYTES).unwrap();
    let slot = mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(cell)).unwrap());
    mtr.op(slot, number_is(head.word())).unwrap();
    mtr.in_txn(txn, head);
    mtr.commit()
}

fn head(number: u64) -> UndoPtr {
    UndoPtr::new(PageNo::new(number), 1)
}

#[test]
fn who_has_not_ended_is_a_loser_with_its_newest_head() {
    let world = World::new(config(2, 1));
    let (store, cells) = (&world.store, world.cells(3));
    let [lost, committed, undone] = [1, 0, 1].map(|number| store.begin_active(stream(number)).unwrap());
    for (txn, cell) in [&lost, &committed, &undone].into_iter().zip(&cells) {
        change(&world, txn, *cell, head(9));
    }
    change(&world, &lost, cells[0], head(8));
    let credit = store.last_credit(&committed).unwrap();
    store.append_commit(&committed, Timestamp::new(5), &Lv::ZERO, credit);
    let credit = store.last_credit(&undone).unwrap();
    store.append_end(&undone, credit);
    world.sync();
    let again = world.after_cut(config(2, 1)).unwrap();
    let expected = Loser { id: lost.id(), stream: stream(1), undo_head: head(8) };
    assert_eq!(again.losers, [expected]);
    assert_eq!(again.report.losers, 1);
    assert!(again.store.next_txn_is_above(undone.id()) && again.store.next_txn_id() > undone.id());
}

/// The log from before the checkpoint is not read: what it lists is nowhere else.
#[test]
fn a_checkpoint_keeps_who_is_active() {
    let world = World::new(config(3, 1));
    let cell = world.cell();
    let txn = world.store.begin_active(stream(2)).unwrap();
    change(&world, &txn, cell, head(9));
    world.store.checkpoint().unwrap();
    let again = world.after_cut(config(3, 1)).unwrap();
    assert_eq!(again.report.groups, 0);
    let loser = Loser { id: txn.id(), stream: stream(2), undo_head: head(9) };
    assert_eq!(again.losers, std::slice::from_ref(&loser));
    // It stays in its stream, also when new transactions have fewer, and until its end.
    let again = again.after_cut(config(1, 1)).unwrap();
    assert_eq!((&again.losers[..], again.store.streams()), (&[loser][..], 3));
    again.store.checkpoint().unwrap();
    let again = again.after_cut(config(1, 1)).unwrap();
    let resumed = again.store.resume_loser(&again.losers[0]);
    assert_eq!((resumed.id(), resumed.stream(), resumed.undo_head()), (txn.id(), stream(2), head(9)));
    let credit = again.store.last_credit(&resumed).unwrap();
    again.store.append_end(&resumed, credit);
    again.sync();
    assert_eq!(again.after_cut(config(1, 1)).unwrap().losers, []);
    again.store.close().unwrap();
    assert!(again.after_cut(config(1, 1)).unwrap().report.clean);
}

/// Who is active when the store is closed is a loser of the next open.
#[test]
fn a_store_with_an_active_transaction_is_not_clean() {
    let world = World::new(config(1, 1));
    let (cell, txn) = (world.cell(), world.store.begin_active(stream(0)).unwrap());
    change(&world, &txn, cell, head(9));
    world.sync();
    world.store.close().unwrap();
    let again = world.after_cut(config(1, 1)).unwrap();
    assert_eq!((again.losers.len(), again.report.clean), (1, false));
}

#[test]
fn ids_and_timestamps_are_above_those_of_all_opens_before() {
    let world = World::new(config(1, 1));
    let first = world.store.begin_active(stream(0)).unwrap().id();
    let opening = aether_recovery::Opening::begin(
        world.sim.kill_image().env(),
        std::path::Path::new(crate::world::HOME),
        config(1, 1),
        true,
    );
    let redone = opening.unwrap().scan().unwrap().redo().unwrap();
    assert!(redone.timestamp_floor() > Timestamp::new(1));
    let (store, ..) = redone.into_parts();
    assert!(store.begin_active(stream(0)).unwrap().id() > first);
    assert!(store.incarnation() > world.store.incarnation());
}

#[test]
fn transactions_are_spread_over_all_streams() {
    let world = World::new(config(3, 1));
    let used = (0..9).map(|_| {
        let picked = world.store.pick_stream();
        world.store.begin_active(picked).unwrap().stream().get()
    });
    let mut used: Vec<_> = used.collect();
    used.sort_unstable();
    assert_eq!(used, [0, 0, 0, 1, 1, 1, 2, 2, 2]);
}
