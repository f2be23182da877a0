//! Conversions: every pair of kinds, handles and snapshots over the switch, what stands in the way.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "convert/bulk.rs"]
mod bulk;
#[path = "convert/errors.rs"]
mod errors;
#[path = "convert/levels.rs"]
mod levels;
#[path = "convert/moments.rs"]
mod moments;
#[path = "convert/threads.rs"]
mod threads;
#[path = "convert/way.rs"]
mod way;

use aether::index::Tree;
use aether::index::rows::RowsFactory;
use aether::{Db, DbEnv, IndexKind, Keyspace, KeyspaceOptions, Options, Result, Snapshot};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;
use tempfile::TempDir;

/// A kind of a program's own.
const MINE: IndexKind = IndexKind::new(77);

const KINDS: [IndexKind; 5] = [IndexKind::BTREE, IndexKind::RAX, IndexKind::SKIPLIST, IndexKind::LSM, MINE];

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

fn open(dir: &TempDir) -> Result<DbEnv> {
    let options = Options { lock_timeout: Duration::from_millis(300), ..Options::default() };
    DbEnv::open(dir.path().join("home"), options.register_index(MINE, RowsFactory::<Tree>::new("mine")))
}

fn create(env: &DbEnv, name: &str, kind: IndexKind) -> Result<Db> {
    env.transact(|txn| env.create_keyspace(txn, name, KeyspaceOptions::of(kind)).map(drop))?;
    Db::in_env(env.clone(), name)
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:05}").into_bytes()
}

/// Small values, and a few that no page holds.
fn value(number: u32) -> Vec<u8> {
    vec![number as u8; if number.is_multiple_of(200) { 20_000 } else { 1 + number as usize % 90 }]
}

/// More rows than one transaction copies; some of them deleted again, some replaced.
fn fill(db: &Db) -> Result<Model> {
    let mut model = Model::new();
    db.transact(|txn| {
        for number in 0..1300 {
            txn.put(db.keyspace(), &key(number), &value(number))?;
        }
        Ok(())
    })?;
    model.extend((0..1300).map(|number| (key(number), value(number))));
    db.transact(|txn| {
        for number in (0..1300).step_by(7) {
            assert!(txn.delete(db.keyspace(), &key(number))?);
            txn.put(db.keyspace(), &key(number + 1), b"replaced")?;
        }
        Ok(())
    })?;
    for number in (0..1300).step_by(7) {
        model.remove(&key(number));
        model.insert(key(number + 1), b"replaced".to_vec());
    }
    Ok(model)
}

fn shown(snapshot: &Snapshot, keyspace: &Keyspace) -> Model {
    snapshot.iter(keyspace).unwrap().collect::<Result<_>>().unwrap()
}

/// All that a handle shows, by scans both ways and row by row.
fn check(db: &Db, model: &Model) -> Result<()> {
    let rows: Model = db.iter()?.collect::<Result<_>>()?;
    assert!(rows == *model, "{} rows, not {}", rows.len(), model.len());
    assert_eq!(db.iter()?.rev().count(), model.len());
    for number in 0..1310 {
        assert!(db.get(&key(number))?.as_ref() == model.get(&key(number)), "key {number}");
    }
    Ok(())
}

fn check_sound(env: &DbEnv) -> Result<()> {
    assert_eq!(env.verify()?.problems, Vec::<String>::new());
    Ok(())
}

#[test]
fn every_kind_becomes_every_other() -> Result<()> {
    for from in KINDS {
        for to in KINDS.into_iter().filter(|to| *to != from) {
            let dir = TempDir::new().unwrap();
            let env = open(&dir)?;
            let db = create(&env, "rows", from)?;
            let model = fill(&db)?;
            let before = db.snapshot()?;
            let done = env.convert("rows", KeyspaceOptions::of(to))?;
            assert_eq!(done.rows_copied, model.len() as u64, "{from} to {to}");
            assert_eq!((db.keyspace().kind(), env.keyspace("rows")?.kind()), (to, to));
            assert_eq!(db.keyspace().id(), env.keyspace("rows")?.id());
            check(&db, &model)?;
            assert!(shown(&before, db.keyspace()) == model);
            check_sound(&env)?;
            drop((before, db));
            env.close()?;
            let db = Db::in_env(open(&dir)?, "rows")?;
            assert_eq!(db.keyspace().kind(), to);
            check(&db, &model)?;
            check_sound(db.env())?;
        }
    }
    Ok(())
}

#[test]
fn an_empty_keyspace_is_converted() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let done = env.convert("rows", KeyspaceOptions::of(IndexKind::SKIPLIST))?;
    assert_eq!((done.rows_copied, done.rows_copied_again), (0, 0));
    assert_eq!(db.iter()?.count(), 0);
    db.put(b"a", b"1")?;
    assert_eq!(db.get(b"a")?.as_deref(), Some(&b"1"[..]));
    Ok(())
}

