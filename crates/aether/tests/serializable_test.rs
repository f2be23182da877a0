//! Serializable transactions: what is refused, what is not, and savepoints and retries beside them.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{Db, ErrorKind, Isolation, Options, Result, Transact, TxnOptions};
use std::time::Duration;

fn store() -> (tempfile::TempDir, Db) {
    let dir = tempfile::TempDir::new().unwrap();
    let options = Options { lock_timeout: Duration::ZERO, ..Options::default() };
    let db = Db::open_with(dir.path().join("home"), options).unwrap();
    (dir, db)
}

fn is_conflict<T: std::fmt::Debug>(result: Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::Conflict)
}

/// Two transactions read both rows and change one each.
fn skewed(db: &Db, level: Isolation) -> Result<[Result<()>; 2]> {
    db.put(b"x", b"1")?;
    db.put(b"y", b"1")?;
    let (mut one, mut two) = (db.begin_with(level)?, db.begin_with(level)?);
    for txn in [&one, &two] {
        txn.get(db.keyspace(), b"x")?;
        txn.get(db.keyspace(), b"y")?;
    }
    one.put(db.keyspace(), b"x", b"0")?;
    two.put(db.keyspace(), b"y", b"0")?;
    Ok([one.commit(), two.commit()])
}

#[test]
fn write_skew_is_refused_to_the_second() -> Result<()> {
    let (_dir, db) = store();
    let [one, two] = skewed(&db, Isolation::Snapshot)?;
    assert!(one.is_ok() && two.is_ok(), "snapshot isolation allows it");
    let [one, two] = skewed(&db, Isolation::Serializable)?;
    assert!(one.is_ok());
    let error = two.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.to_string().contains("has read what"), "{error}");
    Ok(())
}

#[test]
fn phantoms_are_refused_and_what_was_not_looked_at_is_not() -> Result<()> {
    let (_dir, db) = store();
    for key in [b"b", b"d", b"f"] {
        db.put(key, b"")?;
    }
    let read = |take: usize, insert: &[u8]| -> Result<Result<()>> {
        let mut txn = db.begin_with(Isolation::Serializable)?;
        assert_eq!(txn.range(db.keyspace(), b"a".to_vec()..b"g".to_vec())?.take(take).count(), take.min(3));
        db.put(insert, b"")?;
        txn.put(db.keyspace(), b"own", b"")?;
        let outcome = txn.commit();
        db.delete(insert)?;
        Ok(outcome)
    };
    assert!(is_conflict(read(9, b"c")?), "in the range");
    assert!(read(9, b"h")?.is_ok(), "behind the range");
    assert!(is_conflict(read(2, b"c")?), "before the last row that was looked at");
    assert!(read(2, b"e")?.is_ok(), "behind the last row that was looked at");
    assert!(is_conflict(read(9, b"fz")?), "between the last row and the end that was reached");
    Ok(())
}

#[test]
fn missing_keys_and_cursor_steps_count_as_reads() -> Result<()> {
    let (_dir, db) = store();
    db.put(b"b", b"")?;
    db.put(b"d", b"")?;
    let mut txn = db.begin_with(Isolation::Serializable)?;
    assert_eq!(txn.get(db.keyspace(), b"missing")?, None);
    txn.put(db.keyspace(), b"own", b"")?;
    db.put(b"missing", b"")?;
    assert!(is_conflict(txn.commit()));
    for (insert, refused) in [(&b"c"[..], true), (b"e", false)] {
        let mut txn = db.begin_with(Isolation::Serializable)?;
        let mut cursor = txn.cursor(db.keyspace());
        cursor.seek(&txn, b"a")?;
        cursor.next(&txn)?;
        txn.put(db.keyspace(), b"own", b"")?;
        db.put(insert, b"")?;
        assert_eq!(is_conflict(txn.commit()), refused, "{insert:?}");
    }
    let mut txn = db.begin_with(Isolation::Serializable)?;
    assert!(!txn.delete(db.keyspace(), b"nothing")?);
    txn.put(db.keyspace(), b"own", b"")?;
    db.put(b"nothing", b"")?;
    assert!(is_conflict(txn.commit()));
    Ok(())
}

