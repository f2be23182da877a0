//! shuttle: waits for rows against commits and aborts, strong locks against writers without entries, locks of ranges
//! against writers of rows, and deadlocks, under random schedules. Run by `cargo xtask shuttle -p aether-txn`.
//!
//! A wait that nobody ends is a deadlock of the schedule, which shuttle reports. Rows are cells under a lock that stands
//! for the leaf's latch; what a writer does with them is what `BTree::change_row` does.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_sync::{Arc, Mutex, Rank};
use aether_txn::publication::TxnState;
use aether_txn::recovery::wal::buffer::Budget;
use aether_txn::{Found, LockMode, LockTable, Outcome, Patience, Resource};
use aether_types::{ErrorKind, Lv, Result, Timestamp, TxnId};
use core::ops::Bound::Unbounded;
use shuttle::thread;
use std::time::Duration;

const SCHEDULES: usize = 10_000;
const TREE: u32 = 1;
const ROWS: usize = 2;

fn check(model: impl Fn() + Sync + Send + 'static) {
    shuttle::check_random(model, SCHEDULES);
}

/// A row: its newest version's writer, how often that version was changed, and how often the one before it.
#[derive(Clone, Default)]
struct Row {
    writer: Option<Arc<TxnState>>,
    value: u64,
    before: u64,
}

struct Store {
    table: LockTable,
    running: Mutex<Vec<Arc<TxnState>>>,
    /// Each under its leaf's latch.
    rows: [Mutex<Row>; ROWS],
}

fn store() -> Arc<Store> {
    Arc::new(Store {
        table: LockTable::new(Budget::unlimited().account("locks")),
        running: Mutex::new(Rank::new(600, "running"), Vec::new()),
        rows: core::array::from_fn(|_| Mutex::new(Rank::new(500, "leaf"), Row::default())),
    })
}

fn key(row: usize) -> Resource {
    Resource::key(TREE, &[row as u8])
}

fn patience() -> Patience<'static> {
    Patience { timeout: Duration::from_secs(1), check: &|| Ok(()) }
}

fn is_running(writer: &TxnState) -> bool {
    !matches!(writer.outcome(), Outcome::Committed(_)) && !writer.lock_owner().is_ended()
}

impl Store {
    fn begin(&self, id: u64) -> Arc<TxnState> {
        let txn = TxnState::new(TxnId::new(id));
        self.running.lock().push(txn.clone());
        txn
    }

    /// Adds one to a row, as a transaction does that replaces the newest committed version.
    fn write(&self, own: &Arc<TxnState>, number: usize) -> Result<()> {
        self.table.intend(own, TREE, &patience())?;
        loop {
            let mut row = self.rows[number].lock();
            let holder = row.writer.clone().filter(|writer| writer.id() != own.id() && is_running(writer));
            let is_own = row.writer.as_ref().is_some_and(|writer| writer.id() == own.id());
            if holder.is_none() && (is_own || self.table.admits(own.id(), TREE, &[number as u8])) {
                if !is_own {
                    row.before = row.value;
                    row.writer = Some(own.clone());
                }
                row.value += 1;
                return Ok(());
            }
            drop(row);
            self.table.wait_for_row(own, &key(number), holder.as_ref(), &patience())?;
        }
    }

    fn commit(&self, own: &Arc<TxnState>) {
        own.publish_committed(Timestamp::new(1), Lv::ZERO);
        self.end(own);
    }

    fn abort(&self, own: &Arc<TxnState>) {
        for row in &self.rows {
            let mut row = row.lock();
            if row.writer.as_ref().is_some_and(|writer| writer.id() == own.id()) {
                row.value = row.before;
                row.writer = None;
            }
        }
        self.end(own);
    }

    fn end(&self, own: &Arc<TxnState>) {
        self.table.end(own);
        self.running.lock().retain(|txn| txn.id() != own.id());
    }

    fn lock_keyspace(&self, own: &Arc<TxnState>, mode: LockMode) -> Result<()> {
        let resource = Resource::Keyspace(TREE);
        self.table.lock(own, &resource, mode, &patience(), &mut || {
            Ok(LockTable::writers_without_entry(&resource, self.running.lock().clone()))
        })
    }

    fn lock_all_rows(&self, own: &Arc<TxnState>) -> Result<()> {
        let resource = Resource::range(TREE, Unbounded, Unbounded).unwrap();
        self.table.lock(own, &resource, LockMode::S, &patience(), &mut || {
            let writer = |number: usize| {
                let writer = self.rows[number].lock().writer.clone()?;
                (writer.id() != own.id() && is_running(&writer)).then(|| Found {
                    writer,
                    resource: key(number),
                    mode: LockMode::X,
                })
            };
            Ok((0..ROWS).filter_map(writer).collect())
        })
    }

    /// The sum of all rows, none of which has a running writer.
    fn sum_at_rest(&self, own: &TxnState) -> u64 {
        let value = |row: &Mutex<Row>| {
            let row = row.lock();
            let others = row.writer.as_ref().filter(|writer| writer.id() != own.id());
            assert!(
                others.is_none_or(|writer| !is_running(writer)),
                "a writer beside a lock that excludes it"
            );
            row.value
        };
        self.rows.iter().map(value).sum()
    }

