//! loom: nodes are linked and taken out while others link, look and scan. Run by `cargo xtask loom -p aether-index`.
#![cfg(all(loom, feature = "skiplist"))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_index::skiplist::{CLOSED, Offset, Skiplist, SkiplistConfig};
use aether_sync::Arc;
use loom::thread;
use std::ops::Bound::Unbounded;

/// Bytes of one chunk: nothing is made after the threads have started.
const MEMORY: u64 = 64 * 8;

type Heights = &'static [(&'static [u8], usize)];

fn check(model: impl Fn(u64) + Sync + Send + 'static, keys: Heights) {
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

fn removable(seed: u64) -> Arc<Skiplist> {
    let config = SkiplistConfig { memory_bytes_max: MEMORY, seed, is_removable: true };
    Arc::new(Skiplist::new(config).unwrap())
}

/// Removes `key` if it is there; whether it was.
fn remove(map: &Skiplist, key: &[u8]) -> bool {
    let guard = map.pin();
    guard.get(key).is_some_and(|entry| {
        let payload = entry.payload();
        payload != CLOSED && guard.remove(entry, payload).is_ok()
    })
}

#[test]
fn what_is_inserted_behind_a_key_that_goes_is_not_lost() {
    let model = |seed| {
        let map = removable(seed);
        insert(&map, b"b", 1);
        let other = map.clone();
        let rival = thread::spawn(move || remove(&other, b"b"));
        assert!(insert(&map, b"c", 2));
        assert!(rival.join().unwrap());
        assert_eq!(keys(&map), [b"c"]);
        map.check().unwrap();
    };
    check(model, &[(b"b", 2), (b"c", 2)]);
}

#[test]
fn a_key_that_goes_and_comes_again_is_there_once() {
    let model = |seed| {
        let map = removable(seed);
        insert(&map, b"k", 1);
        let other = map.clone();
        let rival = thread::spawn(move || remove(&other, b"k"));
        let is_new = insert(&map, b"k", 2);
        assert!(rival.join().unwrap() || is_new);
        assert_eq!(map.pin().get(b"k").is_some(), map.len() == 1);
        assert_eq!(keys(&map).len() as u64, map.len());
        map.check().unwrap();
    };
    check(model, &[(b"k", 2)]);
}

/// It is taken out while it is still being linked upward.
#[test]
fn a_key_that_goes_while_it_comes_leaves_nothing_behind() {
    let model = |seed| {
        let map = removable(seed);
        let other = map.clone();
        let rival = thread::spawn(move || remove(&other, b"k"));
        assert!(insert(&map, b"k", 1));
        let is_removed = rival.join().unwrap();
        assert_eq!(map.len(), u64::from(!is_removed));
        assert_eq!(map.pin().get(b"k").is_some(), !is_removed);
        map.check().unwrap();
        while map.reclaim() && map.used_bytes() > USED_BY_NOTHING && is_removed {}
        assert!(!is_removed || map.used_bytes() == USED_BY_NOTHING, "the node was not freed");
    };
    check(model, &[(b"k", 2)]);
}

/// Word 0, and the node before all others.
const USED_BY_NOTHING: u64 = 5 * 8;

#[test]
fn what_a_reader_has_met_is_not_used_again() {
    let model = |seed| {
        let map = removable(seed);
        insert(&map, b"k", 1);
        let other = map.clone();
        let rival = thread::spawn(move || {
            remove(&other, b"k");
            (0..3).for_each(|_| {
                other.reclaim();
            });
            insert(&other, b"z", 2);
        });
        let guard = map.pin();
        if let Some(entry) = guard.get(b"k") {
            assert_eq!((entry.key(), entry.payload() != 2), (b"k".to_vec(), true), "another key's words");
        }
        drop(guard);
        rival.join().unwrap();
        assert_eq!(keys(&map), [b"z"]);
        map.check().unwrap();
    };
    check(model, &[(b"k", 1), (b"z", 1)]);
}

/// A node may get into an upper level after it was taken out of the lowest. Searches went down from there, along links that
/// know nothing of what was inserted since.
#[test]
fn no_search_goes_down_from_a_node_that_is_gone() {
    let model = |seed| {
        let map = removable(seed);
        let other = map.clone();
        let rival = thread::spawn(move || {
            if remove(&other, b"k") {
                insert(&other, b"z", 2);
                let guard = other.pin();
                assert!(guard.get(b"z").is_some(), "a key that is there is not found");
                assert!(guard.cursor().last(), "a key that is there is not the last");
            }
        });
        assert!(insert(&map, b"k", 1));
        rival.join().unwrap();
        map.check().unwrap();
    };
    check(model, &[(b"k", 2), (b"z", 1)]);
}

/// The epoch moves on between a reader's look at it and its being counted there.
#[test]
fn a_reader_that_enters_slowly_is_waited_for() {
    let model = |seed| {
        let map = removable(seed);
        insert(&map, b"k", 1);
        let other = map.clone();
        let rival = thread::spawn(move || {
            let reclaim = || {
                other.reclaim();
            };
            (0..2).for_each(|_| reclaim());
            remove(&other, b"k");
            (0..3).for_each(|_| reclaim());
            insert(&other, b"z", 2);
        });
        let guard = map.pin();
        if let Some(entry) = guard.get(b"k") {
            assert_eq!(entry.key(), b"k", "another key's words");
        }
        drop(guard);
        rival.join().unwrap();
    };
    check(model, &[(b"k", 1), (b"z", 1)]);
}
