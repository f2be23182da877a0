//! A process dies amid its work; what it was told is durable is there when the store is opened again.
//!
//! This program starts itself as the process that dies: it aborts with one transaction committed but not
//! waited for and another unfinished.
//!
//! `cargo run --example wal_recovery`

#![allow(clippy::print_stdout)]

use aether::{Db, Durability, Result};
use std::process::{Command, ExitCode};
use std::time::Instant;

const ACKNOWLEDGED: u32 = 200;

fn main() -> Result<ExitCode> {
    if let Some(home) = std::env::args_os().nth(1) {
        write_and_die(home.as_ref())?;
    }
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let home = dir.path().join("log.db");
    let program = std::env::current_exe().expect("a program knows its path");
    let child = Command::new(program).arg(&home).output().expect("a child starts");
    assert_eq!(child.status.code(), None, "the child dies of a signal: {child:?}");
    let acknowledged = String::from_utf8_lossy(&child.stdout).lines().count() as u32;
    assert_eq!(acknowledged, ACKNOWLEDGED);
    println!("the child died ({}) after {acknowledged} acknowledged transactions", child.status);

    let start = Instant::now();
    let db = Db::open(&home)?;
    println!("recovered in {:.1?}: {:?}", start.elapsed(), db.env().recovery_report());

    for number in 0..acknowledged {
        assert_eq!(db.get(&left(number))?, Some(number.to_be_bytes().to_vec()), "{number} is missing");
        assert_eq!(db.get(&right(number))?, Some(number.to_be_bytes().to_vec()), "{number} is torn");
    }
    println!("nothing acknowledged is missing");

    let late = (db.get(&left(ACKNOWLEDGED))?, db.get(&right(ACKNOWLEDGED))?);
    assert_eq!(late.0, late.1, "a transaction is there as a whole or not at all");
    println!("the transaction nobody waited for is {}", if late.0.is_some() { "there" } else { "not there" });

    assert_eq!(db.get(b"unfinished")?, None);
    println!("nothing is left of the unfinished one");
    assert!(db.env().verify()?.problems.is_empty());
    Ok(ExitCode::SUCCESS)
}

/// Writes pairs of rows, a line on standard output for each that is durable, and aborts.
fn write_and_die(home: &std::path::Path) -> Result<()> {
    let db = Db::open(home)?;
    for number in 0..ACKNOWLEDGED {
        pair(&db, number)?.commit()?;
        println!("{number}");
    }
    let _not_waited_for = pair(&db, ACKNOWLEDGED)?.commit_with(Durability::None)?;
    let mut unfinished = db.begin()?;
    unfinished.put(db.keyspace(), b"unfinished", b"never committed")?;
    std::process::abort()
}

/// A transaction that puts two rows.
fn pair(db: &Db, number: u32) -> Result<aether::Txn> {
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), &left(number), &number.to_be_bytes())?;
    txn.put(db.keyspace(), &right(number), &number.to_be_bytes())?;
    Ok(txn)
}

fn left(number: u32) -> Vec<u8> {
    format!("left/{number:04}").into_bytes()
}

fn right(number: u32) -> Vec<u8> {
    format!("right/{number:04}").into_bytes()
}
