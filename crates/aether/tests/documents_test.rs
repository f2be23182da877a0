//! The documents are right: every Rust block of the README and the guide stands below and runs, every `console` block is
//! typed into a shell, every `sh` line names something that exists, and the guide has every option with its default.

#![allow(clippy::unwrap_used, unused_imports, reason = "the blocks are as a reader sees them")]

#[path = "support/binary.rs"]
mod binary;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The README and the pages of the guide.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut paths = vec![root.join("README.md")];
    let guide = fs::read_dir(root.join("docs/guide")).unwrap();
    paths.extend(
        guide.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "md")),
    );
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The fenced blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    let rest = text.split(&fence).skip(1);
    rest.map(|block| block.split("```").next().unwrap()).collect()
}

#[test]
fn every_rust_block_stands_here() {
    let here = include_str!("documents_test.rs");
    for (path, text) in documents() {
        for block in blocks(&text, "rust") {
            let indented: Vec<String> = block
                .trim_end()
                .lines()
                .map(|line| if line.is_empty() { String::new() } else { format!("    {line}") })
                .collect();
            let name = path.display();
            assert!(here.contains(&indented.join("\n")), "{name}: this block is not tested:\n{block}");
        }
    }
}

#[test]
fn every_console_block_prints_what_it_says() {
    for (path, text) in documents() {
        for block in blocks(&text, "console") {
            let (name, dir) = (path.display(), tempfile::TempDir::new().unwrap());
            for step in block.split("$ ").skip(1) {
                let (line, expected) = step.split_once('\n').unwrap();
                let found = type_in(line, dir.path());
                assert!(is_as_said(&found, expected), "{name}: $ {line}\n{found}");
            }
        }
    }
}

/// Line by line; what follows `...` may be anything.
fn is_as_said(found: &str, expected: &str) -> bool {
    let same = |(found, expected): (&str, &str)| match expected.strip_suffix("...") {
        Some(beginning) => found.starts_with(beginning),
        None => found == expected,
    };
    found.lines().count() == expected.lines().count() && found.lines().zip(expected.lines()).all(same)
}

