//! Damaged pages: rebuilt while the store runs where the log or the last batch of page writes has them, refused where not.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::buffer::BufferConfig;
use aether::vfs::{Env, OpenOptions, Vfs};
use aether::{DbEnv, ErrorKind, Options};
use std::path::Path;

const HOME: &str = "home";
const ROWS: u32 = 4000;

fn options() -> Options {
    let buffer = BufferConfig { num_frames: 32, ..BufferConfig::default() };
    Options { buffer, background: false, max_recovery_bytes: 256 << 20, ..Options::default() }
}

fn key(row: u32) -> Vec<u8> {
    format!("row-{row:06}").into_bytes()
}

fn open(env: &Env) -> DbEnv {
    DbEnv::open_in(env.clone(), Path::new(HOME), options()).unwrap()
}

fn filled(env: &Env) -> DbEnv {
    let db = open(env);
    let space = db.keyspace("default").unwrap();
    for batch in 0..ROWS / 100 {
        let mut txn = db.begin().unwrap();
        (batch * 100..batch * 100 + 100).for_each(|row| txn.put(&space, &key(row), &[7; 100]).unwrap());
        txn.commit().unwrap();
    }
    db
}

/// Puts garbage into the middle of every `nth` leaf.
fn damage(vfs: &dyn Vfs, nth: u64) -> u64 {
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let file = vfs.open(&Path::new(HOME).join("pages-00000001"), options).unwrap();
    let pages = file.size().unwrap() / 4096;
    let is_leaf = |page: &u64| {
        let mut kind = [0];
        file.read_at(page * 4096 + 16, &mut kind).unwrap();
        kind == [6]
    };
    let chosen: Vec<u64> = (5..pages).filter(is_leaf).step_by(nth as usize).collect();
    chosen.iter().for_each(|page| file.write_at(page * 4096 + 2048, &[0xa5; 64]).unwrap());
    chosen.len() as u64
}

fn count(db: &DbEnv) -> aether::Result<u32> {
    let space = db.keyspace("default")?;
    let snapshot = db.snapshot()?;
    let mut rows = 0;
    for row in snapshot.iter(&space)? {
        assert_eq!(row?.1, [7; 100]);
        rows += 1;
    }
    Ok(rows)
}

#[test]
fn pages_whose_lives_the_log_holds_are_rebuilt_while_the_store_runs() {
    let env = Env::memory();
    let db = filled(&env);
    let harmed = damage(&*env.vfs, 3);
    assert!(harmed > 30, "{harmed} pages");
    assert_eq!(count(&db).unwrap(), ROWS);
    let stat = db.stat().unwrap();
    assert!(stat.pages_repaired > 20, "{} pages repaired of {harmed}", stat.pages_repaired);
    assert!(db.verify().unwrap().problems.is_empty());
    db.close().unwrap();
    let again = open(&env);
    assert_eq!(count(&again).unwrap(), ROWS);
}

/// Pages that are in memory and sound, and bad on disk: nobody would notice until they are evicted.
#[test]
fn verify_writes_resident_pages_again_whose_bytes_on_disk_are_bad() {
    let env = Env::memory();
    filled(&env).close().unwrap();
    let all = BufferConfig { num_frames: 4096, ..BufferConfig::default() };
    let options = Options { buffer: all, ..options() };
    let db = DbEnv::open_in(env.clone(), Path::new(HOME), options).unwrap();
    assert_eq!(count(&db).unwrap(), ROWS);
    let harmed = damage(&*env.vfs, 4);
    assert!(db.verify().unwrap().problems.is_empty());
    assert_eq!(db.stat().unwrap().pages_repaired, harmed);
    db.close().unwrap();
    assert_eq!(count(&open(&env)).unwrap(), ROWS);
}

