//! Kinds of indexes under one roof: one transaction, one log, one cursor; kinds of a program's own, registered or not.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::index::Tree;
use aether::index::rows::RowsFactory;
use aether::lsm::LsmConfig;
use aether::vfs::Env;
use aether::{
    BTreeIndex, Db, DbEnv, ErrorKind, GenericKvStore, IndexKind, Keyspace, KeyspaceOptions, KvIndex,
    LockMode, LockTarget, Options, RaxIndex, Resolution, Result, Salvaged, SkiplistIndex,
};
use std::path::Path;
use std::time::Duration;

/// A kind of a program's own: as far as the home can tell, it has nothing to do with B+trees.
const MINE: IndexKind = IndexKind::new(77);

const KINDS: [IndexKind; 5] = [IndexKind::BTREE, IndexKind::RAX, IndexKind::SKIPLIST, IndexKind::LSM, MINE];

/// Memtables of a few rows, so that the LSM tree flushes and merges all the time.
fn plain() -> Options {
    let lsm = LsmConfig { memtable_bytes: 16 << 10, separate_bytes: 400, ..LsmConfig::default() };
    Options { lsm, background: false, lock_timeout: Duration::ZERO, ..Options::default() }
}

fn options() -> Options {
    plain().register_index(MINE, RowsFactory::<Tree>::new("mine"))
}

fn open(env: &Env) -> Result<DbEnv> {
    DbEnv::open_in(env.clone(), Path::new("/home"), options())
}

fn name(kind: IndexKind) -> String {
    format!("kind-{}", kind.get())
}

/// One keyspace of each kind, made in one transaction.
fn create(db: &DbEnv) -> Result<Vec<Keyspace>> {
    let mut txn = db.begin()?;
    let make = |kind: &IndexKind| db.create_keyspace(&mut txn, &name(*kind), KeyspaceOptions::of(*kind));
    let spaces = KINDS.iter().map(make).collect::<Result<_>>()?;
    txn.commit()?;
    Ok(spaces)
}

fn key(number: u32) -> Vec<u8> {
    format!("site/{}/page/{:04}", number % 7, number).into_bytes()
}

/// Rows of all sizes, large ones in extents.
fn value(number: u32) -> Vec<u8> {
    vec![number as u8; (number as usize * 37) % 600 + if number.is_multiple_of(97) { 9000 } else { 0 }]
}

fn fill(db: &DbEnv, spaces: &[Keyspace], numbers: impl Iterator<Item = u32>) -> Result<()> {
    let mut txn = db.begin()?;
    for number in numbers {
        spaces.iter().try_for_each(|space| txn.put(space, &key(number), &value(number)))?;
    }
    txn.commit()
}

/// All keyspaces show the same rows, in both directions and by prefix; returns how many.
fn expect_alike(db: &DbEnv) -> Result<usize> {
    let snapshot = db.snapshot()?;
    let spaces: Vec<_> = KINDS.iter().map(|kind| db.keyspace(&name(*kind)).unwrap()).collect();
    let rows: Vec<_> = snapshot.iter(&spaces[0])?.collect::<Result<_>>()?;
    for space in &spaces[1..] {
        assert_eq!(snapshot.iter(space)?.collect::<Result<Vec<_>>>()?, rows, "{}", space.name());
        let mut back = snapshot.iter(space)?.rev().collect::<Result<Vec<_>>>()?;
        back.reverse();
        assert_eq!(back, rows, "{}", space.name());
        let prefix = rows.iter().filter(|(key, _)| key.starts_with(b"site/3/")).count();
        assert_eq!(snapshot.prefix(space, b"site/3/")?.count(), prefix, "{}", space.name());
        for (key, value) in rows.iter().step_by(13) {
            assert_eq!(snapshot.get(space, key)?.as_ref(), Some(value), "{}", space.name());
        }
    }
    let report = db.verify()?;
    assert_eq!(report.problems, Vec::<String>::new());
    Ok(rows.len())
}

