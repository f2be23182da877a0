//! Levels of any kind: what is read through them, and what merges leave, is what a plain list says.

use crate::runs::{BLOOM, FILE, build, home, range};
use aether_lsm::index::txn::recovery::wal::buffer::BufferConfig;
use aether_lsm::index::txn::recovery::{FIRST_TREE_ROOT, Store, StoreConfig};
use aether_lsm::index::txn::{Durability, TxnConfig, TxnManager};
use aether_lsm::index::{BTree, TreeUndo};
use aether_lsm::levels::{Cursor, IndexLevel, Level, Levels, LevelsCursor};
use aether_lsm::merge::{Keep, Merge, OwnedEntry, Sink, Source};
use aether_lsm::run::{Entry, Kind, RangeTombstone, Run, RunBuilder};
use aether_types::{FileId, Result, Timestamp};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// A sorted source that is neither a run nor a memtable.
#[derive(Clone, Default, Debug)]
struct List {
    versions: Vec<OwnedEntry>,
    ranges: Vec<RangeTombstone>,
}

/// Before the first version at 0, behind the last one at their number and one.
struct At<'a>(&'a [OwnedEntry], usize);

impl Level for List {
    fn cursor(&self) -> Box<dyn Cursor + '_> {
        Box::new(At(&self.versions, 0))
    }

    fn range_tombstones(&self) -> Vec<RangeTombstone> {
        self.ranges.clone()
    }
}

impl Source for At<'_> {
    fn entry(&self) -> Option<Entry<'_>> {
        self.0.get(self.1.checked_sub(1)?).map(OwnedEntry::as_entry)
    }

    fn advance(&mut self) -> Result<()> {
        self.1 = (self.1 + 1).min(self.0.len() + 1);
        Ok(())
    }
}

impl Cursor for At<'_> {
    fn first(&mut self) -> Result<()> {
        self.1 = 1;
        Ok(())
    }

    fn last(&mut self) -> Result<()> {
        self.1 = self.0.len();
        Ok(())
    }

    fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.1 = 1 + self.0.partition_point(|entry| *entry.key < *key);
        Ok(())
    }

    fn back(&mut self) -> Result<()> {
        self.1 = self.1.saturating_sub(1);
        Ok(())
    }
}

impl Sink for List {
    fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        let Entry { key, timestamp, kind, value } = *entry;
        self.versions.push(OwnedEntry { key: key.to_vec(), timestamp, kind, value: value.to_vec() });
        Ok(())
    }
}

fn entry(key: u8, timestamp: u64, value: Option<u8>) -> OwnedEntry {
    let kind = if value.is_some() { Kind::Value } else { Kind::Tombstone };
    let value = value.into_iter().collect();
    OwnedEntry { key: vec![key], timestamp: Timestamp::new(timestamp), kind, value }
}

/// Levels in which timestamps fall from version to version, but for those that all snapshots see, which come last.
fn history() -> impl Strategy<Value = Vec<List>> {
    let version = (0..6_u8, prop::option::of(any::<u8>()), any::<bool>());
    let level = prop::collection::vec(version, 0..12);
    prop::collection::vec(level, 1..5).prop_map(|levels| {
        let count = levels.iter().map(Vec::len).sum::<usize>() as u64;
        let mut timestamp = count + 1;
        let mut bare = [false; 6];
        levels
            .into_iter()
            .map(|level| {
                let mut list = List::default();
                for (key, value, is_bare) in level {
                    timestamp -= 1;
                    bare[usize::from(key)] |= is_bare && timestamp < count / 3;
                    let seen_from = if bare[usize::from(key)] { 0 } else { timestamp };
                    list.versions.push(entry(key, seen_from, value));
                }
                list.versions.sort_by(|a, b| a.key.cmp(&b.key));
                list
            })
            .collect()
    })
}

fn with_ranges() -> impl Strategy<Value = Vec<List>> {
    let ranges = prop::collection::vec((0..7_u8, 0..7_u8, 0..50_u64), 0..3);
    (history(), prop::collection::vec(ranges, 5)).prop_map(|(mut lists, ranges)| {
        for (list, ranges) in lists.iter_mut().zip(ranges) {
            let real = ranges.into_iter().filter(|(from, to, _)| from < to);
            list.ranges = real.map(|(from, to, at)| range(&[from], &[to], at)).collect();
        }
        lists
    })
}

fn levels(lists: &[List]) -> Levels<'_> {
    Levels::new(lists.iter().map(|list| list as &dyn Level).collect())
}

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// What a snapshot sees, from all versions in the order of levels.
fn oracle(lists: &[List], snapshot: u64) -> Rows {
    let see = |key: u8| {
        let newest = lists.iter().find_map(|list| says(list, key, snapshot))?;
        Some((vec![key], newest?))
    };
    (0..6).filter_map(see).collect()
}

