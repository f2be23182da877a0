//! The B+tree through the key-value layer: point operations, scans both ways, and a cold scan with read-ahead on and off.
//!
//! `cargo bench -p engine-benches --bench btree_bench [-- WORDS]` (only figures with one of the words); `AETHER_BENCH_ROWS` sets the rows (1,000,000). One thread,
//! durability `None`, on the real file system; rows of 20 B keys and 100 B values.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::BufferConfig;
use aether_kv::{Db, Durability, Iter, Options, Result, WriteBatch};
use engine_benches::{Rng, is_wanted, key, line, median, per_step, rows};
use std::hint::black_box;
use std::path::Path;

const ROUNDS: u64 = 5;

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| aether_kv::Error::invalid(error.to_string()))?;
    let rows = rows(1_000_000, 2_000);
    println!("{rows} rows, resident unless it says cold; one thread, durability None; medians of {ROUNDS}");
    resident(&dir.path().join("resident"), rows)?;
    cold(&dir.path().join("resident"), rows)
}

fn options(frames: usize, read_ahead: usize) -> Options {
    let buffer = BufferConfig { num_frames: frames, prefetch_threads: read_ahead, ..BufferConfig::default() };
    Options { buffer, durability: Durability::None, max_recovery_bytes: 1 << 30, ..Options::default() }
}

fn resident(home: &Path, rows: u64) -> Result<()> {
    let db = Db::open_with(home, options(rows as usize / 10 + 4096, 2))?;
    // Even numbers are there, odd ones are misses.
    line("insert in order, 100 to a transaction", fill(&db, (0..rows).map(|number| number * 2))?);
    let count = (rows / 5).max(1);
    let point = |what: &str, mut step: Box<dyn FnMut(u64) -> Result<()> + '_>| -> Result<()> {
        if !is_wanted(what) {
            return Ok(());
        }
        let (mut rng, mut failed) = (Rng::new(1), Ok(()));
        let mut round = || {
            per_step(count, || {
                (0..count).for_each(|_| {
                    if let Err(error) = step(rng.below(rows)) {
                        failed = Err(error)
                    }
                })
            })
        };
        let figures = (0..ROUNDS).map(|_| round()).collect();
        line(what, median(figures));
        failed
    };
    let mut value = Vec::new();
    point(
        "get, hit",
        Box::new(|number| {
            value.clear();
            db.get_into(&key(number * 2), &mut value).map(|found| assert!(found))
        }),
    )?;
    point(
        "get, miss",
        Box::new(|number| db.get_into(&key(number * 2 + 1), &mut Vec::new()).map(|found| assert!(!found))),
    )?;
    point("update, one to a transaction", Box::new(|number| db.put(&key(number * 2), &[1; 100])))?;
    point("insert or update at random", Box::new(|number| db.put(&key(number * 2 + 1), &[2; 100])))?;
    point("delete at random", Box::new(|number| db.delete(&key(number * 2 + 1)).map(drop)))?;
    let scan = |what: &str, reverse: bool, length: u64| -> Result<()> {
        if !is_wanted(what) {
            return Ok(());
        }
        let mut rng = Rng::new(2);
        let mut figures = Vec::new();
        for _ in 0..ROUNDS {
            let times = (rows / length / 2).clamp(1, 20_000);
            let mut failed = Ok(());
            figures.push(per_step(times * length, || {
                (0..times).for_each(|_| {
                    if let Err(error) = scan_some(&db, &mut rng, rows, length, reverse) {
                        failed = Err(error)
                    }
                })
            }));
            failed?;
        }
        line(what, median(figures));
        Ok(())
    };
    scan("scan of 100 rows forward, per row", false, 100)?;
    scan("scan of 100 rows in reverse, per row", true, 100)?;
    scan("scan of everything forward, per row", false, rows)?;
    scan("scan of everything in reverse, per row", true, rows)?;
    db.env().clone().close()
}

fn fill(db: &Db, numbers: impl Iterator<Item = u64>) -> Result<f64> {
    let numbers: Vec<u64> = numbers.collect();
    let mut failed = Ok(());
    let figure = per_step(numbers.len() as u64, || {
        for part in numbers.chunks(100) {
            let mut batch = WriteBatch::new();
            part.iter().for_each(|&number| _ = batch.put(&key(number), &[number as u8; 100]));
            if let Err(error) = db.write(batch) {
                failed = Err(error);
            }
        }
    });
    failed.map(|()| figure)
}

fn scan_some(db: &Db, rng: &mut Rng, rows: u64, length: u64, reverse: bool) -> Result<()> {
    let start = if length == rows { 0 } else { rng.below(rows - length) * 2 };
    let from = key(start).to_vec();
    let iter = if reverse { db.range(..key(start + 2 * length).to_vec())? } else { db.range(from..)? };
    take(iter, reverse, length)
}

fn take(mut iter: Iter<'_>, reverse: bool, length: u64) -> Result<()> {
    for _ in 0..length {
        let row = if reverse { iter.next_back_ref()? } else { iter.next_ref()? };
        black_box(row);
    }
    Ok(())
}

fn cold(home: &Path, rows: u64) -> Result<()> {
    if !is_wanted("cold scan") {
        return Ok(());
    }
    let frames = (rows as usize / 200).max(64);
    println!("cold: a pool of {frames} frames, files read past the page cache");
    let (mut off, mut on) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        off.push(cold_scan(home, frames, 0, false)?);
        on.push(cold_scan(home, frames, 2, false)?);
    }
    let (off, on) = (median(off), median(on));
    line("cold scan, read-ahead off, per row", off);
    line("cold scan, read-ahead on, per row", on);
    println!("read-ahead: {:.2}x", off / on);
    line("cold scan in reverse, read-ahead on, per row", cold_scan(home, frames, 2, true)?);
    Ok(())
}

fn cold_scan(home: &Path, frames: usize, read_ahead: usize, reverse: bool) -> Result<f64> {
    let db = Db::open_with(home, options(frames, read_ahead))?;
    let (mut count, mut failed) = (0_u64, Ok(()));
    let start = std::time::Instant::now();
    let iter = db.iter()?;
    let mut see = |row: Result<(Vec<u8>, Vec<u8>)>| match row {
        Ok(row) => {
            black_box(row);
            count += 1
        }
        Err(error) => failed = Err(error),
    };
    if reverse {
        iter.rev().for_each(&mut see)
    } else {
        iter.for_each(&mut see)
    }
    failed.map(|()| engine_benches::nanoseconds(start.elapsed(), count))
}
