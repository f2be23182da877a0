//! How much is due when, and the checkpoint under way, seen from inside.

use super::*;
use crate::{Loser, Opening, StoreConfig};
use aether_page::PageOp;
use aether_sim::Sim;
use aether_sync::Arc;
use aether_types::Timestamp;
use std::path::Path;

fn open(sim: &Sim) -> Result<(Arc<Store>, Vec<Loser>)> {
    open_with(sim, StoreConfig::default())
}

fn open_with(sim: &Sim, config: StoreConfig) -> Result<(Arc<Store>, Vec<Loser>)> {
    let opening = Opening::begin(sim.env(), Path::new("/home"), config, true)?;
    let (store, losers, _) = opening.scan()?.redo()?.into_parts();
    Ok((store, losers))
}

/// Logs at least so many bytes.
fn write(store: &Store, bytes: u64) {
    let log = store.log().unwrap();
    let begin = total(&log.positions());
    while total(&log.positions()) < begin + bytes {
        let mut mtr = store.mtr(StreamId::new(0), 256).unwrap();
        let slot = mtr.allocate().unwrap();
        mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: 1, link: 0 }).unwrap();
        mtr.commit();
    }
}

fn count(store: &Store) -> u64 {
    store.checkpoint_stats().checkpoints
}

fn wait_for_more(store: &Store, than: u64) {
    let begin = std::time::Instant::now();
    while count(store) <= than {
        assert!(begin.elapsed().as_secs() < 60, "nobody takes a checkpoint");
        thread::yield_now();
    }
}

/// Whoever wrote last found the checkpoint's lock taken, and went on. Nobody writes after that.
#[test]
fn the_thread_takes_the_checkpoint_that_is_due() {
    let sim = Sim::new(1);
    let config = StoreConfig { max_recovery_bytes: 1 << 18, ..StoreConfig::default() };
    let store = open_with(&sim, config).unwrap().0;
    store.start_background().unwrap();
    let due = store.checkpoint_bytes();
    write(&store, due);
    wait_for_more(&store, 0);
    let state = store.checkpoints.state.lock();
    let before = state.count;
    write(&store, due + due / 4);
    drop(state);
    wait_for_more(&store, before);
    store.stop_background();
}

#[test]
fn without_the_thread_those_who_write_keep_the_bound() {
    let sim = Sim::new(1);
    let config = StoreConfig { max_recovery_bytes: 1 << 18, ..StoreConfig::default() };
    let store = open_with(&sim, config).unwrap().0;
    store.start_background().unwrap();
    store.stop_background();
    write(&store, 1 << 20);
    assert!(count(&store) > 8, "{} checkpoints", count(&store));
    let log_bytes = store.checkpoint_stats().log_bytes;
    assert!(log_bytes <= 1 << 18, "{log_bytes} bytes to redo");
}

/// A transaction stood between its commit record and leaving the table while a whole checkpoint went by: that listed
/// it, and had its redo start above the record. It was answered, and after a crash rolled back.
#[test]
fn a_commit_is_one_though_a_whole_checkpoint_passes_before_the_table_forgets_it() {
    let sim = Sim::new(1);
    let store = open(&sim).unwrap().0;
    let txn = store.begin_active(StreamId::new(0)).unwrap();
    let mut mtr = store.mtr(txn.stream(), 256).unwrap();
    let slot = mtr.allocate().unwrap();
    mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: 1, link: 0 }).unwrap();
    mtr.in_txn(&txn, UndoPtr::new(mtr.page_no(slot), 1));
    mtr.commit();
    let (credit, body) = (store.last_credit(&txn).unwrap(), group::commit(txn.id(), Timestamp::new(1)));
    let lv = store.log_last(&txn, group::COMMIT, &Lv::ZERO, &body, credit);
    store.checkpoint().unwrap();
    store.active.remove(txn.id());
    store.log().unwrap().wait_durable(&lv).unwrap();
    let (_, losers) = open(&sim.kill_image()).unwrap();
    assert_eq!(losers, Vec::new());
}

