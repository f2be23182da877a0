//! The skiplist against `BTreeMap`, under threads, and at its limits.
#![cfg(all(feature = "skiplist", not(any(loom, shuttle))))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "shared/ranges.rs"]
mod ranges;

use aether_index::skiplist::{
    CLOSED, Guard, Inserted, KEY_BYTES_MAX, MapCursor, Offset, Skiplist, SkiplistConfig,
};
use aether_types::ErrorKind;
use proptest::prelude::*;
use ranges::{is_empty, taken};
use std::collections::BTreeMap;
use std::ops::Bound::{self, *};
use std::sync::atomic::{AtomicBool, Ordering::*};
use std::thread;

fn map(seed: u64) -> Skiplist {
    Skiplist::new(SkiplistConfig { memory_bytes_max: 1 << 30, seed, is_removable: false }).unwrap()
}

/// Keys that share much, that are beginnings of each other, that end in zeros, and that share more than a link can tell.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let letters = prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', b'b', 0xff]), 0..12);
    let long =
        (2035usize..2060, letters.clone()).prop_map(|(shared, rest)| [vec![b'x'; shared], rest].concat());
    let urls = (0u32..60, 0u32..9)
        .prop_map(|(site, page)| format!("https://www.example-{site}.org/{page}").into_bytes());
    prop_oneof![6 => letters, 2 => long, 2 => urls, 1 => any::<[u8; 8]>().prop_map(|key| key.to_vec())]
}

fn bounds() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![Just(Unbounded), keys().prop_map(Included), keys().prop_map(Excluded)]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>),
    /// Removes what lies at this share of the keys, if the map lets it.
    Remove(u8),
    Get(Vec<u8>),
    Seek(Vec<u8>),
    Walk(bool),
    /// The cursor that lives through the whole script goes on, or back.
    Move(bool),
    Scan(Bound<Vec<u8>>, Bound<Vec<u8>>, Vec<bool>),
    Prefix(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let turns = prop::collection::vec(any::<bool>(), 0..30);
    let step = prop_oneof![
        8 => keys().prop_map(Step::Insert),
        4 => any::<u8>().prop_map(Step::Remove),
        2 => keys().prop_map(Step::Get),
        2 => keys().prop_map(Step::Seek),
        2 => any::<bool>().prop_map(Step::Walk),
        6 => any::<bool>().prop_map(Step::Move),
        1 => (bounds(), bounds(), turns).prop_map(|(from, to, turns)| Step::Scan(from, to, turns)),
        1 => keys().prop_map(Step::Prefix),
    ];
    prop::collection::vec(step, 0..120)
}

type Model = BTreeMap<Vec<u8>, u64>;

