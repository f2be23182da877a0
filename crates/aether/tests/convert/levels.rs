//! Transactions of every level over a switch.

use super::{Model, check, create, fill, key, open};
use aether::{
    Cursor, Db, DbEnv, ErrorKind, IndexKind, Isolation, KeyspaceOptions, LockMode, LockTarget, Result, Txn,
};
use tempfile::TempDir;

fn home() -> Result<(TempDir, DbEnv, Db, Model)> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let model = fill(&db)?;
    Ok((dir, env, db, model))
}

fn to_lsm(env: &DbEnv) -> Result<()> {
    env.convert("rows", KeyspaceOptions::of(IndexKind::LSM)).map(drop)
}

fn rows(txn: &Txn, db: &Db) -> Result<Model> {
    txn.iter(db.keyspace())?.collect()
}

#[test]
fn a_snapshot_stays_and_its_writes_conflict() -> Result<()> {
    let (_dir, env, db, model) = home()?;
    for level in [Isolation::Snapshot, Isolation::Serializable] {
        let to = if level == Isolation::Snapshot { IndexKind::LSM } else { IndexKind::RAX };
        let mut txn = db.begin_with(level)?;
        assert_eq!(txn.get(db.keyspace(), &key(5))?, model.get(&key(5)).cloned());
        env.convert("rows", KeyspaceOptions::of(to))?;
        db.put(&key(5), b"later")?;
        assert!(rows(&txn, &db)? == model, "{level:?}");
        let error = txn.put(db.keyspace(), &key(6), b"mine").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        // Of a new row there is no copy that would be newer than the snapshot.
        assert_eq!(txn.put(db.keyspace(), b"new", b"mine").unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(txn.delete(db.keyspace(), &key(6)).unwrap_err().kind(), ErrorKind::Conflict);
        let mut no_bytes = &b""[..];
        let streamed = txn.put_stream(db.keyspace(), &key(6), 0, &mut no_bytes);
        assert_eq!(streamed.unwrap_err().kind(), ErrorKind::Conflict);
        // What a serializable transaction has read counts as changed.
        assert_eq!(txn.commit().is_err(), level == Isolation::Serializable);
        db.put(&key(5), model.get(&key(5)).unwrap())?;
        check(&db, &model)?;
    }
    Ok(())
}

#[test]
fn read_committed_follows() -> Result<()> {
    let (_dir, env, db, mut model) = home()?;
    let mut txn = db.begin_with(Isolation::ReadCommitted)?;
    assert!(txn.get(db.keyspace(), &key(5))?.is_some());
    to_lsm(&env)?;
    db.put(&key(5), b"later")?;
    assert_eq!(txn.get(db.keyspace(), &key(5))?.as_deref(), Some(&b"later"[..]));
    txn.put(db.keyspace(), &key(6), b"mine")?;
    txn.commit()?;
    model.insert(key(5), b"later".to_vec());
    model.insert(key(6), b"mine".to_vec());
    check(&db, &model)
}

/// Iterators and cursors that stand in the old index when its place is taken, and when its pages would go.
#[test]
fn iterators_and_cursors_go_on() -> Result<()> {
    let (_dir, env, db, model) = home()?;
    let (old, txn) = (db.begin()?, db.begin_with(Isolation::ReadCommitted)?);
    let (mut old_rows, mut all) = (old.iter(db.keyspace())?, txn.iter(db.keyspace())?);
    let mut db_rows = db.iter()?;
    let (mut up, mut down) = (txn.cursor(db.keyspace()), txn.cursor(db.keyspace()));
    let mut read: [Model; 5] = Default::default();
    read[3].extend(up.seek_first(&txn)?);
    read[4].extend(down.seek_last(&txn)?);
    for step in 0..model.len() {
        if step == 300 {
            to_lsm(&env)?;
            // Moves the view of what is read committed, and frees what it can.
            assert!(txn.get(db.keyspace(), &key(5))?.is_some());
            db.put(&key(1), b"replaced")?;
        }
        if step == 600 {
            env.convert("rows", KeyspaceOptions::of(IndexKind::SKIPLIST))?;
            db.put(&key(1), b"replaced")?;
        }
        read[0].extend(old_rows.next().transpose()?);
        read[1].extend(if step % 2 == 0 { all.next() } else { all.next_back() }.transpose()?);
        read[2].extend(db_rows.next().transpose()?);
        read[3].extend(up.next(&txn)?);
        read[4].extend(down.prev(&txn)?);
    }
    for (number, read) in read.iter().enumerate() {
        assert!(*read == model, "reader {number} has {} rows, not {}", read.len(), model.len());
    }
    assert!(up.next(&txn)?.is_none() && down.prev(&txn)?.is_none() && all.next().is_none());
    Ok(())
}

/// The views of these readers move up, so they alone keep the old index; and they see what is changed in the new one.
#[test]
fn readers_of_what_is_committed_change_over() -> Result<()> {
    for to in [IndexKind::LSM, IndexKind::SKIPLIST] {
        let (_dir, env, db, mut model) = home()?;
        let txn = db.begin_with(Isolation::ReadCommitted)?;
        let (mut rows, mut cursor) = (txn.iter(db.keyspace())?, txn.cursor(db.keyspace()));
        let mut read: [Model; 2] = Default::default();
        read[1].extend(cursor.seek_first(&txn)?);
        read[1].extend(cursor.next(&txn)?);
        read[0].extend(rows.next().transpose()?);
        env.convert("rows", KeyspaceOptions::of(to))?;
        for number in [700, 1200] {
            db.put(&key(number), b"changed")?;
            model.insert(key(number), b"changed".to_vec());
        }
        assert!(txn.get(db.keyspace(), &key(5))?.is_some(), "moves the view up");
        db.put(&key(1), b"replaced")?;
        read[0].extend(rows.by_ref().map(|row| row.unwrap()));
        while let Some(row) = cursor.next(&txn)? {
            read[1].extend([row]);
        }
        assert!(read[0] == model && read[1] == model, "{to}: {} and {} rows", read[0].len(), read[1].len());
    }
    Ok(())
}

/// Whatever the last steps were, the next one is the one that it would have been.
#[test]
fn a_cursor_stands_between_the_same_rows() -> Result<()> {
    type Moves = fn(&mut Cursor, &Txn) -> Result<Option<(Vec<u8>, Vec<u8>)>>;
    let ways: [&[Moves]; 8] = [
        &[],
        &[|at, txn| at.seek_first(txn)],
        &[|at, txn| at.seek_last(txn)],
        &[|at, txn| at.seek_last(txn), Cursor::next, Cursor::next],
        &[|at, txn| at.seek_first(txn), Cursor::prev, Cursor::prev],
        &[|at, txn| at.seek(txn, b"key 00700"), Cursor::next],
        &[|at, txn| at.seek(txn, b"key 00700"), Cursor::prev, Cursor::prev],
        &[|at, txn| at.seek(txn, b"key 09999")],
    ];
    let (_dir, env, db, _) = home()?;
    let kinds = [IndexKind::RAX, IndexKind::LSM, IndexKind::SKIPLIST, IndexKind::BTREE];
    let steps = ways.iter().flat_map(|way| [(way, Cursor::next as Moves), (way, Cursor::prev)]);
    for ((way, step), to) in steps.zip(kinds.into_iter().cycle()) {
        let txn = db.begin_with(Isolation::ReadCommitted)?;
        let (mut moved, mut fresh) = (txn.cursor(db.keyspace()), txn.cursor(db.keyspace()));
        for go in way.iter() {
            assert_eq!(go(&mut moved, &txn)?, go(&mut fresh, &txn)?);
        }
        let wanted = step(&mut fresh, &txn)?;
        env.convert("rows", KeyspaceOptions::of(to))?;
        assert!(step(&mut moved, &txn)? == wanted, "after {} moves, to {to}", way.len());
    }
    Ok(())
}

/// What a serializable transaction has read counts as changed by the switch, else changes made after it would be missed.
#[test]
fn serializable_transactions_lose_no_conflict() -> Result<()> {
    let (_dir, env, db, _) = home()?;
    let other = create(&env, "other", IndexKind::BTREE)?;
    let (mut writer, reader) =
        (db.begin_with(Isolation::Serializable)?, db.begin_with(Isolation::Serializable)?);
    for txn in [&writer, &reader] {
        assert!(txn.get(db.keyspace(), &key(5))?.is_some());
    }
    to_lsm(&env)?;
    db.put(&key(5), b"later")?;
    writer.put(other.keyspace(), b"decided by", b"key 5")?;
    assert_eq!(writer.commit().unwrap_err().kind(), ErrorKind::Conflict);
    reader.commit()?;
    let mut after = db.begin_with(Isolation::Serializable)?;
    assert_eq!(after.get(db.keyspace(), &key(5))?.as_deref(), Some(&b"later"[..]));
    db.put(&key(5), b"even later")?;
    after.put(other.keyspace(), b"decided by", b"key 5")?;
    assert_eq!(after.commit().unwrap_err().kind(), ErrorKind::Conflict, "in the new index, too");
    Ok(())
}

/// Who locks before he reads anything sees what is there then, in the new index.
#[test]
fn locks_are_taken_in_the_new_index() -> Result<()> {
    let (_dir, env, db, _) = home()?;
    let handle = env.keyspace("rows")?;
    let mut first = db.begin()?;
    to_lsm(&env)?;
    first.lock(LockTarget::Key(&handle, &key(5)), LockMode::X)?;
    let mut second = db.begin()?;
    let error = second.put(db.keyspace(), &key(5), b"second").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    first.put(&handle, &key(5), b"first")?;
    first.commit()?;
    assert_eq!(db.get(&key(5))?.as_deref(), Some(&b"first"[..]));
    second.abort()?;
    let (mut whole, mut second) = (db.begin()?, db.begin()?);
    whole.lock(LockTarget::Keyspace(&handle), LockMode::S)?;
    assert_eq!(second.put(db.keyspace(), &key(6), b"second").unwrap_err().kind(), ErrorKind::TimedOut);
    Ok(())
}

#[test]
fn a_savepoint_over_nothing_written_is_rolled_back() -> Result<()> {
    let (_dir, env, db, model) = home()?;
    let mut txn = db.begin_with(Isolation::ReadCommitted)?;
    let mark = txn.savepoint();
    txn.lock(LockTarget::Key(db.keyspace(), &key(5)), LockMode::X)?;
    txn.rollback_to(&mark)?;
    to_lsm(&env)?;
    txn.put(db.keyspace(), &key(5), b"never")?;
    txn.rollback_to(&mark)?;
    txn.commit()?;
    check(&db, &model)
}
