//! Runs against a model: whatever was built is read, by key and by cursor, at every snapshot.

use aether_lsm::filter::{KeyHash, Recipe, Suffix};
use aether_lsm::index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_lsm::index::txn::recovery::wal::buffer::{
    Budget, BufferConfig, NoGate, NoSource, Pool, PoolParts,
};
use aether_lsm::run::{
    Answer, BuildOptions, Codec, Entry, Kind, RangeTombstone, Run, RunBuilder, RunCursor, RunHome, RunInfo,
};
use aether_types::{ErrorKind, FileId, PageSize, Result, StoreId, Timestamp};
use aether_vfs::Env;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

pub(crate) const STORE: StoreId = StoreId::new([5; 16]);
pub(crate) const FILE: FileId = FileId::new(7);

/// A home in `env`, whose root is the directory.
pub(crate) fn home_in(env: Env, frames: usize, page_bytes: usize) -> RunHome {
    let config = BufferConfig {
        num_frames: frames,
        page_size: PageSize::new(page_bytes).unwrap(),
        enable_page_provider: false,
        prefetch_threads: 1,
        ..BufferConfig::default()
    };
    let (gate, source, budget) = (Arc::new(NoGate), Arc::new(NoSource), Budget::new(1 << 30));
    let parts = PoolParts { gate, double_write: None, source, store: STORE, budget };
    RunHome { env, dir: PathBuf::from("/"), store: STORE, pool: Pool::new(config, parts).unwrap() }
}

pub(crate) fn home(frames: usize) -> RunHome {
    home_in(Env::memory(), frames, 4096)
}

/// A version of a key.
pub(crate) type Version = (Vec<u8>, u64, Kind, Vec<u8>);

pub(crate) fn entry(version: &Version) -> Entry<'_> {
    let (key, timestamp, kind, value) = version;
    Entry { key, timestamp: Timestamp::new(*timestamp), kind: *kind, value }
}

pub(crate) fn owned(entry: Entry<'_>) -> Version {
    (entry.key.to_vec(), entry.timestamp.get(), entry.kind, entry.value.to_vec())
}

pub(crate) fn range(from: &[u8], to: &[u8], timestamp: u64) -> RangeTombstone {
    RangeTombstone { from: from.to_vec(), to: to.to_vec(), timestamp: Timestamp::new(timestamp) }
}

/// Builds a run.
pub(crate) fn build(
    home: &RunHome,
    file: FileId,
    options: BuildOptions,
    versions: &[Version],
    ranges: &[RangeTombstone],
) -> Result<Option<RunInfo>> {
    let mut builder = RunBuilder::new(home, file, options)?;
    ranges.iter().try_for_each(|range| builder.add_range(range.clone()))?;
    versions.iter().try_for_each(|version| builder.add(&entry(version)))?;
    builder.finish()
}

pub(crate) const BLOOM: BuildOptions =
    BuildOptions { filter: Some(Recipe::Bloom { bits_per_key: 10.0 }), codec: Codec::Lz4 };

pub(crate) fn all_options() -> Vec<BuildOptions> {
    let filters = [
        None,
        Some(Recipe::Bloom { bits_per_key: 10.0 }),
        Some(Recipe::Bloom { bits_per_key: 27.0 }),
        Some(Recipe::Ribbon { bits_per_key: 8.0 }),
        Some(Recipe::Surf { suffix: Suffix::Real(8) }),
        Some(Recipe::Grafite { bits_per_key: 11.0, seed: 3 }),
    ];
    let mut all: Vec<_> =
        filters.into_iter().map(|filter| BuildOptions { filter, codec: Codec::Lz4 }).collect();
    all.push(BuildOptions { codec: Codec::Plain, ..BLOOM });
    #[cfg(feature = "zstd")]
    all.push(BuildOptions { codec: Codec::Zstd { level: 3 }, ..BLOOM });
    all
}

/// What a run must say.
fn expected(
    versions: &[Version],
    ranges: &[RangeTombstone],
    key: &[u8],
    snapshot: u64,
) -> Option<(u64, Kind, Vec<u8>)> {
    let seen = versions.iter().filter(|(own, timestamp, ..)| own == key && *timestamp <= snapshot);
    let newest = seen.max_by_key(|(_, timestamp, ..)| *timestamp);
    let covers = |range: &&RangeTombstone| range.covers(key) && range.timestamp.get() <= snapshot;
    let gone = ranges.iter().filter(covers).map(|range| range.timestamp.get()).max();
    match (newest, gone) {
        (Some((_, timestamp, ..)), Some(gone)) if gone > *timestamp => {
            Some((gone, Kind::Tombstone, Vec::new()))
        }
        (None, Some(gone)) => Some((gone, Kind::Tombstone, Vec::new())),
        (Some((_, timestamp, kind, value)), _) => Some((*timestamp, *kind, value.clone())),
        (None, None) => None,
    }
}

