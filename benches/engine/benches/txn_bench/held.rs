//! A snapshot held open while ten times the cache is updated: unrelated reads, the memory, and what it keeps.

use crate::{ROUNDS, fill, options};
use aether_kv::{Db, DbEnv, Error, Options, Result, Stat, WriteBatch};
use engine_benches::{Cost, Rng, is_full, key};
use std::path::Path;
use std::time::Instant;

/// Bytes beyond the buffer pool.
const OTHER_BYTES: u64 = 64 << 20;
const PAGE_BYTES: u64 = 4096;
const ROW_BYTES: u64 = 120;
const UPDATES_OF_TXN: u64 = 20;

pub(crate) fn held(home: &Path) -> Result<()> {
    let frames = if is_full() { 4096 } else { 256 };
    let cache_bytes = frames * PAGE_BYTES;
    let options = Options {
        memory_bytes: cache_bytes + OTHER_BYTES,
        max_recovery_bytes: 64 << 20,
        ..options(frames as usize)
    };
    let env = DbEnv::open(home, options)?;
    env.open_or_create_keyspace("unrelated")?;
    let [updated, unrelated] = ["default", "unrelated"].map(|name| Db::in_env(env.clone(), name));
    let (updated, unrelated) = (updated?, unrelated?);
    let (rows, others) = (cache_bytes / 2 / ROW_BYTES, cache_bytes / 16 / ROW_BYTES);
    fill(&updated, rows)?;
    fill(&unrelated, others)?;
    println!(
        "cache of {} MiB; {rows} rows are updated, {others} others are read",
        cache_bytes as f64 / f64::from(1 << 20)
    );
    let before = reads(&unrelated, others)?;
    show("before", before, &env.stat()?)?;
    let snapshot = env.snapshot()?;
    let start = Instant::now();
    let updates = update(&updated, rows, cache_bytes * 10)?;
    println!(
        "{updates} updates, {UPDATES_OF_TXN} to a transaction, in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let during = reads(&unrelated, others)?;
    show("with the snapshot held", during, &env.stat()?)?;
    let old = snapshot.get(updated.keyspace(), &key(7))?;
    if old.as_deref() != Some(&[7; 100][..]) {
        return Err(Error::invalid("the snapshot shows what was written after it"));
    }
    drop(snapshot);
    update(&updated, rows, cache_bytes / 10)?;
    let after = reads(&unrelated, others)?;
    show("without it", after, &env.stat()?)?;
    println!(
        "unrelated reads with the snapshot held: {:.2}x of before (aim: at most 1.33x)",
        during.cpu / before.cpu
    );
    drop((updated, unrelated));
    env.close()
}

fn reads(db: &Db, rows: u64) -> Result<Cost> {
    let (mut rng, mut value, mut outcome) = (Rng::new(5), Vec::new(), Ok(()));
    let count = if is_full() { 200_000 } else { 1_000 };
    let mut get = || {
        value.clear();
        let found = db.get_into(&key(rng.below(rows)), &mut value)?;
        if found { Ok(()) } else { Err(Error::invalid("a row is missing")) }
    };
    // The first round brings back what is not resident.
    let mut costs = Vec::new();
    for _ in 0..=ROUNDS {
        costs.push(Cost::per_step(count, || outcome = (0..count).try_for_each(|_| get())));
    }
    outcome.map(|()| Cost::median(&costs[1..]))
}

/// Updates random rows until `bytes` of them are written; the number of updates.
fn update(db: &Db, rows: u64, bytes: u64) -> Result<u64> {
    let (mut rng, count) = (Rng::new(6), bytes / ROW_BYTES);
    for _ in 0..count / UPDATES_OF_TXN {
        let mut batch = WriteBatch::new();
        (0..UPDATES_OF_TXN)
            .for_each(|_| _ = batch.put(&key(rng.below(rows)), &[rng.below(256) as u8 | 128; 100]));
        db.write(batch)?;
    }
    Ok(count)
}

/// Prints a state of things.
///
/// # Errors
/// If the memory in use is more than the budget.
fn show(when: &str, reads: Cost, stat: &Stat) -> Result<()> {
    reads.print(&format!("unrelated get, {when}"), "");
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let used: u64 = stat.memory.iter().map(|(_, bytes)| bytes).sum();
    let largest = |(name, bytes): &(String, u64)| (*bytes > 0).then(|| format!("{name} {:.2}", mib(*bytes)));
    let accounts: Vec<String> = stat.memory.iter().filter_map(largest).collect();
    println!("  memory {:.2} of {:.2} MiB: {}", mib(used), mib(stat.memory_limit), accounts.join(", "));
    let age = stat.oldest_snapshot_age.map_or(0.0, |age| age.as_secs_f64());
    println!(
        "  oldest snapshot {:?} since {age:.1} s, keeps {:.2} MiB; pages of the store {}, free {}, written {}",
        stat.oldest_snapshot,
        mib(stat.pinned_bytes),
        stat.pages,
        stat.free_pages,
        stat.pages_written
    );
    if used > stat.memory_limit {
        return Err(Error::invalid("the memory in use is more than the budget"));
    }
    Ok(())
}
