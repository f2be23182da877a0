//! Puts, and mixes of reads and writes.

use super::hammer::Done;
use super::{Bench, PUT_BYTES, Tally, is_right};
use crate::draw::{Rng, Zipf, is_value_of, key, row_key, scatter, value};
use crate::engine::{Order, Result, Write};
use crate::workload::Mix;
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// Rows of YCSB's longest scan.
const SCAN_ROWS_MAX: u64 = 100;

impl Bench<'_> {
    fn put(&self, row: u64, key: &[u8], salt: u64) -> Result<Done> {
        self.engine.write(&[Write { key, value: Some(&value(row, salt)) }])?;
        Ok(Done::put(PUT_BYTES))
    }

    pub(super) fn puts(&self, time: Duration) -> Result<Tally> {
        self.hammer(time, |thread| {
            let mut rng = Rng::new(thread);
            move || {
                let row = rng.below(self.scale.rows);
                self.put(row, &row_key(row), rng.next())
            }
        })
    }

    pub(super) fn sustained(&self, time: Duration) -> Result<Tally> {
        self.synced_every_second(|| self.puts(time))
    }

    /// Runs `work` while another thread makes durable, every second, what there is.
    pub(super) fn synced_every_second(&self, work: impl FnOnce() -> Result<Tally>) -> Result<Tally> {
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let ticker = scope.spawn(|| self.sync_every_second(&is_over));
            let tally = work();
            is_over.store(true, Relaxed);
            is_right(matches!(ticker.join(), Ok(Ok(()))))?;
            tally
        })
    }

    fn sync_every_second(&self, is_over: &AtomicBool) -> Result<()> {
        let mut last = Instant::now();
        while !is_over.load(Relaxed) {
            thread::sleep(Duration::from_millis(5));
            if last.elapsed() >= Duration::from_secs(1) {
                last = Instant::now();
                self.engine.sync()?;
            }
        }
        Ok(())
    }

    pub(super) fn mix(&self, mix: Mix, time: Duration) -> Result<Tally> {
        let (zipf, inserted) = (Zipf::new(self.scale.rows), AtomicU64::new(0));
        self.hammer(time, |thread| {
            let mut client = Client {
                bench: self,
                zipf: &zipf,
                inserted: &inserted,
                rng: Rng::new(thread),
                found: Vec::new(),
            };
            move || client.step(mix)
        })
    }
}

/// A thread of YCSB.
struct Client<'a> {
    bench: &'a Bench<'a>,
    zipf: &'a Zipf,
    /// Rows inserted by all clients beyond the loaded ones.
    inserted: &'a AtomicU64,
    rng: Rng,
    found: Vec<u8>,
}

impl Client<'_> {
    fn step(&mut self, mix: Mix) -> Result<Done> {
        let is_frequent = self.rng.below(100) < if matches!(mix, Mix::A | Mix::F) { 50 } else { 95 };
        match (mix, is_frequent) {
            (Mix::D, true) => self.read_latest(),
            (Mix::E, true) => self.scan(),
            (Mix::D | Mix::E, false) => self.insert(),
            (Mix::C, _) | (_, true) => self.read(),
            (Mix::F, false) => self.read().and_then(|_| self.update()),
            (Mix::A | Mix::B, false) => self.update(),
        }
    }

    fn read(&mut self) -> Result<Done> {
        let row = self.zipf.scattered(&mut self.rng);
        self.found.clear();
        let is_there = self.bench.engine.get(&row_key(row), &mut self.found)?;
        is_right(is_there && is_value_of(&self.found, row)).map(|()| Done::READ)
    }

    fn update(&mut self) -> Result<Done> {
        let row = self.zipf.scattered(&mut self.rng);
        self.bench.put(row, &row_key(row), self.rng.next())
    }

    /// The key of a row by age: the loaded ones come first, the inserted ones lie scattered between them.
    fn key_by_age(&self, age: u64) -> [u8; crate::draw::KEY_BYTES] {
        let rows = self.bench.scale.rows;
        if age < rows { row_key(age) } else { key(scatter(age) % rows * 2 + 1) }
    }

    fn insert(&mut self) -> Result<Done> {
        let age = self.bench.scale.rows + self.inserted.fetch_add(1, Relaxed);
        self.bench.put(age, &self.key_by_age(age), 0)
    }

    /// One of the newest rows; another client may not have finished its insert.
    fn read_latest(&mut self) -> Result<Done> {
        let (rows, rank) = (self.bench.scale.rows, self.zipf.rank(&mut self.rng));
        let age = rows + self.inserted.load(Relaxed) - 1 - rank;
        self.found.clear();
        let is_there = self.bench.engine.get(&self.key_by_age(age), &mut self.found)?;
        is_right(is_there || age >= rows).map(|()| Done::READ)
    }

    fn scan(&mut self) -> Result<Done> {
        let start = self.zipf.scattered(&mut self.rng);
        let length = 1 + self.rng.below(SCAN_ROWS_MAX);
        self.bench.engine.scan(&row_key(start), Order::Forward, length, &mut |key, value| {
            black_box((key, value));
        })?;
        Ok(Done::READ)
    }
}
