//! Ways to come by the level list of an LSM tree: 1 to 16 readers, while one thread installs a version now and then.
//!
//! `cargo bench -p engine-benches --bench left_right_lsm`. `copies` is what trees read by: a reference that few threads share, behind a look at the
//! number; `slots` is where that comes from, a reference that all share; `left-right` is what the feature `left-right-lsm` of `aether-lsm` puts in
//! their place: a reference taken in place; `in place` is the same without a reference, for what reads no files; `lock` is a list behind a lock. Each read
//! sums up eight numbers of the list. Nanoseconds of CPU time a read, of all threads, medians of alternating rounds; durability: none, nothing is
//! written.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::lsm::version::{Copies, LeftRight, Slots};
use engine_benches::{Cost, is_full, median, rows};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::Duration;

type List = [u64; 8];

/// A way to come by the list.
trait Way: Sync {
    fn name(&self) -> &'static str;
    /// Reads the newest list so many times; the sum of it all.
    fn read(&self, times: u64) -> u64;
    fn install(&self);
}

fn sum(list: &List) -> u64 {
    list.iter().sum()
}

fn next(list: &List) -> Arc<List> {
    Arc::new(list.map(|number| number + 1))
}

impl Way for Copies<List> {
    fn name(&self) -> &'static str {
        "copies"
    }

    fn read(&self, times: u64) -> u64 {
        (0..times).map(|_| sum(black_box(&Copies::read(self)))).sum()
    }

    fn install(&self) {
        let (number, list) = self.load();
        // Nobody else installs.
        let _ = self.compare_and_set(number, next(&list));
    }
}

impl Way for Slots<List> {
    fn name(&self) -> &'static str {
        "slots"
    }

    fn read(&self, times: u64) -> u64 {
        (0..times).map(|_| sum(black_box(&self.load().1))).sum()
    }

    fn install(&self) {
        let (number, list) = self.load();
        let _ = self.compare_and_set(number, next(&list));
    }
}

impl Way for LeftRight<List> {
    fn name(&self) -> &'static str {
        "left-right"
    }

    fn read(&self, times: u64) -> u64 {
        (0..times).map(|_| sum(black_box(&LeftRight::read(self, Arc::clone)))).sum()
    }

    fn install(&self) {
        let (number, list) = self.load();
        let _ = self.compare_and_set(number, next(&list));
    }
}

struct InPlace(LeftRight<List>);

impl Way for InPlace {
    fn name(&self) -> &'static str {
        "in place"
    }

    fn read(&self, times: u64) -> u64 {
        (0..times).map(|_| self.0.read(|list| sum(black_box(list)))).sum()
    }

    fn install(&self) {
        self.0.install();
    }
}

impl Way for RwLock<Arc<List>> {
    fn name(&self) -> &'static str {
        "lock"
    }

    fn read(&self, times: u64) -> u64 {
        let newest = || RwLock::read(self).unwrap_or_else(PoisonError::into_inner).clone();
        (0..times).map(|_| sum(black_box(&newest()))).sum()
    }

    fn install(&self) {
        let mut list = self.write().unwrap_or_else(PoisonError::into_inner);
        *list = next(&list);
    }
}

/// Nanoseconds of CPU time a read.
fn measure(way: &dyn Way, readers: u64, reads: u64) -> f64 {
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let installer = scope.spawn(|| {
            while !is_over.load(Relaxed) {
                way.install();
                thread::sleep(Duration::from_millis(1));
            }
        });
        let cost = Cost::per_step(readers * reads, || {
            thread::scope(|scope| {
                (0..readers).for_each(|_| {
                    scope.spawn(|| black_box(way.read(reads)));
                });
            });
        });
        is_over.store(true, Relaxed);
        let _ = installer.join();
        cost.cpu
    })
}

fn main() {
    let reads = rows(1_000_000, 1_000);
    let rounds = if is_full() { 5 } else { 1 };
    let first = || Arc::new([1; 8]);
    let ways: [&dyn Way; 5] = [
        &Copies::new(first()),
        &Slots::new(first()),
        &LeftRight::new(first()),
        &InPlace(LeftRight::new(first())),
        &RwLock::new(first()),
    ];
    println!(
        "{reads} reads a reader, an install each millisecond; ns of CPU time a read, medians of {rounds} rounds"
    );
    println!("{:>8} {}", "readers", ways.map(|way| format!("{:>12}", way.name())).concat());
    for readers in [1, 2, 4, 8, 16] {
        let mut figures = ways.map(|_| Vec::new());
        for _ in 0..rounds {
            ways.iter().zip(&mut figures).for_each(|(way, all)| all.push(measure(*way, readers, reads)));
        }
        println!("{readers:>8} {}", figures.map(|all| format!("{:>12.1}", median(all))).concat());
    }
}
