//! The radix tree beside the standard library's B-tree and an adaptive radix tree of pointers (`blart`): one thread.
//!
//! `cargo bench -p engine-benches --bench rax_bench [-- WORDS]` (only kinds of keys with one of the words);
//! `AETHER_BENCH_ROWS` sets the keys (1,000,000). Values are numbers. Nanoseconds of CPU time a step, medians of alternating rounds; misses
//! lie between keys that are there. A step of `prefix` visits all keys with a prefix: 128 of the integers, about 15 of the
//! random ones, about 12 addresses.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::lsm::index::rax::{Rax, RaxCursor, Seek};
use blart::TreeMap;
use engine_benches::keys::{Kind, Work};
use engine_benches::{Cost, is_full, is_wanted, median, rows};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::ops::Bound::{Included, Unbounded};

const SCAN: usize = 100;
const CELLS: [&str; 6] = ["insert", "get", "miss", "scan 100", "prefix", "remove"];

type Key = Box<[u8]>;
type Figures = [Vec<f64>; CELLS.len()];

fn main() {
    let rows = rows(1_000_000, 1_000);
    let rounds = if is_full() { 3 } else { 1 };
    println!("{rows} keys; ns of CPU time a step, medians of {rounds} rounds");
    for kind in Kind::ALL.into_iter().filter(|kind| is_wanted(kind.name())) {
        let work = Work::new(kind, rows);
        let mut figures: [Figures; 3] = Default::default();
        for _ in 0..rounds {
            run(&mut Rax::new(), &work, &mut figures[0]);
            run(&mut BTreeMap::new(), &work, &mut figures[1]);
            run(&mut TreeMap::new(), &work, &mut figures[2]);
        }
        print(kind, figures);
        print_memory(&work);
    }
}

/// What is compared.
trait Map {
    fn insert(&mut self, key: &[u8], value: u64);
    fn get(&self, key: &[u8]) -> Option<u64>;
    fn remove(&mut self, key: &[u8]) -> Option<u64>;
    /// The sum of the values and of the first bytes of `SCAN` keys from `from` on.
    fn scan(&self, from: &[u8]) -> u64;
    /// The same of all keys that begin with `prefix`.
    fn prefix(&self, prefix: &[u8]) -> u64;
}

/// The beginning of a key that some others share.
fn prefix<'k>(work: &Work, key: &'k [u8]) -> &'k [u8] {
    match work.kind {
        Kind::Integers => &key[..7],
        Kind::Random => &key[..2],
        Kind::Urls => &key[..key.len() - 8],
    }
}

fn run(map: &mut impl Map, work: &Work, figures: &mut Figures) {
    for (cell, figures) in CELLS.iter().zip(figures) {
        let count = if matches!(*cell, "scan 100" | "prefix") {
            work.hits.len().div_ceil(10)
        } else {
            work.hits.len()
        };
        let work_of = || match *cell {
            "insert" => work.present.iter().zip(0..).for_each(|(key, value)| map.insert(key, value)),
            "get" => work.hits.iter().for_each(|key| assert!(map.get(key).is_some())),
            "miss" => work.misses.iter().for_each(|key| assert!(map.get(key).is_none())),
            "scan 100" => work.hits.iter().take(count).map(|key| map.scan(key)).for_each(keep),
            "prefix" => work.hits.iter().take(count).map(|key| map.prefix(prefix(work, key))).for_each(keep),
            _ => work.present.iter().for_each(|key| assert!(map.remove(key).is_some())),
        };
        figures.push(Cost::per_step(count as u64, work_of).cpu);
    }
}

fn keep(sum: u64) {
    black_box(sum);
}

fn print(kind: Kind, figures: [Figures; 3]) {
    println!("{}", kind.name());
    println!("{:12} {:>10} {:>10} {:>10}", "", "rax", "BTreeMap", "blart");
    let [ours, tree, blart] = figures;
    for (((cell, ours), tree), blart) in CELLS.iter().zip(ours).zip(tree).zip(blart) {
        let [ours, tree, blart] = [ours, tree, blart].map(median);
        let verdict = if ours > tree.min(blart) { "loses" } else { "" };
        println!("{cell:12} {ours:10.0} {tree:10.0} {blart:10.0}  {verdict}");
    }
}

fn print_memory(work: &Work) {
    let mut rax = Rax::new();
    for (key, value) in work.present.iter().zip(0u64..) {
        rax.insert(key, value);
    }
    let length: usize = work.present.iter().map(<[u8]>::len).sum();
    let each = |bytes: usize| bytes as f64 / rax.len() as f64;
    println!("memory       {:10.0} B a key of {:.0} B", each(rax.memory_bytes()), each(length));
}

impl Map for Rax<u64> {
    fn insert(&mut self, key: &[u8], value: u64) {
        self.insert(key, value);
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.get(key).copied()
    }

    fn remove(&mut self, key: &[u8]) -> Option<u64> {
        self.remove(key)
    }

    fn scan(&self, from: &[u8]) -> u64 {
        let (mut cursor, mut sum, mut left) = (RaxCursor::new(), 0, SCAN);
        let mut row = cursor.seek(self, Seek::AtOrAbove, from);
        while let Some((key, value)) = row
            && left > 0
        {
            sum += u64::from(key[0]) + value;
            left -= 1;
            row = cursor.next(self);
        }
        sum
    }

    fn prefix(&self, prefix: &[u8]) -> u64 {
        let (mut cursor, mut sum) = (RaxCursor::new(), 0);
        let mut row = cursor.seek(self, Seek::AtOrAbove, prefix);
        while let Some((key, value)) = row.filter(|(key, _)| key.starts_with(prefix)) {
            sum += u64::from(key[0]) + value;
            row = cursor.next(self);
        }
        sum
    }
}

fn sum<'a>(rows: impl Iterator<Item = (&'a Key, &'a u64)>) -> u64 {
    rows.map(|(key, value)| u64::from(key[0]) + value).sum()
}

impl Map for BTreeMap<Key, u64> {
    fn insert(&mut self, key: &[u8], value: u64) {
        self.insert(key.into(), value);
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.get(key).copied()
    }

    fn remove(&mut self, key: &[u8]) -> Option<u64> {
        self.remove(key)
    }

    fn scan(&self, from: &[u8]) -> u64 {
        sum(self.range::<[u8], _>((Included(from), Unbounded)).take(SCAN))
    }

    fn prefix(&self, prefix: &[u8]) -> u64 {
        sum(self.range::<[u8], _>((Included(prefix), Unbounded)).take_while(|row| row.0.starts_with(prefix)))
    }
}

impl Map for TreeMap<Key, u64> {
    fn insert(&mut self, key: &[u8], value: u64) {
        self.try_insert(key.into(), value).expect("no key is the beginning of another");
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        self.get(key).copied()
    }

    fn remove(&mut self, key: &[u8]) -> Option<u64> {
        self.remove(key)
    }

    fn scan(&self, from: &[u8]) -> u64 {
        sum(self.range::<[u8], _>((Included(from), Unbounded)).take(SCAN))
    }

    fn prefix(&self, prefix: &[u8]) -> u64 {
        sum(self.prefix(prefix))
    }
}