pub(crate) fn get(run: &Run, key: &[u8], snapshot: u64) -> Result<Option<(u64, Kind, Vec<u8>)>> {
    let mut value = b"before".to_vec();
    let found = run.get(key, KeyHash::of(key), Timestamp::new(snapshot), &mut value)?;
    assert!(value.starts_with(b"before") && (found.is_some() || value.len() == 6));
    Ok(found.map(|Answer { timestamp, kind }| (timestamp.get(), kind, value.split_off(6))))
}

/// Every version, forward and backward, and by seeking.
pub(crate) fn check_cursor(run: &Arc<Run>, versions: &[Version]) -> Result<()> {
    for mut cursor in [RunCursor::new(run.clone()), RunCursor::scan(run.clone())] {
        for version in versions {
            cursor.forward()?;
            assert_eq!(cursor.entry().map(owned).as_ref(), Some(version));
        }
        cursor.forward()?;
        assert!(cursor.entry().is_none());
        for version in versions.iter().rev() {
            cursor.back()?;
            assert_eq!(cursor.entry().map(owned).as_ref(), Some(version));
        }
        cursor.back()?;
        assert!(cursor.entry().is_none());
    }
    Ok(())
}

fn check_seeks(run: &Arc<Run>, versions: &[Version], probes: &BTreeSet<Vec<u8>>) -> Result<()> {
    let mut cursor = RunCursor::new(run.clone());
    for probe in probes {
        let first = versions.partition_point(|(key, ..)| key < probe);
        let behind = versions.partition_point(|(key, ..)| key <= probe);
        cursor.seek(probe)?;
        assert_eq!(cursor.entry().map(owned).as_ref(), versions.get(first), "at or above {probe:?}");
        cursor.forward()?;
        assert_eq!(cursor.entry().map(owned).as_ref(), versions.get(first + 1));
        cursor.seek(probe)?;
        cursor.back()?;
        assert_eq!(cursor.entry().map(owned).as_ref(), first.checked_sub(1).map(|at| &versions[at]));
        cursor.seek_below(probe)?;
        assert_eq!(cursor.entry().map(owned).as_ref(), first.checked_sub(1).map(|at| &versions[at]));
        cursor.seek_behind(probe)?;
        assert_eq!(cursor.entry().map(owned).as_ref(), versions.get(behind), "above {probe:?}");
        cursor.back()?;
        assert_eq!(cursor.entry().map(owned).as_ref(), behind.checked_sub(1).map(|at| &versions[at]));
        cursor.seek_back(probe)?;
        let last = behind.checked_sub(1).map(|at| &versions[at]);
        assert_eq!(cursor.entry().map(owned).as_ref(), last, "at or below {probe:?}");
        cursor.forward()?;
        assert_eq!(cursor.entry().map(owned).as_ref(), versions.get(behind));
    }
    Ok(())
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0_u8, 1, b'a', b'b', 0xff]);
    prop_oneof![
        4 => prop::collection::vec(byte.clone(), 0..5),
        3 => (0_u32..400).prop_map(|number| format!("user{number:08}").into_bytes()),
        1 => (0_u32..30, 1_usize..200).prop_map(|(number, len)| [vec![b'k'; len * 4], number.to_be_bytes().to_vec()].concat()),
    ]
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..20),
        2 => (any::<u8>(), 0_usize..960).prop_map(|(byte, len)| vec![byte; len]),
    ]
}

/// Versions as a run takes them: by key, then newest first.
pub(crate) fn versions() -> impl Strategy<Value = Vec<Version>> {
    let states = prop::collection::btree_map(0_u64..40, (0_u8..6, value()), 1..5);
    let many = prop::collection::btree_map(0_u64..400, (0_u8..6, value()), 1..90);
    let of_key = prop_oneof![12 => states, 1 => many];
    prop::collection::btree_map(key(), of_key, 0..120).prop_map(flatten)
}

/// Kind and value of a key's versions, by timestamp.
type States = BTreeMap<u64, (u8, Vec<u8>)>;

fn flatten(all: BTreeMap<Vec<u8>, States>) -> Vec<Version> {
    let mut out = Vec::new();
    for (key, states) in all {
        for (timestamp, (kind, value)) in states.into_iter().rev() {
            out.push(match kind {
                0 => (key.clone(), timestamp, Kind::Tombstone, Vec::new()),
                1 => (key.clone(), timestamp, Kind::Stub, value),
                _ => (key.clone(), timestamp, Kind::Value, value),
            });
        }
    }
    out
}