/// What a shell prints that finds `aether`.
fn type_in(line: &str, dir: &Path) -> String {
    let path = format!("{}:{}", binary::binary().parent().unwrap().display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh").args(["-c", line]).current_dir(dir).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Commands that take long are not run here, but what they name exists.
#[test]
fn every_cargo_command_names_what_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let exists = |path: String| assert!(root.join(&path).exists(), "{path} does not exist");
    for (_, text) in documents() {
        let spans = text.split(['`', '\n']).filter(|span| span.starts_with("cargo "));
        for command in spans {
            let words: Vec<&str> = command.split_whitespace().collect();
            let after = |flag: &str| words.windows(2).find(|pair| pair[0] == flag).map(|pair| pair[1]);
            let package = after("-p").unwrap_or("aether");
            let home = if package == "engine-benches" {
                "benches/engine".into()
            } else {
                format!("crates/{package}")
            };
            exists(home.clone());
            if let Some(test) = after("--test") {
                let path = if test == "it" { "it/main.rs".into() } else { format!("{test}.rs") };
                exists(format!("{home}/tests/{path}"));
            }
            if let Some(bench) = after("--bench") {
                exists(format!("{home}/benches/{bench}.rs"));
            }
        }
    }
}

/// The rows of the guide's tables: name and default.
fn documented() -> Vec<(String, String)> {
    let (_, text) = documents().into_iter().find(|(path, _)| path.ends_with("configuration.md")).unwrap();
    let row = |line: &str| {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let name = cells.get(1)?.strip_prefix('`')?.strip_suffix('`')?;
        Some((name.to_owned(), cells.get(2)?.trim_matches('`').to_owned()))
    };
    text.lines().filter_map(row).collect()
}

#[test]
fn the_guide_has_every_option_with_its_default() {
    let options = aether::Options::default();
    let aether::Options {
        create,
        buffer,
        wal,
        max_recovery_bytes,
        redo_threads,
        memory_bytes,
        durability,
        isolation,
        lock_timeout,
        snapshot_age_max,
        background,
        lsm,
        indexes,
    } = options;
    let aether::buffer::BufferConfig {
        num_frames,
        page_size,
        enable_page_provider,
        free_percent,
        partitions,
        prefetch_threads,
        streams: pool_streams,
    } = buffer;
    let aether::wal::WalConfig { streams, segment_bytes, ring_bytes, flusher, recycle } = wal;
    let aether::lsm::LsmConfig {
        memtable_bytes,
        policy,
        level_runs,
        codec,
        filter_bits_per_key,
        filter_kind,
        separate_bytes,
        threads,
    } = lsm;
    let expected = [
        ("create", create.to_string()),
        ("buffer", "see below".to_owned()),
        ("wal", "see below".to_owned()),
        ("max_recovery_bytes", max_recovery_bytes.to_string()),
        ("redo_threads", redo_threads.to_string()),
        ("memory_bytes", memory_bytes.to_string()),
        ("durability", format!("{durability:?}")),
        ("isolation", format!("{isolation:?}")),
        ("lock_timeout", format!("{lock_timeout:?}")),
        ("snapshot_age_max", format!("{snapshot_age_max:?}")),
        ("background", background.to_string()),
        ("lsm", "see below".to_owned()),
        ("indexes", format!("{indexes:?}")),
        ("num_frames", num_frames.to_string()),
        ("page_size", page_size.bytes().to_string()),
        ("enable_page_provider", enable_page_provider.to_string()),
        ("free_percent", free_percent.to_string()),
        ("partitions", partitions.to_string()),
        ("prefetch_threads", prefetch_threads.to_string()),
        ("streams", pool_streams.to_string()),
        ("streams", streams.to_string()),
        ("segment_bytes", segment_bytes.to_string()),
        ("ring_bytes", ring_bytes.to_string()),
        ("flusher", flusher.to_string()),
        ("recycle", recycle.to_string()),
        ("memtable_bytes", memtable_bytes.to_string()),
        ("policy", format!("{policy:?}")),
        ("level_runs", format!("{level_runs:?}")),
        ("codec", format!("{codec:?}")),
        ("filter_bits_per_key", format!("{filter_bits_per_key:?}")),
        ("filter_kind", format!("{filter_kind:?}")),
        ("separate_bytes", separate_bytes.to_string()),
        ("threads", threads.to_string()),
    ];
    let expected: Vec<_> = expected.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(documented(), expected);
}

#[test]
fn readme_1() -> Result<(), Box<dyn Error>> {
    use aether::{Db, KvStore};
    let dir = tempfile::TempDir::new()?;
    let mut kv = KvStore::open(dir.path().join("kv.db"))?;
    kv.put(b"hello", b"world")?;
    assert_eq!(kv.get(b"hello")?, Some(b"world".to_vec()));
    Ok(())
}

#[test]
fn durability_1() -> Result<(), Box<dyn Error>> {
    use aether::{Db, Durability, Options};
    use std::time::Duration;
    let dir = tempfile::TempDir::new()?;
    let options = Options {
        durability: Durability::Async { interval: Duration::from_millis(50) },
        ..Options::default()
    };
    let db = Db::open_with(dir.path().join("events"), options)?;
    db.put(b"1", b"may be lost if the power goes within 50 ms")?;

    let mut txn = db.begin()?;
    txn.put(db.keyspace(), b"2", b"must not be lost")?;
    txn.commit_with(Durability::Sync)?.wait()?;
    Ok(())
}

#[test]
fn durability_2() -> Result<(), Box<dyn Error>> {
    use aether::{Db, Durability};
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("orders"))?;
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), b"order 1", b"")?;
    let handle = txn.commit_with(Durability::Sync)?;
    // ... other work, then:
    handle.wait()?;
    Ok(())
}

#[test]
fn getting_started_1() -> Result<(), Box<dyn Error>> {
    use aether::KvStore;
    let dir = tempfile::TempDir::new()?;
    let mut kv = KvStore::open(dir.path().join("kv.db"))?;
    kv.put(b"hello", b"world")?;
    assert_eq!(kv.get(b"hello")?, Some(b"world".to_vec()));
    assert!(kv.delete(b"hello")?);
    Ok(())
}