fn compare_scan(
    guard: &Guard<'_>,
    model: &Model,
    from: &Bound<Vec<u8>>,
    to: &Bound<Vec<u8>>,
    turns: &[bool],
) {
    let view = |bound: &Bound<Vec<u8>>| bound.as_ref().map(|key| key.clone());
    let rows = guard.scan(from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
    let found = taken(rows.map(|entry| (entry.key(), entry.payload())), turns);
    let wanted =
        if is_empty(from, to) { Vec::new() } else { taken(model.range((view(from), view(to))), turns) };
    assert_eq!(found, wanted.into_iter().map(|(key, value)| (key.clone(), *value)).collect::<Vec<_>>());
}

fn compare_seeks(guard: &Guard<'_>, model: &Model, key: &[u8]) {
    let mut cursor = guard.cursor();
    let above = model.range::<[u8], _>((Included(key), Unbounded)).next();
    assert_eq!(cursor.seek(key).then(|| cursor.key().to_vec()).as_ref(), above.map(|row| row.0));
    let below = model.range::<[u8], _>((Unbounded, Included(key))).next_back();
    assert_eq!(cursor.seek_le(key).then(|| cursor.key().to_vec()).as_ref(), below.map(|row| row.0));
    let below = model.range::<[u8], _>((Unbounded, Excluded(key))).next_back();
    assert_eq!(cursor.seek_lt(key).then(|| cursor.key().to_vec()).as_ref(), below.map(|row| row.0));
}

fn compare_walk(guard: &Guard<'_>, model: &Model, back: bool) {
    let mut cursor = guard.cursor();
    let mut found = Vec::new();
    while if back { cursor.prev() } else { cursor.next() } {
        found.push((cursor.key().to_vec(), cursor.entry().unwrap().payload()));
    }
    let mut wanted: Vec<_> = model.clone().into_iter().collect();
    if back {
        wanted.reverse();
    }
    assert_eq!(found, wanted);
}

/// Goes on or back from `at`; the key where the cursor should stand now.
fn compare_move(
    cursor: &mut MapCursor<'_>,
    model: &Model,
    at: Option<Vec<u8>>,
    back: bool,
) -> Option<Vec<u8>> {
    let wanted = match (at, back) {
        (None, false) => model.keys().next(),
        (None, true) => model.keys().next_back(),
        (Some(key), false) => model.range((Excluded(key), Unbounded)).next().map(|row| row.0),
        (Some(key), true) => model.range(..key).next_back().map(|row| row.0),
    };
    let found = if back { cursor.prev() } else { cursor.next() };
    assert_eq!(found.then(|| cursor.key().to_vec()).as_ref(), wanted);
    wanted.cloned()
}

fn compare_remove(guard: &Guard<'_>, model: &mut Model, share: u8) {
    let nth = model.len() * usize::from(share) / 256;
    if let Some((key, payload)) = model.iter().nth(nth).map(|(key, payload)| (key.clone(), *payload)) {
        let entry = guard.get(&key).unwrap();
        assert_eq!(guard.remove(entry, payload + 1), Err(payload));
        assert_eq!(guard.remove(entry, payload), Ok(()));
        assert_eq!((guard.remove(entry, payload), entry.payload()), (Err(CLOSED), CLOSED));
        assert_eq!((entry.key(), guard.get(&key).is_none()), (key.clone(), true));
        model.remove(&key);
    }
}

fn play(steps: Vec<Step>, seed: u64, is_removable: bool) {
    let map = Skiplist::new(SkiplistConfig { memory_bytes_max: 1 << 30, seed, is_removable }).unwrap();
    let mut model = Model::new();
    let guard = map.pin();
    let (mut cursor, mut at) = (guard.cursor(), None);
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::Insert(key) => {
                let inserted = guard.insert(&key, number as u64).unwrap();
                assert_eq!(inserted.is_new(), !model.contains_key(&key));
                let entry = inserted.entry();
                model.entry(key.clone()).or_insert(number as u64);
                assert_eq!((entry.payload(), entry.key()), (model[&key], key));
            }
            Step::Remove(share) if is_removable => compare_remove(&guard, &mut model, share),
            Step::Remove(_) => {}
            Step::Get(key) => {
                assert_eq!(guard.get(&key).map(|entry| entry.payload()), model.get(&key).copied())
            }
            Step::Seek(key) => compare_seeks(&guard, &model, &key),
            Step::Walk(back) => compare_walk(&guard, &model, back),
            Step::Move(back) => at = compare_move(&mut cursor, &model, at, back),
            Step::Scan(from, to, turns) => compare_scan(&guard, &model, &from, &to, &turns),
            Step::Prefix(prefix) => {
                let found: Vec<_> = guard.scan_prefix(&prefix).map(|entry| entry.key()).collect();
                let wanted: Vec<_> = model.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
                assert_eq!(found, wanted);
            }
        }
    }
    assert_eq!(map.len() as usize, model.len());
    map.check().unwrap();
}

proptest! {
    #[test]
    fn it_does_what_a_sorted_map_does(steps in steps(), seed in any::<u64>(), is_removable in any::<bool>()) {
        play(steps, seed, is_removable);
    }

    #[test]
    fn values_come_back(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..20), from in 0usize..120) {
        let map = map(1);
        let guard = map.pin();
        let offsets: Vec<_> = values.iter().map(|value| guard.add_value(value).unwrap()).collect();
        for (value, offset) in values.iter().zip(offsets) {
            let stored = guard.value(offset).unwrap();
            assert_eq!(&stored.to_vec(), value);
            let mut rest = vec![7];
            stored.append_from(from, &mut rest);
            assert_eq!(&rest[1..], value.get(from..).unwrap_or_default());
        }
    }
}

