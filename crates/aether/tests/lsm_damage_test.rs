//! Files of an LSM keyspace that are damaged, missing, foreign or left over: named, never wrong data, and nothing else suffers.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::lsm::{LsmConfig, PolicyKind};
use aether::vfs::{Env, read_file, write_file_durably};
use aether::{DbEnv, Error, ErrorKind, IndexKind, KeyspaceOptions, Lost, Options, Salvaged, salvage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const HOME: &str = "/home";
const ROWS: u32 = 400;

fn options() -> Options {
    let lsm = LsmConfig { memtable_bytes: 16 << 10, separate_bytes: 600, ..LsmConfig::default() };
    Options { background: false, lsm, ..Options::default() }
}

fn open(env: &Env) -> DbEnv {
    DbEnv::open_in(env.clone(), Path::new(HOME), options()).unwrap()
}

fn key(number: u32) -> Vec<u8> {
    format!("key-{number:05}").into_bytes()
}

/// Every 40th is large: it stands in a file of values.
fn value(number: u32) -> Vec<u8> {
    vec![number as u8; if number.is_multiple_of(40) { 2000 } else { 40 }]
}

/// The keyspaces `tree` (LSM) and `beside` (B+tree) with the same rows; the former has all in runs. Closed.
fn store() -> Env {
    store_in(Env::memory())
}

fn store_in(env: Env) -> Env {
    let db = open(&env);
    let mut txn = db.begin().unwrap();
    let tree = db.create_keyspace(&mut txn, "tree", KeyspaceOptions::of(IndexKind::LSM)).unwrap();
    let beside = db.create_keyspace(&mut txn, "beside", KeyspaceOptions::default()).unwrap();
    for number in 0..ROWS {
        txn.put(&tree, &key(number), &value(number)).unwrap();
        txn.put(&beside, &key(number), &value(number)).unwrap();
    }
    txn.commit().unwrap();
    db.lsm(&tree).unwrap().flush().unwrap();
    db.close().unwrap();
    env
}

fn files(env: &Env, prefix: &str) -> Vec<PathBuf> {
    let entries = env.vfs.list(Path::new(HOME)).unwrap();
    let named = entries.into_iter().filter(|entry| entry.name.starts_with(prefix));
    named.map(|entry| Path::new(HOME).join(entry.name)).collect()
}

/// Reads every row of `tree`; each is right or an error. The first error.
fn read_all(db: &DbEnv) -> Result<(), Error> {
    let tree = db.keyspace("tree")?;
    let snapshot = db.snapshot()?;
    let mut first = Ok(());
    for number in 0..ROWS {
        match snapshot.get(&tree, &key(number)) {
            Ok(found) => assert_eq!(found, Some(value(number)), "{number}"),
            Err(error) => first = first.and(Err(error)),
        }
    }
    for row in snapshot.iter(&tree)? {
        match row {
            Ok((key, found)) => {
                let number = std::str::from_utf8(&key[4..]).unwrap().parse().unwrap();
                assert_eq!(found, value(number), "{number}");
            }
            Err(error) => return first.and(Err(error)),
        }
    }
    first
}

/// The other keyspace is as it was.
fn expect_beside(db: &DbEnv) {
    let beside = db.keyspace("beside").unwrap();
    assert_eq!(db.snapshot().unwrap().iter(&beside).unwrap().map(Result::unwrap).count() as u32, ROWS);
}

fn expect_named(error: &Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
    assert_eq!(error.place().path.as_deref(), Some(path), "{error}");
}

/// Changes one byte of a file at a time and reads everything.
fn every_byte_matters(prefix: &str) {
    let env = store();
    let [path] = &files(&env, prefix)[..] else { panic!("one file of {prefix}") };
    let sound = read_file(&*env.vfs, path).unwrap();
    let mut noticed = 0;
    for at in (0..sound.len()).step_by(sound.len() / 61) {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x10;
        write_file_durably(&*env.vfs, path, &bytes).unwrap();
        let db = open(&env);
        if let Err(error) = read_all(&db) {
            expect_named(&error, path);
            noticed += 1;
        }
        expect_beside(&db);
        drop(db);
    }
    // What fills the blocks up to their alignment is nobody's.
    assert!(noticed > 20, "only {noticed} of 61 were noticed");
    write_file_durably(&*env.vfs, path, &sound).unwrap();
    read_all(&open(&env)).unwrap();
}

#[test]
fn a_damaged_run_is_named_and_never_believed() {
    every_byte_matters("run-");
}

#[test]
fn a_damaged_value_file_is_named_and_never_believed() {
    every_byte_matters("values-");
}

#[test]
fn a_missing_run_is_named() {
    for prefix in ["run-", "values-"] {
        let env = store();
        let path = files(&env, prefix).remove(0);
        env.vfs.remove(&path).unwrap();
        let db = open(&env);
        expect_named(&db.keyspace("tree").err().unwrap(), &path);
        expect_beside(&db);
    }
}

/// One keyspace that could not be opened once kept the whole home from being told of.
#[test]
fn one_keyspace_that_cannot_be_opened_is_told_of_beside_the_others() {
    let env = store();
    let path = files(&env, "run-").remove(0);
    env.vfs.remove(&path).unwrap();
    let db = open(&env);
    let report = db.verify().unwrap();
    let [problem] = &report.problems[..] else { panic!("{report:?}") };
    assert!(problem.starts_with("keyspace `tree`") && problem.contains(path.to_str().unwrap()), "{problem}");
    assert_eq!((report.keyspaces, report.entries >= ROWS.into()), (3, true), "{report:?}");
    for stat in [db.stat().unwrap(), db.stat_full().unwrap()] {
        let [_, beside, tree] = &stat.keyspaces[..] else { panic!("{stat:?}") };
        assert_eq!((&beside.name[..], &beside.error, tree.entries), ("beside", &None, None));
        let error = tree.error.as_ref().unwrap();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
        assert_eq!((&tree.name[..], &tree.kind[..], &tree.lsm), ("tree", "lsm", &None));
    }
    assert_eq!(db.stat_full().unwrap().keyspaces[1].entries, Some(ROWS.into()));
    db.close().unwrap();
}

#[test]
fn the_stat_of_a_keyspace_tells_its_policy_switches_and_runs() {
    let env = store();
    let db = open(&env);
    let tree = db.lsm(&db.keyspace("tree").unwrap()).unwrap();
    tree.set_policy(PolicyKind::Leveled).unwrap();
    let stat = db.stat().unwrap();
    let told = stat.keyspaces.iter().map(|keyspace| keyspace.lsm.as_ref());
    let [None, None, Some(told)] = &told.collect::<Vec<_>>()[..] else { panic!("{stat:?}") };
    assert_eq!(told.policy, Some((PolicyKind::Leveled, PolicyKind::Leveled)));
    assert_eq!((told.switches.len(), told.levels.iter().map(|level| level.runs).sum::<usize>()), (1, 1));
}

#[test]
fn a_foreign_run_is_refused() {
    let real = Env::real();
    let (env, other) = (store(), store_in(Env { entropy: real.entropy, ..Env::memory() }));
    for prefix in ["run-", "values-"] {
        let (path, foreign) = (files(&env, prefix).remove(0), files(&other, prefix).remove(0));
        let own = read_file(&*env.vfs, &path).unwrap();
        write_file_durably(&*env.vfs, &path, &read_file(&*other.vfs, &foreign).unwrap()).unwrap();
        let db = open(&env);
        expect_named(&db.keyspace("tree").err().unwrap(), &path);
        expect_beside(&db);
        drop(db);
        write_file_durably(&*env.vfs, &path, &own).unwrap();
        read_all(&open(&env)).unwrap();
    }
}

#[test]
fn what_a_crash_has_left_goes_with_the_next_open() {
    let env = store();
    let known = [files(&env, "run-"), files(&env, "values-")];
    for name in ["run-00000fff", "values-00000ffe"] {
        write_file_durably(&*env.vfs, &Path::new(HOME).join(name), b"half a file").unwrap();
    }
    let stranger = Path::new(HOME).join("run-of-mine");
    write_file_durably(&*env.vfs, &stranger, b"not ours").unwrap();
    read_all(&open(&env)).unwrap();
    assert_eq!(
        [vec![known[0][0].clone(), stranger], known[1].clone()],
        [files(&env, "run-"), files(&env, "values-")]
    );
}

/// What an open finds left over stayed for good where a transaction was prepared: the next open found one prepared again.
#[test]
fn what_a_crash_has_left_goes_once_nothing_is_prepared() {
    let env = store();
    let db = open(&env);
    let mut txn = db.begin().unwrap();
    let tree = db.keyspace("tree").unwrap();
    txn.ingest(&tree, (0..ROWS).map(|number| Ok((key(ROWS + number), value(number))))).unwrap();
    txn.prepare(b"brings").unwrap();
    let mut txn = db.begin().unwrap();
    txn.put(&db.keyspace("beside").unwrap(), b"another", b"").unwrap();
    txn.prepare(b"writes").unwrap();
    db.close().unwrap();
    let named = [files(&env, "run-"), files(&env, "values-")].concat();
    let left = ["run-00000fff", "values-00000ffe"].map(|name| Path::new(HOME).join(name));
    left.iter().for_each(|path| write_file_durably(&*env.vfs, path, b"half a file").unwrap());

    let are_there =
        |paths: &[PathBuf]| paths.iter().filter(|path| read_file(&*env.vfs, path).is_ok()).count();
    let db = open(&env);
    assert_eq!((are_there(&named), are_there(&left)), (named.len(), 2), "two are prepared");
    db.commit_prepared(b"brings").unwrap();
    assert_eq!((are_there(&named), are_there(&left)), (named.len(), 2), "one is prepared");
    db.rollback_prepared(b"writes").unwrap();
    assert_eq!((are_there(&named), are_there(&left)), (named.len(), 0));
    let tree = db.keyspace("tree").unwrap();
    let rows = db.snapshot().unwrap().iter(&tree).unwrap().map(Result::unwrap).count();
    assert_eq!(rows as u32, 2 * ROWS);
}

/// What a salvage gives of the keyspace `tree`: rows, and ranges that are lost.
fn salvaged(env: &Env) -> (BTreeMap<Vec<u8>, Vec<u8>>, Vec<Lost>) {
    let mut rows = BTreeMap::<Vec<u8>, Vec<u8>>::new();
    let (mut lost, mut of, mut all) = (Vec::new(), String::new(), Vec::new());
    salvage(env, Path::new(HOME), options(), &mut |part| {
        match part {
            Salvaged::Keyspace(name) => {
                all.push(name.to_owned());
                of = name.to_owned();
            }
            Salvaged::Row { key, value } if of == "tree" => {
                assert!(rows.last_key_value().is_none_or(|(last, _)| last[..] < *key), "in order, each once");
                rows.insert(key.to_vec(), value.to_vec());
            }
            Salvaged::Row { .. } => {}
            Salvaged::Lost(range) => lost.push(range.clone()),
        }
        Ok(())
    })
    .unwrap();
    all.sort();
    assert_eq!(all, ["beside", "default", "tree"]);
    (rows, lost)
}

/// Two runs of many blocks each: the newer one replaces some rows of the older one, deletes some and has some of its own. What must be there.
fn two_runs() -> (Env, BTreeMap<Vec<u8>, Vec<u8>>) {
    let (env, mut model) = (Env::memory(), BTreeMap::new());
    let db = open(&env);
    let mut txn = db.begin().unwrap();
    let tree = db.create_keyspace(&mut txn, "tree", KeyspaceOptions::of(IndexKind::LSM)).unwrap();
    db.create_keyspace(&mut txn, "beside", KeyspaceOptions::default()).unwrap();
    txn.commit().unwrap();
    for round in 0..2u8 {
        let mut txn = db.begin().unwrap();
        for number in
            (0..6000u32).filter(|number| round == 0 && number % 7 != 6 || round == 1 && number % 7 > 4)
        {
            let value = number.to_be_bytes().repeat(if number.is_multiple_of(500) { 500 } else { 20 });
            if round == 1 && number % 14 == 5 {
                assert!(txn.delete(&tree, &key(number)).unwrap());
                model.remove(&key(number));
            } else {
                let value = [&value[..], &[round]].concat();
                txn.put(&tree, &key(number), &value).unwrap();
                model.insert(key(number), value);
            }
        }
        txn.commit().unwrap();
        db.lsm(&tree).unwrap().flush().unwrap();
    }
    db.close().unwrap();
    (env, model)
}

/// Wherever a run or a file of values is damaged: what is salvaged is right, what is missing is named, and that is little.
#[test]
fn a_salvage_goes_on_behind_what_is_damaged() {
    let (env, model) = two_runs();
    assert_eq!(salvaged(&env), (model.clone(), Vec::new()));
    let (runs, values) = (files(&env, "run-"), files(&env, "values-"));
    assert_eq!((runs.len(), values.len()), (2, 2));
    let (mut cases, mut partial) = (0, 0);
    for path in runs.iter().chain(&values) {
        let sound = read_file(&*env.vfs, path).unwrap();
        for at in (4096..sound.len()).step_by(sound.len() / 13) {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x10;
            write_file_durably(&*env.vfs, path, &bytes).unwrap();
            let (rows, lost) = salvaged(&env);
            let of = format!("{} at {at}: {lost:?}", path.display());
            assert!(rows.iter().all(|(key, value)| model.get(key) == Some(value)), "{of}");
            let is_lost = |key: &Vec<u8>| {
                lost.iter().any(|lost| {
                    lost.from.as_ref().is_none_or(|from| from <= key)
                        && lost.to.as_ref().is_none_or(|to| key < to)
                })
            };
            let missing = model.keys().filter(|key| !rows.contains_key(*key));
            assert_eq!(missing.filter(|key| !is_lost(key)).count(), 0, "{of}");
            assert!(
                lost.iter().all(|lost| lost.keyspace.as_deref() == Some("tree") && lost.page.is_none()),
                "{of}"
            );
            cases += 1;
            // A file whose ends are damaged is not opened at all.
            partial += usize::from(!lost.is_empty() && !rows.is_empty());
            assert!(
                rows.is_empty() || rows.len() > model.len() - 100,
                "{} rows of {}, {of}",
                rows.len(),
                model.len()
            );
        }
        write_file_durably(&*env.vfs, path, &sound).unwrap();
    }
    assert!(cases > 40 && partial > 20, "{partial} of {cases}");
}
