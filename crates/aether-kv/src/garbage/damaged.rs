//! Keyspaces whose files are gone: dropped, they leave nothing, and keep nothing that is theirs or others'.

use super::tests::judge;
use crate::buffer::BufferConfig;
use crate::lsm::run::RunHome;
use crate::lsm::tree::LsmConfig;
use crate::wal::WalConfig;
use crate::{DbEnv, IndexKind, KeyspaceOptions, Options, Result};
use aether_sim::Sim;
use aether_types::PageSize;
use aether_vfs::{read_file, write_file_durably};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

const HOME: &str = "/home";
const TREE: &str = "tree";
const BESIDE: &str = "beside";
const ROWS: u64 = 200;
const MAX_RECOVERY_BYTES: u64 = 1 << 20;

fn open(sim: &Sim, streams: usize) -> DbEnv {
    let buffer = BufferConfig { num_frames: 128, page_size: PageSize::MIN, ..BufferConfig::default() };
    let wal = WalConfig { streams, segment_bytes: 128 << 10, ring_bytes: 128 << 10, ..WalConfig::default() };
    // Nothing is flushed but by call.
    let lsm = LsmConfig { memtable_bytes: 1 << 20, separate_bytes: 3000, ..LsmConfig::default() };
    let (max_recovery_bytes, background) = (MAX_RECOVERY_BYTES, false);
    let options = Options { buffer, wal, lsm, max_recovery_bytes, background, ..Options::default() };
    DbEnv::open_in(sim.env(), Path::new(HOME), options).unwrap()
}

fn put(env: &DbEnv, name: &str, number: u64, bytes: usize) -> Result<()> {
    let rows = env.keyspace(name)?;
    env.transact(|txn| txn.put(&rows, &number.to_be_bytes(), &vec![7; bytes]))
}

/// An LSM tree with runs, a file of values, and rows in memory, one of them with its value in extents; a B+tree with the same rows. The
/// process is killed, so the log has what is in memory.
fn filled(streams: usize) -> Sim {
    let sim = Sim::new(1);
    let env = open(&sim, streams);
    for (name, kind) in [(TREE, IndexKind::LSM), (BESIDE, IndexKind::BTREE)] {
        env.transact(|txn| env.create_keyspace(txn, name, KeyspaceOptions::of(kind))).unwrap();
        (0..ROWS).for_each(|number| put(&env, name, number, 100).unwrap());
        put(&env, name, ROWS, 5000).unwrap();
    }
    env.lsm(&env.keyspace(TREE).unwrap()).unwrap().flush().unwrap();
    (0..20).for_each(|number| put(&env, TREE, number, 90).unwrap());
    put(&env, TREE, ROWS + 1, 66_000).unwrap();
    sim.kill_image()
}

fn files(sim: &Sim, prefix: &str) -> Vec<PathBuf> {
    let entries = sim.env().vfs.list(Path::new(HOME)).unwrap();
    let named = entries.into_iter().filter(|entry| entry.name.starts_with(prefix));
    named.map(|entry| Path::new(HOME).join(entry.name)).collect()
}

/// Takes the runs away, or the files of values.
fn remove(sim: &Sim, prefix: &str) {
    let files = files(sim, prefix);
    assert!(!files.is_empty(), "no {prefix}");
    files.iter().for_each(|file| sim.env().vfs.remove(file).unwrap());
}

/// Damages a page wherever it stands, copies of it too.
fn spoil(sim: &Sim, page: u64) {
    let (vfs, page_bytes) = (sim.env().vfs, PageSize::MIN.bytes());
    let [pages] = &files(sim, "pages")[..] else { panic!("one file of pages") };
    let at = page as usize * page_bytes;
    let sound = read_file(&*vfs, pages).unwrap()[at..at + page_bytes].to_vec();
    for file in files(sim, "") {
        let mut bytes = read_file(&*vfs, &file).unwrap();
        let copies: Vec<_> = (0..bytes.len().saturating_sub(page_bytes - 1))
            .step_by(512)
            .filter(|at| bytes[*at..at + page_bytes] == sound[..])
            .collect();
        if !copies.is_empty() {
            copies.iter().for_each(|at| bytes[at + 100] ^= 1);
            write_file_durably(&*vfs, &file, &bytes).unwrap();
        }
    }
}

fn drop_both(env: &DbEnv) {
    env.transact(|txn| {
        env.drop_keyspace(txn, TREE)?;
        env.drop_keyspace(txn, BESIDE)
    })
    .unwrap();
}

