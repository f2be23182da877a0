//! Several runs read at once, against a model: of each key the newest layer that says anything to the snapshot is right.

use crate::runs::{BLOOM, Version, build, home, home_in, range};
use aether_lsm::index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_lsm::read::{self, RunsCursor};
use aether_lsm::run::{BuildOptions, Codec, Kind, RangeTombstone, Run, RunHome};
use aether_types::{Error, ErrorKind, FileId, Result, Timestamp};
use aether_vfs::{Create, Env, OpenOptions};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What a layer holds, and where it is cut into runs.
#[derive(Clone, Debug)]
struct Content {
    versions: Vec<Version>,
    ranges: Vec<RangeTombstone>,
    cuts: Vec<Vec<u8>>,
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:03}").into_bytes()
}

fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![9 => (0_u32..60).prop_map(key), 1 => Just(Vec::new()), 1 => (0_u32..60).prop_map(|number| [key(number), vec![0]].concat())]
}

fn states() -> impl Strategy<Value = BTreeMap<u64, (u8, usize)>> {
    let state = || (0_u8..8, prop_oneof![4 => 0_usize..8, 1 => 300_usize..900]);
    let few = prop::collection::btree_map(0_u64..40, state(), 1..4);
    let many = prop::collection::btree_map(0_u64..40, state(), 20..40);
    prop_oneof![15 => few, 1 => many]
}

fn content() -> impl Strategy<Value = Content> {
    let versions = prop::collection::btree_map(any_key(), states(), 0..40);
    let ranges = prop::collection::vec((any_key(), any_key(), 0_u64..40), 0..4);
    let cuts = prop::collection::btree_set(any_key(), 0..4);
    (versions, prop::option::weighted(0.6, ranges), cuts).prop_map(|(keys, ranges, cuts)| {
        let mut versions = Vec::new();
        for (key, states) in keys {
            versions.extend(states.into_iter().rev().map(|(at, (kind, len))| match kind {
                0 | 1 => (key.clone(), at, Kind::Tombstone, Vec::new()),
                2 => (key.clone(), at, Kind::Stub, vec![at as u8; len]),
                _ => (key.clone(), at, Kind::Value, vec![at as u8; len]),
            }));
        }
        let real = ranges.unwrap_or_default().into_iter().filter(|(from, to, _)| from < to);
        let ranges = real.map(|(from, to, at)| range(&from, &to, at)).collect();
        Content { versions, ranges, cuts: cuts.into_iter().collect() }
    })
}

/// The layers' runs, the newest first.
fn open(home: &RunHome, layers: &[Content]) -> Vec<Arc<Run>> {
    let mut runs: Vec<Arc<Run>> = Vec::new();
    for layer in layers {
        let starts = [Vec::new()].into_iter().chain(layer.cuts.iter().cloned());
        let ends = layer.cuts.iter().map(Some).chain([None]);
        for (from, to) in starts.zip(ends) {
            let is_inside = |key: &Vec<u8>| *key >= from && to.is_none_or(|to| key < to);
            let versions: Vec<_> =
                layer.versions.iter().filter(|version| is_inside(&version.0)).cloned().collect();
            let clip = |range: &RangeTombstone| range.clip(&from, to.map(|to| &to[..]));
            let ranges: Vec<_> = layer.ranges.iter().filter_map(clip).collect();
            let file = FileId::new(runs.len() as u32 + 1);
            // A cut may leave nothing of a part.
            if build(home, file, BuildOptions { codec: Codec::Plain, ..BLOOM }, &versions, &ranges)
                .unwrap()
                .is_some()
            {
                runs.push(Run::open(home, file).unwrap());
            }
        }
    }
    runs
}

type Found = (u64, Kind, Vec<u8>);

