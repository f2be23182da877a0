//! What one mini-transaction logs, depends on and leaves.

use crate::world::{MTR_BYTES, World, config, empty, number_is, stream};
use aether_recovery::wal::buffer::page::{PageOp, Swip, UndoPtr};
use aether_recovery::{PAGES_FILE, Store};
use aether_types::{ErrorKind, Lsn, Lv};

#[test]
fn a_group_stands_in_its_stream_and_rests_on_what_it_was_told() {
    let world = World::new(config(3, 1));
    let cell = world.cell();
    let other = world.set(1, cell, 1);
    let before = world.store.log().unwrap().claim_position(stream(2));
    let mut mtr = world.store.mtr(stream(2), MTR_BYTES).unwrap();
    assert_eq!((mtr.stream(), mtr.is_empty()), (stream(2), true));
    let slot = mtr.allocate().unwrap();
    mtr.op(slot, empty()).unwrap();
    assert!(!mtr.is_empty());
    mtr.depend(&other);
    let lv = mtr.commit();
    assert!(lv.get(stream(2)) > before && lv.covers(&other));
    // And on the groups that changed its pages before.
    assert!(world.set(0, cell, 2).covers(&other));
}

#[test]
fn a_group_without_changes_is_logged_only_for_a_head() {
    let world = World::new(config(1, 1));
    let store = &world.store;
    let txn = store.begin_active(stream(0)).unwrap();
    let position = store.log().unwrap().claim_position(stream(0));
    assert_eq!(store.mtr(stream(0), MTR_BYTES).unwrap().commit(), Lv::ZERO);
    assert_eq!(store.log().unwrap().claim_position(stream(0)), position);
    let mut mtr = store.mtr(stream(0), MTR_BYTES).unwrap();
    let head = UndoPtr::new(aether_recovery::ROOTS_PAGE, 3);
    mtr.in_txn(&txn, head);
    let lv = mtr.commit();
    assert!(lv.get(stream(0)) > position && txn.undo_head() == head);
    world.sync();
    assert_eq!(world.after_cut(config(1, 1)).unwrap().losers[0].undo_head, head);
}

#[test]
fn several_changes_of_several_pages_are_one_group() {
    let world = World::new(config(1, 1));
    let (cells, store) = (world.cells(3), &world.store);
    let psns = || cells.iter().map(|cell| world.psn(*cell)).collect::<Vec<_>>();
    let before = psns();
    let mut mtr = store.mtr(stream(0), MTR_BYTES).unwrap();
    let slots =
        [0, 1, 2].map(|at| mtr.add(store.pool().exclusive(PAGES_FILE, Swip::new(cells[at])).unwrap()));
    mtr.op(slots[2], number_is(1)).unwrap();
    mtr.op(slots[0], number_is(5)).unwrap();
    mtr.op(slots[2], PageOp::SlotInsert { slot: 0, bytes: b"row"[..].into() }).unwrap();
    mtr.op(slots[2], number_is(7)).unwrap();
    // What the earlier changes do not leave room for is refused.
    let twice = PageOp::SlotInsert { slot: 0, bytes: b"row"[..].into() };
    assert_eq!(mtr.op(slots[2], twice).unwrap_err().kind(), ErrorKind::Corruption);
    assert_eq!((mtr.page_no(slots[1]), mtr.next_psn(slots[0])), (cells[1], before[0].next()));
    assert_eq!(mtr.find(PAGES_FILE, cells[2]), Some(slots[2]));
    mtr.commit();
    assert_eq!(world.all(&cells), [5, 0, 7]);
    // One number more for each page that was changed.
    assert_eq!(psns(), [before[0].next(), before[1], before[2].next()]);
    world.sync();
    let again = world.after_cut(config(1, 1)).unwrap();
    assert_eq!(again.all(&cells), [5, 0, 7]);
}

#[test]
fn a_group_that_is_dropped_has_changed_nothing() {
    let world = World::new(config(1, 1));
    let cell = world.cell();
    let position = world.store.log().unwrap().claim_position(stream(0));
    let mut mtr = world.store.mtr(stream(0), MTR_BYTES).unwrap();
    let slot = mtr.add(world.store.pool().exclusive(PAGES_FILE, Swip::new(cell)).unwrap());
    mtr.op(slot, number_is(5)).unwrap();
    drop(mtr);
    assert_eq!(world.get(cell).unwrap(), 0);
    assert_eq!(world.store.log().unwrap().claim_position(stream(0)), position);
    world.store.check_healthy().unwrap();
}

#[test]
fn a_ring_that_is_too_small_for_the_largest_group_is_refused() {
    let mut small = config(1, 1);
    small.buffer.page_size = aether_types::PageSize::MAX;
    let refused = World::open(&aether_sim::Sim::new(1), small.clone()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("give it at least 1048576"), "{refused}");
    small.wal.ring_bytes = 1 << 20;
    let world = World::new(small);
    assert!(
        world.store.group_bytes() > 2 * 65536 && world.store.group_bytes() <= world.store.group_bytes_max()
    );
}

#[test]
fn a_store_without_a_log_works_and_says_so() {
    let store = Store::volatile(config(1, 1)).unwrap();
    let mut mtr = store.mtr(stream(0), MTR_BYTES).unwrap();
    let slot = mtr.allocate().unwrap();
    let page = mtr.page_no(slot);
    mtr.op(slot, empty()).unwrap();
    assert_eq!(mtr.commit(), Lv::ZERO);
    assert!(store.pool().shared(PAGES_FILE, Swip::new(page)).is_ok());
    assert!(store.log().is_none() && store.home().is_none() && store.incarnation() == 0);
    let txn = store.begin_active(stream(0)).unwrap();
    assert!(store.last_credit(&txn).unwrap().is_none());
    assert_eq!(store.append_end(&txn, None).get(stream(0)), Lsn::new(0));
    store.checkpoint().unwrap();
    store.close().unwrap();
}
