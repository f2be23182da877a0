//! The small LSM engine: text and bytes, errors that compare, opened again, many threads; and the merge policies of keyspaces.

#![allow(clippy::unwrap_used, reason = "tests")]

use aether::lsm::{Engine, Error, LsmConfig, PolicyKind};
use aether::vfs::Env;
use aether::{DbEnv, Durability, ErrorKind, IndexKind, KeyspaceOptions, Options, Txn};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// Memtables of a few rows: all is flushed and merged soon.
fn options() -> Options {
    let lsm = LsmConfig { memtable_bytes: 32 << 10, level_runs: Some(3), ..LsmConfig::default() };
    Options { lsm, durability: Durability::None, ..Options::default() }
}

fn open(env: &Env) -> Engine {
    Engine::in_env(DbEnv::open_in(env.clone(), Path::new("/home"), options()).unwrap()).unwrap()
}

fn key(number: u32) -> String {
    format!("key {:05}", number.wrapping_mul(7919) % 100_000)
}

#[test]
fn text_and_bytes() {
    let engine = open(&Env::memory());
    engine.put("text", "grün").unwrap();
    engine.put(b"bytes", [0xff, 0x00, 0xfe]).unwrap();
    engine.put(String::from("empty"), Vec::new()).unwrap();
    assert_eq!(engine.get(b"text").unwrap(), "grün");
    assert_eq!(engine.get("bytes"), Err(Error::NotUtf8));
    assert_eq!(engine.get_bytes("bytes").unwrap().as_ref(), [0xff, 0x00, 0xfe]);
    assert_eq!(engine.get_bytes("text").unwrap(), "grün".as_bytes());
    assert_eq!(engine.get("empty").unwrap(), "");

    engine.del("text").unwrap();
    engine.del("text").unwrap();
    assert_eq!(engine.get("text"), Err(Error::KeyNotFound));
    assert_eq!(engine.get_bytes("text"), Err(Error::KeyNotFound));
    engine.tree().flush().unwrap();
    assert_eq!(engine.get("text"), Err(Error::KeyNotFound), "from a run as from memory");
    assert_eq!(engine.get("bytes"), Err(Error::NotUtf8));
}

#[test]
fn errors_compare_and_say_what_they_are() {
    let engine = open(&Env::memory());
    let too_long = || engine.put(vec![b'k'; 70_000], "").unwrap_err();
    let (Error::Store(inner), other) = (too_long(), too_long()) else { panic!("the store refuses it") };
    assert_eq!(inner.kind(), ErrorKind::InvalidInput);
    assert_eq!(Error::Store(inner.clone()), other);
    assert_ne!(other, engine.put(vec![b'k'; 80_000], "").unwrap_err(), "other words");
    assert_ne!(Error::KeyNotFound, Error::NotUtf8);
    assert_ne!(Error::KeyNotFound, other);
    assert_eq!(Error::NotUtf8.clone(), Error::NotUtf8);

    let as_std: &dyn std::error::Error = &other;
    assert_eq!(as_std.to_string(), inner.to_string());
    assert!(as_std.source().is_some() && std::error::Error::source(&Error::KeyNotFound).is_none());
}

#[test]
fn opened_again_it_has_what_was_put() {
    let dir = tempfile::TempDir::new().unwrap();
    for round in 0..3 {
        let engine = Engine::open(dir.path(), options()).unwrap();
        for number in 0..3_000 {
            assert_eq!(engine.get(key(number)).ok(), (round > 0).then(|| format!("{}", round - 1)));
            engine.put(key(number), round.to_string()).unwrap();
        }
        engine.put("gone", "").unwrap();
        engine.del("gone").unwrap();
    }
    let engine = Engine::new(dir.path(), 1 << 20, 4).unwrap();
    assert_eq!(engine.get(key(2_999)).unwrap(), "2");
    assert_eq!(engine.get("gone"), Err(Error::KeyNotFound));
    assert_eq!(engine.db().iter().unwrap().count(), 3_000);
    let stat = engine.tree().stat();
    assert!(stat.levels.iter().any(|level| level.runs > 0), "{stat:?}");
    assert!(engine.db().env().verify().unwrap().problems.is_empty());
}

#[test]
fn a_home_that_is_in_use_is_refused() {
    let dir = tempfile::TempDir::new().unwrap();
    let engine = Engine::new(dir.path(), 1 << 20, 4).unwrap();
    let again = Engine::new(dir.path(), 1 << 20, 4).err();
    assert!(matches!(&again, Some(Error::Store(error)) if error.kind() == ErrorKind::Locked), "{again:?}");
    drop(engine);
    assert!(Engine::new(dir.path(), 1 << 20, 4).is_ok());
}

#[test]
fn a_keyspace_of_another_kind_is_refused() {
    let home = DbEnv::open_in(Env::memory(), Path::new("/home"), options()).unwrap();
    let of = KeyspaceOptions::of(IndexKind::BTREE);
    home.transact(|txn| home.create_keyspace(txn, "engine", of).map(drop)).unwrap();
    let refused = Engine::in_env(home).err();
    assert!(
        matches!(&refused, Some(Error::Store(error)) if error.kind() == ErrorKind::InvalidInput),
        "{refused:?}"
    );
}

