//! One thread: what each kind of transaction costs.

use crate::{Figure, LEVELS, fill, options, take_turns};
use aether_kv::{Db, Durability, Isolation, Result, TxnOptions};
use engine_benches::{Rng, key, rows};
use std::cell::RefCell;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

const STEPS: u64 = 50_000;
const ASYNC: Durability = Durability::Async { interval: Duration::from_secs(1) };

/// A store and random rows of it.
struct Bench {
    db: Db,
    rows: u64,
    rng: RefCell<Rng>,
}

impl Bench {
    fn open(home: &Path, rows: u64) -> Result<Self> {
        let db = Db::open_with(home, options(rows as usize / 10 + 8192))?;
        fill(&db, rows)?;
        Ok(Self { db, rows, rng: RefCell::new(Rng::new(1)) })
    }

    fn draw(&self) -> [u8; 20] {
        key(self.rng.borrow_mut().below(self.rows))
    }

    fn put_some(&self, txn: &mut aether_kv::Txn, count: u64) -> Result<()> {
        (0..count).try_for_each(|number| txn.put(self.db.keyspace(), &self.draw(), &[number as u8; 100]))
    }

    /// Updates `count` rows and commits.
    fn update(&self, options: TxnOptions, count: u64) -> Result<()> {
        let mut txn = self.db.begin_with(options)?;
        self.put_some(&mut txn, count)?;
        txn.commit()
    }

    fn read_and_update(&self, options: TxnOptions) -> Result<()> {
        let (mut txn, key) = (self.db.begin_with(options)?, self.draw());
        let value = txn.get(self.db.keyspace(), &key)?;
        txn.put(self.db.keyspace(), &key, &value.unwrap_or_default())?;
        txn.commit()
    }

    fn read(&self, level: Isolation, reads: u64) -> Result<()> {
        let txn = self.db.begin_with(level)?;
        for _ in 0..reads {
            black_box(txn.get(self.db.keyspace(), &self.draw())?);
        }
        txn.commit()
    }

    fn update_and_abort(&self, count: u64) -> Result<()> {
        let mut txn = self.db.begin()?;
        self.put_some(&mut txn, count)?;
        txn.abort()
    }

    fn update_and_roll_back(&self, count: u64) -> Result<()> {
        let mut txn = self.db.begin()?;
        let mark = txn.savepoint();
        self.put_some(&mut txn, count)?;
        txn.rollback_to(&mark)?;
        txn.commit()
    }
}

fn at(level: Isolation, durability: Durability) -> TxnOptions {
    TxnOptions { durability: Some(durability), ..TxnOptions::at(level) }
}

pub(crate) fn alone(home: &Path) -> Result<()> {
    let bench = &Bench::open(home, rows(200_000, 2_000))?;
    println!("{} rows of 20 B keys and 100 B values, resident", bench.rows);
    take_turns(reading(bench))?;
    let costs = take_turns(updating(bench))?;
    let ratio = |one: usize, other: usize| costs[one].cpu / costs[other].cpu;
    println!("one-row update, serializable : snapshot {:.2} of CPU", ratio(2, 1));
    println!("one-row read and update, serializable : snapshot {:.2} of CPU", ratio(5, 4));
    take_turns(large(bench))?;
    bench.db.env().clone().close()
}

fn reading(bench: &Bench) -> Vec<Figure<'_>> {
    let reads = |count| {
        let named = move |level| (format!("{count} gets, read only, {level:?}"), level);
        LEVELS.map(named).map(move |(what, level)| Figure::new(what, STEPS, move || bench.read(level, count)))
    };
    [0, 1, 10].into_iter().flat_map(reads).collect()
}

fn updating(bench: &Bench) -> Vec<Figure<'_>> {
    let none = Durability::None;
    let update = move |durability: Durability, name: &'static str, remark| {
        LEVELS.map(|level| {
            let what = format!("update of 1 row, {level:?}{name}");
            Figure::new(what, STEPS, move || bench.update(at(level, durability), 1)).remark(remark)
        })
    };
    let read = LEVELS.map(|level| {
        let what = format!("read and update of 1 row, {level:?}");
        Figure::new(what, STEPS, move || bench.read_and_update(at(level, none)))
    });
    let aim = "aim: under 1.5 us of CPU";
    update(none, "", "").into_iter().chain(read).chain(update(ASYNC, ", Async", aim)).collect()
}

fn large(bench: &Bench) -> Vec<Figure<'_>> {
    let of = |count: u64| {
        Figure::new(format!("update of {count} rows, per row"), 50_000 / count, move || {
            bench.update(TxnOptions::default(), count)
        })
    };
    let aborted = |count: u64| {
        let what = format!("update of {count} row(s) and abort, per row");
        Figure::new(what, 50_000 / count, move || bench.update_and_abort(count)).per(count)
    };
    let rolled_back = "savepoint, update of 10 rows, rollback to it, per row";
    vec![
        of(10_000).per(10_000),
        of(1_000).per(1_000),
        aborted(1_000),
        aborted(1),
        Figure::new("update of 10 rows, per row", 5_000, || bench.update(TxnOptions::default(), 10)).per(10),
        Figure::new(rolled_back, 5_000, || bench.update_and_roll_back(10)).per(10),
    ]
}

/// Both phases are durable; so is the commit beside which they stand.
pub(crate) fn two_phase(home: &Path) -> Result<()> {
    const STEPS: u64 = 200;
    let bench = &Bench::open(home, rows(200_000, 2_000) / 10)?;
    let (env, number) = (bench.db.env(), RefCell::new(0_u64));
    let next = || {
        *number.borrow_mut() += 1;
        number.borrow().to_be_bytes()
    };
    let prepare = |gtid: &[u8]| {
        let mut txn = bench.db.begin()?;
        bench.put_some(&mut txn, 1)?;
        txn.prepare(gtid)
    };
    let committed = || {
        let gtid = next();
        prepare(&gtid)?;
        env.commit_prepared(&gtid).map(drop)
    };
    let rolled_back = || {
        let gtid = next();
        prepare(&gtid)?;
        env.rollback_prepared(&gtid).map(drop)
    };
    take_turns(vec![
        Figure::new("update of 1 row, Sync", STEPS, || {
            bench.update(at(Isolation::Snapshot, Durability::Sync), 1)
        }),
        Figure::new("update of 1 row, prepare, commit_prepared", STEPS, committed),
        Figure::new("update of 1 row, prepare, rollback_prepared", STEPS, rolled_back),
    ])?;
    let last = *number.borrow();
    (1..=last).try_for_each(|number| env.forget(&number.to_be_bytes()).map(drop))?;
    env.clone().close()
}
