//! shuttle: readers of rows in memory against commits, rollbacks, the collection of old versions, and slices that are written
//! out, under random schedules. Run by `cargo xtask shuttle -p aether-index`.
//!
//! Each writer changes two rows by one transaction; whoever reads must find both as one commit left them.
#![cfg(all(shuttle, feature = "skiplist", feature = "btree"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_index::rows::{free_value, undo_extents};
use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::recovery::wal::buffer::page::UndoPtr;
use aether_index::txn::recovery::{ActiveTxn, Advance, Participant, Store, StoreConfig};
use aether_index::txn::{
    Durability, Isolation, LockMode, ReadView, TxnConfig, TxnManager, UndoHandler, UndoKind, UndoRecord,
};
use aether_index::{
    Anchor, BTree, IndexFactory, OrderedCursor, Resident, ResidentCursor, ResidentFactory, Tables,
    TablesConfig,
};
use aether_sync::Arc;
use aether_types::{IndexKind, Lsn, Lv, Result, StreamId, Timestamp};
use core::ops::Bound;
use shuttle::thread;
use std::time::Duration;

const SCHEDULES: usize = 400;

fn check(model: impl Fn() + Sync + Send + 'static) {
    // The whole way from a transaction to a page needs more stack than a model of its own would.
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(SCHEDULES), config).run(model);
}

struct Undo(Arc<ResidentFactory>);

impl UndoHandler for Undo {
    fn undo(
        &self,
        txns: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        match record.index {
            _ if record.kind == UndoKind::WriteExtents => undo_extents(txns, txn, record),
            IndexKind::BTREE => {
                BTree::open(txns.clone(), record.root, record.tree).undo(txn, pointer, record)
            }
            _ => self.0.undo(txns, txn, pointer, record),
        }
    }

    fn free_extents(&self, txns: &Arc<TxnManager>, stub: &[u8]) -> Result<()> {
        free_value(txns.store(), stub)
    }
}

struct World {
    manager: Arc<TxnManager>,
    tables: Arc<Tables>,
    table: Resident,
}

fn world() -> Arc<World> {
    let buffer = BufferConfig { num_frames: 64, enable_page_provider: false, ..BufferConfig::default() };
    let factory = Arc::new(ResidentFactory::new(TablesConfig::new(5)));
    let config = StoreConfig { buffer, memory_bytes: 32 << 20, ..StoreConfig::default() };
    let store = Store::volatile_with(config, |budget| factory.participant(budget).into_iter().collect());
    let store = store.unwrap();
    let config = TxnConfig { lock_timeout: Duration::from_secs(1), ..TxnConfig::new(Durability::None) };
    let undo = Box::new(Undo(factory.clone()));
    let manager = TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, undo).unwrap();
    let mut txn = manager.begin();
    let at: Anchor = factory.create(&mut txn, IndexKind::SKIPLIST, 7).unwrap();
    txn.commit().unwrap();
    let table = factory.open_table(&manager, at).unwrap();
    let world = Arc::new(World { manager, tables: factory.tables().unwrap(), table });
    world.write(0, true).unwrap();
    world
}

impl World {
    /// Both rows get one value; then commit or abort.
    fn write(&self, value: u8, commits: bool) -> Result<()> {
        let mut txn = self.manager.begin_with(Isolation::ReadCommitted.into());
        self.table.put(&mut txn, b"a", &[value])?;
        self.table.put(&mut txn, b"b", &[value])?;
        if commits { txn.commit() } else { txn.abort() }
    }

    fn read(&self, view: &ReadView, key: &[u8]) -> u8 {
        let mut value = Vec::new();
        assert!(self.table.get_into(view, key, &mut value).unwrap(), "the row is always there");
        value[0]
    }

    fn scan(&self, view: &ReadView) -> Vec<u8> {
        let mut cursor = ResidentCursor::new(self.table.clone());
        let mut values = Vec::new();
        while let Some((_, value)) = cursor.next(view).unwrap() {
            values.push(value[0]);
        }
        values
    }

    fn collect(&self) {
        self.manager.collect().unwrap();
    }
}

