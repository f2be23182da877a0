//! The skiplist beside crossbeam's and the standard library's B-tree: one thread, then two.
//!
//! `cargo bench -p engine-benches --bench skiplist_bench [-- WORDS]` (only kinds of keys with one of the words);
//! `AETHER_BENCH_ROWS` sets the keys (1,000,000). Payloads are numbers. The B-tree stands behind a lock for two threads, and
//! behind none for one. `removable` is the skiplist with `is_removable`. Nanoseconds of CPU time a step (of both threads, if there are two), medians of alternating rounds; misses lie between keys that are there.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::lsm::index::skiplist::{Skiplist, SkiplistConfig};
use crossbeam_skiplist::SkipMap;
use engine_benches::keys::{Kind, Work};
use engine_benches::{Cost, is_full, is_wanted, median, rows};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound::{Included, Unbounded};
use std::sync::RwLock;
use std::thread;

const SCAN: usize = 100;
const CELLS: [&str; 6] = ["insert", "get", "miss", "scan 100", "back 100", "remove"];

fn main() {
    let rows = rows(1_000_000, 1_000);
    let rounds = if is_full() { 3 } else { 1 };
    println!("{rows} keys; ns of CPU time a step, medians of {rounds} rounds");
    for kind in Kind::ALL.into_iter().filter(|kind| is_wanted(kind.name())) {
        let work = Work::new(kind, rows);
        one_thread(&work, rounds);
        two_threads(&work, rounds);
    }
}

/// What is compared.
trait Map {
    fn insert(&self, key: &[u8], payload: u64);
    fn get(&self, key: &[u8]) -> Option<u64>;
    fn remove(&self, key: &[u8]) -> bool;
    /// The sum of the payloads and of the first bytes of `SCAN` keys from `from` on, upward or downward.
    fn scan(&self, from: &[u8], back: bool) -> u64;
}

/// Steps of a cell; scans are longer, so there are fewer.
fn steps(work: &Work, cell: &str) -> usize {
    match cell {
        "scan 100" => work.hits.len().div_ceil(20),
        "back 100" => work.hits.len().div_ceil(200),
        _ => work.hits.len(),
    }
}

/// Every `stride`th step of a cell, from `first` on.
fn part(map: &impl Map, work: &Work, cell: &str, first: usize, stride: usize) {
    let numbers = (first..steps(work, cell)).step_by(stride);
    match cell {
        "insert" => numbers.for_each(|number| map.insert(work.present.get(number), number as u64)),
        "get" => numbers.for_each(|number| assert!(map.get(work.hits.get(number)).is_some())),
        "remove" => numbers.for_each(|number| {
            black_box(map.remove(work.present.get(number)));
        }),
        "miss" => numbers.for_each(|number| assert!(map.get(work.misses.get(number)).is_none())),
        _ => {
            let back = cell.starts_with("back");
            numbers.for_each(|number| {
                black_box(map.scan(work.hits.get(number), back));
            });
        }
    }
}

type Figures = [Vec<f64>; CELLS.len()];

fn alone(map: impl Map, work: &Work, figures: &mut Figures) {
    for (cell, figures) in CELLS.iter().zip(figures) {
        figures.push(Cost::per_step(steps(work, cell) as u64, || part(&map, work, cell, 0, 1)).cpu);
    }
}

fn together(map: impl Map + Sync, work: &Work, figures: &mut Figures) {
    for (cell, figures) in CELLS.iter().zip(figures) {
        let both = || {
            thread::scope(|scope| {
                (0..2).for_each(|first| {
                    drop(scope.spawn({
                        let map = &map;
                        move || part(map, work, cell, first, 2)
                    }))
                });
            });
        };
        figures.push(Cost::per_step(steps(work, cell) as u64, both).cpu);
    }
}

fn one_thread(work: &Work, rounds: usize) {
    let mut figures: [Figures; 4] = Default::default();
    for _ in 0..rounds {
        alone(skiplist(false), work, &mut figures[0]);
        alone(skiplist(true), work, &mut figures[1]);
        alone(Crossbeam::default(), work, &mut figures[2]);
        alone(Plain::default(), work, &mut figures[3]);
    }
    print(work, "one thread", &figures);
}

fn two_threads(work: &Work, rounds: usize) {
    let mut figures: [Figures; 4] = Default::default();
    for _ in 0..rounds {
        together(skiplist(false), work, &mut figures[0]);
        together(skiplist(true), work, &mut figures[1]);
        together(Crossbeam::default(), work, &mut figures[2]);
        together(Locked::default(), work, &mut figures[3]);
    }
    print(work, "two threads", &figures);
}

