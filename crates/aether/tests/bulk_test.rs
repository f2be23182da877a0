//! Sorted rows in bulk and ranges that are deleted, in keyspaces of every kind: all or nothing, beside transactions of other levels, and
//! prepared over restarts.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{
    Db, DbEnv, Error, ErrorKind, IndexKind, Isolation, Keyspace, KeyspaceOptions, Options, Resolution,
    Result, Txn,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

const KINDS: [IndexKind; 4] = [IndexKind::BTREE, IndexKind::SKIPLIST, IndexKind::RAX, IndexKind::LSM];

fn open(home: &Path) -> Result<DbEnv> {
    let options = Options { lock_timeout: Duration::ZERO, ..Options::default() };
    DbEnv::open(home, options)
}

fn keyspace(env: &DbEnv, kind: IndexKind) -> Result<Keyspace> {
    match env.keyspace("rows") {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut txn = env.begin()?;
            let made = env.create_keyspace(&mut txn, "rows", KeyspaceOptions::of(kind))?;
            txn.commit().map(|()| made)
        }
        there => there,
    }
}

fn row(number: u32) -> (Vec<u8>, Vec<u8>) {
    // Some for leaves, some for files of values or extents, and a few that no page holds.
    let bytes = [20, 20, 700, 30_000][(number % 40 / 10) as usize];
    (number.to_be_bytes().to_vec(), vec![number as u8; bytes])
}

fn rows(numbers: std::ops::Range<u32>) -> impl Iterator<Item = Result<(Vec<u8>, Vec<u8>)>> {
    numbers.map(|number| Ok(row(number)))
}

fn range(numbers: std::ops::Range<u32>) -> std::ops::Range<Vec<u8>> {
    row(numbers.start).0..row(numbers.end).0
}

fn all(txn: &Txn, keyspace: &Keyspace) -> Result<Model> {
    let forward: Vec<_> = txn.iter(keyspace)?.collect::<Result<_>>()?;
    let mut backward: Vec<_> = txn.iter(keyspace)?.rev().collect::<Result<_>>()?;
    backward.reverse();
    assert_eq!(forward, backward);
    Ok(forward.into_iter().collect())
}

fn is_conflict<T: std::fmt::Debug>(done: Result<T>) -> bool {
    done.is_err_and(|error| error.kind() == ErrorKind::Conflict)
}

#[test]
fn every_kind_takes_rows_in_bulk_and_lets_ranges_go() -> Result<()> {
    for kind in KINDS {
        let dir = tempfile::TempDir::new().unwrap();
        let home = dir.path().join("home");
        let env = open(&home)?;
        let space = keyspace(&env, kind)?;
        let mut txn = env.begin()?;
        txn.put(&space, &row(150).0, b"replaced")?;
        txn.put(&space, b"zzz", b"stays")?;
        assert_eq!(txn.ingest(&space, rows(0..200))?, 200);
        let deleted = txn.delete_range(&space, range(50..60))?;
        assert!([None, Some(10)].contains(&deleted), "{kind}: {deleted:?}");
        assert!(kind == IndexKind::LSM || deleted.is_some());
        let mut wanted: Model = (0..50).chain(60..200).map(row).collect();
        wanted.insert(b"zzz".to_vec(), b"stays".to_vec());
        assert_eq!(all(&txn, &space)?, wanted);
        let held = env.begin()?;
        assert_eq!(all(&held, &space)?, Model::new());
        txn.commit()?;
        assert_eq!(all(&held, &space)?, Model::new());
        assert_eq!(all(&env.begin()?, &space)?, wanted, "{kind}");

        let mut txn = env.begin()?;
        txn.delete_range(&space, ..)?;
        assert_eq!(txn.ingest(&space, rows(7..9))?, 2);
        assert_eq!(all(&txn, &space)?.len(), 2);
        txn.abort()?;
        assert_eq!(all(&env.begin()?, &space)?, wanted, "{kind}");
        drop((held, space));
        env.close()?;

        let env = open(&home)?;
        let space = keyspace(&env, kind)?;
        assert_eq!(all(&env.begin()?, &space)?, wanted, "{kind}, opened again");
        assert!(env.verify()?.problems.is_empty());
    }
    Ok(())
}

