//! Restart: time per MiB of log, for random updates of a tree that is resident afterwards, and one larger than the pool.
//!
//! `cargo bench -p engine-benches --bench recovery`. A copy of the files of an open home is what a killed process leaves.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::BufferConfig;
use aether_kv::{Db, DbEnv, Durability, Error, Options, Result, WriteBatch};
use engine_benches::{Rng, is_full, key, line, median, nanoseconds};
use std::path::Path;
use std::time::Instant;

const ROUNDS: u64 = 5;

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    let rows = if is_full() { 400_000 } else { 2_000 };
    println!(
        "{rows} rows of 120 B, then one update each at random, 20 to a transaction; medians of {ROUNDS}"
    );
    for (what, frames, updates) in [("resident", 32_768, rows), ("a fifth of the pages fit", 2_500, rows / 8)]
    {
        measure(&dir.path().join(what.replace(' ', "-")), (what, frames), rows, updates)?;
    }
    Ok(())
}

fn options(frames: usize) -> Options {
    let buffer = BufferConfig { num_frames: frames, ..BufferConfig::default() };
    Options { buffer, max_recovery_bytes: 8 << 30, durability: Durability::None, ..Options::default() }
}

fn measure(home: &Path, (what, frames): (&str, usize), rows: u64, updates: u64) -> Result<()> {
    // No thread of the writer moves files while they are copied.
    let db = Db::open_with(home, Options { background: false, ..options(frames) })?;
    write(&db, rows, |number| number)?;
    db.env().checkpoint()?;
    let mut rng = Rng::new(3);
    write(&db, updates, |_| rng.below(rows))?;
    let mut last = db.begin()?;
    last.put(db.keyspace(), b"last", b"")?;
    last.commit_with(Durability::Sync)?.wait()?;
    let (mut figures, mut report) = (Vec::new(), None);
    for round in 0..ROUNDS {
        let copy = home.with_extension(format!("copy{round}"));
        copy_dir(home, &copy).map_err(|error| Error::invalid(error.to_string()))?;
        let start = Instant::now();
        let env = DbEnv::open(&copy, options(frames))?;
        let time = start.elapsed();
        let mib = env.recovery_report().log_bytes >> 20;
        figures.push(nanoseconds(time, mib));
        report = Some(env.recovery_report().clone());
    }
    line(&format!("{what}: open per MiB of log"), median(figures));
    println!("  {report:?}");
    Ok(())
}

fn write(db: &Db, rows: u64, mut pick: impl FnMut(u64) -> u64) -> Result<()> {
    for start in (0..rows).step_by(20) {
        let mut batch = WriteBatch::new();
        (start..start + 20).for_each(|number| _ = batch.put(&key(pick(number)), &[number as u8; 100]));
        db.write(batch)?;
    }
    Ok(())
}

fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_dir(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
