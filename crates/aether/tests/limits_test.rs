//! Every limit of `docs/faults.md` ("Limits"): at it, and one beyond.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "limits/clock.rs"]
mod clock;
#[path = "limits/memory.rs"]
mod memory;
#[path = "limits/paths.rs"]
mod paths;
#[path = "limits/threads.rs"]
mod threads;

use aether::types::limits::{KEYSPACE_NAME_BYTES_MAX, inline_value_bytes_max, key_bytes_max};
use aether::types::{IndexKind, PageSize};
use aether::{Db, DbEnv, Durability, ErrorKind, KeyspaceOptions, Options, Txn};
use std::path::Path;
use tempfile::TempDir;

const PAGE_BYTES: [usize; 5] = [4096, 8192, 16384, 32768, 65536];

pub(crate) fn options(page_bytes: usize) -> Options {
    let page_size = PageSize::new(page_bytes).unwrap();
    Options {
        buffer: aether::buffer::BufferConfig { num_frames: 512, page_size, ..Default::default() },
        wal: aether::wal::WalConfig { segment_bytes: 4 << 20, ring_bytes: 1 << 20, ..Default::default() },
        max_recovery_bytes: 16 << 20,
        durability: Durability::None,
        ..Options::default()
    }
}

fn open(dir: &Path, page_bytes: usize) -> Db {
    Db::open_with(dir.join("home"), options(page_bytes)).unwrap()
}

#[track_caller]
fn assert_sound(db: &Db) {
    assert_eq!(db.env().verify().unwrap().problems, Vec::<String>::new());
}

/// Bytes that differ from place to place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8 ^ (at >> 12) as u8).collect()
}

#[test]
fn keys_up_to_a_quarter_of_a_page() {
    for page_bytes in PAGE_BYTES {
        let largest = key_bytes_max(PageSize::new(page_bytes).unwrap());
        let lengths = [0, 1, largest - 1, largest];
        let dir = TempDir::new().unwrap();
        let db = open(dir.path(), page_bytes);
        for length in lengths {
            db.put(&bytes(length), &length.to_le_bytes()).unwrap();
        }
        for beyond in [largest + 1, largest * 5, 1 << 20] {
            let error = db.put(&bytes(beyond), b"v").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains(&largest.to_string()), "the limit is not told: {error}");
            assert_eq!(db.get(&bytes(beyond)).unwrap_or_default(), None);
        }
        // Many of the largest, so that leaves and inner nodes hold few.
        for n in 0..300u32 {
            let mut key = bytes(largest - 4);
            key.extend(n.wrapping_mul(2_654_435_761).to_be_bytes());
            db.put(&key, &n.to_le_bytes()).unwrap();
        }
        assert_sound(&db);
        drop(db);
        let db = open(dir.path(), page_bytes);
        for length in lengths {
            assert_eq!(db.get(&bytes(length)).unwrap().unwrap(), length.to_le_bytes());
        }
        assert_eq!(db.iter().unwrap().count(), 304);
        assert_eq!(db.iter().unwrap().rev().count(), 304);
        lengths.iter().for_each(|length| assert!(db.delete(&bytes(*length)).unwrap()));
        assert_sound(&db);
    }
}