pub(crate) fn ranges() -> impl Strategy<Value = Vec<RangeTombstone>> {
    let one = (key(), key(), 0_u64..50).prop_map(|(one, other, at)| {
        let to = if one == other { [&one[..], &[0]].concat() } else { one.clone().max(other.clone()) };
        range(&one.min(other), &to, at)
    });
    prop::collection::vec(one, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_built_is_read(
        versions in versions(),
        ranges in ranges(),
        probes in prop::collection::btree_set(key(), 0..20),
        options in prop::sample::select(all_options()),
        page_bytes in prop::sample::select(vec![4096_usize, 16384]),
        frames in prop::sample::select(vec![16_usize, 300]),
    ) {
        let home = home_in(Env::memory(), frames, page_bytes);
        let info = build(&home, FILE, options, &versions, &ranges).unwrap();
        let Some(info) = info else {
            prop_assert!(versions.is_empty() && ranges.is_empty());
            prop_assert!(home.leftovers(&BTreeSet::new()).unwrap().is_empty());
            return Ok(());
        };
        let run = Run::open(&home, FILE).unwrap();
        prop_assert_eq!(run.info(), &info);
        check_info(&info, &versions, &ranges);
        let probes: BTreeSet<_> = versions.iter().map(|version| version.0.clone()).chain(probes).collect();
        for probe in &probes {
            for snapshot in [0, 1, 7, 20, 39, 41, 399, u64::MAX] {
                let found = get(&run, probe, snapshot).unwrap();
                prop_assert_eq!(found, expected(&versions, &ranges, probe, snapshot), "{:?} at {}", probe, snapshot);
            }
        }
        check_cursor(&run, &versions).unwrap();
        check_seeks(&run, &versions, &probes).unwrap();
    }
}

fn check_info(info: &RunInfo, versions: &[Version], ranges: &[RangeTombstone]) {
    assert_eq!(info.entries, versions.len() as u64);
    assert_eq!(
        info.tombstones,
        versions.iter().filter(|(_, _, kind, _)| *kind == Kind::Tombstone).count() as u64
    );
    let stamps =
        versions.iter().map(|version| version.1).chain(ranges.iter().map(|range| range.timestamp.get()));
    assert_eq!(info.newest.get(), stamps.max().unwrap());
    let firsts = versions.iter().map(|version| &version.0).chain(ranges.iter().map(|range| &range.from));
    assert_eq!(Some(&info.smallest), firsts.min());
    let last = versions.last().map(|version| version.0.clone());
    let end = ranges.iter().map(|range| range.to.clone()).max();
    assert_eq!(info.is_largest_excluded, end > last);
    assert_eq!(Some(info.largest.clone()), last.max(end));
}

fn numbered(count: u32) -> Vec<Version> {
    let one = |number| (format!("user{number:010}").into_bytes(), 0, Kind::Value, vec![number as u8; 20]);
    (0..count).map(one).collect()
}

#[test]
fn many_partitions_and_index_blocks_are_searched() {
    let versions = numbered(60_000);
    for options in [BLOOM, BuildOptions { filter: None, ..BLOOM }] {
        let home = home(64);
        build(&home, FILE, options, &versions, &[]).unwrap().unwrap();
        let run = Run::open(&home, FILE).unwrap();
        for (key, _, _, value) in versions.iter().step_by(7) {
            assert_eq!(get(&run, key, 5).unwrap(), Some((0, Kind::Value, value.clone())));
            assert_eq!(get(&run, &[&key[..], b"x"].concat(), 5).unwrap(), None);
        }
        assert_eq!(get(&run, b"", 5).unwrap().or(get(&run, b"z", 5).unwrap()), None);
        check_cursor(&run, &versions).unwrap();
    }
}

/// Without its filter a run reads a block for each absent key; with it for one in a hundred.
#[test]
fn a_filter_spares_reads() {
    let loads = |options| {
        let home = home(16);
        build(&home, FILE, options, &numbered(9_000), &[]).unwrap();
        let run = Run::open(&home, FILE).unwrap();
        let before = home.pool.stats().loads;
        for number in 0..9_000 {
            get(&run, format!("user{:010}x", number * 7919 % 9_000).as_bytes(), 1).unwrap();
        }
        home.pool.stats().loads - before
    };
    let (with, without) = (loads(BLOOM), loads(BuildOptions { filter: None, ..BLOOM }));
    assert!(with * 10 < without, "{with} reads, {without} without a filter");
}

#[test]
fn versions_of_one_key_may_fill_many_blocks() {
    let mut all = vec![(b"a".to_vec(), 5, Kind::Value, b"first".to_vec())];
    all.extend((1..3_000).rev().map(|at| (b"b".to_vec(), at, Kind::Value, vec![at as u8; 50])));
    all.push((b"c".to_vec(), 9, Kind::Tombstone, Vec::new()));
    let home = home(64);
    build(&home, FILE, BLOOM, &all, &[]).unwrap();
    let run = Run::open(&home, FILE).unwrap();
    for snapshot in (0..3_100).step_by(13) {
        let wanted = (snapshot > 0).then(|| {
            let at = snapshot.min(2_999);
            (at, Kind::Value, vec![at as u8; 50])
        });
        assert_eq!(get(&run, b"b", snapshot).unwrap(), wanted);
    }
    assert_eq!(get(&run, b"c", 9).unwrap(), Some((9, Kind::Tombstone, Vec::new())));
    assert_eq!(get(&run, b"a", 9).unwrap().unwrap().2, b"first");
    assert_eq!(get(&run, b"bb", 9).unwrap(), None);
    check_cursor(&run, &all).unwrap();
    check_seeks(&run, &all, &[&b"a"[..], b"b", b"bb", b"c", b"d"].map(<[u8]>::to_vec).into()).unwrap();
}

#[test]
fn what_is_out_of_order_is_refused_and_the_build_goes_on() {
    let home = home(16);
    let mut builder = RunBuilder::new(&home, FILE, BLOOM).unwrap();
    let version = |key: &str, at, kind, value: &str| (key.into(), at, kind, value.into());
    builder.add(&entry(&version("b", 5, Kind::Value, "1"))).unwrap();
    let refused = [
        (version("a", 5, Kind::Value, ""), "must ascend"),
        (version("b", 5, Kind::Value, "2"), "twice"),
        (version("b", 6, Kind::Value, "2"), "newest first"),
        (version("c", 6, Kind::Tombstone, "2"), "no value"),
        (version(&"c".repeat(961), 6, Kind::Value, ""), "at most 960"),
        (version("c", 6, Kind::Value, &"v".repeat(961)), "at most 960"),
    ];
    for (version, what) in refused {
        let error = builder.add(&entry(&version)).unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(what), "{error}");
        assert_eq!(error.place().key.as_ref(), Some(&version.0));
    }
    assert!(builder.add_range(range(b"b", b"b", 1)).is_err());
    assert!(builder.add_range(range(b"b", &[b'x'; 962], 1)).is_err());
    builder.add(&entry(&version("b", 4, Kind::Tombstone, ""))).unwrap();
    builder.finish().unwrap().unwrap();
    let run = Run::open(&home, FILE).unwrap();
    assert_eq!(get(&run, b"b", 9).unwrap(), Some((5, Kind::Value, b"1".to_vec())));
    assert_eq!(get(&run, b"b", 4).unwrap(), Some((4, Kind::Tombstone, Vec::new())));
}

