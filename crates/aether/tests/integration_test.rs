//! The facade as its users meet it: homes, keyspaces, transactions, reopening, damage.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{Db, DbEnv, Durability, ErrorKind, KeyspaceOptions, KvStore, Options};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

fn small() -> Options {
    Options {
        buffer: aether::buffer::BufferConfig { num_frames: 64, ..Default::default() },
        wal: aether::wal::WalConfig { segment_bytes: 256 << 10, ring_bytes: 256 << 10, ..Default::default() },
        max_recovery_bytes: 1 << 20,
        durability: Durability::None,
        ..Options::default()
    }
}

fn home() -> TempDir {
    TempDir::new().unwrap()
}

fn open(dir: &Path) -> Db {
    Db::open_with(dir.join("home"), small()).unwrap()
}

fn rows(db: &Db) -> BTreeMap<Vec<u8>, Vec<u8>> {
    db.iter().unwrap().collect::<aether::Result<_>>().unwrap()
}

#[test]
fn the_shortest_way() -> Result<(), Box<dyn std::error::Error>> {
    let dir = TempDir::new()?;
    let mut kv = KvStore::open(dir.path().join("kv.db"))?;
    kv.put(b"hello", b"world")?;
    assert_eq!(kv.get(b"hello")?, Some(b"world".to_vec()));
    assert!(kv.delete(b"hello")? && !kv.delete(b"hello")?);
    assert_eq!(kv.get(b"hello")?, None);
    Ok(())
}

#[test]
fn a_buffer_config_is_built_from_outside() {
    let config = aether::buffer::BufferConfig {
        num_frames: 4096,
        enable_page_provider: true,
        ..aether::buffer::BufferConfig::default()
    };
    assert_eq!(config.num_frames, 4096);
}

#[test]
fn what_is_written_is_there_after_closing_and_reopening() {
    let dir = home();
    let mut model = BTreeMap::new();
    for round in 0..5u32 {
        let db = open(dir.path());
        assert_eq!(rows(&db), model, "round {round}");
        assert!(db.env().recovery_report().clean, "a closed home needs no recovery");
        for n in 0..2000u32 {
            let key = format!("{:06}", n.wrapping_mul(2_654_435_761) % 10_007).into_bytes();
            let value = vec![(n + round) as u8; (n % 300) as usize];
            db.put(&key, &value).unwrap();
            model.insert(key, value);
        }
        for n in (0..2000u32).step_by(3) {
            let key = format!("{n:06}").into_bytes();
            assert_eq!(db.delete(&key).unwrap(), model.remove(&key).is_some());
        }
        assert_eq!(db.env().verify().unwrap().problems, Vec::<String>::new());
    }
}

