//! Ways to serializability: backward validation, as the engine has it, beside two-phase locking. Snapshot isolation, which
//! is not serializable, is what both are compared with.
//!
//! The locks stand above transactions at `ReadCommitted`, which read and replace the newest rows: below a snapshot, a writer
//! that has waited for a lock would meet the commit it has waited for, and fail.

use crate::locks::{Held, Locks};
use crate::mix::{Client, Mix, Rows, missing, total};
use crate::{ROUNDS, on_threads, options, stretch};
use aether_kv::{Db, Error, Isolation, Keyspace, Result, Transact, Txn, TxnOptions, WriteBatch};
use engine_benches::{Cost, is_full, median};
use std::path::Path;
use std::time::Instant;

/// How transactions are kept apart.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Snapshot,
    Validation,
    Locking,
}

const WAYS: [Way; 3] = [Way::Snapshot, Way::Validation, Way::Locking];

#[derive(Clone, Copy)]
struct Round {
    attempts_per_commit: f64,
    cost: Cost,
}

pub(crate) fn serializable(home: &Path) -> Result<()> {
    let of = if is_full() { 50_000 } else { 500 };
    let mixes = [
        ("1 row read and updated", Mix::Rows { of, reads: 0 }),
        ("10 rows read, 1 updated", Mix::Rows { of, reads: 10 }),
        ("orders, 4 warehouses", Mix::Orders { warehouses: 4 }),
        ("orders, 1 warehouse", Mix::Orders { warehouses: 1 }),
        ("1 row, always the same", Mix::Rows { of: 1, reads: 0 }),
    ];
    for (at, (what, mix)) in mixes.into_iter().enumerate() {
        let db = Db::open_with(home.with_extension(at.to_string()), options(65_536))?;
        [1, 2].into_iter().try_for_each(|threads| compare(&db, what, mix, threads))?;
        db.env().clone().close()?;
    }
    Ok(())
}

fn compare(db: &Db, what: &str, mix: Mix, threads: u64) -> Result<()> {
    let (locks, mut rounds) = (Locks::default(), vec![Vec::new(); WAYS.len()]);
    for seed in 0..=ROUNDS as u64 {
        // Who begins changes, so that nobody always follows the same one.
        for turn in 0..WAYS.len() {
            let at = (turn + seed as usize) % WAYS.len();
            let found = round(db, &locks, (WAYS[at], mix), threads, seed)?;
            if seed > 0 {
                rounds[at].push(found);
            }
        }
    }
    let costs: Vec<Cost> = rounds.iter().map(|rounds| median_cost(rounds)).collect();
    for ((way, rounds), cost) in WAYS.iter().zip(&rounds).zip(&costs) {
        let thrown_away =
            median(rounds.iter().map(|round| (round.attempts_per_commit - 1.0) * 100.0).collect());
        let [wall, cpu] = [cost.wall / costs[0].wall, cost.cpu / costs[0].cpu];
        let remark = format!("{wall:.2}x, CPU {cpu:.2}x of snapshot; {thrown_away:.2} thrown away per 100");
        cost.print(&format!("{what}, {threads} threads, {way:?}"), &remark);
    }
    Ok(())
}

fn median_cost(rounds: &[Round]) -> Cost {
    Cost::median(&rounds.iter().map(|round| round.cost).collect::<Vec<_>>())
}

/// Puts the rows as they were, then runs transactions until time is up, and counts those that the rows tell of.
fn round(db: &Db, locks: &Locks, (way, mix): (Way, Mix), threads: u64, seed: u64) -> Result<Round> {
    for part in mix.rows().chunks(100) {
        let mut batch = WriteBatch::new();
        part.iter().for_each(|(key, value)| _ = batch.put(key, value));
        db.write(batch)?;
    }
    let store = Store { db, locks, way };
    let seed = seed * WAYS.len() as u64 + way as u64;
    let mut counts = Ok(Vec::new());
    let work = |thread| store.work(mix, Client::new(thread, seed * 2 + threads - 1));
    let cost = Cost::per_step(1, || counts = on_threads(threads, work));
    let (commits, attempts) = counts?.iter().fold((0, 0), |sum, more| (sum.0 + more.0, sum.1 + more.1));
    let [first, last] = mix.counted();
    let told = total(db.range(first.to_vec()..=last.to_vec())?)?;
    if told != commits as i64 {
        return Err(Error::invalid(format!("{way:?}: {commits} commits, the rows tell of {told}")));
    }
    let per_commit = |whole: f64| whole / commits.max(1) as f64;
    let cost = Cost { wall: per_commit(cost.wall), cpu: per_commit(cost.cpu) };
    Ok(Round { attempts_per_commit: per_commit(attempts as f64), cost })
}

/// A store, and how transactions on it are kept apart.
#[derive(Clone, Copy)]
struct Store<'a> {
    db: &'a Db,
    locks: &'a Locks,
    way: Way,
}

impl Store<'_> {
    /// Commits and attempts until time is up.
    fn work(&self, mix: Mix, mut client: Client) -> Result<(u64, u64)> {
        let (mut commits, mut attempts, start) = (0, 0, Instant::now());
        while start.elapsed() < stretch() {
            let deed = client.draw(mix);
            attempts += self.transact(&mut |rows| client.run(&deed, rows))?;
            commits += 1;
        }
        Ok((commits, attempts))
    }

    fn transact(&self, body: &mut dyn FnMut(&mut dyn Rows) -> Result<()>) -> Result<u64> {
        let level = match self.way {
            Way::Snapshot => Isolation::Snapshot,
            Way::Validation => Isolation::Serializable,
            Way::Locking => Isolation::ReadCommitted,
        };
        let how = Transact { txn: TxnOptions::at(level), attempts_max: u32::MAX, ..Transact::default() };
        // Freed when the commit is visible.
        let mut held = (self.way == Way::Locking).then(|| Held::new(self.locks));
        let done = self.db.transact_with(how, |txn| {
            held.iter_mut().for_each(Held::release);
            body(&mut Open { txn, rows: self.db.keyspace(), held: held.as_mut() })
        })?;
        Ok(u64::from(done.attempts))
    }
}

struct Open<'a, 'l> {
    txn: &'a mut Txn,
    rows: &'a Keyspace,
    held: Option<&'a mut Held<'l>>,
}

impl Open<'_, '_> {
    fn lock(&mut self, key: &[u8], is_exclusive: bool) {
        if let Some(held) = &mut self.held {
            held.lock(key, is_exclusive);
        }
    }
}

impl Rows for Open<'_, '_> {
    fn get(&mut self, key: &[u8], for_update: bool, out: &mut Vec<u8>) -> Result<()> {
        self.lock(key, for_update);
        out.clear();
        let is_there = self.txn.get_into(self.rows, key, out)?;
        if is_there { Ok(()) } else { Err(missing(key)) }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        self.lock(key, true);
        self.txn.put(self.rows, key, value)
    }
}
