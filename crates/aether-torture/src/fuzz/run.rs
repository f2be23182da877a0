//! Target `run`: a run with some of its bytes changed, opened and read in every way.
//!
//! | bytes of the input | meaning |
//! |---|---|
//! | 1 | which run, modulo their number |
//! | 1 | bit 0: seal what was changed |
//! | the rest | pieces over its bytes |

use super::expect_damage;
use super::input::Input;
use crate::shape;
use aether_kv::Error;
use aether_kv::buffer::{Budget, BufferConfig, NoGate, NoSource, Pool, PoolParts};
use aether_kv::lsm::filter::{KeyHash, Recipe, Suffix};
use aether_kv::lsm::read::RunsCursor;
use aether_kv::lsm::run::{
    BuildOptions, Codec, Entry, Kind, RangeTombstone, Run, RunBuilder, RunCursor, RunHome, seal_run,
};
use aether_sync::{Arc, OnceLock};
use aether_types::{FileId, StoreId, Timestamp};
use aether_vfs::{Env, read_file};

const STORE: StoreId = StoreId::new([8; 16]);
const FILE: FileId = FileId::new(3);
const SEALED: u8 = 1;
/// Keys of each run.
const KEYS: u64 = 150;
/// The key with so many versions that they fill several blocks.
const LONG: u64 = 40;
/// Steps of a cursor at the most: a forged index may lead round and round.
const STEPS_MAX: usize = 3_000;
/// One key in so many is looked for.
const STRIDE: usize = 7;

/// What an entry says.
type Said = (Vec<u8>, Timestamp, Kind, Vec<u8>);

/// A run to be changed.
pub(super) struct Base {
    pub(super) bytes: Vec<u8>,
    integers: bool,
    entries: Vec<Said>,
}

/// Runs with each kind of filter, compressed and not.
pub(super) fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let grafite = Recipe::Grafite { bits_per_key: 9.0, seed: 5 };
        let all = [
            (Recipe::Bloom { bits_per_key: 10.0 }, Codec::Plain, false),
            (Recipe::Ribbon { bits_per_key: 9.0 }, Codec::Lz4, false),
            (Recipe::Surf { suffix: Suffix::Real(8) }, Codec::Lz4, false),
            (grafite, Codec::Plain, true),
        ];
        all.map(|(filter, codec, integers)| Base::new(filter, codec, integers)).into()
    })
}

fn key(number: u64, integers: bool) -> Vec<u8> {
    if integers { (number * 1000).to_be_bytes().into() } else { format!("a key {number:05}").into_bytes() }
}

fn home(env: Env) -> RunHome {
    let config = BufferConfig {
        num_frames: 16,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let (gate, source) = (Arc::new(NoGate), Arc::new(NoSource));
    let parts = PoolParts { gate, double_write: None, source, store: STORE, budget: Budget::unlimited() };
    let pool = Pool::new(config, parts).expect("a pool of a few frames");
    RunHome { env, dir: shape::home().into(), store: STORE, pool }
}

impl Base {
    fn new(filter: Recipe, codec: Codec, integers: bool) -> Self {
        Self::build(filter, codec, integers).unwrap_or_else(|error| panic!("{filter:?}: {error}"))
    }

    fn build(filter: Recipe, codec: Codec, integers: bool) -> Result<Self, Error> {
        let home = home(super::disk::empty());
        let mut builder = RunBuilder::new(&home, FILE, BuildOptions { filter: Some(filter), codec })?;
        for number in 0..KEYS {
            let versions = if number == LONG { 300 } else { 1 + number % 3 };
            for timestamp in (0..versions).rev() {
                let value = vec![number as u8; (number % 50) as usize];
                let kind = if (number + timestamp) % 11 == 0 { Kind::Tombstone } else { Kind::Value };
                let value = if kind == Kind::Tombstone { &[][..] } else { &value };
                let (key, timestamp) = (key(number, integers), Timestamp::new(timestamp));
                builder.add(&Entry { key: &key, timestamp, kind, value })?;
            }
        }
        let (from, to) = (key(3, integers), key(5, integers));
        builder.add_range(RangeTombstone { from, to, timestamp: Timestamp::new(9) })?;
        builder.finish()?;
        let bytes = read_file(&*home.env.vfs, &home.path(FILE))?;
        let entries = entries(&Run::open(&home, FILE)?, true)?;
        Ok(Self { bytes, integers, entries })
    }
}

/// All entries, from the first on or from the last.
fn entries(run: &Arc<Run>, is_forward: bool) -> Result<Vec<Said>, Error> {
    let (mut cursor, mut found) = (RunCursor::scan(run.clone()), Vec::new());
    if is_forward {
        cursor.first()?
    } else {
        cursor.last()?
    };
    while let Some(entry) = cursor.entry().filter(|_| found.len() < STEPS_MAX) {
        found.push((entry.key.to_vec(), entry.timestamp, entry.kind, entry.value.to_vec()));
        if is_forward {
            cursor.forward()?
        } else {
            cursor.back()?
        };
    }
    Ok(found)
}

/// Reads a run made of the input.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let base = &bases()[usize::from(input.byte()) % bases().len()];
    // What the runs themselves take is not the input's.
    crate::allocation::begin();
    let is_sealed = input.byte() & SEALED != 0;
    let mut bytes = base.bytes.clone();
    input.patch(&mut bytes);
    if is_sealed {
        seal_run(&base.bytes, &mut bytes, STORE, FILE);
    }
    let home = home(super::disk::empty());
    super::disk::put(&home.env, &aether_kv::lsm::run::run_name(FILE), &bytes);
    match read(base, &home) {
        Err(error) => expect_damage("a run", &error),
        Ok(found) if !is_sealed => assert!(found == base.entries, "a changed run that is read otherwise"),
        Ok(_) => {}
    }
}

/// What the run says, read in every way.
fn read(base: &Base, home: &RunHome) -> Result<Vec<Said>, Error> {
    let run = Run::open(home, FILE)?;
    let told: Vec<Error> = (0..=KEYS as usize)
        .step_by(STRIDE)
        .flat_map(|number| look(&run, &key(number as u64, base.integers)))
        .collect();
    let snapshots = [false, true].map(|is_forward| walk(&run, is_forward));
    let (forward, _backward) = (entries(&run, true)?, entries(&run, false)?);
    told.into_iter().try_for_each(Err)?;
    snapshots.into_iter().collect::<Result<(), _>>()?;
    Ok(forward)
}

/// Looks for one key; what went wrong.
fn look(run: &Arc<Run>, key: &[u8]) -> Vec<Error> {
    let (mut told, mut value) = (Vec::new(), Vec::new());
    for snapshot in [0, 5, u64::MAX] {
        value.clear();
        told.extend(run.get(key, KeyHash::of(key), Timestamp::new(snapshot), &mut value).err());
    }
    let mut cursor = RunCursor::new(run.clone());
    told.extend(cursor.seek(key).and_then(|_| cursor.forward()).err());
    told.extend(cursor.seek_back(key).and_then(|_| cursor.back()).err());
    told
}

/// What a snapshot sees: keys that lead back are an error here, so this ends.
fn walk(run: &Arc<Run>, is_forward: bool) -> Result<(), Error> {
    let mut cursor = RunsCursor::new(vec![run.clone()], Timestamp::new(100));
    if !is_forward {
        cursor.seek_last();
    }
    while if is_forward { cursor.next()? } else { cursor.prev()? }.is_some() {}
    Ok(())
}
