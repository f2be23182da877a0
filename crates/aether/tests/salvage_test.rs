//! Salvage: everything sound comes out, everything else is named, and the home stays as it is.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::buffer::BufferConfig;
use aether::vfs::{Create, Env, OpenOptions, read_file};
use aether::{DbEnv, ErrorKind, Lost, Options, SalvageReport, Salvaged, salvage};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const HOME: &str = "home";
const PAGES: &str = "pages-00000001";
const ROWS: u32 = 3000;

type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

fn options() -> Options {
    let buffer = BufferConfig { num_frames: 64, ..BufferConfig::default() };
    Options { buffer, background: false, ..Options::default() }
}

fn open(env: &Env) -> DbEnv {
    DbEnv::open_in(env.clone(), Path::new(HOME), options()).unwrap()
}

fn rows() -> Rows {
    (0..ROWS).map(|row| (format!("row-{row:06}").into_bytes(), vec![row as u8; 60])).collect()
}

/// Keyspaces `default` and `files`, the second with a few large values; closed.
fn store() -> (Env, BTreeMap<String, Rows>) {
    let env = Env::memory();
    let db = open(&env);
    let files = db.open_or_create_keyspace("files").unwrap();
    let large: Rows = (0..6u8).map(|n| (vec![b'f', n], vec![n; 20_000 + usize::from(n)])).collect();
    let mut txn = db.begin().unwrap();
    let space = db.keyspace("default").unwrap();
    rows().iter().for_each(|(key, value)| txn.put(&space, key, value).unwrap());
    large.iter().for_each(|(key, value)| txn.put(&files, key, value).unwrap());
    txn.commit().unwrap();
    db.close().unwrap();
    (env, BTreeMap::from([("default".into(), rows()), ("files".into(), large)]))
}

#[derive(Default, Debug)]
struct Found {
    spaces: BTreeMap<String, Rows>,
    lost: Vec<Lost>,
    report: SalvageReport,
}

fn run(env: &Env) -> aether::Result<Found> {
    let (mut found, mut name) = (Found::default(), String::new());
    found.report = salvage(env, Path::new(HOME), options(), &mut |part| {
        match part {
            Salvaged::Keyspace(of) => {
                name = of.to_owned();
                found.spaces.insert(name.clone(), Rows::new());
            }
            Salvaged::Row { key, value } => {
                let rows = found.spaces.get_mut(&name).unwrap();
                assert!(rows.insert(key.to_vec(), value.to_vec()).is_none(), "a key comes twice");
            }
            Salvaged::Lost(lost) => found.lost.push(lost.clone()),
        }
        Ok(())
    })?;
    Ok(found)
}

/// Every name and byte of the home.
fn fingerprint(env: &Env) -> BTreeMap<String, Vec<u8>> {
    let entries = env.vfs.list(Path::new(HOME)).unwrap().into_iter().filter(|entry| entry.name != "lock");
    let read = |name: &str| read_file(&*env.vfs, &Path::new(HOME).join(name)).unwrap();
    entries.map(|entry| (entry.name.clone(), read(&entry.name))).collect()
}

fn path(name: &str) -> PathBuf {
    Path::new(HOME).join(name)
}

fn overwrite(env: &Env, name: &str, at: u64, with: &[u8]) {
    let file = env.vfs.open(&path(name), OpenOptions::write(Create::No)).unwrap();
    file.write_at(at, with).unwrap();
}

/// Pages of a type, from the page file.
fn pages_of_type(env: &Env, code: u8) -> Vec<u64> {
    let bytes = read_file(&*env.vfs, &path(PAGES)).unwrap();
    bytes.chunks(4096).zip(0..).filter(|(page, _)| page[16] == code).map(|(_, number)| number).collect()
}

fn is_named_lost(found: &Found, space: &str, key: &[u8]) -> bool {
    found.lost.iter().any(|lost| {
        lost.keyspace.as_deref() == Some(space)
            && lost.from.as_ref().is_none_or(|from| &from[..] <= key)
            && lost.to.as_ref().is_none_or(|to| key < &to[..])
    })
}

