//! Merges against a model: a history of transactions, cut into layers, read through any number of merges as it was.

use crate::runs::{BLOOM, FILE, Version, build, get, home, range};
use aether_lsm::index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_lsm::merge::{Keep, Layer, Merge, OwnedEntry, Pulled, Sorted};
use aether_lsm::run::{BuildOptions, Entry, Kind, RangeTombstone, Run, RunBuilder, RunHome, ingest};
use aether_types::{Error, ErrorKind, FileId, Result, Timestamp};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// What a transaction does: first ranges go, then keys change.
#[derive(Clone, Debug)]
struct Commit {
    ranges: Vec<(u8, u8)>,
    rows: BTreeMap<u8, Option<u8>>,
    /// A new memtable begins in the middle of it, or not.
    cut: bool,
    /// And after it, or not.
    flush: bool,
}

fn commit() -> impl Strategy<Value = Commit> {
    let ranges = prop::collection::vec((0_u8..24, 0_u8..24), 0..2);
    let rows = prop::collection::btree_map(0_u8..24, prop::option::weighted(0.7, any::<u8>()), 0..6);
    let flags = (prop::bool::weighted(0.05), prop::bool::weighted(0.3), prop::bool::weighted(0.25));
    (ranges, rows, flags).prop_map(|(ranges, rows, (cut, flush, with_ranges))| {
        let ranges = ranges.into_iter().filter(|(from, to)| with_ranges && from < to).collect();
        Commit { ranges, rows, cut, flush }
    })
}

/// A layer: versions of each key by timestamp, and ranges.
#[derive(Clone, Default, Debug)]
struct Content {
    versions: BTreeMap<u8, BTreeMap<u64, Option<u8>>>,
    ranges: Vec<RangeTombstone>,
}

impl Content {
    fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.ranges.is_empty()
    }

    fn versions(&self) -> Vec<Version> {
        let of = |(key, states): (&u8, &BTreeMap<u64, Option<u8>>)| {
            let state = |(&at, value): (&u64, &Option<u8>)| match value {
                Some(value) => {
                    (vec![*key], at, if value % 4 == 0 { Kind::Stub } else { Kind::Value }, vec![*value; 3])
                }
                None => (vec![*key], at, Kind::Tombstone, Vec::new()),
            };
            states.iter().rev().map(state).collect::<Vec<_>>()
        };
        self.versions.iter().flat_map(of).collect()
    }
}

/// The layers of a history, newest first; transaction n has the timestamp n + 1.
fn layers(history: &[Commit]) -> Vec<Content> {
    let mut layers = vec![Content::default()];
    for (at, commit) in (1..).zip(history) {
        let top = layers.last_mut().unwrap();
        top.ranges.extend(commit.ranges.iter().map(|(from, to)| range(&[*from], &[*to], at)));
        if commit.cut {
            layers.push(Content::default());
        }
        let top = layers.last_mut().unwrap();
        for (key, value) in &commit.rows {
            top.versions.entry(*key).or_default().insert(at, *value);
        }
        if commit.flush {
            layers.push(Content::default());
        }
    }
    layers.retain(|layer| !layer.is_empty());
    layers.reverse();
    layers
}

/// The value of a key at a snapshot.
fn expected(history: &[Commit], key: u8, snapshot: u64) -> Option<u8> {
    let mut value = None;
    for (_, commit) in (1..).zip(history).take_while(|(at, _): &(u64, _)| *at <= snapshot) {
        if commit.ranges.iter().any(|(from, to)| (*from..*to).contains(&key)) {
            value = None;
        }
        value = commit.rows.get(&key).copied().unwrap_or(value);
    }
    value
}

/// The value of a key through all layers.
fn read(layers: &[Arc<Run>], key: u8, snapshot: u64) -> Option<u8> {
    let answer = layers.iter().find_map(|run| get(run, &[key], snapshot).unwrap());
    answer.filter(|(_, kind, _)| *kind != Kind::Tombstone).map(|(.., value)| value[0])
}

struct Bench {
    home: RunHome,
    next: u32,
    dropped: BTreeSet<(Vec<u8>, Vec<u8>)>,
}

impl Bench {
    fn file(&mut self) -> FileId {
        self.next += 1;
        FileId::new(self.next)
    }

    fn open(&mut self, content: &Content) -> Arc<Run> {
        let file = self.file();
        build(&self.home, file, BLOOM, &content.versions(), &content.ranges).unwrap().unwrap();
        Run::open(&self.home, file).unwrap()
    }

