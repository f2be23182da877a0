//! shuttle: several threads insert, change, remove and read a few keys of a skiplist, under random schedules. Run by
//! `cargo xtask shuttle -p aether-index`.
#![cfg(all(shuttle, feature = "skiplist"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_index::skiplist::{CLOSED, Guard, Offset, Skiplist, SkiplistConfig};
use aether_sync::Arc;
use shuttle::thread;
use std::ops::Bound::Unbounded;

const SCHEDULES: usize = 3_000;
const KEYS: [&[u8]; 4] = [b"a", b"ab", b"abc", b"b"];

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 18;
    shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(SCHEDULES), config).run(model);
}

fn map() -> Arc<Skiplist> {
    Arc::new(
        Skiplist::new(SkiplistConfig { memory_bytes_max: 1 << 16, seed: 3, is_removable: true }).unwrap(),
    )
}

/// What a thread has done to each key: insertions less removals.
type Balance = [i64; KEYS.len()];

/// Puts a value that repeats the key, in a new entry or in place of what is there.
fn put(guard: &Guard<'_>, key: &[u8]) -> i64 {
    let value = guard.add_value(&key.repeat(3)).unwrap();
    loop {
        let inserted = guard.insert(key, value.get().into()).unwrap();
        let is_new = inserted.is_new();
        let entry = inserted.entry();
        let old = entry.payload();
        if is_new {
            return 1;
        }
        if old != CLOSED && entry.replace(old, value.get().into()).is_ok() {
            guard.free_value(Offset::new(old as u32)).unwrap();
            return 0;
        }
    }
}

fn remove(guard: &Guard<'_>, key: &[u8]) -> i64 {
    let Some(entry) = guard.get(key) else { return 0 };
    let old = entry.payload();
    if old == CLOSED || guard.remove(entry, old).is_err() {
        return 0;
    }
    guard.free_value(Offset::new(old as u32)).unwrap();
    -1
}

fn read(guard: &Guard<'_>) {
    let mut last = None;
    for entry in guard.scan(Unbounded, Unbounded) {
        let (key, payload) = (entry.key(), entry.payload());
        assert!(last < Some(key.clone()), "out of order");
        if payload != CLOSED {
            let value = guard.value(Offset::new(payload as u32)).unwrap().to_vec();
            assert_eq!(value, key.repeat(3), "the value was used again");
        }
        last = Some(key);
    }
}

#[test]
fn what_comes_and_goes_adds_up() {
    check(|| {
        let map = map();
        let threads: Vec<_> = (0..3)
            .map(|thread| {
                let map = map.clone();
                thread::spawn(move || {
                    let mut balance = Balance::default();
                    for step in 0..4 {
                        let number = (thread + step) % KEYS.len();
                        let guard = map.pin();
                        balance[number] +=
                            if step == 2 { remove(&guard, KEYS[number]) } else { put(&guard, KEYS[number]) };
                        balance[thread] += remove(&guard, KEYS[thread]);
                    }
                    balance
                })
            })
            .collect();
        read(&map.pin());
        let balances: Vec<Balance> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        let guard = map.pin();
        read(&guard);
        for (number, key) in KEYS.iter().enumerate() {
            let sum: i64 = balances.iter().map(|balance| balance[number]).sum();
            assert_eq!(i64::from(guard.get(key).is_some()), sum, "{key:?}");
        }
        map.check().unwrap();
    });
}