#[test]
fn one_transaction_spans_kinds() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let spaces = create(&db)?;
    fill(&db, &spaces, 0..900)?;
    let before = db.snapshot()?;
    let mut txn = db.begin()?;
    for space in &spaces {
        assert!(txn.delete(space, &key(5))?);
    }
    let mark = txn.savepoint();
    for space in &spaces {
        txn.put(space, &key(6), b"taken back")?;
        txn.put(space, b"new", &[7; 20_000])?;
    }
    txn.rollback_to(&mark)?;
    txn.commit()?;
    assert_eq!(expect_alike(&db)?, 899);
    let mut aborted = db.begin()?;
    (0..900).try_for_each(|number| {
        spaces.iter().try_for_each(|space| aborted.put(space, &key(number), b"never"))
    })?;
    aborted.abort()?;
    assert_eq!(expect_alike(&db)?, 899);
    for space in &spaces {
        assert_eq!(before.get(space, &key(5))?, Some(value(5)), "a snapshot stays, whatever the kind");
    }
    drop((before, spaces));
    db.close()?;
    let db = open(&env)?;
    assert_eq!(expect_alike(&db)?, 899);
    let kinds: Vec<String> = db.stat_full()?.keyspaces.into_iter().map(|stat| stat.kind).collect();
    assert_eq!(kinds, ["btree", "btree", "lsm", "skiplist", "rax", "mine"]);
    Ok(())
}

#[test]
fn writers_and_locks_meet_in_every_kind() -> Result<()> {
    let db = open(&Env::memory())?;
    for space in create(&db)? {
        let (mut first, mut second) = (db.begin()?, db.begin()?);
        first.put(&space, b"key", b"first")?;
        assert_eq!(second.put(&space, b"key", b"second").unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(
            second.lock(LockTarget::Key(&space, b"key"), LockMode::S).unwrap_err().kind(),
            ErrorKind::Conflict
        );
        let all = LockTarget::Range(&space, std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        assert_eq!(second.lock(all, LockMode::S).unwrap_err().kind(), ErrorKind::Conflict);
        second.lock(LockTarget::Key(&space, b"other"), LockMode::X)?;
        assert_eq!(first.put(&space, b"other", b"").unwrap_err().kind(), ErrorKind::Conflict);
        first.commit()?;
        second.abort()?;
    }
    Ok(())
}

#[test]
fn prepared_transactions_span_kinds() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let spaces = create(&db)?;
    fill(&db, &spaces, 0..200)?;
    for gtid in [&b"yes"[..], b"no"] {
        let mut txn = db.begin()?;
        spaces.iter().try_for_each(|space| txn.put(space, gtid, &[1; 3000]))?;
        txn.prepare(gtid)?;
    }
    drop(spaces);
    db.close()?;
    let db = open(&env)?;
    assert_eq!(expect_alike(&db)?, 200);
    assert_eq!(db.commit_prepared(b"yes")?, Resolution::Committed);
    assert_eq!(db.rollback_prepared(b"no")?, Resolution::RolledBack);
    assert_eq!(expect_alike(&db)?, 201);
    Ok(())
}

#[test]
fn a_kind_that_is_not_registered_is_named() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let spaces = create(&db)?;
    fill(&db, &spaces, 0..10)?;
    drop(spaces);
    db.close()?;
    let refused = DbEnv::open_in(env.clone(), Path::new("/home"), plain()).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    let what = refused.to_string();
    assert!(what.contains("kind-77") && what.contains("index kind 77"), "{what}");
    let db = open(&env)?;
    assert_eq!(expect_alike(&db)?, 10);
    let mut txn = db.begin()?;
    let unknown = KeyspaceOptions::of(IndexKind::new(99));
    let refused = db.create_keyspace(&mut txn, "other", unknown).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    txn.abort()?;
    let ours = plain().register_index(IndexKind::new(63), RowsFactory::<Tree>::new("ours"));
    let refused = DbEnv::open_in(Env::memory(), Path::new("/home"), ours).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    Ok(())
}