#[test]
fn rows_that_do_not_ascend_leave_nothing_and_the_transaction_goes_on() -> Result<()> {
    for kind in KINDS {
        let dir = tempfile::TempDir::new().unwrap();
        let env = open(&dir.path().join("home"))?;
        let space = keyspace(&env, kind)?;
        let mut txn = env.begin()?;
        txn.put(&space, b"before", b"")?;
        let good = || rows(0..30);
        let twice = txn.ingest(&space, good().chain([Ok(row(29))])).unwrap_err();
        let below = txn.ingest(&space, good().chain([Ok(row(3))])).unwrap_err();
        let long = txn.ingest(&space, good().chain([Ok((vec![b'x'; 70_000], vec![]))])).unwrap_err();
        for (refused, key) in [(&twice, row(29).0), (&below, row(3).0), (&long, vec![b'x'; 70_000])] {
            assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{kind}: {refused}");
            let named = refused.place().key.clone().unwrap();
            assert!(key.starts_with(&named[..named.len().min(4)]), "{kind}: {refused}");
        }
        assert!(twice.to_string().contains("key 31 is there twice"), "{twice}");
        let broken = good().chain([Err(Error::new(ErrorKind::Io, "the source broke"))]);
        assert_eq!(txn.ingest(&space, broken).unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(all(&txn, &space)?.len(), 1);
        assert_eq!(txn.ingest(&space, good())?, 30);
        txn.commit()?;
        assert_eq!(all(&env.begin()?, &space)?.len(), 31, "{kind}");
    }
    Ok(())
}

/// Nothing can be listed in a tree whose maker has not committed: the rows go one by one.
#[test]
fn a_new_keyspace_takes_rows_in_the_transaction_that_makes_it() -> Result<()> {
    for kind in KINDS {
        let dir = tempfile::TempDir::new().unwrap();
        let home = dir.path().join("home");
        let env = open(&home)?;
        for is_kept in [false, true] {
            let mut txn = env.begin()?;
            let space = env.create_keyspace(&mut txn, "rows", KeyspaceOptions::of(kind))?;
            assert_eq!(txn.ingest(&space, rows(0..100))?, 100);
            assert_eq!(txn.delete_range(&space, range(10..20))?, Some(10));
            if is_kept {
                txn.commit()?;
            } else {
                txn.abort()?;
            }
        }
        let space = keyspace(&env, kind)?;
        assert_eq!(all(&env.begin()?, &space)?.len(), 90, "{kind}");
        drop(space);
        env.close()?;
        let env = open(&home)?;
        assert_eq!(all(&env.begin()?, &keyspace(&env, kind)?)?.len(), 90, "{kind}, opened again");
    }
    Ok(())
}

#[test]
fn a_serializable_transaction_that_has_read_there_is_refused() -> Result<()> {
    for kind in KINDS {
        let dir = tempfile::TempDir::new().unwrap();
        let env = open(&dir.path().join("home"))?;
        let (space, other) = (keyspace(&env, kind)?, env.keyspace("default")?);
        let mut txn = env.begin()?;
        txn.ingest(&space, rows(0..100))?;
        txn.commit()?;
        for what in ["a key", "a key that is missing", "a range", "nothing there"] {
            for is_ingest in [true, false] {
                let mut reader = env.begin_with(Isolation::Serializable)?;
                match what {
                    "a key" => drop(reader.get(&space, &row(12).0)?),
                    "a key that is missing" => drop(reader.get(&space, &[row(12).0, vec![0]].concat())?),
                    "a range" => assert!(reader.range(&space, range(11..14))?.count() > 0),
                    _ => drop(reader.get(&other, b"key")?),
                }
                let mut writer = env.begin()?;
                if is_ingest {
                    let missing = [row(12).0, vec![0]].concat();
                    let some = [Ok(row(12)), Ok((missing, vec![])), Ok(row(13))];
                    writer.ingest(&space, some)?;
                } else {
                    writer.delete_range(&space, range(12..14))?;
                }
                writer.commit()?;
                reader.put(&other, b"own", b"")?;
                let outcome = reader.commit();
                assert_eq!(is_conflict(outcome), what != "nothing there", "{kind}, {what}, {is_ingest}");
            }
        }
    }
    Ok(())
}

/// Two-phase commit: what is prepared is not there, keeps others out, and is there or not as it is decided, after restarts.
#[test]
fn an_ingest_is_prepared_and_decided_after_restarts() -> Result<()> {
    for is_committed in [true, false] {
        let dir = tempfile::TempDir::new().unwrap();
        let home = dir.path().join("home");
        let before: Model = (0..20).map(row).collect();
        let after: Model = (0..5).chain(10..40).map(row).collect();
        {
            let env = open(&home)?;
            let space = keyspace(&env, IndexKind::LSM)?;
            let mut txn = env.begin()?;
            txn.ingest(&space, rows(0..20))?;
            txn.commit()?;
            let mut txn = env.begin_with(Isolation::Serializable)?;
            txn.delete_range(&space, range(5..10))?;
            txn.ingest(&space, rows(20..40))?;
            assert_eq!(all(&txn, &space)?, after);
            txn.prepare(b"g")?;
            assert_eq!(all(&env.begin()?, &space)?, before);
        }
        for _ in 0..2 {
            let env = open(&home)?;
            let space = keyspace(&env, IndexKind::LSM)?;
            assert_eq!(all(&env.begin()?, &space)?, before);
            assert!(is_conflict(env.begin()?.put(&space, &row(15).0, b"other")));
            // Who has read what a prepared transaction changes cannot be prepared.
            let mut reader = env.begin_with(Isolation::Serializable)?;
            assert!(reader.get(&space, &row(7).0)?.is_some());
            reader.put(&env.keyspace("default")?, b"own", b"")?;
            assert!(is_conflict(reader.prepare(b"h")));
        }
        let env = open(&home)?;
        let space = keyspace(&env, IndexKind::LSM)?;
        let held = env.begin()?;
        assert_eq!(all(&held, &space)?, before);
        let (decided, wanted) = if is_committed {
            (env.commit_prepared(b"g")?, after)
        } else {
            (env.rollback_prepared(b"g")?, before.clone())
        };
        assert_eq!(decided, if is_committed { Resolution::Committed } else { Resolution::RolledBack });
        assert_eq!(all(&env.begin()?, &space)?, wanted);
        assert_eq!(all(&held, &space)?, before);
        drop((held, space));
        env.close()?;
        let env = open(&home)?;
        let space = keyspace(&env, IndexKind::LSM)?;
        assert_eq!(all(&env.begin()?, &space)?, wanted);
        let named = env.lsm(&space).unwrap().files().len();
        let there = std::fs::read_dir(&home).unwrap().filter(|entry| {
            let name = entry.as_ref().unwrap().file_name();
            name.to_string_lossy().starts_with("run-") || name.to_string_lossy().starts_with("values-")
        });
        assert_eq!(there.count(), named);
    }
    Ok(())
}

#[test]
fn a_database_takes_rows_and_lets_ranges_go_in_transactions_of_its_own() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let env = open(&dir.path().join("home"))?;
    keyspace(&env, IndexKind::LSM)?;
    let db = Db::in_env(env, "rows")?;
    assert_eq!(db.ingest(rows(0..50))?, 50);
    db.delete_range(range(10..20))?;
    assert_eq!(db.iter()?.count(), 40);
    assert_eq!(db.get(&row(15).0)?, None);
    assert_eq!(db.get(&row(25).0)?, Some(row(25).1));
    assert!(db.ingest([Ok(row(2)), Ok(row(1))]).is_err());
    assert_eq!(db.delete_range(range(10..20))?.unwrap_or_default(), 0);
    assert_eq!(db.delete_range(row(20).0..row(10).0)?, Some(0), "no key lies there");
    Ok(())
}