#[test]
fn getting_started_2() -> Result<(), Box<dyn Error>> {
    use aether::{Db, WriteBatch};
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("shop"))?;
    let mut batch = WriteBatch::new();
    batch.put(b"fruit/apple", b"3").put(b"fruit/pear", b"5").put(b"tool/hammer", b"1");
    db.write(batch)?;

    // Rows come in the order of their keys, from both ends.
    let fruit: Vec<_> = db.prefix(b"fruit/")?.collect::<aether::Result<_>>()?;
    assert_eq!(fruit.len(), 2);
    let last = db.iter()?.next_back().transpose()?;
    assert_eq!(last, Some((b"tool/hammer".to_vec(), b"1".to_vec())));

    // Without a copy of each row:
    let mut rows = db.range(b"fruit/b".to_vec()..)?;
    let mut bytes = 0;
    while let Some((key, value)) = rows.next_ref()? {
        bytes += key.len() + value.len();
    }
    assert_eq!(bytes, 10 + 1 + 11 + 1);

    assert!(db.compare_and_set(b"fruit/pear", Some(b"5"), Some(b"4"))?);
    Ok(())
}

#[test]
fn getting_started_3() -> Result<(), Box<dyn Error>> {
    use aether::{DbEnv, Options};
    let dir = tempfile::TempDir::new()?;
    let env = DbEnv::open(dir.path().join("home"), Options::default())?;
    let users = env.open_or_create_keyspace("users")?;
    let by_mail = env.open_or_create_keyspace("users by mail")?;
    let mut txn = env.begin()?;
    txn.put(&users, b"7", b"ada")?;
    txn.put(&by_mail, b"ada@example.org", b"7")?;
    txn.commit()?;
    assert_eq!(env.keyspaces()?, ["default", "users", "users by mail"]);
    Ok(())
}

#[test]
fn transactions_1() -> Result<(), Box<dyn Error>> {
    use aether::Db;
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), b"ada", b"100")?;
    assert_eq!(txn.get(db.keyspace(), b"ada")?, Some(b"100".to_vec()));
    assert_eq!(db.get(b"ada")?, None, "nobody else sees it yet");
    txn.commit()?;
    assert_eq!(db.get(b"ada")?, Some(b"100".to_vec()));
    Ok(())
}

#[test]
fn transactions_2() -> Result<(), Box<dyn Error>> {
    use aether::{Advice, Db, ErrorKind, TxnOptions};
    use std::time::Duration;
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    let impatient = TxnOptions { lock_timeout: Some(Duration::ZERO), ..TxnOptions::default() };
    let (mut first, mut second) = (db.begin()?, db.begin_with(impatient)?);
    first.put(db.keyspace(), b"ada", b"1")?;
    let error = second.put(db.keyspace(), b"ada", b"2").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.advice(), Advice::Retry);
    first.commit()?;
    Ok(())
}

#[test]
fn transactions_3() -> Result<(), Box<dyn Error>> {
    use aether::Db;
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    let mut txn = db.begin()?;
    txn.put(db.keyspace(), b"kept", b"")?;
    let mark = txn.savepoint();
    txn.put(db.keyspace(), b"dropped", b"")?;
    txn.rollback_to(&mark)?;
    txn.commit()?;
    assert!(db.get(b"kept")?.is_some() && db.get(b"dropped")?.is_none());
    Ok(())
}

#[test]
fn transactions_4() -> Result<(), Box<dyn Error>> {
    use aether::Db;
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    db.put(b"ada", b"1")?;
    let before = db.snapshot()?;
    db.put(b"ada", b"2")?;
    assert_eq!(before.get(db.keyspace(), b"ada")?, Some(b"1".to_vec()));
    Ok(())
}

#[test]
fn tuning_1() -> Result<(), Box<dyn Error>> {
    use aether::buffer::BufferConfig;
    use aether::{Db, Options};
    let dir = tempfile::TempDir::new()?;
    // 32,768 frames of 4 KiB: 128 MiB.
    let options = Options {
        buffer: BufferConfig { num_frames: 32_768, ..BufferConfig::default() },
        ..Options::default()
    };
    let db = Db::open_with(dir.path().join("home"), options)?;
    let stat = db.env().stat()?;
    assert_eq!(stat.frames, 32_768);
    Ok(())
}