fn print(work: &Work, threads: &str, figures: &[Figures; 4]) {
    println!("{}, {threads}", work.kind.name());
    println!("{:12} {:>10} {:>10} {:>10} {:>10}", "", "skiplist", "removable", "crossbeam", "BTreeMap");
    for (index, cell) in CELLS.iter().enumerate() {
        let [plain, removable, crossbeam, tree] = [0, 1, 2, 3].map(|of| median(figures[of][index].clone()));
        // Nothing is removed from the first.
        let ours = if *cell == "remove" { removable } else { plain };
        let verdict = if ours > crossbeam.min(tree) { "loses" } else { "" };
        println!("{cell:12} {ours:10.0} {removable:10.0} {crossbeam:10.0} {tree:10.0}  {verdict}");
    }
}

fn skiplist(is_removable: bool) -> Skiplist {
    let config = SkiplistConfig { memory_bytes_max: 8 << 30, seed: 0x5eed, is_removable };
    Skiplist::new(config).expect("the memory for an empty map")
}

impl Map for Skiplist {
    fn insert(&self, key: &[u8], payload: u64) {
        self.pin().insert(key, payload).expect("room for all keys");
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.pin().get(key).map(|entry| entry.payload())
    }

    fn remove(&self, key: &[u8]) -> bool {
        let guard = self.pin();
        self.is_removable()
            && guard.get(key).is_some_and(|entry| guard.remove(entry, entry.payload()).is_ok())
    }

    fn scan(&self, from: &[u8], back: bool) -> u64 {
        let guard = self.pin();
        let (mut cursor, mut sum) = (guard.cursor(), 0);
        let mut found = if back { cursor.seek_le(from) } else { cursor.seek(from) };
        for _ in 0..SCAN {
            let Some(entry) = cursor.entry().filter(|_| found) else { break };
            sum += entry.payload() + u64::from(cursor.key()[0]);
            found = if back { cursor.prev() } else { cursor.next() };
        }
        sum
    }
}

type Key = Box<[u8]>;

fn sum<'a>(rows: impl Iterator<Item = (&'a Key, &'a u64)>) -> u64 {
    rows.take(SCAN).map(|(key, payload)| u64::from(key[0]) + payload).sum()
}

fn scan_tree(tree: &BTreeMap<Key, u64>, from: &[u8], back: bool) -> u64 {
    match back {
        true => sum(tree.range::<[u8], _>((Unbounded, Included(from))).rev()),
        false => sum(tree.range::<[u8], _>((Included(from), Unbounded))),
    }
}

#[derive(Default)]
struct Plain(RefCell<BTreeMap<Key, u64>>);

impl Map for Plain {
    fn insert(&self, key: &[u8], payload: u64) {
        self.0.borrow_mut().insert(key.into(), payload);
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.0.borrow().get(key).copied()
    }

    fn remove(&self, key: &[u8]) -> bool {
        self.0.borrow_mut().remove(key).is_some()
    }

    fn scan(&self, from: &[u8], back: bool) -> u64 {
        scan_tree(&self.0.borrow(), from, back)
    }
}

#[derive(Default)]
struct Locked(RwLock<BTreeMap<Key, u64>>);

impl Map for Locked {
    fn insert(&self, key: &[u8], payload: u64) {
        self.0.write().expect("no writer panics").insert(key.into(), payload);
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.0.read().expect("no writer panics").get(key).copied()
    }

    fn remove(&self, key: &[u8]) -> bool {
        self.0.write().expect("no writer panics").remove(key).is_some()
    }

    fn scan(&self, from: &[u8], back: bool) -> u64 {
        scan_tree(&self.0.read().expect("no writer panics"), from, back)
    }
}

#[derive(Default)]
struct Crossbeam(SkipMap<Key, u64>);

impl Map for Crossbeam {
    fn insert(&self, key: &[u8], payload: u64) {
        self.0.insert(key.into(), payload);
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.0.get(key).map(|entry| *entry.value())
    }

    fn remove(&self, key: &[u8]) -> bool {
        self.0.remove(key).is_some()
    }

    fn scan(&self, from: &[u8], back: bool) -> u64 {
        let row =
            |entry: crossbeam_skiplist::map::Entry<'_, Key, u64>| u64::from(entry.key()[0]) + entry.value();
        match back {
            true => self.0.range::<[u8], _>((Unbounded, Included(from))).rev().take(SCAN).map(row).sum(),
            false => self.0.range::<[u8], _>((Included(from), Unbounded)).take(SCAN).map(row).sum(),
        }
    }
}