    fn is_at_rest(&self) {
        assert_eq!(self.table.check(), Vec::<String>::new());
        assert!(self.table.deadlocks().waits.is_empty());
    }
}

fn run(threads: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = threads.into_iter().map(thread::spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// Three add one to a row; one of them aborts. Nobody sleeps for ever, nothing is lost.
#[test]
fn waits_for_a_row_end_with_its_writer() {
    check(|| {
        let store = store();
        let adder = |id: u64| -> Box<dyn FnOnce() + Send> {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(id);
                store.write(&txn, 0).unwrap();
                if id == 2 { store.abort(&txn) } else { store.commit(&txn) }
            })
        };
        run((1..=3).map(adder).collect());
        assert_eq!(store.rows[0].lock().value, 2);
        store.is_at_rest();
    });
}

/// Whoever has locked the keyspace sees no writer, and none comes while it looks.
#[test]
fn a_strong_lock_and_writers_exclude_each_other() {
    check(|| {
        let store = store();
        let writer = |id: u64| -> Box<dyn FnOnce() + Send> {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(id);
                store.write(&txn, id as usize % ROWS).unwrap();
                store.commit(&txn);
            })
        };
        let locker = |id: u64, mode: LockMode| -> Box<dyn FnOnce() + Send> {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(id);
                store.lock_keyspace(&txn, mode).unwrap();
                let first = store.sum_at_rest(&txn);
                thread::yield_now();
                assert_eq!(store.sum_at_rest(&txn), first, "a row has changed under a shared lock");
                store.commit(&txn);
            })
        };
        run(vec![writer(1), locker(2, LockMode::S), writer(3), locker(4, LockMode::X)]);
        store.is_at_rest();
    });
}

/// The same for a range, whose locker looks at the rows.
#[test]
fn a_locked_range_and_writers_exclude_each_other() {
    check(|| {
        let store = store();
        let writer = |id: u64| -> Box<dyn FnOnce() + Send> {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(id);
                match store.write(&txn, 0).and_then(|()| store.write(&txn, 1)) {
                    Ok(()) => store.commit(&txn),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Deadlock);
                        store.abort(&txn);
                    }
                }
            })
        };
        let locker = |id: u64| -> Box<dyn FnOnce() + Send> {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(id);
                if store.lock_all_rows(&txn).is_ok() {
                    let first = store.sum_at_rest(&txn);
                    assert!(first % 2 == 0, "half a transaction");
                    thread::yield_now();
                    assert_eq!(store.sum_at_rest(&txn), first);
                }
                store.commit(&txn);
            })
        };
        run(vec![writer(1), locker(2), writer(3), locker(4)]);
        store.is_at_rest();
    });
}

/// Two rows in both orders, by three: whoever is a victim aborts, the others commit.
#[test]
fn a_deadlock_is_always_resolved() {
    check(|| {
        let store = store();
        let committed = Arc::new(Mutex::new(Rank::new(400, "committed"), 0));
        let writer = |id: u64| -> Box<dyn FnOnce() + Send> {
            let (store, committed) = (store.clone(), committed.clone());
            Box::new(move || {
                let txn = store.begin(id);
                let (first, second) = if id % 2 == 0 { (0, 1) } else { (1, 0) };
                match store.write(&txn, first).and_then(|()| store.write(&txn, second)) {
                    Ok(()) => {
                        store.commit(&txn);
                        *committed.lock() += 1;
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Deadlock);
                        store.abort(&txn);
                    }
                }
            })
        };
        run((1..=3).map(writer).collect());
        let committed = *committed.lock();
        assert!(committed >= 1, "not all can be victims");
        store.rows.iter().for_each(|row| assert_eq!(row.lock().value, committed));
        store.is_at_rest();
    });
}

/// A transaction goes back to a savepoint while another waits for what it has written since.
#[test]
fn a_savepoint_lets_waiters_look_again() {
    check(|| {
        let store = store();
        let owner: Box<dyn FnOnce() + Send> = {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(1);
                store.write(&txn, 0).unwrap();
                let mark = store.table.mark(&txn);
                store.write(&txn, 1).unwrap();
                {
                    let mut row = store.rows[1].lock();
                    (row.value, row.writer) = (row.before, None);
                }
                store.table.roll_back(&txn, mark);
                thread::yield_now();
                store.commit(&txn);
            })
        };
        let writer = |id: u64, row: usize| -> Box<dyn FnOnce() + Send> {
            let store = store.clone();
            Box::new(move || {
                let txn = store.begin(id);
                store.write(&txn, row).unwrap();
                store.commit(&txn);
            })
        };
        run(vec![owner, writer(2, 0), writer(3, 1)]);
        assert_eq!((store.rows[0].lock().value, store.rows[1].lock().value), (2, 1));
        store.is_at_rest();
    });
}
