//! Who is in the way of a conversion: writers, locks, prepared transactions.

use super::{check, create, fill, key, open};
use aether::{
    Db, DbEnv, ErrorKind, IndexKind, Isolation, KeyspaceOptions, LockMode, LockTarget, Options, Result,
};
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

const TO: IndexKind = IndexKind::LSM;

fn patient(dir: &TempDir) -> Result<DbEnv> {
    let options = Options { lock_timeout: Duration::from_secs(20), ..Options::default() };
    DbEnv::open(dir.path().join("home"), options)
}

fn refusal(db: &Db) -> ErrorKind {
    let outcome = db.env().convert("rows", KeyspaceOptions::of(TO));
    assert_eq!(db.keyspace().kind(), IndexKind::BTREE);
    outcome.unwrap_err().kind()
}

#[test]
fn a_writer_that_does_not_end_is_waited_for_in_vain() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let db = create(&open(&dir)?, "rows", IndexKind::BTREE)?;
    let mut model = fill(&db)?;
    let mut writer = db.begin()?;
    writer.put(db.keyspace(), &key(5), b"mine")?;
    assert_eq!(refusal(&db), ErrorKind::TimedOut);
    writer.commit()?;
    model.insert(key(5), b"mine".to_vec());
    let mut holder = db.begin()?;
    holder.lock(LockTarget::Key(db.keyspace(), &key(5)), LockMode::S)?;
    assert_eq!(refusal(&db), ErrorKind::TimedOut);
    holder.abort()?;
    db.env().convert("rows", KeyspaceOptions::of(TO))?;
    check(&db, &model)
}

/// A writer that begins while rows are copied, and ends while the conversion waits for it.
#[test]
fn a_writer_that_ends_is_waited_for() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let db = create(&open(&dir)?, "rows", IndexKind::BTREE)?;
    let mut model = fill(&db)?;
    let mut late = None;
    db.env().convert_with("rows", KeyspaceOptions::of(TO), |_| {
        late.get_or_insert_with(|| {
            let mut txn = db.begin().unwrap();
            for number in 0..5 {
                txn.put(db.keyspace(), &key(number), b"late").unwrap();
            }
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(100));
                txn.commit().unwrap();
            })
        });
        ControlFlow::Continue(())
    })?;
    late.unwrap().join().unwrap();
    model.extend((0..5).map(|number| (key(number), b"late".to_vec())));
    assert_eq!(db.keyspace().kind(), TO);
    check(&db, &model)
}

#[test]
fn prepared_writers_are_in_the_way_also_after_a_restart() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let db = create(&open(&dir)?, "rows", IndexKind::BTREE)?;
    let mut model = fill(&db)?;
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), &key(5), b"prepared")?;
    txn.prepare(b"g")?;
    assert_eq!(refusal(&db), ErrorKind::TimedOut);
    let env = db.env().clone();
    drop(db);
    env.close()?;
    let db = Db::in_env(open(&dir)?, "rows")?;
    assert_eq!(refusal(&db), ErrorKind::TimedOut);
    db.env().commit_prepared(b"g")?;
    model.insert(key(5), b"prepared".to_vec());
    db.env().convert("rows", KeyspaceOptions::of(TO))?;
    check(&db, &model)
}

/// What a prepared transaction has read stands as a lock on the old index, of which nobody would know in the new one.
#[test]
fn prepared_readers_are_in_the_way() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let (db, other) = (create(&env, "rows", IndexKind::BTREE)?, create(&env, "other", IndexKind::BTREE)?);
    let mut model = fill(&db)?;
    let mut txn = db.begin_with(Isolation::Serializable)?;
    assert!(txn.get(db.keyspace(), &key(5))?.is_some());
    txn.put(other.keyspace(), b"a", b"1")?;
    txn.prepare(b"g")?;
    assert_eq!(refusal(&db), ErrorKind::Conflict);
    db.put(&key(6), b"not read")?;
    model.insert(key(6), b"not read".to_vec());
    check(&db, &model)?;
    let env_too = env.clone();
    let decided = thread::spawn(move || {
        thread::sleep(Duration::from_millis(60));
        env_too.commit_prepared(b"g").unwrap();
    });
    env.convert("rows", KeyspaceOptions::of(TO))?;
    decided.join().unwrap();
    check(&db, &model)
}

/// A transaction prepared in other keyspaces is decided after the switch; one in the new index as well.
#[test]
fn prepared_transactions_elsewhere_go_on() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let (db, other) = (create(&env, "rows", IndexKind::BTREE)?, create(&env, "other", IndexKind::BTREE)?);
    let mut model = fill(&db)?;
    let mut txn = db.begin()?;
    txn.put(other.keyspace(), b"a", b"1")?;
    txn.prepare(b"g")?;
    env.convert("rows", KeyspaceOptions::of(TO))?;
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), &key(5), b"prepared")?;
    txn.prepare(b"h")?;
    drop((db, other));
    env.close()?;
    let db = Db::in_env(open(&dir)?, "rows")?;
    check(&db, &model)?;
    db.env().commit_prepared(b"g")?;
    db.env().commit_prepared(b"h")?;
    model.insert(key(5), b"prepared".to_vec());
    check(&db, &model)?;
    assert_eq!(Db::in_env(db.env().clone(), "other")?.get(b"a")?.as_deref(), Some(&b"1"[..]));
    Ok(())
}

/// What it has changed is not noted.
#[test]
fn a_writer_that_was_there_before_is_waited_for() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let db = create(&patient(&dir)?, "rows", IndexKind::BTREE)?;
    let mut model = fill(&db)?;
    let mut before = db.begin()?;
    before.put(db.keyspace(), &key(1), b"before")?;
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(200));
            before.commit().unwrap();
        });
        db.env().convert("rows", KeyspaceOptions::of(TO))
    })?;
    model.insert(key(1), b"before".to_vec());
    check(&db, &model)
}

/// A writer that came before the conversion and has its lock after it: what the slot said before the wait is not true any more.
#[test]
fn a_writer_that_waited_while_it_began_is_copied() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let db = create(&patient(&dir)?, "rows", IndexKind::BTREE)?;
    let mut model = fill(&db)?;
    let mut first = db.begin()?;
    first.lock(LockTarget::Keyspace(db.keyspace()), LockMode::X)?;
    let ((may_commit, commit), (has_committed, committed)) = (mpsc::channel(), mpsc::channel());
    let wait_for_waits = |count: usize| {
        while db.deadlocks().waits.len() < count {
            thread::sleep(Duration::from_millis(1));
        }
    };
    thread::scope(|scope| {
        let conversion = scope.spawn(|| {
            db.env().convert_with("rows", KeyspaceOptions::of(TO), move |progress| {
                if progress.done.rows_copied > 0 && may_commit.send(()).is_ok() {
                    committed.recv().unwrap();
                }
                ControlFlow::Continue(())
            })
        });
        wait_for_waits(1);
        let db = &db;
        let writer = scope.spawn(move || {
            let mut txn = db.begin_with(Isolation::ReadCommitted)?;
            txn.put(db.keyspace(), &key(1), b"late")?;
            commit.recv().unwrap();
            drop(commit);
            let ended = txn.commit();
            has_committed.send(()).unwrap();
            ended
        });
        wait_for_waits(2);
        first.abort().unwrap();
        writer.join().unwrap().unwrap();
        conversion.join().unwrap().unwrap();
    });
    model.insert(key(1), b"late".to_vec());
    check(&db, &model)
}