#[test]
fn transactions_5() -> Result<(), Box<dyn Error>> {
    use aether::{Db, ErrorKind, LockMode, LockTarget, TxnOptions};
    use std::{ops::Bound, time::Duration};
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    let mut auditor = db.begin()?;
    let accounts = (Bound::Included(&b"account/"[..]), Bound::Excluded(&b"account0"[..]));
    auditor.lock(LockTarget::Range(db.keyspace(), accounts.0, accounts.1), LockMode::S)?;
    let soon = TxnOptions { lock_timeout: Some(Duration::from_millis(10)), ..TxnOptions::default() };
    let mut clerk = db.begin_with(soon)?;
    let error = clerk.put(db.keyspace(), b"account/new", b"1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    auditor.commit()?;
    clerk.put(db.keyspace(), b"account/new", b"1")?;
    clerk.commit()?;
    Ok(())
}

#[test]
fn transactions_serializable() -> Result<(), Box<dyn Error>> {
    use aether::{Db, ErrorKind, Isolation};
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("ward"))?;
    db.put(b"on call: ada", b"yes")?;
    db.put(b"on call: bob", b"yes")?;
    let leave = |who: &[u8]| -> aether::Result<_> {
        let mut txn = db.begin_with(Isolation::Serializable)?;
        if txn.prefix(db.keyspace(), b"on call:")?.count() > 1 {
            txn.delete(db.keyspace(), who)?;
        }
        Ok(txn)
    };
    let (ada, bob) = (leave(b"on call: ada")?, leave(b"on call: bob")?);
    ada.commit()?;
    assert_eq!(bob.commit().unwrap_err().kind(), ErrorKind::Conflict, "somebody must stay");
    Ok(())
}

#[test]
fn transactions_nested() -> Result<(), Box<dyn Error>> {
    use aether::Db;
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    let mut txn = db.begin()?;
    for row in [&b"good"[..], &[0; 100_000], b"good too"] {
        let _too_long = txn.nested(|txn| txn.put(db.keyspace(), row, b"value"));
    }
    txn.commit()?;
    assert_eq!(db.iter()?.count(), 2);
    Ok(())
}

#[test]
fn transactions_transact() -> Result<(), Box<dyn Error>> {
    use aether::{Db, Isolation, Transact};
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("bank"))?;
    let how = Transact { txn: Isolation::Serializable.into(), attempts_max: 10, ..Transact::default() };
    let done = db.transact_with(how, |txn| {
        let seen = txn.get(db.keyspace(), b"visits")?.map_or(0, |value| value[0]);
        txn.put(db.keyspace(), b"visits", &[seen + 1])?;
        Ok(seen + 1)
    })?;
    assert_eq!((done.value, done.attempts), (1, 1));
    Ok(())
}

#[test]
fn transactions_two_phase() -> Result<(), Box<dyn Error>> {
    use aether::{DbEnv, Options, Resolution};
    let dir = tempfile::TempDir::new()?;
    let env = DbEnv::open(dir.path().join("bank"), Options::default())?;
    let space = env.keyspace("default")?;
    let mut txn = env.begin()?;
    txn.put(&space, b"ada", b"100")?;
    txn.prepare(b"transfer 17")?;
    assert_eq!(env.list_prepared(), [b"transfer 17".to_vec()]);
    assert_eq!(env.commit_prepared(b"transfer 17")?, Resolution::Committed);
    assert_eq!(env.commit_prepared(b"transfer 17")?, Resolution::Committed, "asked again");
    assert_eq!(env.rollback_prepared(b"transfer 18")?, Resolution::Unknown);
    assert!(env.forget(b"transfer 17")?);
    Ok(())
}

