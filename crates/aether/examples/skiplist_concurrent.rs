//! A concurrent ordered map in memory: several threads insert and change, nobody waits for anybody, readers see the keys
//! in order.
//!
//! `cargo run --example skiplist_concurrent`

#![allow(clippy::print_stdout)]

use aether::index::skiplist::{Guard, Offset, Skiplist, SkiplistConfig};
use aether::{Error, Result};
use std::hash::{BuildHasher, RandomState};
use std::thread;

const KEYS: u64 = 20_000;
/// A step for each thread that comes by every key.
const STEPS: [u64; 4] = [7919, 7907, 7901, 7883];

fn main() -> Result<()> {
    // Chance that nobody can know: keys cannot be chosen to make searches slow.
    let seed = RandomState::new().hash_one(0);
    let map = Skiplist::new(SkiplistConfig { memory_bytes_max: 64 << 20, seed, is_removable: false })?;

    // Every thread counts every key once: the payload is the count.
    thread::scope(|scope| {
        let threads = STEPS.map(|step| {
            scope.spawn({
                let map = &map;
                move || (0..KEYS).try_for_each(|number| count(&map.pin(), &key(number * step % KEYS)))
            })
        });
        threads.into_iter().try_for_each(|thread| thread.join().expect("no thread panics"))
    })?;
    assert_eq!(map.len(), KEYS);

    let guard = map.pin();
    let (mut sum, mut last) = (0, Vec::new());
    for entry in guard.scan_prefix(b"") {
        let key = entry.key();
        assert!(last < key, "in order");
        (sum, last) = (sum + entry.payload(), key);
    }
    assert_eq!(sum, STEPS.len() as u64 * KEYS);
    println!("{} keys in order, counted {sum} times by {} threads", map.len(), STEPS.len());

    let ten = guard.scan_prefix(b"key-0012").count();
    assert_eq!(ten, 10);
    println!("prefix key-0012: {ten} keys");

    // Values lie in the map's memory; a payload names one.
    let value = guard.add_value(b"the newest version of a row")?;
    let entry = guard.get(&key(1)).ok_or_else(|| Error::invalid("key 1 is there"))?;
    entry.replace(entry.payload(), value.get().into()).expect("nobody else changes it");
    let stored = guard.value(Offset::new(entry.payload() as u32)).expect("a value");
    println!("{} = {}", String::from_utf8_lossy(&entry.key()), String::from_utf8_lossy(&stored.to_vec()));
    println!("{} bytes used, {} held", map.used_bytes(), map.held_bytes());
    Ok(())
}

fn count(guard: &Guard<'_>, key: &[u8]) -> Result<()> {
    let entry = guard.insert(key, 0)?.entry();
    let mut seen = entry.payload();
    while let Err(other) = entry.replace(seen, seen + 1) {
        seen = other;
    }
    Ok(())
}

fn key(number: u64) -> Vec<u8> {
    format!("key-{number:05}").into_bytes()
}
