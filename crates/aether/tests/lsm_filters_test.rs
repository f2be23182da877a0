//! Filters of every kind: scans find what is there, and those that know of ranges spare runs.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::lsm::filter::FilterKind;
use aether::lsm::{LsmConfig, LsmStat};
use aether::{DbEnv, IndexKind, Keyspace, KeyspaceOptions, Options, Result};
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

struct World {
    env: DbEnv,
    space: Keyspace,
    model: Model,
    dice: u64,
    _dir: tempfile::TempDir,
}

impl World {
    fn new(filter_kind: FilterKind) -> Result<Self> {
        let dir = tempfile::TempDir::new().unwrap();
        let lsm = LsmConfig { filter_kind, filter_bits_per_key: 20.0, threads: 0, ..LsmConfig::default() };
        let env = DbEnv::open(dir.path(), Options { lsm, background: false, ..Options::default() })?;
        let space =
            env.transact(|txn| env.create_keyspace(txn, "rows", KeyspaceOptions::of(IndexKind::LSM)))?;
        Ok(Self { env, space, model: Model::new(), dice: 7, _dir: dir })
    }

    fn below(&mut self, end: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) % end
    }

    /// A run: keys that are far from each other, most of them in a part of its own; some are deleted, some in a range.
    fn run(&mut self, number: u64) -> Result<()> {
        let mut txn = self.env.begin()?;
        for _ in 0..2000 {
            let part = if self.below(8) == 0 { self.below(6) } else { number };
            let key = ((part << 40) | (self.below(2000) * 1000)).to_be_bytes();
            if self.below(5) == 0 {
                txn.delete(&self.space, &key)?;
                self.model.remove(&key[..]);
            } else {
                let value = vec![number as u8; 20];
                txn.put(&self.space, &key, &value)?;
                self.model.insert(key.to_vec(), value);
            }
        }
        txn.commit()?;
        self.tree_stat(true).map(drop)
    }

    fn tree_stat(&self, flush: bool) -> Result<LsmStat> {
        let tree = self.env.lsm(&self.space).expect("it is an LSM tree");
        if flush {
            tree.flush()?;
        }
        Ok(tree.stat())
    }

    /// Ranges that have rows and such as have none, from both ends.
    fn scan(&mut self) -> Result<()> {
        let snapshot = self.env.snapshot()?;
        for _ in 0..120 {
            let part = self.below(7);
            let start = (part << 40) | self.below(2_000_000);
            let length = [3, 900, 5000, 1 << 41][self.below(4) as usize];
            let (from, to) = (start.to_be_bytes().to_vec(), (start + length).to_be_bytes().to_vec());
            let bounds = match self.below(4) {
                0 => (Included(from), Included(to)),
                1 => (Excluded(from), Excluded(to)),
                2 => (Unbounded, Excluded(to)),
                _ => (Included(from), Unbounded),
            };
            let expected: Vec<_> =
                self.model.range(bounds.clone()).map(|(k, v)| (k.clone(), v.clone())).collect();
            let found = snapshot.range(&self.space, bounds.clone())?.collect::<Result<Vec<_>>>()?;
            assert_eq!(found, expected, "{bounds:?}");
            let mut back = snapshot.range(&self.space, bounds)?.rev().collect::<Result<Vec<_>>>()?;
            back.reverse();
            assert_eq!(back, expected);
            let prefix = &start.to_be_bytes()[..7];
            let found = snapshot.prefix(&self.space, prefix)?.collect::<Result<Vec<_>>>()?;
            let expected = self.model.iter().filter(|(key, _)| key.starts_with(prefix));
            assert_eq!(found, expected.map(|(k, v)| (k.clone(), v.clone())).collect::<Vec<_>>());
        }
        // Also where a run's next filter begins.
        for (key, value) in &self.model {
            let number = u64::from_be_bytes(key[..].try_into().unwrap());
            let from = number.saturating_sub(300).to_be_bytes().to_vec();
            let found = snapshot.range(&self.space, from..=key.clone())?.collect::<Result<Vec<_>>>()?;
            assert_eq!(found, [(key.clone(), value.clone())]);
        }
        Ok(())
    }
}

fn scans_find_what_is_there(kind: FilterKind) -> Result<u64> {
    let mut world = World::new(kind)?;
    for number in 0..6 {
        world.run(number)?;
    }
    world.scan()?;
    let spared = world.tree_stat(false)?.runs_spared;
    // A range tombstone stands in no filter: who has one is read.
    let (from, to) = ((2u64 << 40).to_be_bytes(), (3u64 << 40).to_be_bytes());
    world.env.transact(|txn| txn.delete_range(&world.space, from.to_vec()..to.to_vec()))?;
    world.model.retain(|key, _| key[..] < from[..] || key[..] >= to[..]);
    world.tree_stat(true)?;
    world.scan()?;
    world.env.lsm(&world.space).expect("it is an LSM tree").merge_all()?;
    world.scan()?;
    assert_eq!(world.env.verify()?.problems, Vec::<String>::new());
    Ok(spared)
}

#[test]
fn filters_of_points_spare_no_scan() {
    assert_eq!(scans_find_what_is_there(FilterKind::Bloom).unwrap(), 0);
    assert_eq!(scans_find_what_is_there(FilterKind::Ribbon).unwrap(), 0);
}

#[test]
fn tries_spare_runs_in_whose_parts_there_is_nothing() {
    assert!(scans_find_what_is_there(FilterKind::Surf).unwrap() > 1000);
}

#[test]
fn hashed_integers_spare_runs_for_short_ranges() {
    assert!(scans_find_what_is_there(FilterKind::Grafite).unwrap() > 1000);
}
