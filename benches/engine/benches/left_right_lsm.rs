//! Ways to come by the level list of an LSM tree: 1 to 16 readers, while one thread installs a version now and then.
//!
//! `cargo bench -p engine-benches --bench left_right_lsm`. `reader` is the default, which keeps the version it saw last; `slots` fetches it for
//! every read; `left-right` is what the feature `left-right-lsm` of `aether-lsm` puts in their place; `lock` is a list behind a lock. Each read sums up
//! eight numbers of the list. Nanoseconds of CPU time a read, of all threads, medians of alternating rounds; durability: none, nothing is written.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::lsm::version::{LeftRight, Slots};
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

struct Kept(Slots<List>);

impl Way for Kept {
    fn name(&self) -> &'static str {
        "reader"
    }

    fn read(&self, times: u64) -> u64 {
        let mut seen = self.0.load();
        let mut all = 0;
        for _ in 0..times {
            if self.0.number() != seen.0 {
                seen = self.0.load();
            }
            all += sum(black_box(&seen.1));
        }
        all
    }

    fn install(&self) {
        install_in(&self.0);
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
        install_in(self);
    }
}

fn install_in(slots: &Slots<List>) {
    let (number, list) = slots.load();
    // Nobody else installs.
    let _ = slots.compare_and_set(number, next(&list));
}

impl Way for LeftRight<List> {
    fn name(&self) -> &'static str {
        "left-right"
    }

    fn read(&self, times: u64) -> u64 {
        (0..times).map(|_| LeftRight::read(self, |list| sum(black_box(list)))).sum()
    }

    fn install(&self) {
        let (number, list) = self.load();
        let _ = self.compare_and_set(number, next(&list));
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
    let ways: [&dyn Way; 4] =
        [&Kept(Slots::new(first())), &Slots::new(first()), &LeftRight::new(first()), &RwLock::new(first())];
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