/// One that could not be opened kept those from being freed that were dropped with it, and its own files for good; and no home with such a
/// one could be closed.
#[test]
fn a_damaged_tree_that_is_dropped_leaves_nothing_and_others_go_with_it() {
    for prefix in ["run-", "values-"] {
        for streams in [1, 2] {
            let sim = filled(streams);
            remove(&sim, prefix);
            let env = open(&sim, streams);
            assert!(env.keyspace(TREE).is_err());
            assert!(!RunHome::of(&env.0.store).leftovers(&BTreeSet::new()).unwrap().is_empty());
            // What a snapshot sees goes with the close, not with the commit.
            let held = (prefix == "run-").then(|| env.snapshot().unwrap());
            drop_both(&env);
            drop(held);
            env.close().unwrap();
            let env = open(&sim, streams);
            judge(&env).unwrap();
            env.close().unwrap();
        }
    }
}

/// Dropped and freed only after the next open, when the tree is on the list of those to be freed.
#[test]
fn a_damaged_tree_that_an_earlier_life_dropped_leaves_nothing() {
    let sim = filled(1);
    let env = open(&sim, 1);
    let held = env.snapshot().unwrap();
    drop_both(&env);
    let sim = sim.kill_image();
    drop((held, env));
    remove(&sim, "run-");
    let env = open(&sim, 1);
    assert_eq!(env.0.catalog.dropped(&env.0.txns.view()).unwrap().len(), 2);
    env.close().unwrap();
    let env = open(&sim, 1);
    judge(&env).unwrap();
}

/// The list of runs itself is damaged: that tree stays, for all to see, and nothing else does, the log of its rows among it.
#[test]
fn what_cannot_be_freed_is_told_and_stops_nothing() {
    let sim = filled(1);
    let env = open(&sim, 1);
    let entry = env.0.catalog.find(&env.0.txns.view(), TREE).unwrap();
    env.0.store.pool().flush_all().unwrap();
    let sim = sim.kill_image();
    drop(env);
    spoil(&sim, entry.root);
    let env = open(&sim, 1);
    drop_both(&env);
    let problems = env.verify().unwrap().problems;
    assert!(matches!(&problems[..], [one] if one.contains("the dropped keyspace 16")), "{problems:?}");
    fill(&env, "default");
    assert!(log_bytes(&env) < MAX_RECOVERY_BYTES, "{} bytes", log_bytes(&env));
    env.close().unwrap();
    let env = open(&sim, 1);
    assert_eq!(env.0.catalog.dropped(&env.0.txns.view()).unwrap(), [entry]);
    assert_eq!(env.verify().unwrap().problems.len(), 1);
    env.close().unwrap();
}

/// Writes twice as much log as a restart may read, and takes a checkpoint.
fn fill(env: &DbEnv, name: &str) {
    (0..2 * MAX_RECOVERY_BYTES / 2000).for_each(|number| put(env, name, number % 50, 2000).unwrap());
    env.checkpoint().unwrap();
}

fn log_bytes(env: &DbEnv) -> u64 {
    env.stat().unwrap().log_bytes_since_checkpoint
}

/// Rows that the log alone has, of a tree that cannot be opened, kept all log for good, also once the tree was dropped.
#[test]
fn log_goes_with_the_tree_that_kept_it() {
    let sim = filled(1);
    remove(&sim, "run-");
    let env = open(&sim, 1);
    fill(&env, BESIDE);
    let stat = env.stat().unwrap();
    let tree = stat.keyspaces.iter().find(|keyspace| keyspace.name == TREE).unwrap();
    assert!(tree.error.is_some() && tree.log_bytes > 2 * MAX_RECOVERY_BYTES, "{tree:?}");
    assert!(stat.log_bytes_since_checkpoint >= tree.log_bytes, "{stat:?}");
    let problems = env.verify().unwrap().problems;
    assert!(matches!(&problems[..], [one] if one.contains("bytes of log are kept")), "{problems:?}");
    env.transact(|txn| env.drop_keyspace(txn, TREE)).unwrap();
    fill(&env, BESIDE);
    assert!(log_bytes(&env) < MAX_RECOVERY_BYTES, "{} bytes", log_bytes(&env));
    // Its files go at once, and not with the next open.
    assert_eq!(RunHome::of(&env.0.store).leftovers(&BTreeSet::new()).unwrap(), []);
    env.close().unwrap();
    judge(&open(&sim, 1)).unwrap();
}
