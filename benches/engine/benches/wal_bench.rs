//! The log: appending, and commits of one small row by durability and threads.
//!
//! `cargo bench -p engine-benches --bench wal_bench`. On the real file system, under the system's temporary directory.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::wal::{FIRST_KIND, Wal, WalConfig};
use aether_kv::{Db, Durability, Options};
use aether_sync::Arc;
use aether_types::{Error, Lv, Result, StoreId, StreamId};
use aether_vfs::Env;
use engine_benches::{is_full, key, line, median, nanoseconds};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const BODY_BYTES: usize = 100;

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    println!("appends of {BODY_BYTES} B, the log flushed behind them; medians of {ROUNDS}");
    for threads in [1, 2] {
        let rounds: Result<Vec<f64>> = (0..ROUNDS)
            .map(|round| append(&dir.path().join(format!("wal{threads}.{round}")), threads))
            .collect();
        line(&format!("append, {threads} threads, per record"), median(rounds?));
    }
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    let modes = [
        ("Sync", Durability::Sync),
        ("Group 1 ms", Durability::Group { max_wait: millisecond }),
        ("Async 1 s", Durability::Async { interval: second }),
        ("None", Durability::None),
    ];
    println!("commits of one row of 20 + 100 B; wall time / commits, commits per second, flushes per commit");
    for (name, mode) in modes {
        for threads in [1, 2, 8, 32] {
            commits(&dir.path().join(format!("{name}{threads}")), name, mode, threads)?;
        }
    }
    Ok(())
}

fn append(home: &std::path::Path, threads: u64) -> Result<f64> {
    let env = Env::real();
    env.vfs.create_dir(home)?;
    let wal = Wal::fresh(&env, home, StoreId::new([1; 16]), WalConfig::default(), Box::new(|_| Ok(())))?;
    let (each, stream) = (if is_full() { 200_000 } else { 1_000 }, StreamId::new(0));
    let work = || {
        for _ in 0..each {
            let credit = wal.reserve(stream, BODY_BYTES)?;
            wal.append(credit, FIRST_KIND, &Lv::ZERO, &[7; BODY_BYTES]);
        }
        Ok(())
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::invalid("panic"))))
    })?;
    wal.wait_durable(&wal.positions())?;
    let time = nanoseconds(start.elapsed(), each * threads);
    wal.close().map(|_| time)
}

fn commits(home: &std::path::Path, name: &str, durability: Durability, threads: u64) -> Result<()> {
    let db = Arc::new(Db::open_with(home, Options { durability, ..Options::default() })?);
    let (limit, next) = (Duration::from_millis(if is_full() { 1_500 } else { 5 }), AtomicU64::new(0));
    (0..1000).try_for_each(|number| db.put(&key(number), &[0; 100]))?;
    let before = db.env().stat()?.log.flushes;
    let start = Instant::now();
    thread::scope(|scope| {
        let work = || {
            while start.elapsed() < limit {
                let number = next.fetch_add(1, Relaxed);
                db.put(&key(number % 100_000), &[number as u8; 100])?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::invalid("panic"))))
    })?;
    let (time, count) = (start.elapsed(), next.load(Relaxed));
    let flushes = db.env().stat()?.log.flushes - before;
    let figure = nanoseconds(time, count);
    line(&format!("{name}, {threads} threads"), figure);
    println!("{:44} {:10.0} /s {:8.3} flushes", "", 1e9 / figure, flushes as f64 / count.max(1) as f64);
    Ok(())
}
