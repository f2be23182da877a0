//! What the lock manager costs who meets nobody, and what it gives who does.
//!
//! `cargo bench -p engine-benches --bench locks [-- WORDS]` (only figures with one of the words); `AETHER_BENCH_ROWS` sets the
//! rows (100,000). Durability `None`, on the real file system; rows of 20 B keys and 100 B values.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::{Budget, BufferConfig};
use aether_kv::lsm::index::txn::publication::TxnState;
use aether_kv::lsm::index::txn::recovery::{FIRST_TREE_ROOT, Opening, StoreConfig};
use aether_kv::lsm::index::txn::{LockTable, Patience, TxnConfig, TxnManager};
use aether_kv::lsm::index::{BTree, TreeUndo};
use aether_kv::{
    Db, Durability, ErrorKind, Isolation, LockMode, LockTarget, Options, Resource, Result, Transact,
    TxnOptions,
};
use aether_types::TxnId;
use aether_vfs::Env;
use engine_benches::{Rng, is_full, is_wanted, key, line, median, nanoseconds, per_step, rows};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: u64 = 11;
const LONG: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| aether_kv::Error::invalid(error.to_string()))?;
    let rows = rows(100_000, 1_000);
    println!("{rows} rows, durability None; medians of {ROUNDS} rounds, alternating");
    alone(&dir.path().join("alone"), rows)?;
    parts();
    let buffer = BufferConfig { num_frames: 8192, ..BufferConfig::default() };
    let options = Options { buffer, durability: Durability::None, lock_timeout: LONG, ..Options::default() };
    let db = Db::open_with(dir.path().join("db"), options)?;
    contended(&db, rows / 10)?;
    explicit(&db, rows / 10)?;
    deadlock();
    db.env().clone().close()
}

fn manager(home: &Path) -> Result<Arc<TxnManager>> {
    let buffer = BufferConfig { num_frames: 16_384, ..BufferConfig::default() };
    let config = StoreConfig { buffer, max_recovery_bytes: 1 << 30, ..StoreConfig::default() };
    let redone = Opening::begin(Env::real(), home, config, true)?.scan()?.redo()?;
    let floor = redone.timestamp_floor();
    let (store, losers, _) = redone.into_parts();
    TxnManager::resume(store, losers, floor, TxnConfig::new(Durability::None), Box::new(TreeUndo))
}

/// One thread that meets nobody, with the intention locks of a writer and without.
fn alone(home: &Path, rows: u64) -> Result<()> {
    if !is_wanted("one-row update") {
        return Ok(());
    }
    let manager = manager(home)?;
    let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
    let mut fill = manager.begin();
    (0..rows).try_for_each(|number| tree.put(&mut fill, &key(number), &[0; 100]))?;
    fill.commit()?;
    let (mut rng, mut figures) = (Rng::new(1), [Vec::new(), Vec::new()]);
    let mut round = |without: bool| -> Result<f64> {
        let mut failed = Ok(());
        let figure = per_step(rows, || {
            for _ in 0..rows {
                let txn = manager.begin();
                let mut txn = if without { txn.for_bookkeeping() } else { txn };
                let changed = tree.put(&mut txn, &key(rng.below(rows)), &[1; 100]);
                if let Err(error) = changed.and_then(|()| txn.commit()) {
                    failed = Err(error);
                }
            }
        });
        failed.map(|()| figure)
    };
    for number in 0..ROUNDS {
        // Whoever is first in a pair finds another's pages and caches: they take turns at that too.
        for turn in [number % 2, (number + 1) % 2] {
            figures[turn as usize].push(round(turn == 0)?);
        }
    }
    let [without, with] = figures.map(median);
    line("one-row update without intention locks", without);
    line("one-row update with them", with);
    println!("with and without: {:+.1} %", 100.0 * (with / without - 1.0));
    manager.store().close()
}

fn patience() -> Patience<'static> {
    Patience { timeout: LONG, check: &|| Ok(()) }
}

/// The calls that a one-row transaction makes to the lock manager, and nothing else.
fn parts() {
    if !is_wanted("calls of a one-row transaction") {
        return;
    }
    let table = LockTable::new(Budget::unlimited().account("locks"));
    let count = if is_full() { 1_000_000 } else { 1_000 };
    let round = |calls: bool| {
        per_step(count, || {
            for number in 1..=count {
                let txn = TxnState::new(TxnId::new(number));
                if calls {
                    table.intend(&txn, 1, &patience()).expect("nobody is in the way");
                    assert!(table.admits(txn.id(), 1, b"key"));
                    table.end(&txn);
                }
            }
        })
    };
    let (mut without, mut with) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(round(false));
        with.push(round(true));
    }
    line("calls of a one-row transaction", median(with) - median(without));
}

