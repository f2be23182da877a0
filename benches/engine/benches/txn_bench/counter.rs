//! Two threads that add to a counter: to the same one, and each to its own.

use crate::{LEVELS, ROUNDS, on_threads, options, stretch};
use aether_kv::{Db, Error, Isolation, Result, Transact, TxnOptions};
use engine_benches::{Cost, key, median};
use std::path::Path;
use std::time::Instant;

const THREADS: u64 = 2;

/// What a round at a level found.
#[derive(Clone, Copy)]
struct Round {
    commits: u64,
    attempts: u64,
    /// Additions that another one overwrote.
    lost: u64,
    cost: Cost,
}

pub(crate) fn counter(home: &Path) -> Result<()> {
    let db = Db::open_with(home, options(1024))?;
    println!("{THREADS} threads, each adds 1 to a counter, with `transact_with`");
    for (what, is_shared) in [("the same counter", true), ("each its own", false)] {
        let mut rounds = vec![Vec::new(); LEVELS.len()];
        for _ in 0..ROUNDS {
            for (level, rounds) in LEVELS.into_iter().zip(&mut rounds) {
                rounds.push(round(&db, level, is_shared)?);
            }
        }
        LEVELS.iter().zip(&rounds).for_each(|(level, rounds)| print(what, *level, rounds));
    }
    db.env().clone().close()
}

fn print(what: &str, level: Isolation, rounds: &[Round]) {
    let costs: Vec<Cost> = rounds.iter().map(|round| round.cost).collect();
    let cost = Cost::median(&costs);
    let share = |part: fn(&Round) -> u64| {
        median(rounds.iter().map(|round| part(round) as f64 * 100.0 / round.commits.max(1) as f64).collect())
    };
    let (per_second, retried) = (1e9 / cost.wall, share(|round| round.attempts - round.commits));
    let lost = match level {
        Isolation::ReadCommitted => format!(", {:.2} overwritten", share(|round| round.lost)),
        Isolation::Snapshot | Isolation::Serializable => String::new(),
    };
    cost.print(
        &format!("{what}, {level:?}"),
        &format!("{per_second:.0} commits/s; per 100: {retried:.2} attempts thrown away{lost}"),
    );
}

/// A counter is a number in eight bytes; none is 0.
fn value(found: Option<&[u8]>) -> u64 {
    found.and_then(|found| found.try_into().ok()).map_or(0, u64::from_le_bytes)
}

fn round(db: &Db, level: Isolation, is_shared: bool) -> Result<Round> {
    let counters: Vec<[u8; 20]> =
        (0..THREADS).map(|thread| key(if is_shared { 0 } else { thread * 1000 })).collect();
    counters.iter().try_for_each(|key| db.put(key, &0_u64.to_le_bytes()))?;
    let how = Transact { txn: TxnOptions::at(level), attempts_max: u32::MAX, ..Transact::default() };
    let work = |thread: u64| add(db, &counters[thread as usize], how);
    let mut counts = Ok(Vec::new());
    let cost = Cost::per_step(1, || counts = on_threads(THREADS, work));
    let (commits, attempts) =
        counts?.iter().fold((0, 0), |sum, (commits, attempts)| (sum.0 + commits, sum.1 + attempts));
    let distinct = if is_shared { &counters[..1] } else { &counters[..] };
    let found = distinct.iter().map(|key| Ok(value(db.get(key)?.as_deref()))).sum::<Result<u64>>()?;
    if found > commits || (found < commits && level != Isolation::ReadCommitted) {
        return Err(Error::invalid(format!("{commits} additions at {level:?}, the counter says {found}")));
    }
    let per_commit = |whole: f64| whole / commits.max(1) as f64;
    let cost = Cost { wall: per_commit(cost.wall), cpu: per_commit(cost.cpu) };
    Ok(Round { commits, attempts, lost: commits - found, cost })
}

/// Adds until time is up: commits and attempts.
fn add(db: &Db, key: &[u8], how: Transact) -> Result<(u64, u64)> {
    let (mut commits, mut attempts, start) = (0, 0, Instant::now());
    while start.elapsed() < stretch() {
        let done = db.transact_with(how, |txn| {
            let before = value(txn.get(db.keyspace(), key)?.as_deref());
            txn.put(db.keyspace(), key, &(before + 1).to_le_bytes())
        })?;
        (commits, attempts) = (commits + 1, attempts + u64::from(done.attempts));
    }
    Ok((commits, attempts))
}
