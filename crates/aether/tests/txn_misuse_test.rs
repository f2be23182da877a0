//! Transactions used wrongly, and transactions in trouble: a clear error, nothing half done, and the others go on.
//!
//! What is over is consumed: a transaction cannot be named after `commit`, `commit_with`, `prepare` or `abort`, nor while an
//! iterator of its own is alive. What is left to misuse is here; locks are in `locks_test.rs`.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "misuse/small_disk.rs"]
mod small_disk;

use aether::vfs::Env;
use aether::{Advice, Db, DbEnv, Durability, ErrorKind, Isolation, Options, Result, TxnOptions};
use small_disk::{Space, limited};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const LEVELS: [Isolation; 3] = [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable];

/// A cache of 64 pages, log segments of 64 KiB, no waits for locks.
fn small() -> Options {
    Options {
        buffer: aether::buffer::BufferConfig { num_frames: 64, prefetch_threads: 0, ..Default::default() },
        wal: aether::wal::WalConfig { segment_bytes: 64 << 10, ring_bytes: 128 << 10, ..Default::default() },
        max_recovery_bytes: 256 << 10,
        lock_timeout: Duration::ZERO,
        ..Options::default()
    }
}

fn open(home: &Path) -> Db {
    Db::open_with(home, small()).unwrap()
}

struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("home")
    }

    /// Without threads, which would move files while they are copied.
    fn open(&self) -> Db {
        Db::open_with(self.path(), Options { background: false, ..small() }).unwrap()
    }

    /// What a crash of the process would leave: a copy of every file as it is now.
    fn copy(&self) -> Db {
        let copy = self.0.path().join("copy");
        copy_directory(&self.path(), &copy);
        open(&copy)
    }
}

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_directory(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[track_caller]
fn assert_sound(db: &Db) {
    assert_eq!(db.env().verify().unwrap().problems, Vec::<String>::new());
}

fn value(db: &Db, key: &[u8]) -> Option<String> {
    db.get(key).unwrap().map(|value| String::from_utf8(value).unwrap())
}

#[test]
fn after_bad_input_nothing_is_half_done() {
    let home = Home::new();
    let db = home.open();
    for level in LEVELS {
        let mut txn = db.begin_with(level).unwrap();
        txn.put(db.keyspace(), b"before", b"1").unwrap();
        let error = txn.put(db.keyspace(), &[7; 20_000], b"").unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::InvalidInput, Advice::FixInput), "{error}");
        txn.put(db.keyspace(), b"after", b"1").unwrap();
        txn.commit().unwrap();
        assert_eq!((value(&db, b"before"), value(&db, b"after")), (Some("1".into()), Some("1".into())));
        db.delete(b"before").unwrap();
        db.delete(b"after").unwrap();
    }
    assert_sound(&db);
}

/// A stream that ends early leaves half of a value: the transaction is over, and says so to everything but `abort`.
#[test]
fn a_stream_that_ends_early_leaves_a_transaction_that_can_only_abort() {
    let home = Home::new();
    let db = home.open();
    db.put(b"kept", b"old").unwrap();
    for ends_with in [0, 1] {
        let mut txn = db.begin().unwrap();
        let mark = txn.savepoint();
        txn.put(db.keyspace(), b"kept", b"new").unwrap();
        let error = txn.put_stream(db.keyspace(), b"large", 50_000, &mut &[7; 30_000][..]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        for refused in [
            txn.put(db.keyspace(), b"more", b""),
            txn.delete(db.keyspace(), b"kept").map(drop),
            txn.rollback_to(&mark),
            txn.nested(|txn| txn.put(db.keyspace(), b"more", b"")),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::TxnOver);
        }
        match ends_with {
            0 => assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::TxnOver),
            _ => txn.abort().unwrap(),
        }
        assert_eq!((value(&db, b"kept"), value(&db, b"large")), (Some("old".into()), None));
        db.put(b"kept", b"old").unwrap();
    }
    assert_sound(&db);
}

#[test]
fn a_savepoint_is_good_for_its_own_transaction_and_until_an_outer_one_is_used() {
    let home = Home::new();
    let db = home.open();
    let wrong = |result: Result<()>| assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    let (mut txn, mut other) = (db.begin().unwrap(), db.begin().unwrap());
    let foreign = other.savepoint();
    other.put(db.keyspace(), b"other", b"1").unwrap();
    let written = other.savepoint();
    txn.put(db.keyspace(), b"a", b"1").unwrap();
    let outer = txn.savepoint();
    txn.put(db.keyspace(), b"b", b"1").unwrap();
    let inner = txn.savepoint();
    txn.put(db.keyspace(), b"c", b"1").unwrap();
    for savepoint in [&foreign, &written] {
        wrong(txn.rollback_to(savepoint));
        wrong(txn.release(savepoint));
    }
    txn.rollback_to(&outer).unwrap();
    wrong(txn.rollback_to(&inner));
    wrong(txn.release(&inner));
    txn.rollback_to(&outer).unwrap();
    txn.release(&outer).unwrap();
    wrong(txn.rollback_to(&outer));
    assert_eq!(txn.rollback_to_named("nobody").unwrap_err().kind(), ErrorKind::NotFound);
    txn.put(db.keyspace(), b"d", b"1").unwrap();
    txn.commit().unwrap();
    // That of a transaction that is over means nothing to the next.
    let mut next = db.begin().unwrap();
    wrong(next.rollback_to(&outer));
    other.commit().unwrap();
    let rows: Vec<_> = db.iter().unwrap().map(|row| row.unwrap().0).collect();
    assert_eq!(rows, [&b"a"[..], b"d", b"other"]);
}