/// Two threads add to one row.
fn contended(db: &Db, count: u64) -> Result<()> {
    for (what, level) in [
        ("contended counter, locked and read, 2 threads", Isolation::ReadCommitted),
        ("contended counter, run again, 2 threads", Isolation::Snapshot),
    ] {
        if !is_wanted(what) {
            continue;
        }
        let how = Transact { txn: TxnOptions::at(level), attempts_max: u32::MAX, ..Transact::default() };
        let add = || {
            (0..count).try_fold(0, |attempts, _| {
                let done = db.transact_with(how, |txn| {
                    if level == Isolation::ReadCommitted {
                        txn.lock(LockTarget::Key(db.keyspace(), b"counter"), LockMode::X)?;
                    }
                    let bytes = txn.get(db.keyspace(), b"counter")?.unwrap_or_else(|| vec![0; 8]);
                    let now = u64::from_le_bytes(bytes.try_into().unwrap_or_default());
                    txn.put(db.keyspace(), b"counter", &(now + 1).to_le_bytes())
                })?;
                Ok(attempts + u64::from(done.attempts))
            })
        };
        let start = Instant::now();
        let attempts = thread::scope(|scope| -> Result<u64> {
            let threads = [scope.spawn(add), scope.spawn(add)];
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).sum()
        })?;
        line(what, nanoseconds(start.elapsed(), 2 * count));
        println!("attempts for each: {:.2}", attempts as f64 / (2 * count) as f64);
    }
    Ok(())
}

/// A lock asked for and given back, alone in its transaction, and among many.
fn explicit(db: &Db, count: u64) -> Result<()> {
    let lock_all = |locks: u64, txns: u64| -> Result<f64> {
        let mut failed = Ok(());
        let figure = per_step(locks * txns, || {
            for _ in 0..txns {
                let run = || -> Result<()> {
                    let mut txn = db.begin()?;
                    for number in 0..locks {
                        txn.lock(LockTarget::Key(db.keyspace(), &key(number)), LockMode::X)?;
                    }
                    txn.commit()
                };
                if let Err(error) = run() {
                    failed = Err(error);
                }
            }
        });
        failed.map(|()| figure)
    };
    for (what, locks, txns) in
        [("lock and unlock, one to a transaction", 1, count), ("lock and unlock, many to one", count, 1)]
    {
        if is_wanted(what) {
            let figures = (0..ROUNDS).map(|_| lock_all(locks, txns)).collect::<Result<_>>()?;
            line(what, median(figures));
        }
    }
    Ok(())
}

/// A hundred wait in a row, each for the next; the last closes the cycle and is its victim.
fn deadlock() {
    const WAITERS: u64 = 100;
    if !is_wanted("deadlock of 100") {
        return;
    }
    let figures = (0..ROUNDS).map(|_| close_cycle(WAITERS)).collect();
    line("deadlock of 100 waiters, found and told", median(figures));
}

fn close_cycle(count: u64) -> f64 {
    let table = LockTable::new(Budget::unlimited().account("locks"));
    let txns: Vec<_> = (1..=count).map(|number| TxnState::new(TxnId::new(number))).collect();
    let lock = |txn: u64, number: u64| {
        let resource = Resource::key(1, &key(number));
        table.lock(&txns[txn as usize], &resource, LockMode::X, &patience(), &mut || Ok(Vec::new()))
    };
    (0..count).for_each(|number| lock(number, number).expect("each has its own"));
    thread::scope(|scope| {
        for number in 0..count - 1 {
            let (lock, table, txn) = (&lock, &table, &txns[number as usize]);
            scope.spawn(move || {
                lock(number, number + 1).expect("the last one is the victim");
                table.end(txn);
            });
        }
        while table.deadlocks().waits.len() < count as usize - 1 {
            thread::yield_now();
        }
        let start = Instant::now();
        let told = lock(count - 1, 0).map_err(|error| error.kind());
        let figure = start.elapsed();
        assert_eq!(told, Err(ErrorKind::Deadlock));
        table.end(&txns[count as usize - 1]);
        figure.as_nanos() as f64
    })
}