    fn merge(&mut self, runs: &[Arc<Run>], keep: Keep) -> Option<Arc<Run>> {
        let file = self.file();
        let dropped = &mut self.dropped;
        let note = |key: &[u8], stub: &[u8]| {
            dropped.insert((key.to_vec(), stub.to_vec()));
        };
        let layers = runs.iter().map(|run| Layer::run(run).unwrap()).collect();
        let mut merge = Merge::new(layers, keep, Box::new(note));
        let mut builder = RunBuilder::new(&self.home, file, BuildOptions::default()).unwrap();
        merge.write_to(&mut builder).unwrap();
        builder.finish().unwrap().map(|_| Run::open(&self.home, file).unwrap())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_snapshot_reads_through_merges_what_was_there(
        history in prop::collection::vec(commit(), 1..40),
        snapshots in prop::collection::btree_set(0_u64..40, 0..6),
        merges in prop::collection::vec((any::<prop::sample::Index>(), 1_usize..5, 0_u64..12, 0_usize..3), 1..6),
    ) {
        let mut bench = Bench { home: home(300), next: FILE.get(), dropped: BTreeSet::new() };
        let mut runs: Vec<_> = layers(&history).iter().map(|layer| bench.open(layer)).collect();
        let newest = history.len() as u64;
        let (mut settled, mut snapshots) = (0, snapshots);
        snapshots.retain(|snapshot| *snapshot <= newest);
        for (at, count, rise, ended) in merges {
            if runs.is_empty() {
                break;
            }
            // Readers end, the oldest first; new ones would see all.
            snapshots = snapshots.into_iter().skip(ended).collect();
            settled = (settled + rise).min(snapshots.first().copied().unwrap_or(newest));
            let first = at.index(runs.len());
            let end = (first + count).min(runs.len());
            let stamps = snapshots.iter().copied().map(Timestamp::new).collect();
            let keep = Keep::new(stamps, Timestamp::new(settled), end == runs.len()).unwrap();
            let merged = bench.merge(&runs[first..end], keep);
            if let Some(run) = &merged {
                check_thrift(run, &snapshots, settled, end == runs.len());
            }
            runs.splice(first..end, merged);
            for snapshot in snapshots.iter().copied().chain([newest, u64::MAX]) {
                for key in 0..25 {
                    prop_assert_eq!(read(&runs, key, snapshot), expected(&history, key, snapshot), "key {} at {}", key, snapshot);
                }
            }
        }
        // With nobody left but who sees all: rows alone, each once.
        let keep = Keep::new(Vec::new(), Timestamp::new(newest), true).unwrap();
        let live = (0..25).filter(|key| expected(&history, *key, newest).is_some()).count() as u64;
        let last = bench.merge(&runs, keep);
        let info = last.as_ref().map(|run| run.info().clone());
        prop_assert_eq!(info.as_ref().map_or(0, |info| info.entries), live);
        prop_assert_eq!(info.map(|info| (info.tombstones, info.range_tombstones, info.newest.get())), (live > 0).then_some((0, 0, 0)));
        let rows: BTreeSet<_> = (0..25).filter_map(|key| expected(&history, key, newest).map(|value| (vec![key], vec![value; 3]))).collect();
        prop_assert!(bench.dropped.iter().all(|(_, stub)| stub[0] % 4 == 0));
        for (key, _, kind, value) in layers(&history).iter().flat_map(Content::versions) {
            let stub = (key, value);
            let is_known = kind != Kind::Stub || rows.contains(&stub) || bench.dropped.contains(&stub);
            prop_assert!(is_known, "{:?} was lost", stub);
        }
    }
}

/// No more versions of a key than there are snapshots that tell them apart, and one; nothing settled keeps its timestamp.
fn check_thrift(run: &Arc<Run>, snapshots: &BTreeSet<u64>, settled: u64, is_bottom: bool) {
    let mut cursor = aether_lsm::run::RunCursor::new(run.clone());
    let mut counts: BTreeMap<Vec<u8>, (usize, Kind)> = BTreeMap::new();
    cursor.first().unwrap();
    while let Some(entry) = cursor.entry() {
        let count = counts.entry(entry.key.to_vec()).or_insert((0, entry.kind));
        *count = (count.0 + 1, entry.kind);
        assert!(count.0 <= snapshots.len() + 1, "{entry:?}");
        assert!(entry.timestamp.get() == 0 || entry.timestamp.get() > settled, "{entry:?}");
        cursor.forward().unwrap();
    }
    assert!(!is_bottom || counts.values().all(|(_, last)| *last != Kind::Tombstone));
    let idle = |range: &RangeTombstone| range.timestamp.get() == 0;
    assert!(!is_bottom || !run.range_tombstones().any(|range| idle(&range)));
}

fn owned(key: &str, timestamp: u64, kind: Kind) -> OwnedEntry {
    let value = if kind == Kind::Tombstone { Vec::new() } else { b"v".to_vec() };
    OwnedEntry { key: key.into(), timestamp: Timestamp::new(timestamp), kind, value }
}

fn layer(entries: Vec<OwnedEntry>, ranges: Vec<RangeTombstone>) -> Layer<'static> {
    Layer { source: Box::new(Sorted::new(entries)), ranges }
}

fn merged(
    layers: Vec<Layer<'_>>,
    snapshots: &[u64],
    settled: u64,
    is_bottom: bool,
) -> Result<Vec<(String, u64, Kind)>> {
    let snapshots = snapshots.iter().copied().map(Timestamp::new).collect();
    let keep = Keep::new(snapshots, Timestamp::new(settled), is_bottom)?;
    let mut merge = Merge::new(layers, keep, Box::new(|_, _| ()));
    let mut all = Vec::new();
    loop {
        match merge.pull(1)? {
            Pulled::Kept(Entry { key, timestamp, kind, .. }) => {
                all.push((String::from_utf8(key.to_vec()).unwrap(), timestamp.get(), kind));
            }
            Pulled::Nothing => {}
            Pulled::End => return Ok(all),
        }
    }
}

