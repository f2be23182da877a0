//! Restart after a kill: time per MiB of log by redo threads and log streams, and the whole open against `max_recovery_bytes`.
//!
//! `cargo bench -p engine-benches --bench recovery [-- threads|streams|bound|256]`. A copy of the files of an open home is what a
//! killed process leaves; it lies in the page cache. Each open is a process of its own; those compared take turns.
//! `AETHER_BENCH_ROWS` says how many updates there are.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::BufferConfig;
use aether_kv::wal::WalConfig;
use aether_kv::{Db, DbEnv, Durability, Error, Options, Result, WriteBatch};
use engine_benches::{Cost, Rng, is_full, is_wanted, key, median, rows};
use std::path::Path;
use std::process::Command;

/// Updates that make about 1 GiB of log.
const UPDATES: u64 = 3_250_000;
/// The word after which this process only opens a home.
const OPEN: &str = "open-the-home";

/// A home and how it is opened.
#[derive(Clone, Copy)]
struct Setting {
    what: &'static str,
    rows: u64,
    updates: u64,
    frames: usize,
    streams: usize,
    max_recovery_bytes: u64,
}

/// What one open took and found.
#[derive(Clone, Copy)]
struct Opened {
    cost: Cost,
    log_bytes: u64,
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().collect();
    if let Some(at) = words.iter().position(|word| word == OPEN) {
        return open(&words[at + 1..]);
    }
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    let updates = rows(UPDATES, 2_000);
    let resident = Setting {
        what: "resident",
        rows: updates / 8,
        updates,
        frames: 65_536,
        streams: 1,
        max_recovery_bytes: 16 << 30,
    };
    println!("{} rows of 120 B, then {updates} updates at random, 20 to a transaction", resident.rows);
    let fifth =
        Setting { what: "a fifth of the pages fit", frames: 2_500, updates: updates / 16, ..resident };
    for setting in [resident, fifth].into_iter().filter(|_| is_wanted("threads")) {
        measure(dir.path(), setting)?;
    }
    for (what, streams) in [("2 streams", 2), ("4 streams", 4)].into_iter().filter(|_| is_wanted("streams")) {
        measure(dir.path(), Setting { what, streams, ..resident })?;
    }
    for mib in [16, 64, 256, 1024].into_iter().filter(|mib| is_wanted(&format!("bound {mib}"))) {
        println!("max_recovery_bytes {mib} MiB:");
        measure(dir.path(), Setting { what: "bound", max_recovery_bytes: mib << 20, ..resident })?;
    }
    Ok(())
}

fn options(setting: Setting, threads: usize) -> Options {
    let buffer = BufferConfig { num_frames: setting.frames, ..BufferConfig::default() };
    let wal = WalConfig { streams: setting.streams, ..WalConfig::default() };
    let max_recovery_bytes = setting.max_recovery_bytes;
    let durability = Durability::None;
    Options { buffer, wal, max_recovery_bytes, durability, redo_threads: threads, ..Options::default() }
}

/// Makes a home and opens copies of it, with one redo thread and with two in turn.
fn measure(dir: &Path, setting: Setting) -> Result<()> {
    let home = dir.join("home");
    let db = make(&home, setting)?;
    let mut opened = [Vec::new(), Vec::new()];
    for _ in 0..if is_full() { 3 } else { 1 } {
        for (threads, opened) in (1..).zip(&mut opened) {
            opened.push(open_copy(&home, &dir.join("copy"), setting, threads)?);
        }
    }
    drop(db);
    remove(&home)?;
    for (threads, opened) in (1..).zip(opened) {
        print(setting.what, threads, &opened);
    }
    Ok(())
}

fn print(what: &str, threads: usize, opened: &[Opened]) {
    let costs: Vec<Cost> = opened.iter().map(|opened| opened.cost).collect();
    let mib = opened[0].log_bytes as f64 / f64::from(1 << 20);
    let per_mib = median(costs.iter().map(|cost| cost.wall).collect()) / 1e6 / mib.max(0.1);
    let remark = format!("{mib:.0} MiB of log, {per_mib:.2} ms per MiB");
    Cost::median(&costs).print(&format!("{what}, {threads} redo threads: open"), &remark);
}

/// The home as its writer leaves it, still open.
fn make(home: &Path, setting: Setting) -> Result<Db> {
    // No thread of the writer moves files while they are copied.
    let db = Db::open_with(home, Options { background: false, ..options(setting, 1) })?;
    write(&db, setting.rows, |number| number)?;
    db.env().checkpoint()?;
    let mut rng = Rng::new(3);
    write(&db, setting.updates, |_| rng.below(setting.rows))?;
    let mut last = db.begin()?;
    last.put(db.keyspace(), b"last", b"")?;
    last.commit_with(Durability::Sync)?.wait()?;
    Ok(db)
}

fn write(db: &Db, rows: u64, mut pick: impl FnMut(u64) -> u64) -> Result<()> {
    for start in (0..rows).step_by(20) {
        let mut batch = WriteBatch::new();
        (start..start + 20).for_each(|number| _ = batch.put(&key(pick(number)), &[number as u8; 100]));
        db.write(batch)?;
    }
    Ok(())
}

/// Opens a copy of the home in another process.
fn open_copy(home: &Path, copy: &Path, setting: Setting, threads: usize) -> Result<Opened> {
    let failed = |error: std::io::Error| Error::invalid(error.to_string());
    copy_dir(home, copy).map_err(failed)?;
    let numbers = [setting.frames, setting.streams, threads].map(|number| number.to_string());
    let program = std::env::current_exe().map_err(failed)?;
    let output = Command::new(program).arg(OPEN).arg(copy).args(numbers).output().map_err(failed)?;
    remove(copy)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall, cpu, log_bytes] = numbers[..] else {
        return Err(Error::invalid(format!("{text}{}", String::from_utf8_lossy(&output.stderr))));
    };
    Ok(Opened { cost: Cost { wall, cpu }, log_bytes: log_bytes as u64 })
}

/// What the other process does: home, frames, streams, threads.
fn open(words: &[String]) -> Result<()> {
    let number = |at: usize| words.get(at).and_then(|word| word.parse().ok()).unwrap_or(0);
    let (frames, streams) = (number(1), number(2));
    let setting = Setting { what: "", rows: 0, updates: 0, frames, streams, max_recovery_bytes: 16 << 30 };
    let mut env = None;
    let cost = Cost::per_step(1, || env = Some(DbEnv::open(&words[0], options(setting, number(3)))));
    let Some(env) = env.transpose()? else { return Ok(()) };
    println!("{} {} {}", cost.wall, cost.cpu, env.recovery_report().log_bytes);
    // What a close writes back is not measured.
    std::process::exit(0)
}

fn copy_dir(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

fn remove(dir: &Path) -> Result<()> {
    std::fs::remove_dir_all(dir).map_err(|error| Error::invalid(error.to_string()))
}
