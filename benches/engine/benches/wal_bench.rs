//! The log: appending, and commits of one small row by durability, clients and log streams.
//!
//! `cargo bench -p engine-benches --bench wal_bench [-- appends|commits]`. On the real file system, under the system's temporary directory.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::wal::{FIRST_KIND, Wal, WalConfig};
use aether_kv::{Db, Durability, Options};
use aether_sync::Arc;
use aether_types::{Error, Lv, Result, StoreId, StreamId};
use aether_vfs::Env;
use engine_benches::{is_full, is_wanted, key, line, median, nanoseconds, rows};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const BODY_BYTES: usize = 100;

/// Numbers of log streams.
const STREAMS: [usize; 3] = [1, 2, 4];

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    if is_wanted("appends") {
        appends(dir.path())?;
    }
    let (second, millisecond) = (Duration::from_secs(1), Duration::from_millis(1));
    let modes = [
        ("Sync", Durability::Sync, &STREAMS[..]),
        ("Group 1 ms", Durability::Group { max_wait: millisecond }, &STREAMS),
        ("Async 1 s", Durability::Async { interval: second }, &STREAMS[..1]),
        ("None", Durability::None, &STREAMS[..1]),
    ];
    println!("commits of one row of 20 + 100 B; wall time / commits, commits per second, flushes per commit");
    for (name, mode, streams) in modes.into_iter().filter(|_| is_wanted("commits")) {
        for (clients, streams) in
            [1, 2, 8, 32].into_iter().flat_map(|clients| streams.iter().map(move |n| (clients, *n)))
        {
            commits(&dir.path().join(format!("{name}{clients}.{streams}")), name, mode, (clients, streams))?;
        }
    }
    Ok(())
}

/// Streams take turns, so that what else the machine does falls on all alike.
fn appends(dir: &Path) -> Result<()> {
    println!("appends of {BODY_BYTES} B, the log flushed behind them; medians of {ROUNDS}");
    for threads in [1, 2] {
        let mut figures = [const { Vec::new() }; STREAMS.len()];
        for round in 0..ROUNDS {
            for (streams, figures) in STREAMS.into_iter().zip(&mut figures) {
                figures.push(append(&dir.join(format!("wal{threads}.{round}.{streams}")), threads, streams)?);
            }
        }
        for (streams, figures) in STREAMS.into_iter().zip(figures) {
            line(&format!("append, {threads} threads, {streams} streams, per record"), median(figures));
        }
    }
    Ok(())
}

fn append(home: &Path, threads: u64, streams: usize) -> Result<f64> {
    let env = Env::real();
    env.vfs.create_dir(home)?;
    let config = WalConfig { streams, ..WalConfig::default() };
    let wal = Wal::fresh(&env, home, StoreId::new([1; 16]), config, Box::new(|_| Ok(())))?;
    let each = if is_full() { 200_000 } else { 1_000 };
    let work = |number: u64| {
        let stream = StreamId::new((number % streams as u64) as u8);
        for _ in 0..each {
            let credit = wal.reserve(stream, BODY_BYTES)?;
            wal.append(credit, FIRST_KIND, &Lv::ZERO, &[7; BODY_BYTES]);
        }
        Ok(())
    };
    let start = Instant::now();
    thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..threads).map(|number| scope.spawn(move || work(number))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::invalid("panic"))))
    })?;
    wal.wait_durable(&wal.positions())?;
    let time = nanoseconds(start.elapsed(), each * threads);
    wal.close().map(|_| time)
}

fn commits(home: &Path, name: &str, durability: Durability, (clients, streams): (u64, usize)) -> Result<()> {
    let wal = WalConfig { streams, ..WalConfig::default() };
    let db = Arc::new(Db::open_with(home, Options { durability, wal, ..Options::default() })?);
    let (limit, next) = (Duration::from_millis(if is_full() { 1_500 } else { 5 }), AtomicU64::new(0));
    (0..rows(1_000, 20)).try_for_each(|number| db.put(&key(number), &[0; 100]))?;
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
        let workers: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(Error::invalid("panic"))))
    })?;
    let (time, count) = (start.elapsed(), next.load(Relaxed));
    let flushes = db.env().stat()?.log.flushes - before;
    let figure = nanoseconds(time, count);
    line(&format!("{name}, {clients} clients, {streams} streams"), figure);
    println!("{:44} {:10.0} /s {:8.3} flushes", "", 1e9 / figure, flushes as f64 / count.max(1) as f64);
    Ok(())
}