#[test]
fn a_home_that_was_not_closed_is_recovered() {
    let dir = home();
    // No thread moves files while they are copied.
    let options = Options { background: false, ..small() };
    let db = Db::open_with(dir.path().join("home"), options).unwrap();
    let mut model = BTreeMap::new();
    for n in 0..3000u32 {
        let key = format!("{:06}", n * 7919 % 5003).into_bytes();
        db.put(&key, &[n as u8; 200]).unwrap();
        model.insert(key, vec![n as u8; 200]);
    }
    let mut open_txn = db.begin().unwrap();
    (0..500u32)
        .for_each(|n| open_txn.put(db.keyspace(), format!("{n:06}").as_bytes(), b"uncommitted").unwrap());
    let mut last = db.begin().unwrap();
    last.set_durability(Durability::Sync);
    last.put(db.keyspace(), b"last", b"durable").unwrap();
    last.commit().unwrap();
    model.insert(b"last".to_vec(), b"durable".to_vec());
    // The process dies here, as far as the files can tell.
    let copy = dir.path().join("copy");
    copy_dir(&dir.path().join("home"), &copy);
    let again = Db::open_with(&copy, small()).unwrap();
    assert!(!again.env().recovery_report().clean);
    assert_eq!(again.env().recovery_report().losers, 1);
    assert!(rows(&again) == model);
    assert_eq!(again.env().verify().unwrap().problems, Vec::<String>::new());
    again.put(b"life", b"goes on").unwrap();
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn a_clean_open_writes_nothing_until_the_first_write() {
    let dir = home();
    open(dir.path()).put(b"a", b"b").unwrap();
    let before = bytes_of(&dir.path().join("home"));
    let db = open(dir.path());
    assert_eq!(db.get(b"a").unwrap().as_deref(), Some(&b"b"[..]));
    assert_eq!(rows(&db).len(), 1);
    drop(db);
    assert!(bytes_of(&dir.path().join("home")) == before);
}

fn bytes_of(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.unwrap();
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    std::fs::read_dir(dir).unwrap().map(read).filter(|(name, _)| name != "lock").collect()
}

#[test]
fn keyspaces_are_created_and_dropped_in_transactions() {
    let dir = home();
    let db =
        Db::open_with(dir.path().join("home"), Options { durability: Durability::Sync, ..small() }).unwrap();
    let env = db.env();
    let mut txn = env.begin().unwrap();
    let users = env.create_keyspace(&mut txn, "users", KeyspaceOptions::default()).unwrap();
    (0..500u32).for_each(|n| txn.put(&users, &n.to_be_bytes(), &[1; 100]).unwrap());
    txn.commit().unwrap();
    let mut txn = env.begin().unwrap();
    env.create_keyspace(&mut txn, "gone", KeyspaceOptions::default()).unwrap();
    txn.abort().unwrap();
    assert_eq!(env.keyspaces().unwrap(), ["default", "users"]);
    assert_eq!(env.keyspace("gone").map(|_| ()).unwrap_err().kind(), ErrorKind::NotFound);
    let mut txn = env.begin().unwrap();
    let twice = env.create_keyspace(&mut txn, "users", KeyspaceOptions::default()).map(|_| ());
    assert_eq!(twice.unwrap_err().kind(), ErrorKind::AlreadyExists);
    drop(txn);
    let free = env.stat().unwrap().free_pages;
    let mut txn = env.begin().unwrap();
    env.drop_keyspace(&mut txn, "users").unwrap();
    txn.commit().unwrap();
    assert_eq!(env.keyspaces().unwrap(), ["default"]);
    db.put(b"x", b"y").unwrap();
    assert!(env.stat().unwrap().free_pages > free, "its pages come back");
    assert_eq!(env.verify().unwrap().problems, Vec::<String>::new());
}

#[test]
fn a_snapshot_is_one_state_for_as_long_as_it_is_held() {
    let dir = home();
    let db = open(dir.path());
    (0..300u32).for_each(|n| db.put(&n.to_be_bytes(), b"old").unwrap());
    let snapshot = db.snapshot().unwrap();
    (0..300u32).step_by(2).for_each(|n| db.put(&n.to_be_bytes(), b"new").unwrap());
    (0..300u32).step_by(3).for_each(|n| assert!(db.delete(&n.to_be_bytes()).unwrap()));
    (300..600u32).for_each(|n| db.put(&n.to_be_bytes(), b"new").unwrap());
    for _ in 0..2 {
        let seen: Vec<_> = snapshot.iter(db.keyspace()).unwrap().collect::<aether::Result<_>>().unwrap();
        assert_eq!(seen.len(), 300);
        assert!(seen.iter().all(|(_, value)| value == b"old"));
        assert_eq!(snapshot.get(db.keyspace(), &0u32.to_be_bytes()).unwrap().as_deref(), Some(&b"old"[..]));
    }
}

#[test]
fn ranges_and_prefixes_run_both_ways() {
    let dir = home();
    let db = open(dir.path());
    (0..1000u32).for_each(|n| db.put(format!("k{n:04}").as_bytes(), b"").unwrap());
    let keys = |iter: aether::Iter<'_>| -> Vec<String> {
        iter.map(|row| String::from_utf8(row.unwrap().0).unwrap()).collect()
    };
    let range = || db.range(b"k0100".to_vec()..b"k0105".to_vec()).unwrap();
    assert_eq!(keys(range()), ["k0100", "k0101", "k0102", "k0103", "k0104"]);
    let backward: Vec<_> = range().rev().map(|row| row.unwrap().0).collect();
    assert_eq!(backward.len(), 5);
    assert_eq!(backward[0], b"k0104");
    assert_eq!(keys(db.prefix(b"k012").unwrap()).len(), 10);
    assert_eq!(db.iter().unwrap().rev().count(), 1000);
    let mut both = db.range(b"k0000".to_vec()..=b"k0009".to_vec()).unwrap();
    let (mut front, mut back) = (0, 0);
    while both.next().is_some() {
        front += 1;
        back += usize::from(both.next_back().is_some());
    }
    assert_eq!(front + back, 10);
}

#[test]
fn compare_and_set_and_batches() {
    let dir = home();
    let db = open(dir.path());
    assert!(db.compare_and_set(b"k", None, Some(b"1")).unwrap());
    assert!(!db.compare_and_set(b"k", None, Some(b"2")).unwrap());
    assert!(db.compare_and_set(b"k", Some(b"1"), Some(b"2")).unwrap());
    assert!(db.compare_and_set(b"k", Some(b"2"), None).unwrap());
    let mut batch = aether::WriteBatch::new();
    batch.put(b"a", b"1").put(b"b", b"2").delete(b"a");
    db.write(batch).unwrap();
    assert_eq!(db.multi_get(&[b"a", b"b"]).unwrap(), [None, Some(b"2".to_vec())]);
    assert_eq!(db.get_with(b"b", |value| value.len()).unwrap(), Some(1));
}

#[test]
fn a_second_open_is_refused_and_the_holder_named() {
    let dir = home();
    let db = open(dir.path());
    let error = Db::open(dir.path().join("home")).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    drop(db);
    open(dir.path());
}

