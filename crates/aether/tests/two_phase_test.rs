//! Two-phase commit: prepared transactions over restarts, with their locks, and decisions asked for again.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{
    Db, DbEnv, Durability, ErrorKind, Isolation, LockMode, LockTarget, Options, Resolution, Result,
    TxnOptions,
};
use std::ops::Bound;
use std::time::Duration;

fn options() -> Options {
    Options { lock_timeout: Duration::ZERO, ..Options::default() }
}

fn open(home: &std::path::Path) -> Result<Db> {
    Db::open_with(home, options())
}

fn prepare(db: &Db, gtid: &[u8], rows: &[(&[u8], &[u8])]) -> Result<()> {
    let mut txn = db.begin()?;
    rows.iter().try_for_each(|(key, value)| txn.put(db.keyspace(), key, value))?;
    txn.prepare(gtid)
}

#[test]
fn a_prepared_transaction_is_invisible_locked_and_decided_once() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let db = open(&dir.path().join("home"))?;
    db.put(b"a", b"old")?;
    prepare(&db, b"g1", &[(b"a", b"new"), (b"b", b"new")])?;
    assert_eq!(db.env().list_prepared(), [b"g1".to_vec()]);
    assert_eq!(db.get(b"a")?.as_deref(), Some(&b"old"[..]));
    let mut other = db.begin()?;
    assert_eq!(other.put(db.keyspace(), b"a", b"mine").unwrap_err().kind(), ErrorKind::Conflict);
    other.abort()?;
    assert_eq!(db.env().commit_prepared(b"g1")?, Resolution::Committed);
    assert_eq!(db.get(b"a")?.as_deref(), Some(&b"new"[..]));
    assert_eq!(db.env().commit_prepared(b"g1")?, Resolution::Committed);
    assert_eq!(db.env().rollback_prepared(b"g1")?, Resolution::Committed, "the answer stays what it was");
    assert!(db.env().list_prepared().is_empty());
    Ok(())
}

#[test]
fn decisions_are_kept_until_forgotten() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    let db = open(&home)?;
    prepare(&db, b"yes", &[(b"a", b"1")])?;
    prepare(&db, b"no", &[(b"b", b"1")])?;
    db.env().commit_prepared(b"yes")?;
    db.env().rollback_prepared(b"no")?;
    db.env().clone().close()?;
    drop(db);
    let db = open(&home)?;
    assert_eq!(db.env().rollback_prepared(b"yes")?, Resolution::Committed);
    assert_eq!(db.env().commit_prepared(b"no")?, Resolution::RolledBack);
    assert_eq!(db.env().commit_prepared(b"else")?, Resolution::Unknown);
    assert_eq!(prepare(&db, b"no", &[(b"c", b"")]).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert!(db.env().forget(b"no")?);
    assert!(!db.env().forget(b"no")?);
    prepare(&db, b"no", &[(b"c", b"")])?;
    assert_eq!(db.env().forget(b"no").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(prepare(&db, b"no", &[(b"d", b"")]).unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(prepare(&db, &[0; 129], &[]).unwrap_err().kind(), ErrorKind::InvalidInput);
    Ok(())
}

/// Closed and opened twice, with work in between that would free undo pages if nobody held them.
#[test]
fn prepared_transactions_outlive_restarts_with_their_locks() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    let large = vec![7; 40_000];
    {
        let db = open(&home)?;
        db.put(b"a", b"old")?;
        db.put(b"large", &large)?;
        prepare(&db, b"keep", &[(b"a", b"kept"), (b"large", b"small")])?;
        prepare(&db, b"drop", &[(b"b", b"dropped")])?;
        let rows: Vec<_> = (0..500u32).map(|key| key.to_be_bytes()).collect();
        let many: Vec<(&[u8], &[u8])> = rows.iter().map(|key| (&key[..], &b"many"[..])).collect();
        prepare(&db, b"many", &many)?;
        let mut leaked = db.begin()?;
        leaked.put(db.keyspace(), b"loser", b"")?;
        drop(leaked);
    }
    for round in 0..2u8 {
        let db = open(&home)?;
        assert_eq!(db.env().list_prepared(), [b"drop".to_vec(), b"keep".to_vec(), b"many".to_vec()]);
        assert_eq!(db.get(b"a")?.as_deref(), Some(&b"old"[..]));
        assert_eq!(db.get(b"b")?, None);
        for key in [&b"a"[..], b"b", b"large", &250u32.to_be_bytes()] {
            let mut txn = db.begin()?;
            assert_eq!(txn.put(db.keyspace(), key, b"").unwrap_err().kind(), ErrorKind::Conflict, "{key:?}");
            txn.abort()?;
        }
        for number in 0..2000u32 {
            db.put(format!("busy {round} {number}").as_bytes(), &[1; 100])?;
        }
        db.env().checkpoint()?;
    }
    {
        let db = open(&home)?;
        assert_eq!(db.env().commit_prepared(b"keep")?, Resolution::Committed);
        assert_eq!(db.env().rollback_prepared(b"drop")?, Resolution::RolledBack);
        assert_eq!(db.env().rollback_prepared(b"many")?, Resolution::RolledBack);
        assert_eq!(db.get(b"a")?.as_deref(), Some(&b"kept"[..]));
        assert_eq!(db.get(b"large")?.as_deref(), Some(&b"small"[..]));
        assert_eq!(db.get(b"b")?, None);
        assert_eq!(db.get(&250u32.to_be_bytes())?, None);
        db.put(b"b", b"free again")?;
    }
    let db = open(&home)?;
    assert!(db.env().list_prepared().is_empty());
    assert_eq!(db.get(b"a")?.as_deref(), Some(&b"kept"[..]));
    let report = db.env().verify()?;
    assert!(report.problems.is_empty(), "{:?}", report.problems);
    db.env().clone().close()
}

/// What a prepared serializable transaction has read may not change under it, also after a restart.
#[test]
fn the_reads_of_a_prepared_serializable_transaction_are_locked() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    {
        let db = open(&home)?;
        db.put(b"x", b"1")?;
        db.put(b"y", b"1")?;
        let mut txn = db.begin_with(Isolation::Serializable)?;
        assert!(txn.get(db.keyspace(), b"x")?.is_some());
        assert_eq!(txn.prefix(db.keyspace(), b"p")?.count(), 0);
        txn.put(db.keyspace(), b"y", b"2")?;
        txn.prepare(b"g")?;
        refuses_changes(&db)?;
    }
    let db = open(&home)?;
    refuses_changes(&db)?;
    db.env().commit_prepared(b"g")?;
    db.put(b"x", b"3")?;
    db.put(b"p1", b"")?;
    assert_eq!(db.get(b"y")?.as_deref(), Some(&b"2"[..]));
    Ok(())
}