#[test]
fn lsm_1() -> Result<(), Box<dyn Error>> {
    use aether::lsm::{LsmConfig, PolicyKind};
    use aether::{DbEnv, IndexKind, KeyspaceOptions, Options};
    let dir = tempfile::TempDir::new()?;
    let lsm = LsmConfig { memtable_bytes: 16 << 20, ..LsmConfig::default() };
    let env = DbEnv::open(dir.path().join("home"), Options { lsm, ..Options::default() })?;
    let (events, users) = env.transact(|txn| {
        let events = env.create_keyspace(txn, "events", KeyspaceOptions::lsm(PolicyKind::Fast))?;
        let users = env.create_keyspace(txn, "users", KeyspaceOptions::of(IndexKind::BTREE))?;
        Ok((events, users))
    })?;
    env.transact(|txn| {
        txn.put(&events, b"10:15 ada", b"logged in")?;
        txn.put(&users, b"ada", b"online")
    })?;
    Ok(())
}

#[test]
fn lsm_2() -> Result<(), Box<dyn Error>> {
    use aether::lsm::PolicyKind;
    use aether::{DbEnv, KeyspaceOptions, Options};
    let dir = tempfile::TempDir::new()?;
    let env = DbEnv::open(dir.path().join("home"), Options::default())?;
    let make = |txn: &mut aether::Txn| {
        env.create_keyspace(txn, "events", KeyspaceOptions::lsm(PolicyKind::Adaptive))
    };
    let events = env.transact(make)?;
    env.transact(|txn| txn.put(&events, b"10:15 ada", b"logged in"))?;

    let tree = env.lsm(&events).ok_or("not an LSM tree")?;
    tree.flush()?;
    tree.merge_all()?;
    tree.set_policy(PolicyKind::Leveled)?;
    let stat = tree.stat();
    assert_eq!(stat.policy, Some((PolicyKind::Leveled, PolicyKind::Leveled)));
    assert_eq!(stat.levels.iter().map(|level| level.entries).sum::<u64>(), 1);
    Ok(())
}

#[test]
fn lsm_ingest() -> Result<(), Box<dyn Error>> {
    use aether::{DbEnv, IndexKind, KeyspaceOptions, Options};
    let dir = tempfile::TempDir::new()?;
    let env = DbEnv::open(dir.path().join("home"), Options::default())?;
    let options = KeyspaceOptions::of(IndexKind::LSM);
    let events = env.transact(|txn| env.create_keyspace(txn, "events", options))?;

    let rows = (0..10_000_u32).map(|day| Ok((day.to_be_bytes().to_vec(), b"quiet".to_vec())));
    let mut txn = env.begin()?;
    assert_eq!(txn.ingest(&events, rows)?, 10_000);
    let old = 0_u32.to_be_bytes().to_vec()..9_000_u32.to_be_bytes().to_vec();
    txn.delete_range(&events, old)?;
    txn.commit()?;
    assert_eq!(env.begin()?.iter(&events)?.count(), 1000);
    Ok(())
}

#[test]
fn lsm_3() -> Result<(), Box<dyn Error>> {
    use aether::lsm::{Engine, Error};
    let dir = tempfile::TempDir::new()?;
    // Memtable bytes before a flush, runs before a merge.
    let engine = Engine::new(dir.path(), 64 * 1024 * 1024, 10)?;
    engine.put("1", "1")?;
    assert_eq!(engine.get("1")?, "1");
    engine.del("1")?;
    assert_eq!(engine.get("1"), Err(Error::KeyNotFound));
    Ok(())
}

#[test]
fn configuration() -> Result<(), Box<dyn Error>> {
    use aether::{Db, IndexKind, KeyspaceOptions};
    use std::ops::ControlFlow;
    let dir = tempfile::TempDir::new()?;
    let db = Db::open(dir.path().join("home"))?;
    db.put(b"ada", b"1")?;
    let before = db.snapshot()?;
    let done = db.env().convert("default", KeyspaceOptions::of(IndexKind::LSM))?;
    assert_eq!((done.rows_copied, db.keyspace().kind()), (1, IndexKind::LSM));
    db.put(b"ada", b"2")?;
    assert_eq!(before.get(db.keyspace(), b"ada")?, Some(b"1".to_vec()));

    let stopped = db.env().convert_with("default", KeyspaceOptions::of(IndexKind::RAX), |progress| {
        if progress.done.rows_copied > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    assert_eq!((stopped, db.keyspace().kind()), (None, IndexKind::LSM));
    Ok(())
}