#[test]
fn who_only_reads_is_never_refused() -> Result<()> {
    let (_dir, db) = store();
    db.put(b"x", b"1")?;
    let txn = db.begin_with(Isolation::Serializable)?;
    assert_eq!(txn.iter(db.keyspace())?.count(), 1);
    db.put(b"x", b"2")?;
    assert_eq!(txn.get(db.keyspace(), b"x")?.as_deref(), Some(&b"1"[..]));
    txn.commit()
}

#[test]
fn read_committed_sees_each_commit_and_overwrites_it() -> Result<()> {
    let (_dir, db) = store();
    db.put(b"x", b"1")?;
    let mut txn = db.begin_with(Isolation::ReadCommitted)?;
    assert_eq!(txn.get(db.keyspace(), b"x")?.as_deref(), Some(&b"1"[..]));
    db.put(b"x", b"2")?;
    assert_eq!(txn.get(db.keyspace(), b"x")?.as_deref(), Some(&b"2"[..]));
    txn.put(db.keyspace(), b"x", b"3")?;
    txn.commit()?;
    assert_eq!(db.get(b"x")?.as_deref(), Some(&b"3"[..]));
    Ok(())
}

#[test]
fn savepoints_have_names_and_an_order() -> Result<()> {
    let (_dir, db) = store();
    let mut txn = db.begin()?;
    let space = db.keyspace();
    let other = db.begin()?.abort().and(Ok(db.begin()?.savepoint()))?;
    txn.savepoint_as("outer");
    txn.put(space, b"1", b"")?;
    let inner = txn.savepoint_as("inner");
    txn.put(space, b"2", b"")?;
    txn.rollback_to_named("inner")?;
    txn.put(space, b"3", b"")?;
    txn.rollback_to_named("inner")?;
    assert!(txn.get(space, b"3")?.is_none() && txn.get(space, b"1")?.is_some());
    txn.rollback_to_named("outer")?;
    assert!(txn.get(space, b"1")?.is_none());
    assert_eq!(txn.rollback_to_named("inner").unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(txn.rollback_to(&inner).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(txn.rollback_to(&other).unwrap_err().kind(), ErrorKind::InvalidInput);
    txn.put(space, b"4", b"")?;
    txn.release_named("outer")?;
    assert_eq!(txn.rollback_to_named("outer").unwrap_err().kind(), ErrorKind::NotFound);
    txn.commit()?;
    assert_eq!(db.iter()?.count(), 1);
    Ok(())
}

#[test]
fn nested_parts_fail_alone() -> Result<()> {
    let (_dir, db) = store();
    let mut txn = db.begin()?;
    let space = db.keyspace();
    txn.put(space, b"kept", b"")?;
    let failed = txn.nested(|txn| {
        txn.put(space, b"gone", b"")?;
        txn.nested(|txn| txn.put(space, b"gone too", b""))?;
        txn.put(space, &[0; 100_000], b"too long")
    });
    assert_eq!(failed.unwrap_err().kind(), ErrorKind::InvalidInput);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        txn.nested(|txn| -> Result<()> {
            txn.put(space, b"gone", b"")?;
            panic!("a user's closure")
        })
    }));
    assert!(panicked.is_err());
    txn.nested(|txn| txn.put(space, b"kept too", b""))?;
    txn.commit()?;
    let keys: Vec<_> = db.iter()?.map(|row| row.map(|(key, _)| key)).collect::<Result<_>>()?;
    assert_eq!(keys, [b"kept".to_vec(), b"kept too".to_vec()]);
    Ok(())
}

#[test]
fn transact_runs_again_until_it_goes_through() -> Result<()> {
    let (_dir, db) = store();
    db.put(b"x", b"0")?;
    let mut others = 3;
    let how = Transact { txn: TxnOptions::at(Isolation::Serializable), ..Transact::default() };
    let done = db.transact_with(how, |txn| {
        let seen = txn.get(db.keyspace(), b"x")?;
        if others > 0 {
            others -= 1;
            db.put(b"x", &[others])?;
        }
        txn.put(db.keyspace(), b"y", b"")?;
        Ok(seen)
    })?;
    assert_eq!((done.attempts, done.value), (4, Some(vec![0])));
    let how = Transact { attempts_max: 2, ..how };
    let never = db.transact_with(how, |txn| {
        txn.get(db.keyspace(), b"x")?;
        db.put(b"x", b"again")?;
        txn.put(db.keyspace(), b"y", b"")
    });
    assert!(is_conflict(never));
    Ok(())
}