/// What a layer says of a key.
fn says(layer: &Content, key: &[u8], snapshot: u64) -> Option<Found> {
    let mut seen = layer.versions.iter().filter(|(own, at, ..)| own == key && *at <= snapshot);
    let newest = seen.next().map(|(_, at, kind, value)| (*at, *kind, value.clone()));
    let covering = layer.ranges.iter().filter(|range| range.covers(key) && range.timestamp.get() <= snapshot);
    let gone = covering.map(|range| range.timestamp.get()).max();
    let tombstone = gone.map(|at| (at, Kind::Tombstone, Vec::new()));
    match newest {
        Some(version) if gone.is_none_or(|gone| version.0 >= gone) => Some(version),
        _ => tombstone,
    }
}

/// All rows that a snapshot sees.
fn rows(layers: &[Content], snapshot: u64) -> BTreeMap<Vec<u8>, Found> {
    let keys = layers.iter().flat_map(|layer| layer.versions.iter().map(|version| &version.0));
    let found = keys.filter_map(|key| {
        let found = layers.iter().find_map(|layer| says(layer, key, snapshot))?;
        (found.1 != Kind::Tombstone).then(|| (key.clone(), found))
    });
    found.collect()
}

#[derive(Clone, Debug)]
enum Step {
    Seek(Vec<u8>),
    SeekBehind(Vec<u8>),
    First,
    Last,
    Next(usize),
    Prev(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        2 => any_key().prop_map(Step::Seek),
        2 => any_key().prop_map(Step::SeekBehind),
        1 => Just(Step::First),
        1 => Just(Step::Last),
        6 => (1_usize..4).prop_map(Step::Next),
        6 => (1_usize..4).prop_map(Step::Prev),
        1 => Just(Step::Next(100)),
        1 => Just(Step::Prev(100)),
    ];
    prop::collection::vec(step, 0..40)
}

type Row = (Vec<u8>, Found);

fn next(cursor: &mut RunsCursor) -> Result<Option<Row>> {
    let row = cursor.next()?;
    Ok(row.map(|row| (row.key.to_vec(), (row.timestamp.get(), row.kind, row.value.to_vec()))))
}

fn prev(cursor: &mut RunsCursor) -> Result<Option<Row>> {
    let row = cursor.prev()?;
    Ok(row.map(|row| (row.key.to_vec(), (row.timestamp.get(), row.kind, row.value.to_vec()))))
}

/// The model's cursor: how many of all rows lie before it.
struct Place {
    rows: Vec<Row>,
    at: usize,
}

impl Place {
    fn next(&mut self) -> Option<Row> {
        let row = self.rows.get(self.at).cloned();
        self.at = (self.at + 1).min(self.rows.len());
        row
    }

    fn prev(&mut self) -> Option<Row> {
        self.at = self.at.checked_sub(1)?;
        self.rows.get(self.at).cloned()
    }
}

