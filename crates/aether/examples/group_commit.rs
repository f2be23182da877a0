//! What a durable commit costs, and how threads share it: commits per flush of the log.
//!
//! `cargo run --release --example group_commit`

#![allow(clippy::print_stdout)]

use aether::{Db, DbEnv, Durability, Result};
use std::thread;
use std::time::{Duration, Instant};

const COMMITS: u32 = 400;
const THREADS: [u32; 3] = [1, 2, 8];

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let db = Db::open(dir.path().join("commits.db"))?;
    println!(
        "{:<8} {:>7} {:>10} {:>8} {:>18}",
        "mode", "threads", "commits/s", "flushes", "commits per flush"
    );
    for (name, durability) in modes() {
        for threads in THREADS {
            run(&db, name, durability, threads)?;
        }
    }
    // A store opened with `Sync` shows read-only work what no crash can undo. A durable commit makes all before it so.
    db.put(b"none/last", b"durable")?;
    assert_eq!(db.iter()?.count() as u32, COMMITS * (modes().len() * THREADS.len()) as u32 + 1);
    db.env().clone().close()
}

fn modes() -> [(&'static str, Durability); 4] {
    [
        ("sync", Durability::Sync),
        ("group", Durability::Group { max_wait: Duration::from_micros(500) }),
        ("async", Durability::Async { interval: Duration::from_millis(10) }),
        ("none", Durability::None),
    ]
}

fn run(db: &Db, name: &str, durability: Durability, threads: u32) -> Result<()> {
    let before = flushes(db.env())?;
    let start = Instant::now();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || write(db, &format!("{name}/{threads}/{thread}"), durability, threads))
            })
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("a writer does not panic"))
    })?;
    let rate = f64::from(COMMITS) / start.elapsed().as_secs_f64();
    let flushes = flushes(db.env())? - before;
    let shared = f64::from(COMMITS) / flushes.max(1) as f64;
    println!("{name:<8} {threads:>7} {rate:>10.0} {flushes:>8} {shared:>18.1}");
    if durability == Durability::Sync && threads == 1 {
        assert!(
            flushes >= u64::from(COMMITS),
            "a durable commit of a single thread needs a flush of its own"
        );
    }
    Ok(())
}

/// A thread's share of the commits. Each is waited for as its durability says: `sync` and `group` until it
/// is on storage, `async` and `none` not at all.
fn write(db: &Db, prefix: &str, durability: Durability, threads: u32) -> Result<()> {
    for number in 0..COMMITS / threads {
        let mut txn = db.begin()?;
        txn.put(db.keyspace(), format!("{prefix}/{number}").as_bytes(), b"committed")?;
        txn.set_durability(durability);
        txn.commit()?;
    }
    Ok(())
}

fn flushes(env: &DbEnv) -> Result<u64> {
    Ok(env.stat()?.log.flushes)
}
