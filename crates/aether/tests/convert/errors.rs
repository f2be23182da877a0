//! What a conversion refuses.

use super::{check, create, fill, key, open};
use aether::{DbEnv, ErrorKind, IndexKind, Isolation, KeyspaceOptions, Options, Result};
use std::ops::ControlFlow;
use tempfile::TempDir;

fn kind_of<T>(outcome: Result<T>) -> ErrorKind {
    match outcome {
        Ok(_) => panic!("it was to be refused"),
        Err(error) => error.kind(),
    }
}

#[test]
fn what_makes_no_sense_is_refused() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::RAX)?;
    let to = KeyspaceOptions::of;
    assert_eq!(kind_of(env.convert("none", to(IndexKind::LSM))), ErrorKind::NotFound);
    assert_eq!(kind_of(env.convert("rows", to(IndexKind::RAX))), ErrorKind::InvalidInput);
    assert_eq!(kind_of(env.convert("rows", to(IndexKind::new(99)))), ErrorKind::Unsupported);
    let mut policy = to(IndexKind::SKIPLIST);
    policy.merge_policy = Some(aether::lsm::PolicyKind::Fast);
    assert_eq!(kind_of(env.convert("rows", policy)), ErrorKind::InvalidInput);
    assert_eq!(db.keyspace().kind(), IndexKind::RAX);
    env.convert("rows", KeyspaceOptions::lsm(aether::lsm::PolicyKind::Leveled))?;
    Ok(())
}

#[test]
fn one_at_a_time() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let other = create(&env, "other", IndexKind::BTREE)?;
    let model = fill(&db)?;
    let mut others = 0;
    env.convert_with("rows", KeyspaceOptions::of(IndexKind::LSM), |_| {
        let again = env.convert("rows", KeyspaceOptions::of(IndexKind::RAX));
        assert_eq!(kind_of(again), ErrorKind::Conflict);
        let to = [IndexKind::RAX, IndexKind::BTREE][others % 2];
        env.convert("other", KeyspaceOptions::of(to)).unwrap();
        others += 1;
        ControlFlow::Continue(())
    })?;
    assert!(others > 0 && other.keyspace().id() > 0);
    env.convert("rows", KeyspaceOptions::of(IndexKind::RAX))?;
    check(&db, &model)
}

#[test]
fn a_keyspace_that_is_dropped_meanwhile_is_gone() -> Result<()> {
    for to in [IndexKind::LSM, IndexKind::SKIPLIST] {
        let dir = TempDir::new().unwrap();
        let env = open(&dir)?;
        fill(&create(&env, "rows", IndexKind::BTREE)?)?;
        let outcome = env.convert_with("rows", KeyspaceOptions::of(to), |_| {
            if env.keyspace("rows").is_ok() {
                env.transact(|txn| env.drop_keyspace(txn, "rows")).unwrap();
            }
            ControlFlow::Continue(())
        });
        assert_eq!(kind_of(outcome), ErrorKind::NotFound);
        assert_eq!(env.keyspaces()?, ["default"]);
        let stat = env.stat()?;
        assert!(stat.pages - stat.free_pages < 60, "{} of {} pages are free", stat.free_pages, stat.pages);
    }
    Ok(())
}

/// A transaction under way whose keys take more room than there is for notes.
#[test]
fn changes_that_do_not_fit_end_the_conversion() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let options = Options { memory_bytes: 160 << 20, ..Options::default() };
    let env = DbEnv::open(dir.path().join("home"), options)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    let model = fill(&db)?;
    let mut open_one = None;
    let outcome = env.convert_with("rows", KeyspaceOptions::of(IndexKind::RAX), |_| {
        let txn = open_one.get_or_insert_with(|| db.begin().unwrap());
        for number in 0..3500_u32 {
            let key = [&[b'z'; 800][..], &number.to_be_bytes()].concat();
            txn.put(db.keyspace(), &key, b"").unwrap();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(kind_of(outcome), ErrorKind::OverLimit);
    open_one.unwrap().abort()?;
    assert_eq!(db.keyspace().kind(), IndexKind::BTREE);
    let used = |name: &str| {
        let memory = env.stat().unwrap().memory;
        memory.into_iter().find(|(account, _)| account == name).map_or(0, |(_, bytes)| bytes)
    };
    assert_eq!(used("conversion"), 0);
    db.put(&key(1), b"replaced")?;
    check(&db, &model)
}

/// Who began before the switch drops the index that there is now, or nothing.
#[test]
fn an_older_transaction_drops_what_is_there_now() -> Result<()> {
    let dir = TempDir::new().unwrap();
    let env = open(&dir)?;
    let db = create(&env, "rows", IndexKind::BTREE)?;
    fill(&db)?;
    let mut old = env.begin()?;
    let mut committed = env.begin_with(Isolation::ReadCommitted)?;
    for txn in [&old, &committed] {
        assert!(txn.get(db.keyspace(), &key(1))?.is_some());
    }
    env.convert("rows", KeyspaceOptions::of(IndexKind::RAX))?;
    assert_eq!(kind_of(env.drop_keyspace(&mut old, "rows")), ErrorKind::Conflict);
    old.abort()?;
    env.drop_keyspace(&mut committed, "rows")?;
    committed.commit()?;
    env.transact(|txn| txn.put(&env.keyspace("default")?, b"pages", b"are freed"))?;
    assert_eq!(env.keyspaces()?, ["default"]);
    let stat = env.stat()?;
    assert!(stat.pages - stat.free_pages < 60, "{} of {} pages are free", stat.free_pages, stat.pages);
    Ok(())
}