#[test]
fn a_directory_with_something_else_is_refused_and_left_alone() {
    let dir = home();
    std::fs::write(dir.path().join("letter.txt"), "dear").unwrap();
    let error = Db::open(dir.path()).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("letter.txt"), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    let options = Options { create: false, ..Options::default() };
    let error = DbEnv::open(dir.path().join("nothing"), options).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_lost_control_file_is_damage_and_nothing_is_touched() {
    let dir = home();
    open(dir.path()).put(b"a", b"b").unwrap();
    let home = dir.path().join("home");
    std::fs::remove_file(home.join("control")).unwrap();
    let before = bytes_of(&home);
    let error = Db::open(&home).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert!(bytes_of(&home) == before);
}

#[test]
fn a_flipped_bit_in_any_file_is_found_or_harmless() {
    let dir = home();
    {
        let db = open(dir.path());
        (0..400u32).for_each(|n| db.put(&n.to_be_bytes(), &[n as u8; 64]).unwrap());
    }
    let home = dir.path().join("home");
    let sound = bytes_of(&home);
    let model: BTreeMap<_, _> = (0..400u32).map(|n| (n.to_be_bytes().to_vec(), vec![n as u8; 64])).collect();
    let mut refused = 0;
    for (name, bytes) in &sound {
        for at in (0..bytes.len()).step_by((bytes.len() / 40).max(1)) {
            let mut bad = bytes.clone();
            bad[at] ^= 0x10;
            std::fs::write(home.join(name), &bad).unwrap();
            match Db::open_with(&home, small())
                .and_then(|db| db.iter()?.collect::<aether::Result<BTreeMap<_, _>>>())
            {
                Ok(rows) => assert!(rows == model, "{name} byte {at}: wrong data"),
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported),
                        "{error}"
                    );
                    refused += 1;
                }
            }
            for (name, bytes) in &sound {
                std::fs::write(home.join(name), bytes).unwrap();
            }
        }
    }
    assert!(refused > 10, "only {refused} were found");
}

#[test]
fn a_commit_can_be_awaited_later() {
    let dir = home();
    let options = Options { durability: Durability::Sync, ..small() };
    let db = Db::open_with(dir.path().join("home"), options).unwrap();
    let mut txn = db.begin().unwrap();
    txn.put(db.keyspace(), b"k", b"v").unwrap();
    let handle = txn.commit_with(Durability::Async { interval: Duration::from_millis(1) }).unwrap();
    handle.wait().unwrap();
    assert_eq!(db.get(b"k").unwrap().as_deref(), Some(&b"v"[..]));
}

#[test]
fn writers_on_different_keys_run_side_by_side_and_conflicts_are_told() {
    let dir = home();
    let db =
        Db::open_with(dir.path().join("home"), Options { durability: Durability::Sync, ..small() }).unwrap();
    std::thread::scope(|scope| {
        for id in 0..4u32 {
            let db = db.clone();
            scope.spawn(move || {
                (0..100u32).for_each(|n| db.put(format!("{id}/{n}").as_bytes(), b"v").unwrap())
            });
        }
        for _ in 0..2 {
            let db = db.clone();
            scope.spawn(move || {
                for _ in 0..50 {
                    loop {
                        let now = db.get(b"counter").unwrap();
                        let next = now
                            .as_deref()
                            .map_or(1, |bytes| u32::from_le_bytes(bytes.try_into().unwrap()) + 1);
                        if db.compare_and_set(b"counter", now.as_deref(), Some(&next.to_le_bytes())).unwrap()
                        {
                            break;
                        }
                    }
                }
            });
        }
    });
    assert_eq!(db.get(b"counter").unwrap(), Some(100u32.to_le_bytes().to_vec()));
    assert_eq!(rows(&db).len(), 401);
    let stat = db.env().stat().unwrap();
    assert!(stat.commits >= 500 && stat.log.flushes > 0);
}

/// The largest value there is goes in and comes back; one byte more is refused. 9 GiB of disk, three minutes: `cargo xtask deep`.
#[test]
#[ignore = "takes 9 GiB of disk"]
fn the_largest_value() {
    use std::io::Read;
    let dir = home();
    let db =
        Db::open_with(dir.path().join("home"), Options { max_recovery_bytes: 64 << 20, ..small() }).unwrap();
    let (keyspace, largest) = (db.keyspace().clone(), u64::from(u32::MAX));
    let mut txn = db.begin().unwrap();
    txn.put_stream(&keyspace, b"largest", largest, &mut std::io::repeat(0x5a)).unwrap();
    txn.commit().unwrap();
    let mut txn = db.begin().unwrap();
    let refused = txn.put_stream(&keyspace, b"larger", largest + 1, &mut std::io::repeat(0x5a)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    drop(txn);
    db.env().clone().close().unwrap();
    drop(db);
    let db = open(dir.path());
    let txn = db.begin().unwrap();
    let mut reader = txn.get_stream(db.keyspace(), b"largest").unwrap().unwrap();
    assert_eq!(reader.len(), largest);
    let (mut buffer, mut read) = (vec![0; 1 << 20], 0);
    loop {
        let count = reader.read(&mut buffer).unwrap();
        if count == 0 {
            break;
        }
        assert!(buffer[..count].iter().all(|byte| *byte == 0x5a));
        read += count as u64;
    }
    assert_eq!(read, largest);
    assert!(db.env().verify().unwrap().problems.is_empty());
}