/// Who is prepared can be committed whatever others do, also those who are prepared later and have read what it
/// changes: those must be refused. Found by the spec of isolation.
#[test]
fn nothing_stands_against_the_commit_of_a_prepared_transaction() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    {
        let db = open(&home)?;
        prepare(&db, b"first", &[(b"y", b"1")])?;
        assert_eq!(prepare_reader(&db).unwrap_err().kind(), ErrorKind::Conflict);
    }
    let db = open(&home)?;
    assert_eq!(prepare_reader(&db).unwrap_err().kind(), ErrorKind::Conflict, "also after a restart");
    assert_eq!(db.env().commit_prepared(b"first")?, Resolution::Committed);
    prepare_reader(&db)?;
    assert_eq!(prepare(&db, b"third", &[(b"y", b"2")]).unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(db.env().commit_prepared(b"later")?, Resolution::Committed);
    prepare(&db, b"third", &[(b"y", b"2")])?;
    db.env().commit_prepared(b"third").map(drop)
}

/// Prepares a serializable transaction that has read `y`.
fn prepare_reader(db: &Db) -> Result<()> {
    let mut later = db.begin_with(Isolation::Serializable)?;
    later.get(db.keyspace(), b"y")?;
    later.put(db.keyspace(), b"z", b"1")?;
    later.prepare(b"later")
}

/// Locks that were asked for are there again after a restart.
#[test]
fn the_locks_of_a_prepared_transaction_outlive_a_restart() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    {
        let db = open(&home)?;
        let mut txn = db.begin()?;
        let range = (Bound::Included(&b"m"[..]), Bound::Excluded(&b"p"[..]));
        txn.lock(LockTarget::Range(db.keyspace(), range.0, range.1), LockMode::S)?;
        txn.put(db.keyspace(), b"a", b"")?;
        txn.prepare(b"g")?;
        is_locked(&db)?;
    }
    let db = open(&home)?;
    is_locked(&db)?;
    db.env().rollback_prepared(b"g")?;
    db.put(b"n", b"")?;
    let mut txn = db.begin()?;
    txn.lock(LockTarget::Keyspace(db.keyspace()), LockMode::X)?;
    txn.commit()
}

fn is_locked(db: &Db) -> Result<()> {
    let mut txn = db.begin()?;
    assert_eq!(txn.put(db.keyspace(), b"n", b"").unwrap_err().kind(), ErrorKind::Conflict);
    let strong = txn.lock(LockTarget::Keyspace(db.keyspace()), LockMode::S);
    assert_eq!(strong.unwrap_err().kind(), ErrorKind::Conflict, "its row is locked X below");
    txn.put(db.keyspace(), b"q", b"")?;
    txn.abort()
}

fn refuses_changes(db: &Db) -> Result<()> {
    for key in [&b"x"[..], b"p1"] {
        let mut txn = db.begin_with(Isolation::ReadCommitted)?;
        txn.put(db.keyspace(), key, b"new")?;
        assert_eq!(txn.commit().unwrap_err().kind(), ErrorKind::Conflict, "{key:?}");
        assert_eq!(db.get(b"p1")?, None);
    }
    db.put(b"q", b"nobody has read this")
}

#[test]
fn a_prepared_transaction_that_changed_nothing_is_decided_too() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    let db = open(&home)?;
    db.begin()?.prepare(b"empty")?;
    drop(db);
    let db = open(&home)?;
    assert_eq!(db.env().list_prepared(), [b"empty".to_vec()]);
    assert_eq!(db.env().commit_prepared(b"empty")?, Resolution::Committed);
    Ok(())
}

#[test]
fn keyspaces_created_and_dropped_wait_for_the_decision() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    {
        let env = DbEnv::open(&home, options())?;
        let old = env.open_or_create_keyspace("old")?;
        let mut txn = env.begin()?;
        txn.put(&old, b"k", b"v")?;
        txn.commit()?;
        let mut txn =
            env.begin_with(TxnOptions { durability: Some(Durability::None), ..Default::default() })?;
        let new = env.create_keyspace(&mut txn, "new", Default::default())?;
        txn.put(&new, b"k", b"v")?;
        env.drop_keyspace(&mut txn, "old")?;
        txn.prepare(b"g")?;
        assert_eq!(env.keyspaces()?, ["default", "old"]);
    }
    let env = DbEnv::open(&home, options())?;
    assert_eq!(env.keyspaces()?, ["default", "old"]);
    env.commit_prepared(b"g")?;
    assert_eq!(env.keyspaces()?, ["default", "new"]);
    let new = env.keyspace("new")?;
    assert_eq!(env.begin()?.get(&new, b"k")?.as_deref(), Some(&b"v"[..]));
    env.close()
}