#[test]
fn a_snapshot_shows_whole_transactions_and_repeats_itself() {
    check(|| {
        let world = world();
        let writers = [(1, true), (2, false)].map(|(value, commits)| {
            let world = world.clone();
            thread::spawn(move || {
                world.write(value, commits).unwrap();
                world.collect();
            })
        });
        let view = world.manager.view();
        let first = world.read(&view, b"a");
        assert_eq!(world.read(&view, b"b"), first, "half of a transaction");
        assert_eq!(world.scan(&view), [first, first], "a cursor");
        world.collect();
        assert_eq!(world.read(&view, b"a"), first, "the snapshot has moved");
        assert!(first < 2, "a change that was rolled back");
        drop(view);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let newest = world.manager.begin();
        assert_eq!(world.scan(newest.view()), [1, 1]);
    });
}

/// A row that is inserted and rolled back is never seen: neither as long as it is there, nor by who has met it and asks for its writer
/// when that is gone. Few changes of turn do it, if they come at the right moments: the schedules are those of Burckhardt et al., "A
/// Randomized Scheduler with Probabilistic Guarantees of Finding Bugs" (ASPLOS 2010).
#[test]
fn an_insert_that_is_rolled_back_is_never_seen() {
    let model = || {
        let world = world();
        let writer = {
            let world = world.clone();
            thread::spawn(move || {
                for _ in 0..3 {
                    let mut txn = world.manager.begin();
                    world.table.put(&mut txn, b"c", &[9]).unwrap();
                    txn.abort().unwrap();
                }
            })
        };
        let view = world.manager.view();
        for _ in 0..12 {
            assert!(!world.table.get_into(&view, b"c", &mut Vec::new()).unwrap(), "a point read");
            let settled = world.table.get_settled(b"c", &mut Vec::new()).unwrap();
            assert_ne!(settled, Some(true), "a read without a snapshot");
            assert_eq!(world.scan(&view), [0, 0], "a cursor");
        }
        writer.join().unwrap();
    };
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    shuttle::Runner::new(shuttle::scheduler::PctScheduler::new(3, 4 * SCHEDULES), config).run(model);
}

/// Who has locked a range finds there what every writer has left that did not know of the lock.
#[test]
fn a_locked_range_stays_as_it_was_found() {
    check(|| {
        let world = world();
        let writer = {
            let world = world.clone();
            thread::spawn(move || {
                let mut txn = world.manager.begin_with(Isolation::ReadCommitted.into());
                world.table.put(&mut txn, b"c", &[9]).unwrap();
                txn.commit().unwrap();
            })
        };
        let mut txn = world.manager.begin_with(Isolation::ReadCommitted.into());
        world.table.lock_range(&mut txn, Bound::Unbounded, Bound::Unbounded, LockMode::S).unwrap();
        let before = world.scan(txn.read());
        thread::yield_now();
        assert_eq!(world.scan(txn.read()), before, "a row came into a locked range");
        txn.commit().unwrap();
        writer.join().unwrap();
    });
}

/// Slices are written out while rows are changed and rolled back: the image has committed rows alone, and readers notice nothing.
#[test]
fn what_is_written_out_is_committed() {
    check(|| {
        let world = world();
        // Nothing is logged, so nobody has said that the table needs any: this does.
        let mut bound = Lv::ZERO;
        bound.set(StreamId::new(0), Lsn::new(u64::MAX));
        let writer = {
            let world = world.clone();
            thread::spawn(move || {
                world.write(2, false).unwrap();
                world.write(1, true).unwrap();
            })
        };
        let advanced = world.tables.advance(&bound).unwrap();
        assert_eq!(advanced, Advance::Again);
        let view = world.manager.view();
        let first = world.read(&view, b"a");
        assert!(first < 2 && world.scan(&view) == [first, first]);
        writer.join().unwrap();
        let image = world.image();
        assert!(image.iter().all(|value| *value < 2), "the image has {image:?}");
    });
}

impl World {
    /// The values in the image.
    fn image(&self) -> Vec<u8> {
        let tree =
            BTree::open(self.manager.clone(), aether_index::Index::anchor(&self.table).root, 7 | 1 << 31);
        let view = self.manager.begin();
        let mut slice = Vec::new();
        assert!(tree.get_into(view.view(), b"", &mut slice).unwrap());
        // Each row ends with its key, flags and value: of one byte, with its length before.
        let rows = slice.windows(5).filter(|row| matches!(row, [1, b'a' | b'b', 0, 1, _]));
        rows.map(|row| row[4]).collect()
    }
}