/// What came out is right, and what did not is named.
#[track_caller]
fn assert_complete(found: &Found, wanted: &BTreeMap<String, Rows>) {
    for (space, rows) in wanted {
        // A keyspace whose name is lost has its rows under another.
        let unnamed = || found.spaces.iter().find(|(name, _)| name.starts_with("tree-")).unwrap().1;
        let got = found.spaces.get(space).unwrap_or_else(unnamed);
        got.iter().for_each(|(key, value)| assert_eq!(rows.get(key), Some(value)));
        for key in rows.keys().filter(|key| !got.contains_key(*key)) {
            assert!(is_named_lost(found, space, key), "{space} {key:?} is missing and not named");
        }
    }
}

#[test]
fn a_sound_home_comes_out_whole_and_stays_as_it_is() {
    let (env, wanted) = store();
    let before = fingerprint(&env);
    let found = run(&env).unwrap();
    assert_eq!((&found.spaces, found.lost.len()), (&wanted, 0));
    assert_eq!(found.report.rows, u64::from(ROWS) + 6);
    assert_eq!(fingerprint(&env), before);
}

#[test]
fn every_page_damaged_in_turn_loses_what_is_named_and_nothing_else() {
    let (env, wanted) = store();
    let before = fingerprint(&env);
    let pages = before[PAGES].len() as u64 / 4096;
    let (mut whole, mut named, mut unopened) = (0, 0, 0);
    for page in 0..pages {
        overwrite(&env, PAGES, page * 4096 + 1000, &[0xee; 32]);
        let found = run(&env).unwrap();
        assert_complete(&found, &wanted);
        match (&found.report.unopened, found.lost.len()) {
            (Some(_), _) => unopened += 1,
            (None, 0) => whole += 1,
            (None, _) => named += 1,
        }
        overwrite(&env, PAGES, page * 4096, &before[PAGES][page as usize * 4096..][..4096]);
    }
    assert!(whole > 2 && named > 50 && unopened > 0, "{whole} whole, {named} named, {unopened} unopened");
    assert_eq!(fingerprint(&env), before);
}

#[test]
fn leaves_below_a_damaged_inner_page_are_found() {
    let (env, wanted) = store();
    let inner = pages_of_type(&env, 7);
    assert!(!inner.is_empty());
    inner.iter().for_each(|page| overwrite(&env, PAGES, page * 4096 + 200, &[0xee; 32]));
    let found = run(&env).unwrap();
    assert_eq!((&found.spaces["default"], found.lost.len()), (&wanted["default"], 0));
}

#[test]
fn what_stands_in_the_log_alone_comes_out_too() {
    let (env, mut wanted) = store();
    let db = open(&env);
    let space = db.keyspace("default").unwrap();
    let mut txn = db.begin().unwrap();
    txn.put(&space, b"newest", b"in the log").unwrap();
    txn.commit().unwrap();
    let mut undone = db.begin().unwrap();
    undone.put(&space, b"open", b"not committed").unwrap();
    let stopped = copy_of(&env);
    drop(undone);
    wanted.get_mut("default").unwrap().insert(b"newest".to_vec(), b"in the log".to_vec());
    let found = run(&stopped).unwrap();
    assert_eq!((found.spaces, found.lost.len()), (wanted, 0));
}

/// The files as they stand, as after the death of the process.
fn copy_of(env: &Env) -> Env {
    let copy = Env::memory();
    copy.vfs.create_dir(Path::new(HOME)).unwrap();
    for (name, bytes) in fingerprint(env) {
        let file = copy.vfs.open(&path(&name), OpenOptions::write(Create::New)).unwrap();
        file.write_at(0, &bytes).unwrap();
    }
    copy
}

#[test]
fn a_home_that_cannot_be_opened_gives_its_leaves() {
    for missing in ["control", "psns-00000001"] {
        let (env, wanted) = store();
        env.vfs.remove(&path(missing)).unwrap();
        let found = run(&env).unwrap();
        assert_eq!(found.report.unopened.is_some(), missing == "control");
        assert_eq!((found.spaces, found.lost.len()), (wanted, 0), "without {missing}");
    }
}

