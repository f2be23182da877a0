//! loom: nodes are linked while others link, look and scan. Run by `cargo xtask loom -p aether-index`.
#![cfg(all(loom, feature = "skiplist"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_index::skiplist::{Offset, Skiplist, SkiplistConfig};
use aether_sync::Arc;
use loom::thread;
use std::ops::Bound::Unbounded;

/// Bytes of one chunk: nothing is made after the threads have started.
const MEMORY: u64 = 64 * 8;

fn check(model: impl Fn(u64) + Sync + Send + 'static, keys: &'static [(&'static [u8], usize)]) {
    let seed = seed_for(keys);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(move || model(seed));
}

/// A seed that gives each of `keys` the height beside it.
fn seed_for(keys: &[(&[u8], usize)]) -> u64 {
    let found = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (out, keys) =
        (found.clone(), keys.iter().map(|(key, height)| (key.to_vec(), *height)).collect::<Vec<_>>());
    loom::model(move || {
        let fits = |seed: &u64| keys.iter().all(|(key, height)| map(*seed).height_of(key) == *height);
        out.store((0..1000).find(fits).unwrap(), std::sync::atomic::Ordering::Relaxed);
    });
    found.load(std::sync::atomic::Ordering::Relaxed)
}

fn map(seed: u64) -> Arc<Skiplist> {
    Arc::new(Skiplist::new(SkiplistConfig { memory_bytes_max: MEMORY, seed, is_removable: false }).unwrap())
}

fn insert(map: &Skiplist, key: &[u8], payload: u64) -> bool {
    map.pin().insert(key, payload).unwrap().is_new()
}

fn keys(map: &Skiplist) -> Vec<Vec<u8>> {
    map.pin().scan(Unbounded, Unbounded).map(|entry| entry.key()).collect()
}

#[test]
fn of_two_who_insert_a_key_one_is_first() {
    let model = |seed| {
        let map = map(seed);
        let other = map.clone();
        let rival = thread::spawn(move || insert(&other, b"k", 1));
        let (mine, theirs) = (insert(&map, b"k", 2), rival.join().unwrap());
        assert!(mine != theirs, "both or none were first");
        assert_eq!(map.pin().get(b"k").unwrap().payload(), if mine { 2 } else { 1 });
        map.check().unwrap();
    };
    check(model, &[(b"k", 2)]);
}

#[test]
fn neighbours_are_both_linked() {
    let model = |seed| {
        let map = map(seed);
        let other = map.clone();
        let rival = thread::spawn(move || insert(&other, b"ab", 1));
        assert!(insert(&map, b"ac", 2) && rival.join().unwrap());
        assert_eq!(keys(&map), [b"ab", b"ac"]);
        map.check().unwrap();
    };
    check(model, &[(b"ab", 2), (b"ac", 2)]);
}

#[test]
fn a_key_between_two_that_come_and_go_is_linked() {
    let model = |seed| {
        let map = map(seed);
        insert(&map, b"a", 0);
        let other = map.clone();
        let rival = thread::spawn(move || insert(&other, b"c", 1));
        assert!(insert(&map, b"b", 2) && rival.join().unwrap());
        assert_eq!(keys(&map), [b"a", b"b", b"c"]);
        map.check().unwrap();
    };
    check(model, &[(b"a", 2), (b"b", 1), (b"c", 2)]);
}

#[test]
fn who_finds_a_key_finds_it_whole_and_again() {
    let model = |seed| {
        let map = map(seed);
        let other = map.clone();
        let writer = thread::spawn(move || {
            let guard = other.pin();
            let value = guard.add_value(b"value").unwrap();
            guard.insert(b"k", value.get().into()).unwrap();
        });
        let guard = map.pin();
        let found = guard.get(b"k").map(|entry| (entry.key(), entry.payload()));
        if let Some((key, payload)) = &found {
            assert_eq!(key, b"k", "a node that was not written yet");
            assert_eq!(guard.value(Offset::new(*payload as u32)).unwrap().to_vec(), b"value");
        }
        let seen = keys(&map);
        assert!(found.is_none() || seen == [b"k"], "what was found is missing from the scan");
        writer.join().unwrap();
        map.check().unwrap();
    };
    check(model, &[(b"k", 2)]);
}

#[test]
fn who_reads_a_new_payload_reads_what_it_names() {
    let model = |seed| {
        let map = map(seed);
        insert(&map, b"k", 0);
        let other = map.clone();
        let writer = thread::spawn(move || {
            let guard = other.pin();
            let value = guard.add_value(b"new").unwrap();
            guard.get(b"k").unwrap().replace(0, value.get().into()).unwrap();
        });
        let guard = map.pin();
        let payload = guard.get(b"k").unwrap().payload();
        if payload != 0 {
            assert_eq!(guard.value(Offset::new(payload as u32)).unwrap().to_vec(), b"new");
        }
        writer.join().unwrap();
    };
    check(model, &[(b"k", 1)]);
}