/// The value that a level has, or none if it says that the key is gone.
fn says(list: &List, key: u8, snapshot: u64) -> Option<Option<Vec<u8>>> {
    let is_seen = |timestamp: Timestamp| timestamp.get() <= snapshot;
    let version = list.versions.iter().find(|entry| entry.key == [key] && is_seen(entry.timestamp));
    let covering = list.ranges.iter().filter(|range| range.covers(&[key]) && is_seen(range.timestamp));
    let gone = covering.map(|range| range.timestamp).max();
    match version {
        Some(version) if gone.is_none_or(|gone| gone <= version.timestamp) => {
            Some((version.kind != Kind::Tombstone).then(|| version.value.clone()))
        }
        version => (version.is_some() || gone.is_some()).then_some(None),
    }
}

fn up(cursor: &mut LevelsCursor<'_>) -> Rows {
    let next = || cursor.next().unwrap().map(|row| (row.key.to_vec(), row.value.to_vec()));
    std::iter::from_fn(next).collect()
}

fn down(cursor: &mut LevelsCursor<'_>) -> Rows {
    let prev = || cursor.prev().unwrap().map(|row| (row.key.to_vec(), row.value.to_vec()));
    std::iter::from_fn(prev).collect()
}

fn scan(lists: &[List], from: &[u8], snapshot: u64) -> Rows {
    let mut cursor = levels(lists).cursor(Timestamp::new(snapshot));
    cursor.seek(from);
    up(&mut cursor)
}

/// Keys, values and timestamps.
fn bytes(lists: &[List]) -> u64 {
    let versions = lists.iter().flat_map(|list| &list.versions);
    versions.map(|entry| (entry.key.len() + entry.value.len() + 8) as u64).sum()
}