/// Between two slices nothing is due.
#[test]
fn a_slice_is_due_after_a_part_of_the_way() {
    let sim = Sim::new(1);
    let config = StoreConfig { max_recovery_bytes: 1 << 18, ..StoreConfig::default() };
    let store = open_with(&sim, config).unwrap().0;
    let (log, pace, due) = (store.log().unwrap(), &store.checkpoints.pace, store.checkpoint_bytes());
    // Nobody has paid yet, and pages are older than the half that is kept.
    pace.wait_until(u64::MAX);
    write(&store, 6 * due);
    let position = total(&log.positions());
    pace.wait_until(position);
    assert!(store.pay_slice(log, store.checkpoints.state.lock()).unwrap());
    assert_eq!(count(&store), 0, "the slice was one batch of pages");
    assert!(!pace.is_due(position) && !pace.is_due(position + due / SLICES - 1));
    assert!(pace.is_due(position + due / SLICES));
}

#[test]
fn nothing_is_due_right_after_a_checkpoint() {
    let pace = Pace::new();
    assert!(pace.is_due(0) && pace.since(100) == 0);
    pace.taken(1000, 50);
    assert!(!pace.is_due(1049) && pace.is_due(1050));
    assert_eq!((pace.since(1070), pace.since(900)), (70, 0));
    // It is the last one of this open that counts.
    pace.begin(5000, 50);
    assert_eq!(pace.since(5000), 4000);
    let opened = Pace::new();
    opened.begin(5000, 50);
    assert_eq!((opened.since(5000), opened.is_due(5000), opened.is_due(4999)), (50, true, false));
}

/// One batch while slices are enough, twice what all frames need once they are not, and all of it near the bound.
#[test]
fn the_further_behind_the_more_is_written_back() {
    let mut config = StoreConfig { max_recovery_bytes: 8 << 20, ..StoreConfig::default() };
    config.buffer.num_frames = 1 << 16;
    let store = Store::volatile(config).unwrap();
    let due = store.checkpoint_bytes();
    assert_eq!(due, 1 << 20);
    assert_eq!([0, due - 1, due, 2 * due - 1].map(|since| store.batches(since)), [1; 4]);
    let more = 2 * (1 << 16) / (SLICES * BATCH_PAGES as u64);
    assert!(more > 2);
    assert_eq!([2 * due, 3 * due - 1].map(|since| store.batches(since)), [more; 2]);
    assert_eq!([3 * due, 9 * due].map(|since| store.batches(since)), [u64::MAX; 2]);
    assert_eq!([3 * due / 2 - 1, 3 * due / 2].map(|since| store.is_behind(since)), [false, true]);
    assert_eq!([2 * due - 1, 2 * due].map(|since| store.is_late(since)), [false, true]);
    let small = Store::volatile(StoreConfig::default()).unwrap();
    assert_eq!(small.batches(2 * small.checkpoint_bytes()), 2);
}

/// Two checkpoints lie in the log that is kept, and the first has an older head of the transaction.
#[test]
fn only_the_checkpoint_that_the_control_file_names_says_who_is_active() {
    let sim = Sim::new(1);
    let mut config = StoreConfig::default();
    config.wal.streams = 2;
    let store = open_with(&sim, config.clone()).unwrap().0;
    let log = store.log().unwrap();
    // A page that stays dirty keeps stream 0.
    write(&store, 1);
    let txn = store.begin_active(StreamId::new(1)).unwrap();
    let change = |number| {
        let mut mtr = store.mtr(txn.stream(), 256).unwrap();
        let slot = mtr.allocate().unwrap();
        mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: 1, link: 0 }).unwrap();
        mtr.in_txn(&txn, UndoPtr::new(mtr.page_no(slot), number));
        mtr.commit();
    };
    change(1);
    store.take_checkpoint(log).unwrap();
    change(2);
    let newest = txn.undo_head();
    let only_second = Lv::at(StreamId::new(1), log.claim_position(StreamId::new(1)));
    while store.pool.write_back_below(&only_second).unwrap() > 0 {}
    store.take_checkpoint(log).unwrap();
    let (start, first) = (*store.redo_start.lock(), StreamId::new(0));
    assert!(start.get(StreamId::new(1)) >= only_second.get(StreamId::new(1)), "stream 1 is not read");
    assert!(start.get(first) < log.claim_position(first), "stream 0 is");
    let (_, losers) = open_with(&sim.kill_image(), config).unwrap();
    assert_eq!(losers, [Loser { id: txn.id(), stream: StreamId::new(1), undo_head: newest }]);
}
