//! The four kinds of keyspaces beside each other: the same rows, transactions, log and cursors.
//!
//! `cargo bench -p engine-benches --bench index_comparison [-- WORDS]` (kinds of keys or of indexes with one of the words);
//! `AETHER_BENCH_ROWS` sets the keys (1,000,000). Values of 8 bytes, all resident, one thread, durability `None`, on a directory of the
//! system's. Nanoseconds of CPU time a step, background threads included, medians of alternating rounds. Rows are inserted in mixed order,
//! 1,000 a transaction; misses lie between keys that are there; a step of `prefix` visits all keys with a prefix: 128 of the
//! integers, about 15 of the random ones, about 12 addresses. `LSM` is read as the load has left it, `merged` after all merges
//! that its policy wants.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::BufferConfig;
use aether_kv::{DbEnv, Durability, IndexKind, Keyspace, KeyspaceOptions, Options, Result};
use engine_benches::keys::{Kind, Work};
use engine_benches::{Cost, Rng, is_full, is_wanted, median, rows};
use std::hint::black_box;
use std::ops::Bound::{Included, Unbounded};

const KINDS: [(IndexKind, &str); 5] = [
    (IndexKind::BTREE, "B+tree"),
    (IndexKind::RAX, "RAX"),
    (IndexKind::SKIPLIST, "skiplist"),
    (IndexKind::LSM, "LSM"),
    (IndexKind::LSM, "LSM, merged"),
];
const CELLS: [&str; 5] = ["insert", "get", "miss", "scan 100", "prefix"];
const ROWS_PER_TXN: usize = 1000;
const SCAN: usize = 100;

type Figures = [Vec<f64>; CELLS.len()];

fn main() -> Result<()> {
    let rows = rows(1_000_000, 1_000);
    let rounds = if is_full() { 3 } else { 1 };
    println!("{rows} keys; ns of CPU time a step, medians of {rounds} rounds");
    for keys in Kind::ALL {
        let work = Work::new(keys, rows);
        let wanted: Vec<_> =
            KINDS.iter().filter(|kind| is_wanted(keys.name()) || is_wanted(kind.1)).collect();
        let mut figures: Vec<Figures> = wanted.iter().map(|_| Figures::default()).collect();
        for _ in 0..rounds {
            for ((kind, name), figures) in wanted.iter().zip(&mut figures) {
                run(*kind, name.ends_with("merged"), &work, figures)?;
            }
        }
        for ((_, name), figures) in wanted.iter().zip(figures) {
            let cells: Vec<_> =
                CELLS.iter().zip(figures).map(|(cell, all)| format!("{cell} {:.0}", median(all))).collect();
            println!("{}, {name:12} {}", keys.name(), cells.join(", "));
        }
    }
    Ok(())
}

fn run(kind: IndexKind, is_merged: bool, work: &Work, figures: &mut Figures) -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| aether_types::Error::invalid(error.to_string()))?;
    let num_frames = (work.present.len() / 8).max(4096);
    let buffer = BufferConfig { num_frames, ..BufferConfig::default() };
    let env =
        DbEnv::open(dir.path(), Options { buffer, durability: Durability::None, ..Options::default() })?;
    let mut txn = env.begin()?;
    let space = env.create_keyspace(&mut txn, "rows", KeyspaceOptions::of(kind))?;
    txn.commit()?;
    let count = work.present.len() as u64;
    let mut note = |cell: usize, cost: Cost| figures[cell].push(cost.cpu);
    note(0, Cost::per_step(count, || insert(&env, &space, work).expect("rows are inserted")));
    if let Some(tree) = env.lsm(&space).filter(|_| is_merged) {
        tree.flush()?;
        tree.merge_all()?;
    }
    let snapshot = env.snapshot()?;
    let get = |keys: &engine_benches::keys::Keys| {
        keys.iter().filter(|key| snapshot.get(&space, key).expect("it can be read").is_some()).count()
    };
    note(1, Cost::per_step(count, || assert_eq!(get(&work.hits) as u64, count)));
    note(2, Cost::per_step(count, || assert_eq!(get(&work.misses), 0)));
    let some: Vec<_> = work.hits.iter().step_by(20).collect();
    let each = |from: &[u8]| -> Result<usize> {
        let bounds = (Included(from.to_vec()), Unbounded::<Vec<u8>>);
        Ok(snapshot.range(&space, bounds)?.take(SCAN).map(|row| black_box(row).is_ok() as usize).sum())
    };
    let scan = || some.iter().for_each(|key| _ = black_box(each(key).expect("it can be scanned")));
    note(3, Cost::per_step(some.len() as u64, scan));
    let each =
        |prefix: &[u8]| -> Result<usize> { Ok(snapshot.prefix(&space, prefix)?.map(black_box).count()) };
    let prefixes = || {
        some.iter().for_each(|key| _ = black_box(each(prefix(work, key)).expect("it can be scanned")));
    };
    note(4, Cost::per_step(some.len() as u64, prefixes));
    drop(snapshot);
    env.close()
}

fn insert(env: &DbEnv, space: &Keyspace, work: &Work) -> Result<()> {
    let mut rng = Rng::new(11);
    let mut order: Vec<_> = (0..work.present.len()).collect();
    (1..order.len()).rev().for_each(|last| order.swap(last, rng.below(last as u64 + 1) as usize));
    for some in order.chunks(ROWS_PER_TXN) {
        let mut txn = env.begin()?;
        for number in some {
            txn.put(space, work.present.get(*number), &(*number as u64).to_le_bytes())?;
        }
        txn.commit()?;
    }
    Ok(())
}

/// The beginning of a key that some others share.
fn prefix<'k>(work: &Work, key: &'k [u8]) -> &'k [u8] {
    match work.kind {
        Kind::Integers => &key[..7],
        Kind::Random => &key[..2],
        Kind::Urls => &key[..key.len() - 8],
    }
}