#[test]
fn after_a_conflict_a_savepoint_saves_the_rest() {
    let home = Home::new();
    let db = home.open();
    let (mut first, mut second) = (db.begin().unwrap(), db.begin().unwrap());
    first.put(db.keyspace(), b"taken", b"first").unwrap();
    second.put(db.keyspace(), b"own", b"second").unwrap();
    let mark = second.savepoint();
    second.put(db.keyspace(), b"dropped", b"second").unwrap();
    assert_eq!(second.put(db.keyspace(), b"taken", b"second").unwrap_err().kind(), ErrorKind::Conflict);
    second.rollback_to(&mark).unwrap();
    second.commit().unwrap();
    first.commit().unwrap();
    assert_eq!(value(&db, b"taken").as_deref(), Some("first"));
    assert_eq!((value(&db, b"own").as_deref(), value(&db, b"dropped")), (Some("second"), None));
}

#[test]
fn a_closure_that_panics_aborts_and_the_others_go_on() {
    let home = Home::new();
    let db = home.open();
    for level in LEVELS {
        let mut beside = db.begin_with(level).unwrap();
        beside.put(db.keyspace(), b"beside", b"1").unwrap();
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            db.env().transact(|txn| -> Result<()> {
                txn.put(db.keyspace(), b"row", b"half")?;
                panic!("on purpose");
            })
        }));
        assert!(panicked.is_err());
        assert_eq!(value(&db, b"row"), None);
        let mut next = db.begin_with(level).unwrap();
        next.put(db.keyspace(), b"row", b"whole").unwrap();
        next.commit().unwrap();
        beside.commit().unwrap();
        assert_eq!(value(&db, b"beside").as_deref(), Some("1"));
        db.delete(b"row").unwrap();
    }
    assert_sound(&db);
}

#[test]
fn a_nested_part_that_panics_is_undone_and_the_rest_can_commit() {
    let home = Home::new();
    let db = home.open();
    let mut txn = db.begin().unwrap();
    txn.put(db.keyspace(), b"a", b"1").unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        txn.nested(|txn| -> Result<()> {
            txn.put(db.keyspace(), b"b", b"1")?;
            panic!("on purpose");
        })
    }));
    assert!(panicked.is_err());
    txn.commit().unwrap();
    assert_eq!((value(&db, b"a").as_deref(), value(&db, b"b")), (Some("1"), None));
}

/// Found by a script with rows in bulk on a full disk: the error was told as `TxnOver`, which says nothing of the cause.
#[test]
fn a_nested_part_whose_error_ends_the_transaction_tells_that_error() {
    let home = Home::new();
    let db = home.open();
    let mut txn = db.begin().unwrap();
    let ended = txn.nested(|txn| txn.put_stream(db.keyspace(), b"a", 100_000, &mut &b"short"[..]));
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(txn.put(db.keyspace(), b"b", b"1").unwrap_err().kind(), ErrorKind::TxnOver);
    drop(txn);
    let (files, space) = (Env::memory(), Space::new(u64::MAX));
    let env = DbEnv::open_in(limited(files, &space), Path::new("/full"), small()).unwrap();
    let db = Db::in_env(env, "default").unwrap();
    space.set(0);
    let rows = (0..2_000_u32).map(|number| Ok((number.to_be_bytes().to_vec(), vec![7; 3_000])));
    assert_eq!(db.ingest(rows).unwrap_err().kind(), ErrorKind::Full);
}

#[test]
fn a_thread_that_dies_with_a_transaction_gives_its_rows_back() {
    let home = Home::new();
    let db = home.open();
    let own = db.clone();
    let died = std::thread::spawn(move || {
        let mut txn = own.begin().unwrap();
        txn.put(own.keyspace(), b"row", b"half").unwrap();
        panic!("on purpose");
    });
    assert!(died.join().is_err());
    assert_eq!(value(&db, b"row"), None);
    db.put(b"row", b"whole").unwrap();
    assert_sound(&db);
}

/// Its rows stay locked, everything else goes on, and the next open undoes it.
#[test]
fn a_leaked_transaction_holds_its_rows_until_the_next_open() {
    let home = Home::new();
    let db = home.open();
    db.put(b"leaked", b"old").unwrap();
    let mut txn = db.begin().unwrap();
    txn.put(db.keyspace(), b"leaked", b"new").unwrap();
    std::mem::forget(txn);
    let mut other = db.begin().unwrap();
    let error = other.put(db.keyspace(), b"leaked", b"other").unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::Conflict, Advice::Retry));
    other.abort().unwrap();
    for number in 0..2_000u32 {
        db.put(&number.to_be_bytes(), &[7; 300]).unwrap();
    }
    db.env().checkpoint().unwrap();
    assert_eq!(value(&db, b"leaked").as_deref(), Some("old"));
    assert_sound(&db);
    let next = home.copy();
    assert_eq!(value(&next, b"leaked").as_deref(), Some("old"));
    assert_eq!(next.iter().unwrap().count(), 2_001);
    next.put(b"leaked", b"free").unwrap();
    assert_sound(&next);
}

