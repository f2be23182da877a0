//! What a slot does to readers while the next one is published.

use crate::slot::Slot;
use crate::{Db, DbEnv, IndexKind, KeyspaceOptions, Options, Result};
use aether_sync::{Arc, thread};
use aether_types::Timestamp;
use aether_vfs::Env;
use std::path::Path;
use std::time::Duration;

fn home() -> Result<(Db, Arc<Slot>)> {
    let options = Options { background: false, ..Options::default() };
    let env = DbEnv::open_in(Env::memory(), Path::new("/home"), options)?;
    let db = Db::in_env(env.clone(), "default")?;
    db.put(b"a", b"old")?;
    env.transact(|txn| env.create_keyspace(txn, "next", KeyspaceOptions::of(IndexKind::RAX)).map(drop))?;
    let next = Db::in_env(env, "next")?;
    next.put(b"a", b"next")?;
    Ok((db, next.keyspace().slot.clone()))
}

type Read = fn(&Db) -> Option<Vec<u8>>;

/// Every way in which a reader comes by a row.
const READS: [Read; 5] = [
    |db| db.get(b"a").unwrap(),
    |db| db.get_with(b"a", |value| value.to_vec()).unwrap(),
    |db| db.snapshot().unwrap().get(db.keyspace(), b"a").unwrap(),
    |db| db.begin().unwrap().get(db.keyspace(), b"a").unwrap(),
    |db| db.iter().unwrap().next().map(|row| row.unwrap().1),
];

#[test]
fn readers_wait_for_the_switch_and_go_on() -> Result<()> {
    for is_done in [false, true] {
        for read in READS {
            let (db, next) = home()?;
            let at = db.env().0.txns.view().at();
            let switching = db.keyspace().slot.begin_switch();
            let found = std::thread::scope(|scope| {
                let reader = scope.spawn(|| read(&db));
                thread::sleep(Duration::from_millis(20));
                assert!(!reader.is_finished(), "the switch is not published yet");
                if is_done {
                    switching.done(at, next);
                } else {
                    drop(switching);
                }
                reader.join().unwrap()
            });
            assert_eq!(found.as_deref(), Some(if is_done { &b"next"[..] } else { b"old" }));
        }
    }
    Ok(())
}

#[test]
fn an_older_view_stays() -> Result<()> {
    let (db, next) = home()?;
    let before = db.snapshot()?;
    let later = Timestamp::new(db.env().0.txns.view().at().get() + 1);
    db.keyspace().slot.begin_switch().done(later, next);
    for read in &READS[1..] {
        assert_eq!(read(&db).as_deref(), Some(&b"old"[..]), "below the switch");
    }
    db.env().keyspace("next")?;
    Db::in_env(db.env().clone(), "next")?.put(b"b", b"raises the clock")?;
    assert!(READS.iter().all(|read| read(&db).as_deref() == Some(b"next")));
    assert_eq!(before.get(db.keyspace(), b"a")?.as_deref(), Some(&b"old"[..]));
    Ok(())
}