/// The id of a keyspace whose creation was rolled back is given to the next one, which may be of another kind.
#[test]
fn what_was_rolled_back_leaves_nothing_behind() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let mut ids = Vec::new();
    for (round, kind) in KINDS.iter().cycle().take(12).enumerate() {
        let mut txn = db.begin()?;
        let space = db.create_keyspace(&mut txn, "tried", KeyspaceOptions::of(*kind))?;
        (0..200).try_for_each(|number| txn.put(&space, &key(number), &value(number)))?;
        assert_eq!(txn.get(&space, &key(round as u32))?, Some(value(round as u32)));
        ids.push(space.id());
        txn.abort()?;
        assert_eq!(db.keyspace("tried").err().unwrap().kind(), ErrorKind::NotFound);
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
    let used = |db: &DbEnv| db.stat().map(|stat| stat.pages - stat.free_pages);
    let spaces = create(&db)?;
    let empty = used(&db)?;
    fill(&db, &spaces, 0..900)?;
    assert!(used(&db)? > empty + 100);
    drop(spaces);
    let mut txn = db.begin()?;
    KINDS.iter().try_for_each(|kind| db.drop_keyspace(&mut txn, &name(*kind)))?;
    txn.commit()?;
    db.close()?;
    let db = open(&env)?;
    db.begin()?.commit()?;
    assert!(used(&db)? < empty + 20, "{} pages in use, {empty} when all were empty", used(&db)?);
    assert_eq!(db.verify()?.problems, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_salvage_hands_out_every_kind() -> Result<()> {
    let env = Env::memory();
    let db = open(&env)?;
    let spaces = create(&db)?;
    fill(&db, &spaces, 0..300)?;
    drop(spaces);
    db.close()?;
    let (mut names, mut rows) = (Vec::new(), 0);
    let report = aether::salvage(&env, Path::new("/home"), options(), &mut |part| {
        match part {
            Salvaged::Keyspace(name) => names.push(name.to_owned()),
            Salvaged::Row { .. } => rows += 1,
            Salvaged::Lost(lost) => panic!("{lost:?}"),
        }
        Ok(())
    })?;
    assert_eq!((report.lost, rows), (0, 300 * KINDS.len()));
    assert_eq!(names, ["default", "kind-0", "kind-1", "kind-2", "kind-3", "kind-77"]);
    Ok(())
}

/// A kind of a program's own, for the short way.
enum MyIndex {}

impl KvIndex for MyIndex {
    const KIND: IndexKind = MINE;

    fn register(options: Options) -> Options {
        options.register_index(MINE, RowsFactory::<Tree>::new("mine"))
    }
}

fn short_way<I: KvIndex>() -> Result<()> {
    let dir = tempfile::TempDir::new().unwrap();
    let mut kv = GenericKvStore::<I>::open(dir.path().join("kv"))?;
    (0..100).try_for_each(|number| kv.put(key(number), value(number)))?;
    assert!(kv.delete(key(3))?);
    drop(kv);
    let kv = GenericKvStore::<I>::open(dir.path().join("kv"))?;
    assert_eq!(kv.get(key(4))?, Some(value(4)));
    assert_eq!(kv.iter()?.count(), 99);
    assert_eq!(kv.prefix("site/3/")?.count(), 13, "one of fourteen was deleted");
    let db = kv.into_db();
    assert_eq!(db.keyspace().kind(), I::KIND);
    Ok(())
}

#[test]
fn the_short_way_takes_any_kind() -> Result<()> {
    short_way::<BTreeIndex>()?;
    short_way::<RaxIndex>()?;
    short_way::<SkiplistIndex>()?;
    short_way::<MyIndex>()?;
    let dir = tempfile::TempDir::new().unwrap();
    drop(GenericKvStore::<RaxIndex>::open(dir.path().join("kv"))?);
    let refused = GenericKvStore::<MyIndex>::open(dir.path().join("kv")).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    Ok(())
}

/// A row in memory whose value stands in extents cannot be told without a view, and the attempt left bytes in what was read.
#[test]
fn a_large_value_is_read_whole_from_every_kind() -> Result<()> {
    let env = open(&Env::memory())?;
    create(&env)?;
    for kind in KINDS {
        let db = Db::in_env(env.clone(), &name(kind))?;
        db.put(b"large", &[7; 70_000])?;
        assert!(db.get(b"large")?.is_some_and(|value| value == [7; 70_000]), "{kind}");
        let mut behind = b"what was there".to_vec();
        assert!(db.get_into(b"large", &mut behind)?);
        assert!(behind.starts_with(b"what was there") && behind.len() == 70_014, "{kind}");
    }
    Ok(())
}