/// Four MiB in one transaction: sixteen times the cache, sixty-four log segments.
#[test]
fn a_transaction_larger_than_cache_and_segment_is_whole_or_not_there() {
    for level in LEVELS {
        let home = Home::new();
        let db = home.open();
        db.put(&0u32.to_be_bytes(), b"old").unwrap();
        for commits in [false, true] {
            let mut txn = db.begin_with(level).unwrap();
            for number in 0..4_000u32 {
                assert_eq!(txn.get(db.keyspace(), &number.to_be_bytes()).unwrap().is_some(), number == 0);
                txn.put(db.keyspace(), &number.to_be_bytes(), &[number as u8; 1_000]).unwrap();
            }
            assert_eq!(db.iter().unwrap().count(), 1, "nothing is seen of it");
            assert_eq!(txn.iter(db.keyspace()).unwrap().count(), 4_000);
            if commits {
                txn.commit().unwrap()
            } else {
                txn.abort().unwrap()
            }
            let rows = if commits { 4_000 } else { 1 };
            assert_eq!(db.iter().unwrap().count(), rows, "{level:?}");
        }
        assert_sound(&db);
        drop(db);
        assert_eq!(home.open().iter().unwrap().count(), 4_000);
    }
}

/// Such a transaction is running when the process dies.
#[test]
fn a_large_transaction_that_never_ended_is_undone() {
    let home = Home::new();
    let db = home.open();
    db.put(b"kept", b"1").unwrap();
    let mut txn = db.begin().unwrap();
    for number in 0..4_000u32 {
        txn.put(db.keyspace(), &number.to_be_bytes(), &[7; 1_000]).unwrap();
    }
    db.put(b"also kept", b"1").unwrap();
    let next = home.copy();
    let rows: Vec<_> = next.iter().unwrap().map(|row| row.unwrap().0).collect();
    assert_eq!(rows, [&b"also kept"[..], b"kept"]);
    assert_sound(&next);
}

/// Transactions of two rows until the disk is full: what was acknowledged is there, what was refused is not, what is in
/// doubt is whole or not there; with space, the next open goes on.
#[test]
fn a_full_disk_refuses_commits_and_halves_none() {
    for level in LEVELS {
        for spare in [0u64, 10_000, 70_000, 300_000] {
            fill(level, spare);
        }
    }
}

fn fill(level: Isolation, spare: u64) {
    let (files, home) = (Env::memory(), Path::new("/full"));
    let space = Space::new(u64::MAX);
    let open = || DbEnv::open_in(limited(files.clone(), &space), home, small());
    let mut ends = Vec::new();
    {
        let env = open().unwrap();
        let db = Db::in_env(env, "default").unwrap();
        space.set(spare);
        for number in 0..2_000u32 {
            let end = pair(&db, level, number);
            let kind = end.as_ref().err().map(|error| error.kind());
            assert!(
                matches!(
                    kind,
                    None | Some(
                        ErrorKind::Full | ErrorKind::Poisoned | ErrorKind::InDoubt | ErrorKind::OverLimit
                    )
                ),
                "{end:?}"
            );
            ends.push(kind);
            if ends.iter().flatten().count() > 5 {
                break;
            }
        }
        assert!(ends.iter().any(Option::is_some), "{spare} bytes are enough for everything");
    }
    space.set(u64::MAX);
    let db = Db::in_env(open().unwrap(), "default").unwrap();
    for (number, end) in (0u32..).zip(&ends) {
        let there = [b"a", b"b"].map(|half| db.get(&key(half, number)).unwrap().is_some());
        match end {
            None => assert_eq!(there, [true; 2], "{level:?}, {spare}: {number} was acknowledged"),
            Some(ErrorKind::InDoubt) => {
                assert_eq!(there[0], there[1], "{level:?}, {spare}: {number} is half there")
            }
            Some(kind) => assert_eq!(there, [false; 2], "{level:?}, {spare}: {number} was refused: {kind:?}"),
        }
    }
    pair(&db, level, 9_999).unwrap();
    assert_sound(&db);
}

fn key(half: &[u8], number: u32) -> Vec<u8> {
    [half, &number.to_be_bytes()].concat()
}

fn pair(db: &Db, level: Isolation, number: u32) -> Result<()> {
    let options = TxnOptions { durability: Some(Durability::Sync), ..TxnOptions::at(level) };
    let mut txn = db.begin_with(options)?;
    txn.put(db.keyspace(), &key(b"a", number), &[1; 400])?;
    txn.put(db.keyspace(), &key(b"b", number), &[1; 400])?;
    txn.commit()
}