fn merge(lists: &[List], snapshots: &[u64], is_bottom: bool, step_bytes: u64) -> List {
    let snapshots = snapshots.iter().map(|snapshot| Timestamp::new(*snapshot)).collect();
    let keep = Keep::new(snapshots, Timestamp::new(0), is_bottom).unwrap();
    let mut merge = Merge::new(levels(lists).layers().unwrap(), keep, Box::new(|_, _| ()));
    let (mut merged, mut left) = (List::default(), bytes(lists));
    loop {
        let progress = merge.step(step_bytes, &mut merged).unwrap();
        assert!(progress.bytes < step_bytes + 16);
        assert!(progress.is_done || progress.bytes >= step_bytes);
        left -= progress.bytes;
        if progress.is_done {
            assert_eq!(left, 0, "all was read, step by step");
            return merged;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_sees_what_a_list_says(lists in with_ranges(), snapshot in 0..50_u64, from in 0..6_u8) {
        let all = oracle(&lists, snapshot);
        for key in 0..6_u8 {
            let value = all.iter().find(|(there, _)| *there == [key]).map(|(_, value)| value.clone());
            prop_assert_eq!(levels(&lists).get(&[key], Timestamp::new(snapshot)).unwrap(), value);
        }
        let (below, above): (Rows, Rows) = all.into_iter().partition(|(key, _)| *key < vec![from]);
        prop_assert_eq!(scan(&lists, &[from], snapshot), above.clone());
        let mut cursor = levels(&lists).cursor(Timestamp::new(snapshot));
        cursor.seek(&[from]);
        prop_assert_eq!(down(&mut cursor), below.iter().rev().cloned().collect::<Rows>());
        prop_assert_eq!(up(&mut cursor), [below, above].concat());
    }

    #[test]
    fn a_merge_changes_no_answer_of_a_snapshot_in_use(
        lists in history(),
        from in 0..3_usize,
        snapshots in prop::collection::vec(0..50_u64, 0..3),
        step_bytes in 1..200_u64,
    ) {
        // Older levels stay: removals must, too.
        let merged = &lists[..lists.len() - from.min(lists.len() - 1)];
        let is_bottom = merged.len() == lists.len();
        let mut after = vec![merge(merged, &snapshots, is_bottom, step_bytes)];
        after.extend_from_slice(&lists[merged.len()..]);
        for snapshot in snapshots.iter().chain([&u64::MAX]) {
            prop_assert_eq!(scan(&after, &[], *snapshot), oracle(&lists, *snapshot));
        }
        for key in 0..6_u8 {
            let left: Vec<_> = after[0].versions.iter().filter(|entry| entry.key == [key]).collect();
            prop_assert!(left.len() <= snapshots.len() + 1, "more than anybody sees: {left:?}");
            prop_assert!(!is_bottom || left.last().is_none_or(|entry| entry.kind != Kind::Tombstone), "{left:?}");
        }
    }
}

fn tree() -> BTree {
    let buffer = BufferConfig {
        num_frames: 64,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let store = Store::volatile(StoreConfig { buffer, ..StoreConfig::default() }).unwrap();
    let config = TxnConfig::new(Durability::None);
    let txns = TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, Box::new(TreeUndo)).unwrap();
    BTree::open(txns, FIRST_TREE_ROOT, 1)
}

/// Keys of a level, with a turn at each.
fn zigzag(level: &dyn Level) -> Vec<Vec<u8>> {
    let mut cursor = level.cursor();
    let key = |cursor: &dyn Cursor| cursor.entry().map(|entry| entry.key.to_vec());
    let mut keys = Vec::new();
    cursor.first().unwrap();
    while let Some(here) = key(&*cursor) {
        cursor.back().unwrap();
        assert_eq!(key(&*cursor), keys.last().cloned(), "back from {here:?}");
        cursor.advance().unwrap();
        assert_eq!(key(&*cursor).as_ref(), Some(&here), "and on again");
        keys.push(here);
        cursor.advance().unwrap();
    }
    for wanted in keys.iter().rev() {
        cursor.back().unwrap();
        assert_eq!(key(&*cursor).as_ref(), Some(wanted), "down from beyond the end");
    }
    cursor.last().unwrap();
    assert_eq!(key(&*cursor).as_ref(), keys.last());
    cursor.advance().unwrap();
    assert_eq!(key(&*cursor), None);
    keys
}

#[test]
fn a_cursor_of_a_level_turns_anywhere() {
    let (home, tree) = (home(64), tree());
    let key = |number: u8| vec![b'k', number];
    let mut txn = tree.manager().begin();
    (0..200).for_each(|number| tree.put(&mut txn, &key(number), b"tree").unwrap());
    txn.commit().unwrap();
    let run: Vec<_> = (0..200).map(|number| (key(number), 7, Kind::Value, vec![number; 100])).collect();
    build(&home, FILE, BLOOM, &run, &[]).unwrap().unwrap();
    let versions: Vec<_> = (0..200).map(|number| entry(number, 3, Some(number))).collect();
    let list = List { versions, ranges: Vec::new() };
    let keys: Vec<_> = (0..200).map(key).collect();
    assert_eq!(zigzag(&Run::open(&home, FILE).unwrap()), keys);
    assert_eq!(zigzag(&IndexLevel::new(&tree, &tree.manager().view())), keys);
    assert_eq!(zigzag(&list).len(), 200);
}

/// A run above a B+tree above a list: read both ways, and merged into a run.
#[test]
fn a_run_and_an_index_are_levels() {
    let (home, tree) = (home(64), tree());
    let key = |number: u32| format!("key {number:04}").into_bytes();
    let mut txn = tree.manager().begin();
    for number in (0..900).filter(|number| number % 3 != 0) {
        tree.put(&mut txn, &key(number), b"tree").unwrap();
    }
    txn.commit().unwrap();
    let run: Vec<_> = (0..900)
        .step_by(5)
        .map(|number| {
            if number % 2 == 0 {
                (key(number), 7, Kind::Value, b"run".to_vec())
            } else {
                (key(number), 7, Kind::Tombstone, Vec::new())
            }
        })
        .collect();
    build(&home, FILE, BLOOM, &run, &[range(&key(600), &key(700), 6)]).unwrap().unwrap();
    let list = (0..900).map(|number| OwnedEntry {
        key: key(number),
        timestamp: Timestamp::new(0),
        kind: Kind::Value,
        value: b"list".to_vec(),
    });
    let list = List { versions: list.collect(), ranges: Vec::new() };
    let value = |number: u32| match number {
        _ if number.is_multiple_of(10) => Some("run"),
        _ if number.is_multiple_of(5) || (600..700).contains(&number) => None,
        _ if !number.is_multiple_of(3) => Some("tree"),
        _ => Some("list"),
    };
    let rows: BTreeMap<_, _> =
        (0..900).filter_map(|number| Some((key(number), value(number)?.into()))).collect();
    let rows: Rows = rows.into_iter().collect();
    let (run, view) = (Run::open(&home, FILE).unwrap(), tree.manager().view());
    let index = IndexLevel::new(&tree, &view);
    let levels = Levels::new(vec![&run, &index, &list]);
    let mut cursor = levels.cursor(Timestamp::new(9));
    assert_eq!(up(&mut cursor), rows);
    assert_eq!(down(&mut cursor), rows.iter().rev().cloned().collect::<Rows>());
    for number in (0..900).step_by(7) {
        assert_eq!(levels.get(&key(number), Timestamp::new(9)).unwrap(), value(number).map(Vec::from));
        cursor.seek_behind(&key(number));
        let below = rows.partition_point(|row| row.0 <= key(number));
        for _ in 0..2 {
            assert_eq!(
                cursor.prev().unwrap().map(|row| row.key.to_vec()),
                below.checked_sub(1).map(|at| rows[at].0.clone())
            );
            assert_eq!(
                cursor.next().unwrap().map(|row| row.key.to_vec()),
                below.checked_sub(1).map(|at| rows[at].0.clone())
            );
        }
        assert_eq!(
            cursor.next().unwrap().map(|row| row.key.to_vec()),
            rows.get(below).map(|row| row.0.clone())
        );
    }
    let keep = Keep::new(Vec::new(), Timestamp::new(9), true).unwrap();
    let mut merge = Merge::new(levels.layers().unwrap(), keep, Box::new(|_, _| ()));
    let mut builder = RunBuilder::new(&home, FileId::new(8), BLOOM).unwrap();
    merge.write_to(&mut builder).unwrap();
    assert_eq!(builder.finish().unwrap().unwrap().entries, rows.len() as u64);
    let merged = Run::open(&home, FileId::new(8)).unwrap();
    assert_eq!(up(&mut Levels::new(vec![&merged]).cursor(Timestamp::new(0))), rows);
}