#[test]
fn the_longest_key_and_the_empty_one_go_in_and_a_longer_one_is_refused() {
    let map = map(3);
    let guard = map.pin();
    let mut longest = vec![0xab; KEY_BYTES_MAX];
    for last in 0..3 {
        longest[KEY_BYTES_MAX - 1] = last;
        assert!(guard.insert(&longest, u64::from(last)).unwrap().is_new());
    }
    assert!(guard.insert(b"", 9).unwrap().is_new());
    assert_eq!(guard.get(b"").unwrap().payload(), 9);
    assert_eq!(guard.get(&longest).unwrap().key(), longest);
    let error = guard.insert(&vec![0; KEY_BYTES_MAX + 1], 1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(guard.get(&vec![0xab; KEY_BYTES_MAX + 1]).is_none());
    assert_eq!(guard.insert(b"a", CLOSED).unwrap_err().kind(), ErrorKind::InvalidInput);
    map.check().unwrap();
}

#[test]
fn a_full_map_says_so_and_stays_sound() {
    let map = Skiplist::new(SkiplistConfig { memory_bytes_max: 4096, seed: 5, is_removable: false }).unwrap();
    let guard = map.pin();
    let mut kept = 0u64;
    let error = loop {
        match guard.insert(&kept.to_be_bytes(), kept) {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::OverLimit);
    assert!(kept > 50 && map.used_bytes() <= 4096, "{kept} keys in {} bytes", map.used_bytes());
    assert!(guard.add_value(&[0; 4096]).is_err());
    assert!((0..kept).all(|number| guard.get(&number.to_be_bytes()).unwrap().payload() == number));
    map.check().unwrap();
    let none = Skiplist::new(SkiplistConfig { memory_bytes_max: 8, seed: 5, is_removable: false });
    assert_eq!(none.unwrap_err().kind(), ErrorKind::OverLimit);
}

#[test]
fn an_offset_from_nowhere_gives_nothing_or_bytes_but_no_panic() {
    let map = map(3);
    let guard = map.pin();
    guard.insert(b"key", 1).unwrap();
    guard.add_value(b"value").unwrap();
    for number in (0..100).chain([u32::MAX - 1, u32::MAX]) {
        let _ = guard.value(Offset::new(number)).map(|value| value.to_vec());
    }
}

#[test]
fn threads_that_insert_the_same_keys_agree_on_who_was_first() {
    const KEYS: u64 = if cfg!(miri) { 30 } else { 20_000 };
    let map = map(11);
    let firsts: u64 = thread::scope(|scope| {
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                scope.spawn({
                    let map = &map;
                    move || {
                        let guard = map.pin();
                        let order = |number: u64| if thread % 2 == 0 { number } else { KEYS - 1 - number };
                        let is_first = |number: u64| match guard
                            .insert(&order(number).to_be_bytes(), order(number) << 8 | thread)
                            .unwrap()
                        {
                            Inserted::New(_) => true,
                            Inserted::Found(entry) => {
                                assert_eq!(entry.payload() >> 8, order(number));
                                false
                            }
                        };
                        (0..KEYS).filter(|number| is_first(*number)).count() as u64
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!((firsts, map.len()), (KEYS, KEYS));
    map.check().unwrap();
}

/// Each reader meets every key that was there when it began, in order, and the value that its payload names.
#[test]
fn readers_beside_writers_miss_nothing_and_see_whole_values() {
    const KEYS: u64 = if cfg!(miri) { 30 } else { 10_000 };
    let (map, over) = (map(12), AtomicBool::new(false));
    let scramble = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                scope.spawn({
                    let map = &map;
                    move || {
                        for number in (0..KEYS).filter(|number| number % 2 == writer) {
                            let guard = map.pin();
                            let value = guard.add_value(&scramble(number).repeat(5)).unwrap();
                            let entry = guard.insert(&scramble(number), 0).unwrap().entry();
                            entry.replace(0, value.get().into()).unwrap();
                        }
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                scope.spawn({
                    let (map, over) = (&map, &over);
                    move || {
                        while !over.load(Acquire) {
                            let guard = map.pin();
                            let (before, mut count, mut last) = (map.len(), 0, None);
                            let rows = guard.scan(Unbounded, Unbounded);
                            let rows: Box<dyn Iterator<Item = _>> =
                                if reader == 0 { Box::new(rows) } else { Box::new(rows.rev().take(50)) };
                            for entry in rows {
                                let key = entry.key();
                                assert!(last.is_none_or(|last: Vec<u8>| (last < key) == (reader == 0)));
                                if let Ok(offset @ 1..) = u32::try_from(entry.payload()) {
                                    assert_eq!(
                                        guard.value(Offset::new(offset)).unwrap().to_vec(),
                                        key.repeat(5)
                                    );
                                }
                                (count, last) = (count + 1, Some(key));
                            }
                            // The count is raised behind the linking, so it is never ahead of it.
                            assert!(reader == 1 || count >= before, "{count} of {before} keys");
                        }
                    }
                })
            })
            .collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        over.store(true, Release);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    map.check().unwrap();
}

fn removable(memory_bytes_max: u64) -> Skiplist {
    Skiplist::new(SkiplistConfig { memory_bytes_max, seed: 21, is_removable: true }).unwrap()
}

#[test]
fn what_was_removed_is_used_again() {
    const ROUNDS: u64 = if cfg!(miri) { 3 } else { 50 };
    let map = removable(256 << 10);
    let mut most = 0;
    for round in 0..ROUNDS {
        for number in 0..200u64 {
            let guard = map.pin();
            let value = guard.add_value(&vec![round as u8; number as usize]).unwrap();
            let key = [number.to_be_bytes().as_slice(), &round.to_be_bytes()].concat();
            assert!(guard.insert(&key, value.get().into()).unwrap().is_new());
        }
        let guard = map.pin();
        for entry in guard.scan(Unbounded, Unbounded) {
            let payload = entry.payload();
            guard.remove(entry, payload).unwrap();
            guard.free_value(Offset::new(payload as u32)).unwrap();
        }
        drop(guard);
        while map.reclaim() && map.used_bytes() > 1000 {}
        assert!(map.is_empty());
        map.check().unwrap();
        assert!(map.used_bytes() < 1000, "{} bytes are used by nothing", map.used_bytes());
        most = if round == 0 { map.held_bytes() } else { most };
    }
    assert_eq!(map.held_bytes(), most, "rounds of the same size take no more memory");
}

#[test]
fn what_a_guard_has_met_stays_as_it_is_while_it_lasts() {
    let map = removable(1 << 20);
    let reader = map.pin();
    reader.insert(b"key", 7).unwrap();
    let entry = reader.get(b"key").unwrap();
    {
        let guard = map.pin();
        guard.remove(guard.get(b"key").unwrap(), 7).unwrap();
    }
    while map.reclaim() {}
    for number in 0..100u8 {
        map.pin().insert(&[b'k', b'e', number], 1).unwrap();
    }
    assert_eq!((entry.key(), entry.payload()), (b"key".to_vec(), CLOSED));
}

fn long_key(number: u64) -> Vec<u8> {
    [b"a key with a long beginning ".as_slice(), &number.to_be_bytes()].concat()
}

/// Inserts and removes some of `KEYS` keys; by how much there is more of each afterwards.
fn come_and_go(map: &Skiplist, thread: u64, steps: u64) -> Vec<i64> {
    let mut balance = vec![0; KEYS as usize];
    for step in 0..steps {
        let number = (step * 31 + thread * 17) % (37 + thread) % KEYS;
        let (guard, key) = (map.pin(), long_key(number));
        if step.is_multiple_of(2) {
            balance[number as usize] += i64::from(guard.insert(&key, step).unwrap().is_new());
        } else if let Some(entry) = guard.get(&key) {
            assert_eq!(entry.key(), key, "the words were used again too early");
            let payload = entry.payload();
            balance[number as usize] -= i64::from(payload != CLOSED && guard.remove(entry, payload).is_ok());
        }
    }
    balance
}

fn read_in_order(map: &Skiplist, back: bool) {
    let guard = map.pin();
    let rows = guard.scan(Unbounded, Unbounded);
    let mut keys: Vec<_> = if back {
        rows.rev().map(|entry| entry.key()).collect()
    } else {
        rows.map(|entry| entry.key()).collect()
    };
    if back {
        keys.reverse();
    }
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{keys:?}");
}

const KEYS: u64 = 40;

/// Threads insert and remove a few keys all the time. A key is there when the changes that came through say so.
#[test]
fn threads_that_insert_and_remove_agree_on_what_is_there() {
    const STEPS: u64 = if cfg!(miri) { 60 } else { 40_000 };
    let map = removable(8 << 20);
    let mut balance = vec![0; KEYS as usize];
    thread::scope(|scope| {
        let threads = [0, 1, 2, 3].map(|thread| {
            scope.spawn({
                let map = &map;
                move || come_and_go(map, thread, STEPS)
            })
        });
        (0..STEPS / 20).for_each(|step| read_in_order(&map, step % 2 == 1));
        for each in threads.map(|thread| thread.join().unwrap()) {
            balance.iter_mut().zip(each).for_each(|(sum, each)| *sum += each);
        }
    });
    let guard = map.pin();
    for number in 0..KEYS {
        assert_eq!(
            i64::from(guard.get(&long_key(number)).is_some()),
            balance[number as usize],
            "key {number}"
        );
    }
    assert_eq!(map.len() as i64, balance.iter().sum::<i64>());
    map.check().unwrap();
    assert!(map.used_bytes() < 1 << 20, "{} bytes: nothing was used again", map.used_bytes());
}