/// Splits, merges, large values, keyspaces that come and go: `verify` finds nothing wrong in what is moving.
#[test]
fn verify_runs_beside_writers() {
    let env = Env::memory();
    let db = filled(&env);
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (stop, db) = (&stop, &db);
    std::thread::scope(|scope| {
        for thread in 0..2u32 {
            scope.spawn(move || {
                for round in 0.. {
                    if stop.load(std::sync::atomic::Ordering::Relaxed) {
                        return;
                    }
                    write_and_delete(db, thread, round);
                }
            });
        }
        let found: Vec<String> = (0..200).flat_map(|_| db.verify().unwrap().problems).collect();
        // Before the assertion: the scope waits for the writers.
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(found, [""; 0]);
    });
    assert_eq!(db.verify().unwrap().problems, [""; 0]);
}

fn write_and_delete(db: &DbEnv, thread: u32, round: u32) {
    let own = |n: u32| format!("thread-{thread}-{:05}", n * 7919 % 300).into_bytes();
    let space = db.keyspace("default").unwrap();
    let mut txn = db.begin().unwrap();
    for n in 0..100 {
        match (round + n) % 3 {
            0 => txn.put(&space, &own(n), &vec![thread as u8; 20 + (n as usize * 97) % 900]).unwrap(),
            1 => drop(txn.delete(&space, &own(n)).unwrap()),
            _ if n % 10 == 0 => txn.put(&space, &own(n), &vec![round as u8; 9000]).unwrap(),
            _ => {}
        }
    }
    if round % 5 == 4 {
        txn.abort().unwrap()
    } else {
        txn.commit().unwrap()
    }
    if round % 7 == 6 {
        let name = format!("passing-{thread}");
        let passing = db.open_or_create_keyspace(&name).unwrap();
        let mut txn = db.begin().unwrap();
        (0..50).for_each(|n| txn.put(&passing, &own(n), &[1; 300]).unwrap());
        txn.commit().unwrap();
        let mut txn = db.begin().unwrap();
        db.drop_keyspace(&mut txn, &name).unwrap();
        txn.commit().unwrap();
    }
}

#[test]
fn a_damaged_page_that_nobody_has_is_refused_and_the_rest_stays_readable() {
    let env = Env::memory();
    filled(&env).close().unwrap();
    let harmed = damage(&*env.vfs, 7);
    let db = open(&env);
    let error = count(&db).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    let space = db.keyspace("default").unwrap();
    let found = (0..ROWS).filter(|row| db.snapshot().unwrap().get(&space, &key(*row)).is_ok()).count();
    assert!(found > ROWS as usize / 2 && found < ROWS as usize, "{found} rows of {ROWS}");
    assert!(!db.verify().unwrap().problems.is_empty(), "{harmed} pages were damaged");
    db.begin().unwrap().put(&space, b"row-999999", b"goes on").unwrap();
}

/// Opening looks for keyspaces that were dropped: a damaged leaf of the catalog made the whole home unreadable.
#[test]
fn a_damaged_catalog_takes_names_and_nothing_else() {
    let env = Env::memory();
    let db = filled(&env);
    db.open_or_create_keyspace("other").unwrap();
    db.close().unwrap();
    let options = OpenOptions { write: true, ..OpenOptions::default() };
    let file = env.vfs.open(&Path::new(HOME).join("pages-00000001"), options).unwrap();
    // Page 3 is the root, and only leaf, of the catalog.
    file.write_at(3 * 4096 + 4000, &[0xa5; 64]).unwrap();
    let db = open(&env);
    assert_eq!(count(&db).unwrap(), ROWS);
    assert_eq!(db.keyspace("other").map(|_| ()).unwrap_err().kind(), ErrorKind::Corruption);
    assert_eq!(db.keyspaces().unwrap_err().kind(), ErrorKind::Corruption);
    let space = db.keyspace("default").unwrap();
    let mut txn = db.begin().unwrap();
    txn.put(&space, b"row-999999", &[7; 100]).unwrap();
    txn.commit().unwrap();
    db.close().unwrap();
    assert_eq!(count(&open(&env)).unwrap(), ROWS + 1);
}
