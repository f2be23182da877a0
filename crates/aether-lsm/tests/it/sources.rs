//! Levels of any kind: what is read through them, and what merges leave, is what a plain list says.

use aether_lsm::levels::{Cursor, Entry, Level, Levels, Merge, Retention, Sink};
use aether_types::{Result, Timestamp};
use proptest::prelude::*;

/// A sorted source that is neither a run nor a memtable.
#[derive(Clone, Default, Debug)]
struct List(Vec<Entry>);

struct At<'a>(&'a [Entry]);

impl Level for List {
    fn cursor(&self, from: &[u8]) -> Result<Box<dyn Cursor + '_>> {
        Ok(Box::new(At(&self.0[self.0.partition_point(|entry| *entry.key < *from)..])))
    }
}

impl Cursor for At<'_> {
    fn entry(&self) -> Option<&Entry> {
        self.0.first()
    }

    fn advance(&mut self) -> Result<()> {
        self.0 = self.0.get(1..).unwrap_or_default();
        Ok(())
    }
}

impl Sink for List {
    fn add(&mut self, entry: Entry) -> Result<()> {
        self.0.push(entry);
        Ok(())
    }
}

fn entry(key: u8, timestamp: u64, value: Option<u8>) -> Entry {
    Entry { key: vec![key], timestamp: Timestamp::new(timestamp), value: value.map(|value| vec![value]) }
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
                    list.0.push(entry(key, seen_from, value));
                }
                list.0.sort_by(|a, b| a.key.cmp(&b.key));
                list
            })
            .collect()
    })
}

fn levels(lists: &[List]) -> Vec<&dyn Level> {
    lists.iter().map(|list| list as &dyn Level).collect()
}

/// What a snapshot sees, from all versions in the order of levels.
fn oracle(lists: &[List], snapshot: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let see = |key: u8| {
        let mut versions = lists.iter().flat_map(|list| &list.0).filter(|entry| entry.key == [key]);
        let newest = versions.find(|entry| entry.timestamp.get() <= snapshot)?;
        Some((vec![key], newest.value.clone()?))
    };
    (0..6).filter_map(see).collect()
}

fn scan(lists: &[List], from: &[u8], snapshot: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let levels = Levels::new(levels(lists));
    levels.scan(from, Timestamp::new(snapshot)).unwrap().map(Result::unwrap).collect()
}

fn merge(lists: &[List], snapshots: &[u64], is_bottom: bool, step_bytes: u64) -> List {
    let snapshots: Vec<_> = snapshots.iter().map(|snapshot| Timestamp::new(*snapshot)).collect();
    let mut merge = Merge::new(&levels(lists), Retention::new(&snapshots, is_bottom)).unwrap();
    let mut merged = List::default();
    loop {
        let progress = merge.step(step_bytes, &mut merged).unwrap();
        assert!(progress.bytes < step_bytes + 16);
        if progress.is_done {
            return merged;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reader_sees_what_a_list_says(lists in history(), snapshot in 0..50_u64, from in 0..6_u8) {
        let expected = oracle(&lists, snapshot);
        let levels = Levels::new(levels(&lists));
        for key in 0..6_u8 {
            let value = expected.iter().find(|(there, _)| *there == [key]).map(|(_, value)| value.clone());
            prop_assert_eq!(levels.get(&[key], Timestamp::new(snapshot)).unwrap(), value);
        }
        let expected: Vec<_> = expected.into_iter().filter(|(key, _)| *key >= vec![from]).collect();
        prop_assert_eq!(scan(&lists, &[from], snapshot), expected);
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
            let left: Vec<_> = after[0].0.iter().filter(|entry| entry.key == [key]).collect();
            prop_assert!(left.len() <= snapshots.len() + 1, "more than anybody sees: {left:?}");
            prop_assert!(!is_bottom || left.last().is_none_or(|entry| entry.value.is_some()), "{left:?}");
        }
    }
}