/// Rows that a transaction has left versioned were counted as doubtful, though every transaction had ended.
#[test]
fn nothing_is_doubtful_in_a_home_that_was_closed() {
    let (env, wanted) = store();
    let segments = fingerprint(&env).into_keys().filter(|name| name.starts_with("log-00-0"));
    segments.for_each(|name| env.vfs.remove(&path(&name)).unwrap());
    let found = run(&env).unwrap();
    assert!(found.report.unopened.is_some());
    assert!(found.spaces == wanted);
    assert_eq!(found.report.doubtful, 0);
}

/// The pages that were freed, by the map page that covers them; each covers 2016.
fn freed_pages(env: &Env, map: u64) -> Vec<u64> {
    let bytes = read_file(&*env.vfs, &path(PAGES)).unwrap();
    let entries = &bytes[map as usize * 4096 + 64..][..2 * 2016];
    let free = entries.chunks(2).zip(map + 1..).filter(|(entry, _)| entry[0] & 3 == 0);
    let was_used = |page: &u64| bytes.get(*page as usize * 4096 + 16).is_some_and(|kind| *kind != 0);
    free.map(|(_, page)| page).filter(was_used).collect()
}

/// Free pages were known of the last map page alone: damage to others was reported as a loss. And dropped keyspaces came
/// out again, without a name.
#[test]
fn what_was_dropped_is_no_loss_wherever_it_lies() {
    let (env, wanted) = store();
    let db = open(&env);
    let fill = |name: &str, rows: u8| {
        let space = db.open_or_create_keyspace(name).unwrap();
        let mut txn = db.begin().unwrap();
        (0..rows).for_each(|row| txn.put(&space, &[row], &vec![row; 100_000]).unwrap());
        txn.commit().unwrap();
    };
    fill("dropped", 20);
    fill("kept", 80);
    let mut txn = db.begin().unwrap();
    db.drop_keyspace(&mut txn, "dropped").unwrap();
    txn.commit().unwrap();
    // A snapshot that may read it keeps the pages of another.
    let snapshot = db.snapshot().unwrap();
    fill("young", 3);
    let mut txn = db.begin().unwrap();
    db.drop_keyspace(&mut txn, "young").unwrap();
    txn.commit().unwrap();
    db.checkpoint().unwrap();
    let copy = copy_of(&env);
    drop((snapshot, db));
    for (env, is_closed) in [(env, true), (copy, false)] {
        let freed = freed_pages(&env, 1);
        assert!(freed.len() > 100 && pages_of_type(&env, 2).len() > 1, "{} pages", freed.len());
        freed.iter().for_each(|page| overwrite(&env, PAGES, page * 4096 + 2000, &[0xee; 32]));
        env.vfs.remove(&path("control")).unwrap();
        let found = run(&env).unwrap();
        assert!(found.report.unopened.is_some());
        assert_eq!(found.lost.first(), None);
        assert_eq!(found.spaces["kept"].len(), 80);
        wanted.iter().for_each(|(name, rows)| assert_eq!(&found.spaces[name], rows));
        let unnamed = found.spaces.keys().filter(|name| name.starts_with("tree-")).count();
        assert_eq!(unnamed, usize::from(!is_closed), "the log alone knows that `young` was dropped");
    }
}

#[test]
fn names_are_lost_with_the_catalog_and_rows_are_not() {
    let (env, wanted) = store();
    // Page 3 is the root, and only leaf, of the catalog.
    overwrite(&env, PAGES, 3 * 4096 + 4000, &[0xee; 32]);
    let found = run(&env).unwrap();
    let unnamed: Vec<_> = found.spaces.iter().filter(|(name, _)| name.starts_with("tree-")).collect();
    assert_eq!(unnamed.len(), 1);
    assert_eq!(unnamed[0].1, &wanted["files"]);
    assert_eq!(found.spaces["default"], wanted["default"]);
    let no_page_tells = |lost: &Lost| lost.keyspace.is_none() && lost.page.is_none();
    assert!(found.lost.iter().any(no_page_tells), "{:?}", found.lost);
}

#[test]
fn a_home_in_use_is_left_alone() {
    let (env, _) = store();
    let db = open(&env);
    assert_eq!(run(&env).unwrap_err().kind(), ErrorKind::Locked);
    db.close().unwrap();
    let nowhere = salvage(&env, Path::new("elsewhere"), options(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}