/// Lengths about every boundary that a value can meet.
fn value_lengths(page_bytes: usize) -> Vec<usize> {
    let inline = inline_value_bytes_max(PageSize::new(page_bytes).unwrap());
    let mut boundaries = vec![1, inline, 1 << 20];
    // Pages hold a little less than their size; an extent has 1,024 pages at the most.
    for pages in [1, 2, 16, 17] {
        boundaries.extend([pages * page_bytes, pages * (page_bytes - 64), pages * (page_bytes - 32)]);
    }
    if page_bytes == 4096 {
        boundaries.extend([1024 * page_bytes, 1024 * (page_bytes - 32), 1024 * (page_bytes - 64)]);
    }
    let mut lengths: Vec<usize> = boundaries.iter().flat_map(|at| [at - 1, *at, at + 1]).collect();
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

/// In an index that lies in pages, in memory, and in memory over files.
#[test]
fn values_about_every_boundary() {
    PAGE_BYTES.into_iter().for_each(|page_bytes| values_of(IndexKind::BTREE, page_bytes));
    [4096, 65536].into_iter().for_each(|page_bytes| {
        [IndexKind::LSM, IndexKind::SKIPLIST].into_iter().for_each(|kind| values_of(kind, page_bytes));
    });
}

fn values_of(kind: IndexKind, page_bytes: usize) {
    let dir = TempDir::new().unwrap();
    let open = || {
        let env = DbEnv::open(dir.path().join("home"), options(page_bytes)).unwrap();
        if env.keyspace("values").is_err() {
            env.transact(|txn| env.create_keyspace(txn, "values", KeyspaceOptions::of(kind)).map(drop))
                .unwrap();
        }
        Db::in_env(env, "values").unwrap()
    };
    let db = open();
    let lengths = value_lengths(page_bytes);
    for length in &lengths {
        db.put(&length.to_be_bytes(), &bytes(*length)).unwrap();
    }
    // Shrink and grow across the boundaries: each takes the length of the next.
    let next = |at: usize| lengths[(at + 1) % lengths.len()];
    for (at, length) in lengths.iter().enumerate() {
        db.put(&length.to_be_bytes(), &bytes(next(at))).unwrap();
    }
    assert_sound(&db);
    drop(db);
    let db = open();
    for (at, length) in lengths.iter().enumerate() {
        let found = db.get(&length.to_be_bytes()).unwrap().unwrap();
        assert!(found == bytes(next(at)), "{} bytes at pages of {page_bytes}", next(at));
    }
    assert_eq!(db.iter().unwrap().count(), lengths.len());
}

#[test]
fn a_value_of_64_mebibytes() {
    let dir = TempDir::new().unwrap();
    let db = open(dir.path(), 4096);
    for length in [64 << 20, (64 << 20) + 1] {
        db.put(b"large", &bytes(length)).unwrap();
        assert!(db.get(b"large").unwrap().unwrap() == bytes(length));
    }
    drop(db);
    let db = open(dir.path(), 4096);
    assert!(db.get(b"large").unwrap().unwrap() == bytes((64 << 20) + 1));
    assert!(db.delete(b"large").unwrap());
    assert_sound(&db);
}

fn keys_with_one_prefix(count: u32) {
    let dir = TempDir::new().unwrap();
    let db = open(dir.path(), 4096);
    let prefix = bytes(900);
    let key = |n: u32| [&prefix[..], &n.wrapping_mul(2_654_435_761).to_be_bytes()].concat();
    for first in (0..count).step_by(1000) {
        let mut txn = db.begin().unwrap();
        let numbers = first..(first + 1000).min(count);
        numbers.for_each(|n| txn.put(db.keyspace(), &key(n), &n.to_le_bytes()).unwrap());
        txn.commit().unwrap();
    }
    assert_eq!(db.prefix(&prefix).unwrap().count(), count as usize);
    for n in (0..count).step_by(997) {
        assert_eq!(db.get(&key(n)).unwrap().unwrap(), n.to_le_bytes());
    }
    assert_sound(&db);
    // Leaves hold the prefix once: without that, three keys would fill one.
    let pages = db.env().stat().unwrap().keyspaces[0].leaf_pages;
    assert!(pages < u64::from(count) / 30, "{pages} leaves for {count} keys");
}

#[test]
fn a_hundred_thousand_keys_with_one_long_prefix() {
    keys_with_one_prefix(100_000);
}

#[test]
#[ignore = "takes minutes in release: `cargo xtask deep`"]
fn a_million_keys_with_one_long_prefix() {
    keys_with_one_prefix(1_000_000);
}

fn create(env: &DbEnv, name: &str) -> aether::Result<()> {
    let mut txn = env.begin()?;
    let space = env.create_keyspace(&mut txn, name, KeyspaceOptions::default())?;
    txn.put(&space, b"k", name.as_bytes())?;
    txn.commit()
}

#[test]
fn names_of_keyspaces_up_to_255_bytes_are_names_and_never_paths() {
    let dir = TempDir::new().unwrap();
    let db = open(dir.path(), 4096);
    let largest = "n".repeat(KEYSPACE_NAME_BYTES_MAX);
    let of_three_bytes = "\u{20ac}".repeat(KEYSPACE_NAME_BYTES_MAX / 3);
    let names = ["x", &largest, &of_three_bytes, "../escape", "/dev/null", "a\0b", "a\nb", " ", ".", "~"];
    names.iter().for_each(|name| create(db.env(), name).unwrap());
    for wrong in [String::new(), "n".repeat(256), "\u{20ac}".repeat(86), "n".repeat(100_000)] {
        let error = create(db.env(), &wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    drop(db);
    let db = open(dir.path(), 4096);
    for name in names {
        let space = db.env().keyspace(name).unwrap();
        assert_eq!(db.env().snapshot().unwrap().get(&space, b"k").unwrap().unwrap(), name.as_bytes());
    }
    assert_eq!(db.env().keyspaces().unwrap().len(), names.len() + 1);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "a name has become a file");
}

fn write_many(db: &Db, txn: &mut Txn, count: u32, value: &[u8]) {
    (0..count).for_each(|n| txn.put(db.keyspace(), &n.to_be_bytes(), value).unwrap());
}

#[test]
fn a_transaction_larger_than_pool_and_log() {
    let dir = TempDir::new().unwrap();
    let db = Db::open_with(dir.path().join("home"), Options { max_recovery_bytes: 1 << 20, ..options(4096) })
        .unwrap();
    let mut txn = db.begin().unwrap();
    write_many(&db, &mut txn, 100_000, b"first");
    txn.commit().unwrap();
    let mut txn = db.begin().unwrap();
    write_many(&db, &mut txn, 100_000, b"second");
    let mark = txn.savepoint();
    write_many(&db, &mut txn, 20_000, b"third");
    txn.rollback_to(&mark).unwrap();
    txn.abort().unwrap();
    assert_eq!(db.iter().unwrap().count(), 100_000);
    assert!(db.iter().unwrap().all(|row| row.unwrap().1 == b"first"));
    assert_sound(&db);
}

#[test]
fn writers_at_once_are_limited_and_told_so() {
    let dir = TempDir::new().unwrap();
    let db = open(dir.path(), 4096);
    let mut writing = Vec::new();
    let error = loop {
        let mut txn = db.begin().unwrap();
        let key = (writing.len() as u32).to_be_bytes();
        match txn.put(db.keyspace(), &key, b"v") {
            Ok(()) => writing.push(txn),
            Err(error) => break error,
        }
        assert!(writing.len() < 10_000, "there is no limit");
    };
    assert_eq!(error.kind(), ErrorKind::OverLimit, "{error}");
    assert!(error.to_string().contains(&writing.len().to_string()), "{error}");
    assert!(writing.len() >= 200, "only {}", writing.len());
    let readers: Vec<_> = (0..2000).map(|_| db.snapshot().unwrap()).collect();
    assert_eq!(readers.last().unwrap().get(db.keyspace(), &0u32.to_be_bytes()).unwrap(), None);
    let count = writing.len();
    writing.into_iter().for_each(|txn| txn.commit().unwrap());
    db.put(b"after", b"v").unwrap();
    assert_eq!(db.iter().unwrap().count(), count + 1);
    assert_sound(&db);
}