#[test]
fn a_file_is_never_replaced_and_goes_with_the_last_reference() {
    let home = home(16);
    build(&home, FILE, BLOOM, &numbered(10), &[]).unwrap();
    assert_eq!(build(&home, FILE, BLOOM, &numbered(9), &[]).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let run = Run::open(&home, FILE).unwrap();
    assert_eq!(Run::open(&home, FILE).unwrap_err().kind(), ErrorKind::AlreadyExists);
    let mut cursor = RunCursor::new(run.clone());
    run.retire();
    drop(run);
    cursor.first().unwrap();
    assert!(cursor.entry().is_some(), "a cursor keeps its run");
    assert_eq!(home.leftovers(&BTreeSet::new()).unwrap(), [FILE]);
    assert!(home.leftovers(&BTreeSet::from([FILE])).unwrap().is_empty());
    drop(cursor);
    assert!(home.leftovers(&BTreeSet::new()).unwrap().is_empty());
    assert_eq!(home.pool.stats().free, 16, "its frames are free");
    let error = Run::open(&home, FILE).unwrap_err();
    assert!(error.kind() == ErrorKind::Corruption && error.to_string().contains("missing"), "{error}");
}

#[test]
fn memory_is_charged_and_given_back() {
    let home = home(16);
    let before = home.pool.budget().used_bytes();
    build(&home, FILE, BLOOM, &numbered(20_000), &[range(b"a", b"b", 3)]).unwrap();
    assert_eq!(home.pool.budget().used_bytes(), before);
    let run = Run::open(&home, FILE).unwrap();
    assert!(home.pool.budget().used_bytes() > before);
    drop(run);
    assert_eq!(home.pool.budget().used_bytes(), before);
}
