//! shuttle: readers of rows in memory against commits, rollbacks, the collection of old versions, and slices that are written
//! out, under random schedules. Run by `cargo xtask shuttle -p aether-index`.
//!
//! Each writer changes two rows by one transaction; whoever reads must find both as one commit left them.
#![cfg(all(shuttle, feature = "skiplist", feature = "btree"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "shared/kept.rs"]
mod kept;
#[path = "shared/pair.rs"]
mod pair;

use aether_index::txn::recovery::{Advance, Participant, Store, StoreConfig};
use aether_index::txn::{Isolation, LockMode};
use aether_index::{Anchor, BTree, IndexFactory, KindsUndo, ResidentFactory, Tables, TablesConfig};
use aether_sync::Arc;
use aether_types::{IndexKind, Lsn, Lv, StreamId};
use core::ops::Bound;
use kept::Kept;
use pair::{Pair, SCHEDULES, buffer, check, transactions};
use shuttle::thread;

fn pair_and_tables() -> (Arc<Pair>, Arc<Tables>) {
    let factory = Arc::new(ResidentFactory::new(TablesConfig::new(5)));
    let config = StoreConfig { buffer: buffer(), memory_bytes: 32 << 20, ..StoreConfig::default() };
    let store = Store::volatile_with(config, |budget| factory.participant(budget).into_iter().collect());
    let manager = transactions(store.unwrap(), KindsUndo::of(factory.clone()));
    let mut txn = manager.begin();
    let at: Anchor = factory.create(&mut txn, IndexKind::SKIPLIST, 7).unwrap();
    txn.commit().unwrap();
    let table = factory.open(&manager, at).unwrap();
    (Pair::new(manager, table), factory.tables().unwrap())
}

fn pair_in_memory() -> Arc<Pair> {
    pair_and_tables().0
}

#[test]
fn a_snapshot_shows_whole_transactions_and_repeats_itself() {
    check(|| pair::a_snapshot_shows_whole_transactions_and_repeats_itself(&pair_in_memory()));
}

/// A row that is inserted and rolled back is never seen: neither as long as it is there, nor by who has met it and asks for its writer
/// when that is gone. Few changes of turn do it, if they come at the right moments: the schedules are those of Burckhardt et al., "A
/// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010).
#[test]
fn an_insert_that_is_rolled_back_is_never_seen() {
    let model = || {
        let pair = pair_in_memory();
        let writer = {
            let pair = pair.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    let mut txn = pair.manager.begin();
                    pair.index.put(&mut txn, b"c", &[9]).unwrap();
                    txn.abort().unwrap();
                }
            })
        };
        let view = pair.manager.view();
        for _ in 0..12 {
            assert!(!pair.index.get_into(&view, b"c", &mut Vec::new()).unwrap(), "a point read");
            let settled = pair.index.get_settled(b"c", &mut Vec::new()).unwrap();
            assert_ne!(settled, Some(true), "a read without a snapshot");
            assert_eq!(pair.scan(&view), [0, 0], "a cursor");
        }
        writer.join().unwrap();
    };
    let scheduler = shuttle::scheduler::PctScheduler::new(3, 4 * SCHEDULES);
    shuttle::Runner::new(scheduler, pair::config()).run(model);
}

/// Who has locked a range finds there what every writer has left that did not know of the lock.
#[test]
fn a_locked_range_stays_as_it_was_found() {
    check(|| {
        let pair = pair_in_memory();
        let writer = {
            let pair = pair.clone();
            thread::spawn(move || {
                let mut txn = pair.manager.begin_with(Isolation::ReadCommitted.into());
                pair.index.put(&mut txn, b"c", &[9]).unwrap();
                txn.commit().unwrap();
            })
        };
        let mut txn = pair.manager.begin_with(Isolation::ReadCommitted.into());
        pair.index.lock_range(&mut txn, Bound::Unbounded, Bound::Unbounded, LockMode::S).unwrap();
        let before = pair.scan(txn.read());
        thread::yield_now();
        assert_eq!(pair.scan(txn.read()), before, "a row came into a locked range");
        txn.commit().unwrap();
        writer.join().unwrap();
    });
}

/// Slices are written out while rows are changed and rolled back: the image has committed rows alone, and readers notice nothing.
#[test]
fn what_is_written_out_is_committed() {
    check(|| {
        let (pair, tables) = pair_and_tables();
        // Nothing is logged, so nobody has said that the table needs any: this does.
        let mut bound = Lv::ZERO;
        bound.set(StreamId::new(0), Lsn::new(u64::MAX));
        let writer = {
            let pair = pair.clone();
            thread::spawn(move || {
                pair.write(2, false).unwrap();
                pair.write(1, true).unwrap();
            })
        };
        let advanced = tables.advance(&bound).unwrap();
        assert_eq!(advanced, Advance::Again);
        let view = pair.manager.view();
        let first = pair.read(&view, b"a");
        assert!(first < 2 && pair.scan(&view) == [first, first]);
        writer.join().unwrap();
        let image = image(&pair);
        assert!(image.iter().all(|value| *value < 2), "the image has {image:?}");
    });
}

/// The values in the image.
fn image(pair: &Pair) -> Vec<u8> {
    let tree = BTree::open(pair.manager.clone(), pair.index.anchor().root, 7 | 1 << 31);
    let view = pair.manager.begin();
    let mut slice = Vec::new();
    assert!(tree.get_into(view.view(), b"", &mut slice).unwrap());
    // Each row ends with its key, flags and value: of one byte, with its length before.
    let rows = slice.windows(5).filter(|row| matches!(row, [1, b'a' | b'b', 0, 1, _]));
    rows.map(|row| row[4]).collect()
}

/// What a snapshot shows of a row stays the same while the row is replaced and leaves memory: of what leaves, the versions go along that
/// a snapshot may ask for which was taken before its newest one was settled.
#[test]
fn a_snapshot_keeps_its_version_while_rows_leave() {
    let model = || {
        let (pair, tables) = pair_and_tables();
        let (table, kept) = Kept::table(&pair.manager, &tables, 8);
        let put = |value: &[u8]| {
            let mut txn = pair.manager.begin();
            table.put(&mut txn, b"row", value).unwrap();
            txn.commit().unwrap();
        };
        put(b"old");
        let flusher = {
            let (table, kept) = (table.clone(), kept.clone());
            thread::spawn(move || (0..2).for_each(|_| kept.flush(&table)))
        };
        let reader = {
            let (manager, table, kept) = (pair.manager.clone(), table.clone(), kept.clone());
            thread::spawn(move || {
                for _ in 0..2 {
                    let txn = manager.begin();
                    let first = kept.get(&table, txn.view(), b"row");
                    assert!(first.is_some(), "a row that was there is gone");
                    assert_eq!(kept.get(&table, txn.view(), b"row"), first);
                }
            })
        };
        put(b"new");
        flusher.join().unwrap();
        reader.join().unwrap();
        assert_eq!(kept.get(&table, &pair.manager.view(), b"row").as_deref(), Some(&b"new"[..]));
    };
    let scheduler = shuttle::scheduler::PctScheduler::new(3, 4 * SCHEDULES);
    shuttle::Runner::new(scheduler, pair::config()).run(model);
}