#[test]
fn the_default_keyspace_is_converted_and_back() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let mut model = Model::new();
    for (round, to) in [IndexKind::LSM, IndexKind::BTREE, IndexKind::SKIPLIST].into_iter().enumerate() {
        let db = Db::in_env(open(&dir)?, "default")?;
        if round == 0 {
            model = fill(&db)?;
        }
        db.env().convert("default", KeyspaceOptions::of(to))?;
        check(&db, &model)?;
        assert_eq!(db.env().keyspaces()?, ["default"]);
        assert_eq!(db.env().stat()?.keyspaces.len(), 1);
        check_sound(db.env())?;
        let env = db.env().clone();
        drop(db);
        env.close()?;
        let db = Db::in_env(open(&dir)?, "default")?;
        assert_eq!(db.keyspace().kind(), to);
        check(&db, &model)?;
        assert_eq!(db.env().keyspaces()?, ["default"]);
        check_sound(db.env())?;
    }
    Ok(())
}

#[test]
fn one_handle_and_old_snapshots_follow_several_conversions() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let mut states = vec![(db.snapshot()?, fill(&db)?)];
    states[0].0 = db.snapshot()?;
    let mut ids = vec![db.keyspace().id()];
    let circle = [IndexKind::LSM, IndexKind::RAX, IndexKind::SKIPLIST, IndexKind::BTREE, IndexKind::LSM];
    for (step, to) in circle.into_iter().enumerate() {
        env.convert("rows", KeyspaceOptions::of(to))?;
        let mut model = states.last().unwrap().1.clone();
        db.put(&key(3), &[step as u8; 9])?;
        model.insert(key(3), vec![step as u8; 9]);
        db.delete(&key(100 + step as u32))?;
        model.remove(&key(100 + step as u32));
        states.push((db.snapshot()?, model));
        ids.push(db.keyspace().id());
        for (snapshot, model) in &states {
            assert!(shown(snapshot, db.keyspace()) == *model, "at step {step}");
            assert_eq!(snapshot.get(db.keyspace(), &key(3))?, model.get(&key(3)).cloned());
        }
    }
    ids.dedup();
    assert_eq!(ids.len(), circle.len() + 1, "each index has an id of its own");
    check(&db, &states.last().unwrap().1)?;
    check_sound(&env)
}

/// The space of indexes that nobody can read any more is used again.
#[test]
fn old_indexes_are_freed() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let model = fill(&db)?;
    let mut pages = Vec::new();
    for _ in 0..4 {
        for to in [IndexKind::RAX, IndexKind::LSM, IndexKind::SKIPLIST, IndexKind::BTREE] {
            let held = db.snapshot()?;
            env.convert("rows", KeyspaceOptions::of(to))?;
            drop(held);
        }
        // Pages go with the next commit.
        db.put(&key(1), b"replaced")?;
        let stat = env.stat()?;
        pages.push(stat.pages - stat.free_pages);
    }
    assert!(pages[3] <= pages[1] + 20, "pages in use: {pages:?}");
    check(&db, &model)
}

#[test]
fn what_is_broken_off_leaves_everything_as_it_was() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let model = fill(&db)?;
    let id = db.keyspace().id();
    let pages = |env: &DbEnv| env.stat().map(|stat| stat.pages - stat.free_pages);
    let used = pages(&env)?;
    for stop_at in 1..4 {
        let mut told = 0;
        let broken = env.convert_with("rows", KeyspaceOptions::of(IndexKind::LSM), |progress| {
            told += 1;
            assert!(progress.done.rows_copied > 0);
            if told == stop_at { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        assert_eq!((broken, told), (None, stop_at));
        assert_eq!((db.keyspace().kind(), db.keyspace().id()), (IndexKind::BTREE, id));
        check(&db, &model)?;
        db.put(&key(1), b"replaced")?;
    }
    assert!(pages(&env)? <= used + 20);
    assert_eq!(env.keyspaces()?, ["default", "rows"]);
    env.convert("rows", KeyspaceOptions::of(IndexKind::LSM))?;
    check(&db, &model)
}

/// What is changed while the rows are copied, before and behind the place where the copy is.
#[test]
fn changes_made_meanwhile_are_copied() -> Result<()> {
    for (from, to) in [(IndexKind::BTREE, IndexKind::LSM), (IndexKind::LSM, IndexKind::RAX)] {
        let dir = TempDir::new().unwrap();
        let env = open(&dir)?;
        let db = create(&env, "rows", from)?;
        let mut model = fill(&db)?;
        let done = env.convert_with("rows", KeyspaceOptions::of(to), |progress| {
            let step = (progress.done.rows_copied % 89) as u32;
            let mut txn = db.begin().unwrap();
            let put = txn.put(db.keyspace(), &key(step), b"never");
            put.and_then(|()| txn.abort()).unwrap();
            for number in [step, 600 + step, 1200 + step] {
                db.put(&key(number), &value(number + 7)).unwrap();
                model.insert(key(number), value(number + 7));
                db.delete(&key(number + 3)).unwrap();
                model.remove(&key(number + 3));
            }
            ControlFlow::Continue(())
        })?;
        assert!(done.unwrap().rows_copied_again > 0);
        check(&db, &model)?;
        check_sound(&env)?;
    }
    Ok(())
}
