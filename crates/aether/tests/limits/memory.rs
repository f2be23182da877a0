//! The memory of the whole process under hostile load, against the budget.
//!
//! The load runs in a process of its own: this test binary again, with one test and a variable that says where.

use super::options;
use aether::{Db, ErrorKind, KeyspaceOptions, Options, Snapshot, Txn};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const CHILD: &str = "AETHER_LIMITS_HOME";

/// The budget of the store in the child.
const BUDGET_BYTES: u64 = 8 << 20;

/// What the process may take beyond the budget: program, stacks, the allocator's spare room, and what the budget does
/// not count, a few hundred bytes for each open transaction, snapshot and keyspace handle.
const BEYOND_BYTES: u64 = 12 << 20;

#[test]
fn memory_stays_below_budget_and_a_constant() {
    if !Path::new("/proc/self/status").exists() {
        return;
    }
    let dir = TempDir::new().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::child_of_the_memory_limit", "--nocapture"])
        .env(CHILD, dir.path().join("home"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    let peak = text.lines().find_map(|line| line.split_once("peak ")?.1.parse::<u64>().ok()).unwrap();
    assert!(peak < BUDGET_BYTES + BEYOND_BYTES, "{} MiB at the most", peak >> 20);
}

/// The load, when the test above asks for it.
#[test]
fn child_of_the_memory_limit() {
    let Some(home) = std::env::var_os(CHILD) else { return };
    let options = Options { memory_bytes: BUDGET_BYTES, ..options(4096) };
    let db = Db::open_with(home, options).unwrap();
    let readers = load(&db);
    let writers = writers(&db);
    many_keyspaces(&db);
    large_values(&db);
    assert!(readers.iter().all(|reader| reader.get(db.keyspace(), &0u32.to_be_bytes()).unwrap().is_some()));
    drop(writers);
    drop(readers);
    assert_eq!(db.env().verify().unwrap().problems, Vec::<String>::new());
    let stat = db.env().stat().unwrap();
    let used: u64 = stat.memory.iter().map(|(_, bytes)| bytes).sum();
    assert!(used <= BUDGET_BYTES, "{:?}", stat.memory);
    println!("\npeak {}", peak_bytes());
}

/// Rows changed again and again under hundreds of snapshots, so that old versions pile up.
fn load(db: &Db) -> Vec<Snapshot> {
    let mut readers = Vec::new();
    for round in 0..300u32 {
        let mut txn = db.begin().unwrap();
        (0..500u32).for_each(|n| txn.put(db.keyspace(), &n.to_be_bytes(), &[round as u8; 200]).unwrap());
        txn.commit().unwrap();
        readers.push(db.snapshot().unwrap());
    }
    readers
}

/// As many open transactions as there may be, with many changes each.
fn writers(db: &Db) -> Vec<Txn> {
    let mut writers = Vec::new();
    for writer in 0..200u32 {
        let mut txn = db.begin().unwrap();
        for n in 0..200u32 {
            txn.put(
                db.keyspace(),
                &[1u32.to_be_bytes(), writer.to_be_bytes(), n.to_be_bytes()].concat(),
                &[7; 300],
            )
            .unwrap();
        }
        writers.push(txn);
    }
    writers
}

fn many_keyspaces(db: &Db) {
    for number in 0..500 {
        let mut txn = db.begin().unwrap();
        let name = format!("space {number}");
        let space = db.env().create_keyspace(&mut txn, &name, KeyspaceOptions::default()).unwrap();
        txn.put(&space, b"k", &[1; 500]).unwrap();
        txn.commit().unwrap();
    }
}

/// 128 MiB, streamed in and out.
fn large_values(db: &Db) {
    for number in 0..8u8 {
        let mut txn = db.begin().unwrap();
        let length = 16 << 20;
        txn.put_stream(db.keyspace(), &[b'L', number], length, &mut std::io::repeat(number)).unwrap();
        txn.commit().unwrap();
        let txn = db.begin().unwrap();
        let mut reader = txn.get_stream(db.keyspace(), &[b'L', number]).unwrap().unwrap();
        let (mut piece, mut read) = (vec![0; 64 << 10], 0);
        while let count @ 1.. = reader.read(&mut piece).unwrap() {
            read += count as u64;
        }
        assert_eq!(read, length);
    }
}

fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() << 10
}

#[test]
fn a_budget_too_small_for_the_pool_is_refused_and_the_shares_named() {
    let dir = TempDir::new().unwrap();
    let options = Options { memory_bytes: 1 << 20, ..options(4096) };
    let error = Db::open_with(dir.path().join("home"), options).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OverLimit, "{error}");
    assert!(error.to_string().contains("1048576"), "{error}");
}

/// Every account in the order in which it is charged: with one byte less than it needs, opening names it.
#[test]
fn each_account_is_named_when_the_budget_has_too_little_for_it() {
    let open = |memory_bytes| {
        let dir = TempDir::new().unwrap();
        let options = Options { memory_bytes, ..options(4096) };
        Db::open_with(dir.path().join("home"), options).and_then(|db| db.env().stat())
    };
    let usage: Vec<_> = open(u64::MAX).unwrap().memory.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    let names: Vec<_> = usage.iter().map(|(name, _)| name.as_str()).collect();
    let all = ["log rings", "frames", "double-write batch", "read-ahead", "PSN tables", "translation arrays"];
    assert_eq!(names, all);
    let mut needed = 0;
    for (name, bytes) in &usage {
        needed += bytes;
        let error = open(needed - 1).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OverLimit, "{error}");
        assert!(error.to_string().contains(&format!("{name} needs")), "{name}: {error}");
    }
    open(needed).unwrap();
}