fn play(cursor: &mut RunsCursor, model: &mut Place, step: &Step) {
    match step {
        Step::Seek(key) => {
            cursor.seek(key);
            model.at = model.rows.partition_point(|row| row.0 < *key);
        }
        Step::SeekBehind(key) => {
            cursor.seek_behind(key);
            model.at = model.rows.partition_point(|row| row.0 <= *key);
        }
        Step::First => {
            cursor.seek_first();
            model.at = 0;
        }
        Step::Last => {
            cursor.seek_last();
            model.at = model.rows.len();
        }
        Step::Next(count) => {
            (0..*count).for_each(|_| assert_eq!(next(cursor).unwrap(), model.next(), "{step:?}"))
        }
        Step::Prev(count) => {
            (0..*count).for_each(|_| assert_eq!(prev(cursor).unwrap(), model.prev(), "{step:?}"))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_cursor_sees_what_the_newest_layers_say(
        layers in prop::collection::vec(content(), 0..6),
        snapshots in prop::collection::vec(prop_oneof![3 => 0_u64..41, 1 => Just(u64::MAX)], 1..3),
        steps in steps(),
    ) {
        let home = home(64);
        let runs = open(&home, &layers);
        for snapshot in snapshots {
            let rows = rows(&layers, snapshot);
            for number in 0..60 {
                let (key, mut value) = (key(number), b"before".to_vec());
                let answer = read::get(&runs, &key, Timestamp::new(snapshot), &mut value).unwrap();
                let found = answer.map(|answer| (answer.timestamp.get(), answer.kind, value.split_off(6)));
                prop_assert_eq!(found, layers.iter().find_map(|layer| says(layer, &key, snapshot)));
                prop_assert_eq!(value, b"before");
            }
            let mut cursor = RunsCursor::new(runs.clone(), Timestamp::new(snapshot));
            let mut model = Place { rows: rows.into_iter().collect(), at: 0 };
            steps.iter().for_each(|step| play(&mut cursor, &mut model, step));
            for step in [Step::First, Step::Next(model.rows.len() + 1), Step::Prev(model.rows.len() + 1)] {
                play(&mut cursor, &mut model, &step);
            }
        }
    }
}

/// Runs of a level, one behind the other, of 200 rows each.
fn level(home: &RunHome, first_file: u32, runs: u32, what: u8) -> Vec<Arc<Run>> {
    let run = |number: u32| {
        let row =
            |row: u32| (format!("{:07}", number * 200 + row).into_bytes(), 0, Kind::Value, vec![what; 50]);
        let versions: Vec<_> = (0..200).map(row).collect();
        let file = FileId::new(first_file + number);
        build(home, file, BLOOM, &versions, &[]).unwrap();
        Run::open(home, file).unwrap()
    };
    (0..runs).map(run).collect()
}

#[test]
fn only_runs_at_the_position_are_read() {
    let home = home(256);
    let levels = [level(&home, 1, 60, b'a'), level(&home, 101, 60, b'b')];
    let runs: Vec<_> = levels.concat();
    let loads = |work: &dyn Fn(&mut RunsCursor)| {
        let before = home.pool.stats().loads;
        work(&mut RunsCursor::new(runs.clone(), Timestamp::new(1)));
        home.pool.stats().loads - before
    };
    let few = loads(&|cursor| {
        cursor.seek(b"0005150");
        for number in 5150..5160_u32 {
            assert_eq!(next(cursor).unwrap().unwrap().0, format!("{number:07}").into_bytes());
        }
    });
    // An index block and a block of rows of one run of each level.
    assert!(few <= 4, "{few} blocks for ten rows");
    assert_eq!(loads(&|cursor| cursor.seek(b"0007000")), 0, "a search alone reads nothing");
    let down = loads(&|cursor| {
        cursor.seek_behind(b"0009160");
        for number in (9151..=9160_u32).rev() {
            assert_eq!(prev(cursor).unwrap().unwrap().0, format!("{number:07}").into_bytes());
        }
    });
    assert!(down <= 4, "{down} blocks for ten rows downward");
    // The last row of a run: the next run is not needed yet.
    let last = loads(&|cursor| {
        cursor.seek(b"0001999");
        assert_eq!(next(cursor).unwrap().unwrap().0, b"0001999");
    });
    assert!(last <= 4, "{last} blocks for the last row of a run");
}

/// One range tombstone over a hundred blocks: they are passed by, not read.
#[test]
fn what_a_range_tombstone_hides_is_passed_by() {
    let home = home(256);
    let old = level(&home, 1, 60, b'a');
    build(&home, FileId::new(100), BLOOM, &[], &[range(b"0000100", b"0011950", 5)]).unwrap();
    let hiding = Run::open(&home, FileId::new(100)).unwrap();
    let runs: Vec<_> = [hiding].into_iter().chain(old).collect();
    for is_up in [true, false] {
        let before = home.pool.stats().loads;
        let mut cursor = RunsCursor::new(runs.clone(), Timestamp::new(5));
        let mut count = 0;
        if !is_up {
            cursor.seek_last();
        }
        while let Some(row) = if is_up { cursor.next() } else { cursor.prev() }.unwrap() {
            assert!(row.key < &b"0000100"[..] || row.key >= &b"0011950"[..]);
            count += 1;
        }
        assert_eq!(count, 150);
        let loads = home.pool.stats().loads - before;
        assert!(loads < 16, "{loads} blocks");
        // An older reader sees all.
        let mut older = RunsCursor::new(runs.clone(), Timestamp::new(4));
        assert_eq!(std::iter::from_fn(|| next(&mut older).unwrap()).count(), 12_000);
    }
}

/// Long ways up read ahead, into few frames; turning ends that.
#[test]
fn a_long_way_turns_anywhere() {
    for frames in [16, 256] {
        let home = home(frames);
        let runs: Vec<_> = [level(&home, 1, 20, b'a'), level(&home, 101, 20, b'b')].concat();
        let mut cursor = RunsCursor::new(runs, Timestamp::new(1));
        let wanted = |number: u32| (format!("{number:07}").into_bytes(), (0, Kind::Value, vec![b'a'; 50]));
        let mut at = 0;
        for (up, down) in [(300, 200), (900, 10), (2_000, 2_000), (4_000, 4_000)] {
            for _ in 0..up {
                assert_eq!(next(&mut cursor).unwrap(), (at < 4_000).then(|| wanted(at)));
                at = (at + 1).min(4_000);
            }
            for _ in 0..down.min(at) {
                at -= 1;
                assert_eq!(prev(&mut cursor).unwrap(), Some(wanted(at)));
            }
        }
        assert_eq!((at, prev(&mut cursor).unwrap()), (0, None));
    }
}

fn damage(home: &RunHome, file: FileId, at: u64) {
    let opened = home.env.vfs.open(&home.path(file), OpenOptions::write(Create::No)).unwrap();
    let mut byte = [0];
    opened.read_at(at, &mut byte).unwrap();
    opened.write_at(at, &[byte[0] ^ 16]).unwrap();
}

/// A block in the middle of the older of two runs is damaged.
#[test]
fn a_damaged_block_is_an_error_that_names_it_and_the_cursor_goes_on() {
    let home = home_in(Env::memory(), 64, 4096);
    let rows: Vec<Version> = (0..300).map(|number| (key(number), 0, Kind::Value, vec![7; 100])).collect();
    let newer: Vec<Version> =
        (0..300).step_by(3).map(|number| (key(number), 9, Kind::Value, vec![8; 100])).collect();
    let plain = BuildOptions { codec: Codec::Plain, ..BLOOM };
    build(&home, FileId::new(1), plain, &rows, &[]).unwrap();
    build(&home, FileId::new(2), plain, &newer, &[]).unwrap();
    let runs: Vec<_> = [2, 1].map(|file| Run::open(&home, FileId::new(file)).unwrap()).into();
    damage(&home, FileId::new(1), 4096 + 3 * 4000);
    let mut cursor = RunsCursor::new(runs, Timestamp::new(9));
    let is_told = |error: &Error| {
        error.kind() == ErrorKind::Corruption
            && error.place().file == Some(FileId::new(1))
            && error.place().offset.is_some_and(|at| at <= 4096 + 3 * 4000)
    };
    let mut below = 0;
    let up = loop {
        match next(&mut cursor) {
            Ok(row) => assert_eq!(row.unwrap().0, key(below)),
            Err(error) => break error,
        }
        below += 1;
    };
    assert!(below > 30 && is_told(&up), "{up}");
    assert!(is_told(&next(&mut cursor).unwrap_err()), "it may be asked again");
    assert_eq!(prev(&mut cursor).unwrap().unwrap().0, key(below - 1), "and goes the other way");
    cursor.seek_last();
    let mut above = 300;
    let down = loop {
        match prev(&mut cursor) {
            Ok(row) => assert_eq!(row.unwrap().0, key(above - 1)),
            Err(error) => break error,
        }
        above -= 1;
    };
    assert!(is_told(&down) && is_told(&prev(&mut cursor).unwrap_err()), "{down}");
    assert!(above > below && above - below < 50, "{below} to {above}: one block is lost");
    assert_eq!(next(&mut cursor).unwrap().unwrap().0, key(above));
    cursor.seek(&key(above));
    assert_eq!(std::iter::from_fn(|| next(&mut cursor).unwrap()).count() as u32, 300 - above);
}

#[test]
fn a_cursor_may_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<RunsCursor>();
}