/// Where nothing is kept a pull read all there was.
#[test]
fn a_pull_comes_back_though_nothing_is_kept() {
    const BYTES: u64 = 512;
    let keys = (0..2000).map(|number| format!("{number:05}"));
    let (old, gone): (Vec<_>, _) =
        (keys.map(|key| owned(&key, 0, Kind::Value)).collect(), range(b"0", b"1", 9));
    let dead = (0..2000).map(|number| owned(&format!("1{number:05}"), 0, Kind::Tombstone)).collect();
    let layers =
        vec![layer(vec![owned("2", 0, Kind::Value)], vec![gone]), layer(old, vec![]), layer(dead, vec![])];
    let keep = Keep::new(Vec::new(), Timestamp::new(9), true).unwrap();
    let (mut merge, mut kept, mut pulls) = (Merge::new(layers, keep, Box::new(|_, _| ())), 0, 0);
    loop {
        let before = merge.read_bytes();
        match merge.pull(BYTES).unwrap() {
            Pulled::Kept(_) => kept += 1,
            Pulled::Nothing => pulls += 1,
            Pulled::End => break,
        }
        let read = merge.read_bytes() - before;
        assert!(read <= BYTES + 20, "{read} bytes in one pull");
    }
    assert!(kept == 1 && pulls > 100, "{kept} versions in {pulls} pulls");
}

/// Bare rows have lost their timestamps: the order of layers alone says that they are newer.
#[test]
fn layers_tell_what_is_newer_not_timestamps() {
    let layers = || {
        vec![
            layer(vec![owned("a", 0, Kind::Value)], vec![]),
            layer(
                vec![owned("a", 50, Kind::Tombstone), owned("b", 40, Kind::Value)],
                vec![range(b"a", b"c", 45)],
            ),
            layer(vec![owned("a", 60, Kind::Value), owned("b", 7, Kind::Value)], vec![]),
        ]
    };
    let all = merged(layers(), &[60], 60, false).unwrap();
    assert_eq!(all, [("a".into(), 0, Kind::Value)]);
    assert_eq!(merged(layers(), &[60], 60, true).unwrap(), [("a".into(), 0, Kind::Value)]);
}

#[test]
fn tombstones_stay_while_something_older_does() {
    let layers = || {
        vec![layer(
            vec![owned("a", 9, Kind::Tombstone), owned("a", 5, Kind::Value), owned("b", 9, Kind::Tombstone)],
            vec![],
        )]
    };
    assert_eq!(
        merged(layers(), &[6], 3, true).unwrap(),
        [("a".into(), 9, Kind::Tombstone), ("a".into(), 5, Kind::Value)]
    );
    assert_eq!(merged(layers(), &[9], 3, true).unwrap(), []);
    let above = [("a".into(), 9, Kind::Tombstone), ("b".into(), 9, Kind::Tombstone)];
    assert_eq!(merged(layers(), &[9], 3, false).unwrap(), above);
}

#[test]
fn what_layers_cannot_say_is_refused() {
    let layers =
        vec![layer(vec![owned("a", 0, Kind::Value)], vec![]), layer(vec![], vec![range(b"a", b"b", 45)])];
    let error = merged(layers, &[44], 40, false).unwrap_err();
    assert_eq!((error.kind(), error.place().key.as_deref()), (ErrorKind::Corruption, Some(&b"a"[..])));
    assert_eq!(merged(Vec::new(), &[3], 4, false).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(merged(Vec::new(), &[], 4, false).unwrap(), []);
}

#[test]
fn rows_out_of_order_are_no_run() {
    let home = home(16);
    let load = |keys: &[&str]| {
        let rows = keys.iter().map(|key| Ok((key.to_string(), "value")));
        ingest(&home, FILE, BLOOM, Timestamp::new(5), rows)
    };
    for (keys, what) in [(["a", "c", "b"], "must ascend"), (["a", "b", "b"], "twice")] {
        let error = load(&keys).unwrap_err();
        assert!(error.to_string().contains(what) && error.place().key.as_deref() == Some(b"b"), "{error}");
        assert!(home.leftovers(&BTreeSet::new()).unwrap().is_empty());
    }
    let broken = [Ok(("a", "1")), Err(Error::invalid("row 2 has no key"))];
    assert!(ingest(&home, FILE, BLOOM, Timestamp::new(5), broken).is_err());
    assert!(home.leftovers(&BTreeSet::new()).unwrap().is_empty() && load(&[]).unwrap().is_none());
    assert_eq!(load(&["a", "b", "c"]).unwrap().unwrap().entries, 3);
    let run = Run::open(&home, FILE).unwrap();
    assert_eq!(get(&run, b"b", 5).unwrap(), Some((5, Kind::Value, b"value".to_vec())));
    assert_eq!(get(&run, b"b", 4).unwrap(), None);
}
