//! A keyspace that changes its merge policy with its use, and one that changes it by call.
//!
//! The use is looked at once a second, and the policy changes after some seconds of the same use: so this takes a quarter of a minute.
//!
//! `cargo run --example adaptive_lsm`

#![allow(clippy::print_stdout)]

use aether::lsm::{Lsm, LsmConfig, PolicyKind};
use aether::{Db, DbEnv, Durability, Error, KeyspaceOptions, Options, Result};
use std::time::{Duration, Instant};

/// Keys that are put, over and over.
const KEYS: u64 = 50_000;
/// Uses between two looks at the policy.
const ROUND: u64 = 200;
/// A policy that has not changed by then never will.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let options = Options {
        durability: Durability::Async { interval: Duration::from_millis(50) },
        lsm: LsmConfig { memtable_bytes: 256 << 10, ..LsmConfig::default() },
        ..Options::default()
    };
    let env = DbEnv::open(dir.path().join("home"), options)?;
    env.transact(|txn| {
        env.create_keyspace(txn, "readings", KeyspaceOptions::lsm(PolicyKind::Adaptive)).map(drop)
    })?;
    let db = Db::in_env(env, "readings")?;
    let tree = db.env().lsm(db.keyspace()).ok_or_else(|| Error::invalid("`readings` is an LSM tree"))?;
    println!("at first:          {}", shape(&tree));

    let mut number = 0;
    until(&tree, PolicyKind::Predictable, || {
        number += 1;
        db.put(&key(number), format!("reading {number}").as_bytes())
    })?;
    println!("after {number} puts: {}", shape(&tree));

    let mut gets = 0;
    until(&tree, PolicyKind::Leveled, || {
        gets += 1;
        db.get(&key(gets % number + 1)).map(|value| assert!(value.is_some()))
    })?;
    println!("after {gets} gets: {}", shape(&tree));
    for switch in tree.stat().switches {
        let why = match switch.puts_of_thousand {
            Some(puts) => format!("{puts} puts among 1000 uses"),
            None => "by call".to_owned(),
        };
        println!("switched from {} to {}: {why}", switch.from, switch.to);
    }
    by_call(&db, &tree, number)?;
    drop(tree);
    db.env().clone().close()
}

/// Uses the tree until `policy` is in charge.
fn until(tree: &Lsm, policy: PolicyKind, mut work: impl FnMut() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    while in_charge(tree) != policy {
        assert!(start.elapsed() < PATIENCE, "{policy} should be in charge by now: {}", shape(tree));
        (0..ROUND).try_for_each(|_| work())?;
    }
    Ok(())
}

/// A switch rewrites nothing. What the new policy wants merged is merged afterwards, while all goes on.
fn by_call(db: &Db, tree: &Lsm, puts: u64) -> Result<()> {
    tree.flush()?;
    tree.merge_all()?;
    println!("all merged:        {}", shape(tree));
    tree.set_policy(PolicyKind::Hanoi)?;
    assert_eq!(in_charge(tree), PolicyKind::Hanoi);
    println!("switched by call:  {}", shape(tree));
    for number in 1..=KEYS.min(puts) {
        db.put(&key(number), b"a newer reading")?;
    }
    tree.flush()?;
    tree.merge_all()?;
    println!("after more puts:   {}", shape(tree));

    // The use decides nothing now, until it may again.
    let switches = tree.stat().switches;
    assert_eq!(switches.last().map(|switch| switch.to), Some(PolicyKind::Hanoi));
    tree.set_policy(PolicyKind::Adaptive)?;
    assert_eq!(db.iter()?.count() as u64, KEYS.min(puts));
    println!("{} rows, whatever the policy", KEYS.min(puts));
    Ok(())
}

fn in_charge(tree: &Lsm) -> PolicyKind {
    tree.stat().policy.expect("a tree has a policy").1
}

fn key(number: u64) -> Vec<u8> {
    format!("sensor-{:06}", number * 7919 % KEYS).into_bytes()
}

/// The policy, and the runs of each level.
fn shape(tree: &Lsm) -> String {
    let runs: Vec<_> = tree.stat().levels.iter().map(|level| level.runs).collect();
    format!("{} in charge, runs by level {runs:?}", in_charge(tree))
}
