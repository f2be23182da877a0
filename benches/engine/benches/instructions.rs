//! Instructions of single operations, counted by valgrind's callgrind: whatever else the machine does. Runs of one build differ all the
//! same, by 0.5 % seen: a smaller difference between two builds says nothing.
//!
//! `cargo bench -p engine-benches --bench instructions [-- WORDS]` (only operations with one of the words). Needs `valgrind`; says so and
//! ends well without it. Each operation is run so and so often, and twice as often; the difference is what it takes. For reads the
//! instructions on the source lines that ask for a row's version are counted apart: what a page without versions costs a reader.
//! Durability `Async`, 10,000 rows of 20 B keys and 100 B values, all in memory. Runs: the same rows in one, with a Bloom filter of 10
//! bits a key.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::page::sync::Arc;
use aether_kv::buffer::{Budget, BufferConfig, NoGate, NoSource, Pool, PoolParts};
use aether_kv::lsm::filter::{KeyHash, Recipe};
use aether_kv::lsm::run::{BuildOptions, Codec, Run, RunHome, ingest};
use aether_kv::{Db, Durability, Error, Isolation, Options, Result};
use aether_types::{FileId, StoreId, Timestamp};
use aether_vfs::Env;
use engine_benches::{is_wanted, key};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const ROWS: u64 = 10_000;
/// Where only is shown that it works: each row is a commit that waits for the disk.
const TRIAL_ROWS: u64 = 100;
const COUNT: u64 = 5_000;
const WORK: &str = "AETHER_INSTRUCTIONS_OF";
const OPERATIONS: [&str; 7] = [
    "get",
    "get in a transaction",
    "read-only transaction",
    "one-row transaction",
    "put",
    "run, get",
    "run, get of an absent key",
];

/// Where a reader asks whether a row has a version, by source file: lines from the first text to the second.
const VERSION_LINES: [(&str, &str, &str, &str); 3] = [
    (
        "aether-page/src/node/entry.rs",
        include_str!("../../../crates/aether-page/src/node/entry.rs"),
        "pub fn version(",
        "\n    }\n",
    ),
    (
        "aether-index/src/rows/read.rs",
        include_str!("../../../crates/aether-index/src/rows/read.rs"),
        "let settled = version",
        "\n",
    ),
    (
        "aether-index/src/rows/read.rs",
        include_str!("../../../crates/aether-index/src/rows/read.rs"),
        "if let Some((writer, undo)) = node.version(slot)",
        "{\n",
    ),
];

fn main() -> Result<()> {
    if let Ok(work) = std::env::var(WORK) {
        return run(&work);
    }
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("valgrind is missing: nothing is counted");
        return Ok(());
    }
    if std::env::args().any(|argument| argument == "--test") {
        return OPERATIONS.iter().try_for_each(|operation| work(operation, 1, TRIAL_ROWS));
    }
    println!("instructions an operation, by callgrind; of them for versions");
    for operation in OPERATIONS.into_iter().filter(|operation| is_wanted(operation)) {
        let (one, two) = (count(operation, COUNT)?, count(operation, 2 * COUNT)?);
        let each = |many: u64, few: u64| (many - few) as f64 / COUNT as f64;
        println!(
            "{operation:<28} {:>10.1} {:>8.1}",
            each(two.all, one.all),
            each(two.versions, one.versions)
        );
    }
    Ok(())
}

fn failed(what: impl ToString) -> Error {
    Error::invalid(what.to_string())
}

#[derive(Default)]
struct Counts {
    all: u64,
    versions: u64,
}

/// Runs an operation under callgrind, in a process of its own.
fn count(operation: &str, times: u64) -> Result<Counts> {
    let home = tempfile::TempDir::new().map_err(failed)?;
    let out = home.path().join("callgrind.out");
    let done = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(std::env::current_exe().map_err(failed)?)
        .env(WORK, format!("{operation}/{times}"))
        .output()
        .map_err(failed)?;
    if !done.status.success() {
        return Err(failed(String::from_utf8_lossy(&done.stderr)));
    }
    Ok(sum(&std::fs::read_to_string(out).map_err(failed)?))
}

/// Adds up what each source line has taken itself.
fn sum(profile: &str) -> Counts {
    let (mut counts, mut file, mut is_call) = (Counts::default(), "", false);
    for entry in profile.lines() {
        let named = ["fl=", "fi=", "fe="].iter().find_map(|tag| entry.strip_prefix(tag));
        if let Some(name) = named {
            file = name;
        } else if entry.starts_with("calls=") {
            is_call = true;
        } else if let Some((number, taken)) = numbers(entry)
            && !core::mem::take(&mut is_call)
        {
            counts.all += taken;
            counts.versions += if asks_for_version(file, number) { taken } else { 0 };
        }
    }
    counts
}