#[test]
fn the_numbers_given_are_those_of_the_tree() {
    let runs_of_a_level = |runs| {
        let dir = tempfile::TempDir::new().unwrap();
        let engine = Engine::new(dir.path(), 8 << 10, runs).unwrap();
        assert_eq!(engine.tree().stat().policy.map(|policy| policy.0), Some(PolicyKind::Fast));
        for number in 0..600 {
            engine.put(key(number), [b'v'; 200]).unwrap();
        }
        engine.tree().merge_all().unwrap();
        let stat = engine.tree().stat();
        assert!(stat.flushed_bytes > 0, "120 KB do not stay in 8 KiB: {stat:?}");
        stat.levels.iter().map(|level| level.runs).max().unwrap()
    };
    assert!(runs_of_a_level(2) <= 2);
    assert!(runs_of_a_level(50) > 2);
}

#[test]
fn numbers_out_of_bounds_are_refused_and_nothing_is_made() {
    let dir = tempfile::TempDir::new().unwrap();
    let most = (LsmConfig::MEMTABLE_BYTES_MAX, LsmConfig::LEVEL_RUNS_MAX);
    for (bytes, runs, named) in [
        (u64::MAX, 4, "memtable_bytes"),
        (4095, 4, "memtable_bytes"),
        (8 << 10, usize::MAX, "level_runs"),
        (8 << 10, 1, "level_runs"),
    ] {
        let refused = Engine::new(dir.path(), bytes, runs).err();
        let is_named = |error: &aether::Error| {
            error.kind() == ErrorKind::InvalidInput && error.to_string().starts_with(named)
        };
        assert!(matches!(&refused, Some(Error::Store(error)) if is_named(error)), "{refused:?}");
    }
    assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    let engine = Engine::new(dir.path(), most.0, most.1).unwrap();
    (0..2000).for_each(|number| engine.put(key(number), [b'v'; 20]).unwrap());
    engine.tree().flush().unwrap();
    engine.tree().merge_all().unwrap();
    assert_eq!(engine.get_bytes(key(7)).unwrap().as_ref(), [b'v'; 20]);
}

/// Who makes a keyspace reads its manifest before it is committed.
#[test]
fn a_keyspace_has_the_policy_that_it_was_made_with() {
    let env = Env::memory();
    let open = || DbEnv::open_in(env.clone(), Path::new("/home"), options()).unwrap();
    let of = |home: &DbEnv, name: &str| home.lsm(&home.keyspace(name).unwrap()).unwrap().stat().policy;
    let kinds = [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Leveled, PolicyKind::Adaptive];
    let expected = |kind| match kind {
        PolicyKind::Adaptive => Some((kind, PolicyKind::Fast)),
        kind => Some((kind, kind)),
    };
    let home = open();
    for kind in kinds {
        let make = |txn: &mut Txn| home.create_keyspace(txn, &kind.to_string(), KeyspaceOptions::lsm(kind));
        let space = home.transact(make).unwrap();
        assert_eq!(of(&home, space.name()), expected(kind), "at once");
        let large = |txn: &mut Txn| txn.put(&space, b"large", &[7; 100_000]);
        home.transact(large).unwrap();
        home.lsm(&space).unwrap().flush().unwrap();
    }
    home.close().unwrap();
    let home = open();
    kinds.into_iter().for_each(|kind| assert_eq!(of(&home, &kind.to_string()), expected(kind), "later"));
}

const WRITERS: u32 = 4;
const ROWS: u32 = 1_500;

/// Each writer has keys of its own, puts them in rising rounds and deletes one in seven; readers see what was put, or nothing yet.
#[test]
fn many_read_and_write() {
    let engine = open(&Env::memory());
    let is_over = AtomicBool::new(false);
    let own = |writer: u32, number: u32| format!("{writer} {}", key(number));
    thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let engine = engine.clone();
                scope.spawn(move || {
                    for (round, number) in
                        (0..3).flat_map(|round| (0..ROWS).map(move |number| (round, number)))
                    {
                        engine.put(own(writer, number), round.to_string()).unwrap();
                        let seen = engine.get(own(writer, number)).unwrap();
                        assert_eq!(seen, round.to_string(), "nobody else writes it");
                        if number % 7 == 0 {
                            engine.del(own(writer, number)).unwrap();
                            assert_eq!(engine.get(own(writer, number)), Err(Error::KeyNotFound));
                        }
                    }
                })
            })
            .collect();
        let readers: Vec<_> = (0..2)
            .map(|reader| {
                let (engine, is_over) = (engine.clone(), &is_over);
                scope.spawn(move || {
                    let mut last = vec![-1; (WRITERS * ROWS) as usize];
                    while !is_over.load(Relaxed) {
                        for number in (reader..ROWS).step_by(11).filter(|number| number % 7 != 0) {
                            for writer in 0..WRITERS {
                                let seen = engine.get(own(writer, number));
                                let round = match seen {
                                    Err(Error::KeyNotFound) => -1,
                                    seen => seen.unwrap().parse().unwrap(),
                                };
                                let last = &mut last[(writer * ROWS + number) as usize];
                                assert!(*last <= round, "{} went back", own(writer, number));
                                *last = round;
                            }
                        }
                    }
                })
            })
            .collect();
        let ended: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        is_over.store(true, Relaxed);
        ended.into_iter().chain(readers.into_iter().map(|reader| reader.join())).for_each(|end| end.unwrap());
    });
    let rows = engine.db().iter().unwrap().count() as u32;
    assert_eq!(rows, WRITERS * (ROWS - ROWS.div_ceil(7)));
    assert!(engine.db().env().verify().unwrap().problems.is_empty());
}
