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