fn numbers(entry: &str) -> Option<(u64, u64)> {
    let (number, taken) = entry.split_once(' ')?;
    Some((number.parse().ok()?, taken.parse().ok()?))
}

fn asks_for_version(file: &str, number: u64) -> bool {
    VERSION_LINES.iter().any(|(name, source, from, to)| {
        let begin = source.find(from).expect("the text stands in the source");
        let end = begin + source[begin..].find(to).expect("and so does its end");
        let line_of = |at: usize| 1 + source[..at].matches('\n').count() as u64;
        file.ends_with(name) && (line_of(begin)..=line_of(end)).contains(&number)
    })
}

fn run(work_text: &str) -> Result<()> {
    let (operation, times) = work_text.split_once('/').expect("made by `count`");
    work(operation, times.parse().map_err(failed)?, ROWS)
}

fn open(home: &Path) -> Result<Db> {
    let buffer = BufferConfig { num_frames: 2048, ..BufferConfig::default() };
    // Long: no flush falls into what is counted.
    let durability = Durability::Async { interval: Duration::from_secs(600) };
    Db::open_with(home, Options { buffer, durability, ..Options::default() })
}

/// The rows as a run, in memory.
fn run_of_rows(rows: u64) -> Result<Arc<Run>> {
    let config = BufferConfig { num_frames: 2048, prefetch_threads: 0, ..BufferConfig::default() };
    let (store, budget) = (StoreId::new([9; 16]), Budget::unlimited());
    let (gate, source) = (Arc::new(NoGate), Arc::new(NoSource));
    let pool = Pool::new(config, PoolParts { gate, double_write: None, source, store, budget })?;
    let home = RunHome { env: Env::memory(), dir: PathBuf::from("/"), store, pool };
    let options =
        BuildOptions { filter: Some(Recipe::Bloom { bits_per_key: 10.0 }), codec: Codec::default() };
    let rows = (0..rows).map(|number| Ok((key(number), [0; 100])));
    ingest(&home, FileId::new(2), options, Timestamp::new(0), rows)?;
    Run::open(&home, FileId::new(2))
}

fn get_in_a_run(is_there: bool, times: u64, rows: u64) -> Result<()> {
    let (run, mut value) = (run_of_rows(rows)?, Vec::new());
    let mut get = |key: &[u8]| {
        value.clear();
        run.get(key, KeyHash::of(key), Timestamp::new(1), &mut value)
    };
    (0..rows).try_for_each(|number| get(&key(number)).map(drop))?;
    for number in (0..times).map(|number| number * 7919 % rows) {
        let mut wanted = key(number);
        if !is_there {
            wanted[4] = b'x';
        }
        if get(&wanted)?.is_some() != is_there {
            return Err(Error::invalid("a run has lost a key, or has one too many"));
        }
    }
    Ok(())
}

fn work(operation: &str, times: u64, rows: u64) -> Result<()> {
    if let Some(operation) = operation.strip_prefix("run, ") {
        return get_in_a_run(operation == "get", times, rows);
    }
    let home = tempfile::TempDir::new().map_err(failed)?;
    let db = open(home.path())?;
    // Durably and one by one: pages that are full are rid of versions that nobody needs.
    for number in 0..rows {
        let mut fill = db.begin()?;
        fill.set_durability(Durability::Sync);
        fill.put(db.keyspace(), &key(number), &[0; 100])?;
        fill.commit()?;
    }
    db.env().clone().close()?;
    drop(db);
    let db = open(home.path())?;
    let (keyspace, mut value) = (db.keyspace().clone(), Vec::new());
    (0..rows).try_for_each(|number| db.get_into(&key(number), &mut Vec::new()).map(drop))?;
    let txn = db.begin_with(Isolation::Snapshot)?;
    for number in (0..times).map(|number| number * 7919 % rows) {
        value.clear();
        match operation {
            "get" => drop(db.get_into(&key(number), &mut value)?),
            "get in a transaction" => drop(txn.get_into(&keyspace, &key(number), &mut value)?),
            "read-only transaction" => db.begin()?.commit()?,
            "one-row transaction" => {
                let mut txn = db.begin()?;
                txn.put(&keyspace, &key(number), &[1; 100])?;
                txn.commit()?;
            }
            _ => db.put(&key(number), &[1; 100])?,
        }
    }
    Ok(())
}
