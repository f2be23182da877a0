//! What a round copies, and what it leaves to the next one.

use crate::{Db, DbEnv, IndexKind, KeyspaceOptions, Options, Result, Txn};
use aether_sync::thread;
use aether_vfs::Env;
use core::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const ROWS: u8 = 20;

fn home() -> Result<Db> {
    let options = Options { background: false, ..Options::default() };
    let db = Db::in_env(DbEnv::open_in(Env::memory(), Path::new("/home"), options)?, "default")?;
    (0..ROWS).try_for_each(|number| db.put(&[number], b"old"))?;
    Ok(db)
}

/// Changes rows at both ends and a new one, and leaves the transaction open.
fn change(db: &Db) -> Result<Txn> {
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), &[0], b"new")?;
    assert!(txn.delete(db.keyspace(), &[1])?);
    txn.put(db.keyspace(), &[ROWS - 1], b"new")?;
    txn.put(db.keyspace(), &[ROWS], b"new")?;
    Ok(txn)
}

/// Converts; a transaction changes rows once so many are copied, and is ended by `end` so many rounds later.
fn convert(db: &Db, copied: u64, rounds: u64, end: fn(Txn) -> Result<()>) -> Result<()> {
    let mut open = None;
    let mut ended = false;
    let done = db.env().convert_with("default", KeyspaceOptions::of(IndexKind::RAX), |progress| {
        if open.is_none() && !ended && progress.done.rows_copied >= copied {
            open = Some((change(db).unwrap(), progress.done.rounds));
        }
        if let Some((txn, since)) = open.take() {
            ended = progress.done.rounds >= since + rounds;
            if ended {
                end(txn).unwrap();
            } else {
                open = Some((txn, since));
            }
        }
        ControlFlow::Continue(())
    })?;
    assert!(ended && done.unwrap().rounds >= rounds);
    Ok(())
}

/// A note that a round has taken, of a change that is committed after the round's snapshot.
#[test]
fn a_change_that_spans_rounds_is_copied_in_the_end() -> Result<()> {
    for (copied, rounds) in [(4, 0), (4, 1), (4, 3), (20, 1), (20, 3)] {
        let db = home()?;
        convert(&db, copied, rounds, Txn::commit)?;
        for number in 0..=ROWS {
            let wanted = match number {
                0 => Some(&b"new"[..]),
                1 => None,
                _ if number >= ROWS - 1 => Some(&b"new"[..]),
                _ => Some(&b"old"[..]),
            };
            assert_eq!(
                db.get(&[number])?.as_deref(),
                wanted,
                "row {number}, {copied} copied, {rounds} rounds"
            );
        }
    }
    Ok(())
}

#[test]
fn a_change_that_is_undone_leaves_what_was_there() -> Result<()> {
    for (copied, rounds) in [(4, 0), (4, 2), (20, 2)] {
        let db = home()?;
        convert(&db, copied, rounds, Txn::abort)?;
        assert_eq!(db.iter()?.count(), usize::from(ROWS));
        assert!(db.iter()?.all(|row| row.unwrap().1 == b"old"));
    }
    Ok(())
}

/// The conversion waits for a writer, so the writer does not wait for the conversion.
#[test]
fn nobody_waits_for_room_in_the_end() -> Result<()> {
    let mut options = Options { background: false, memory_bytes: 6 << 20, ..Options::default() };
    options.buffer.num_frames = 128;
    (options.wal.segment_bytes, options.wal.ring_bytes) = (128 << 10, 128 << 10);
    options.lock_timeout = Duration::from_secs(2);
    let db = Db::in_env(DbEnv::open_in(Env::memory(), Path::new("/home"), options)?, "default")?;
    // Room for 200 such keys.
    let key = |number: u64| [&[1; 900][..], &number.to_be_bytes()].concat();
    let mut writer = None;
    let done = db.env().convert_with("default", KeyspaceOptions::of(IndexKind::RAX), |_| {
        writer.get_or_insert_with(|| {
            let (db, mut txn) = (db.clone(), db.begin().unwrap());
            (0..60).try_for_each(|number| txn.put(db.keyspace(), &key(number), b"")).unwrap();
            std::thread::spawn(move || {
                thread::sleep(Duration::from_millis(200));
                (60..250).try_for_each(|number| txn.put(db.keyspace(), &key(number), b""))?;
                txn.commit()
            })
        });
        ControlFlow::Continue(())
    })?;
    writer.unwrap().join().unwrap()?;
    assert!(done.unwrap().rows_copied_again >= 250);
    assert_eq!(db.iter()?.count(), 250);
    Ok(())
}
