//! Levels of any kind, and a keyspace that is an LSM tree.
//!
//! First the generic framework: a skiplist, a radix tree and a B+tree as the levels of one tree, read through and merged. Then the LSM tree
//! as a keyspace beside a B+tree: one transaction, a flush, a merge, a snapshot.
//!
//! `cargo run --example lsm_usage`

#![allow(clippy::print_stdout)]

use aether::lsm::levels::{Level, Levels};
use aether::lsm::merge::{Keep, Merge, Sink};
use aether::lsm::run::Entry;
use aether::lsm::{Lsm, LsmConfig};
use aether::types::Timestamp;
use aether::{DbEnv, Error, IndexKind, Keyspace, KeyspaceOptions, Options, Result, Txn};

/// A snapshot that sees all.
const NOW: Timestamp = Timestamp::new(u64::MAX);
const PARTS: u32 = 1_000;
const EVENTS: u32 = 20_000;
/// Puts to a transaction.
const BATCH: u32 = 500;

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    // A memtable small enough for several flushes.
    let lsm = LsmConfig { memtable_bytes: 512 << 10, ..LsmConfig::default() };
    let env = DbEnv::open(dir.path().join("home"), Options { lsm, ..Options::default() })?;
    any_ordered_index_is_a_level(&env)?;
    a_keyspace_among_others(&env)?;
    env.close()
}

/// The stock of a shop: a catalogue, and two levels of changes above it.
fn any_ordered_index_is_a_level(env: &DbEnv) -> Result<()> {
    let newest = filled(env, "newest", IndexKind::SKIPLIST, 7, b"sold out")?;
    let changes = filled(env, "changes", IndexKind::RAX, 3, b"few left")?;
    let catalogue = filled(env, "catalogue", IndexKind::BTREE, 1, b"in stock")?;
    let merged = env.transact(|txn| env.create_keyspace(txn, "merged", KeyspaceOptions::default()))?;

    let snapshot = env.snapshot()?;
    let all = [&newest, &changes, &catalogue].map(|space| snapshot.level(space));
    let levels = Levels::new(all.iter().map(|level| level as &dyn Level).collect());
    for (number, expected) in [(1, "in stock"), (3, "few left"), (7, "sold out"), (21, "sold out")] {
        assert_eq!(levels.get(&part(number), NOW)?, Some(expected.into()));
    }
    println!("over a skiplist, a radix tree and a B+tree: part 21 is sold out, part 3 has few left");

    let keep = Keep::new(Vec::new(), NOW, true)?;
    let steps = env.transact(|txn| {
        let mut merge = Merge::new(levels.layers()?, keep.clone(), Box::new(|_, _| {}));
        let (mut into, mut steps) = (Into { txn, space: &merged }, 1);
        // A few KiB at a time, as somebody who writes might pay for them.
        while !merge.step(4 << 10, &mut into)?.is_done {
            steps += 1;
        }
        Ok(steps)
    })?;

    let mut cursor = levels.cursor(NOW);
    let mut rows = 0;
    for row in env.snapshot()?.iter(&merged)? {
        let (key, value) = row?;
        let there = cursor.next()?.map(|row| (row.key.to_vec(), row.value.to_vec()));
        assert_eq!(there, Some((key, value)));
        rows += 1;
    }
    assert!(cursor.next()?.is_none() && rows == PARTS);
    println!("merged in {steps} steps into a B+tree: {rows} parts, as the three levels say");
    Ok(())
}

/// A keyspace with every so manieth part.
fn filled(env: &DbEnv, name: &str, kind: IndexKind, every: usize, value: &[u8]) -> Result<Keyspace> {
    env.transact(|txn| {
        let space = env.create_keyspace(txn, name, KeyspaceOptions::of(kind))?;
        (0..PARTS).step_by(every).try_for_each(|number| txn.put(&space, &part(number), value))?;
        Ok(space)
    })
}

/// Takes what a merge leaves into a keyspace.
struct Into<'a> {
    txn: &'a mut Txn,
    space: &'a Keyspace,
}

impl Sink for Into<'_> {
    fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        self.txn.put(self.space, entry.key, entry.value)
    }
}

fn part(number: u32) -> Vec<u8> {
    format!("part-{number:04}").into_bytes()
}

/// Events in an LSM tree, their count in a B+tree.
fn a_keyspace_among_others(env: &DbEnv) -> Result<()> {
    let (events, counts) = env.transact(|txn| {
        let events = env.create_keyspace(txn, "events", KeyspaceOptions::of(IndexKind::LSM))?;
        Ok((events, env.create_keyspace(txn, "counts", KeyspaceOptions::of(IndexKind::BTREE))?))
    })?;
    let tree = env.lsm(&events).ok_or_else(|| Error::invalid("`events` is an LSM tree"))?;

    for batch in 0..EVENTS / BATCH {
        env.transact(|txn| {
            // Not in the order of keys: that is what an LSM tree is for.
            for number in (0..BATCH).map(|row| (batch * BATCH + row) * 7919 % EVENTS) {
                txn.put(&events, &event(number), format!("what happened as event {number}").as_bytes())?;
            }
            txn.put(&counts, b"events", &((batch + 1) * BATCH).to_be_bytes())
        })?;
    }
    tree.flush()?;
    println!("flushed:  {}", shape(&tree));

    let before = env.snapshot()?;
    env.transact(|txn| {
        (0..EVENTS / 2).try_for_each(|number| txn.delete(&events, &event(number)).map(drop))?;
        txn.put(&counts, b"events", &(EVENTS / 2).to_be_bytes())
    })?;
    let undone = env.transact(|txn| {
        txn.put(&events, b"event-never", b"")?;
        txn.put(&counts, b"events", &0_u32.to_be_bytes())?;
        Err::<(), _>(Error::invalid("changed my mind"))
    });
    assert!(undone.is_err());
    tree.flush()?;
    tree.merge_all()?;
    println!("merged:   {}", shape(&tree));

    let now = env.snapshot()?;
    for (at, rows) in [(&before, EVENTS), (&now, EVENTS / 2)] {
        assert_eq!(at.iter(&events)?.count() as u32, rows);
        assert_eq!(at.get(&counts, b"events")?, Some(rows.to_be_bytes().to_vec()));
    }
    println!(
        "a snapshot still shows {EVENTS} events, a new one {}, and the B+tree agrees with both",
        EVENTS / 2
    );
    drop((before, now));
    tree.merge_all()?;
    let stat = tree.stat();
    let written = stat.write_amplification().unwrap_or_default();
    println!(
        "written to runs for each byte put: {written:.1}; policy {:?}",
        stat.policy.expect("it has one").0
    );
    assert!(env.verify()?.problems.is_empty());
    Ok(())
}

fn event(number: u32) -> Vec<u8> {
    format!("event-{number:06}").into_bytes()
}

/// The levels of a tree: runs, entries, tombstones.
fn shape(tree: &Lsm) -> String {
    let levels = tree.stat().levels;
    let levels = levels.iter().enumerate().filter(|(_, level)| level.runs > 0).map(|(number, level)| {
        let (runs, entries, tombstones) = (level.runs, level.entries, level.tombstones);
        format!("level {number}: {runs} runs, {entries} entries, {tombstones} tombstones")
    });
    levels.collect::<Vec<_>>().join("; ")
}
