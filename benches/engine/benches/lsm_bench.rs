//! Runs: building, getting, scanning, merging; sizes by codec.
//!
//! `cargo bench -p engine-benches --bench lsm_bench [-- WORDS]`; with `--features zstd` zstd too. Keys of 20 B, values of 100 B of
//! which half can be guessed, files in memory (no device is measured), Bloom filters of 10 bits a key, pages of 4 KiB, all of
//! them resident where gets and scans are measured. Rows: 1,000,000, or `AETHER_BENCH_ROWS`. No log, nothing else on the store.
//! `load`: so many rows into an LSM keyspace on disk under each policy, with log and transactions, `Async`; `AETHER_BENCH_VALUE_BYTES` (100)
//! sets the size of its values.

#![allow(clippy::print_stdout, reason = "a bench prints")]

#[path = "lsm_bench/load.rs"]
mod load;

use aether_kv::Result;
use aether_kv::buffer::page::sync::Arc;
use aether_kv::buffer::{Budget, BufferConfig, NoGate, NoSource, Pool, PoolParts};
use aether_kv::lsm::filter::{KeyHash, Recipe};
use aether_kv::lsm::merge::{Keep, Layer, Merge};
use aether_kv::lsm::run::{BuildOptions, Codec, Entry, Kind, Run, RunBuilder, RunCursor, RunHome, RunInfo};
use aether_types::{FileId, StoreId, Timestamp};
use aether_vfs::Env;
use engine_benches::{Cost, Rng, is_wanted, key, rows};
use std::path::PathBuf;

const ROUNDS: usize = 3;
const VALUE_BYTES: usize = 100;

fn home(frames: usize) -> Result<RunHome> {
    let config = BufferConfig { num_frames: frames, prefetch_threads: 0, ..BufferConfig::default() };
    let store = StoreId::new([9; 16]);
    let parts = PoolParts {
        gate: Arc::new(NoGate),
        double_write: None,
        source: Arc::new(NoSource),
        store,
        budget: Budget::unlimited(),
    };
    Ok(RunHome { env: Env::memory(), dir: PathBuf::from("/"), store, pool: Pool::new(config, parts)? })
}

/// Half of the bytes follow from nothing, half are the same in every row.
fn value(rng: &mut Rng) -> [u8; VALUE_BYTES] {
    let mut value = [b'.'; VALUE_BYTES];
    value[..VALUE_BYTES / 2].iter_mut().for_each(|byte| *byte = rng.below(256) as u8);
    value
}

/// Every `step`th key of `count` from `first` on.
fn build(home: &RunHome, file: u32, codec: Codec, count: u64, first: u64, step: u64) -> Result<RunInfo> {
    let filter = Some(Recipe::Bloom { bits_per_key: 10.0 });
    let mut builder = RunBuilder::new(home, FileId::new(file), BuildOptions { filter, codec })?;
    let mut rng = Rng::new(u64::from(file));
    for number in (first..count).step_by(step as usize) {
        let (key, value) = (key(number), value(&mut rng));
        let timestamp = Timestamp::new(0);
        builder.add(&Entry { key: &key, timestamp, kind: Kind::Value, value: &value })?;
    }
    Ok(builder.finish()?.expect("a run with rows"))
}

fn codecs() -> Vec<(&'static str, Codec)> {
    vec![
        ("plain", Codec::Plain),
        ("lz4", Codec::Lz4),
        #[cfg(feature = "zstd")]
        ("zstd 1", Codec::Zstd { level: 1 }),
        #[cfg(feature = "zstd")]
        ("zstd 3", Codec::Zstd { level: 3 }),
    ]
}

fn megabytes_a_second(bytes: u64, steps: u64, cost: Cost) -> String {
    format!("{:.0} MB/s of rows on a processor", bytes as f64 / (cost.cpu * steps as f64) * 1e3)
}

fn builds(count: u64) -> Result<()> {
    let bytes = count * (20 + VALUE_BYTES as u64);
    for (name, codec) in codecs() {
        let what = format!("build, {name}");
        if !is_wanted(&what) {
            continue;
        }
        let (mut costs, mut size) = (Vec::new(), 0);
        for _ in 0..ROUNDS {
            let home = home(64)?;
            let mut built = None;
            costs.push(Cost::per_step(count, || built = Some(build(&home, 2, codec, count, 0, 1))));
            size = built.expect("it was built")?.bytes;
        }
        let cost = Cost::median(&costs);
        let share = format!("{:.3} bytes in the file for one of a row", size as f64 / bytes as f64);
        cost.print(&what, &format!("{}; {share}", megabytes_a_second(bytes, count, cost)));
    }
    Ok(())
}

fn print(what: &str, count: u64, mut work: impl FnMut(u64)) {
    if !is_wanted(what) {
        return;
    }
    let costs: Vec<_> =
        (0..ROUNDS).map(|_| Cost::per_step(count, || (0..count).for_each(&mut work))).collect();
    Cost::median(&costs).print(what, "");
}

fn reads(count: u64) -> Result<()> {
    let home = home((count as usize / 12).max(64))?;
    build(&home, 2, Codec::Lz4, count, 0, 1)?;
    let run = Run::open(&home, FileId::new(2))?;
    let snapshot = Timestamp::new(1);
    let mut out = Vec::new();
    let mut get = |key: &[u8], is_there: bool| {
        out.clear();
        let found = run.get(key, KeyHash::of(key), snapshot, &mut out).expect("the run is whole");
        assert_eq!(found.is_some(), is_there);
    };
    (0..count).for_each(|number| get(&key(number), true));
    let mut rng = Rng::new(5);
    print("get, resident, hit", count, |_| get(&key(rng.below(count)), true));
    let mut absent = [b'x'; 21];
    print("get, resident, miss", count, |_| {
        absent[..20].copy_from_slice(&key(rng.below(count)));
        get(&absent, false);
    });
    for (what, mut cursor) in [
        ("scan, resident, a row", RunCursor::new(run.clone())),
        ("scan, resident, read ahead, a row", RunCursor::scan(run.clone())),
    ] {
        print(what, count, |number| {
            let step = if number == 0 { cursor.first() } else { cursor.forward() };
            step.expect("the run is whole");
            assert!(cursor.entry().is_some());
        });
    }
    let mut cursor = RunCursor::new(run.clone());
    print("scan back, resident, a row", count, |number| {
        let step = if number == 0 { cursor.last() } else { cursor.back() };
        step.expect("the run is whole");
        assert!(cursor.entry().is_some());
    });
    print("seek, resident", count, |_| cursor.seek(&key(rng.below(count))).expect("the run is whole"));
    Ok(())
}

fn merges(count: u64) -> Result<()> {
    for ways in [2, 4, 8, 16] {
        let what = format!("merge, {ways} runs, lz4, a row");
        if !is_wanted(&what) {
            continue;
        }
        let bytes = count * (20 + VALUE_BYTES as u64);
        let mut costs = Vec::new();
        for _ in 0..ROUNDS {
            let home = home((count as usize / 12).max(64))?;
            let built = (0..ways).map(|way| build(&home, 2 + way as u32, Codec::Lz4, count, way, ways));
            let infos = built.collect::<Result<Vec<_>>>()?;
            let runs = infos.iter().map(|info| Run::open(&home, info.file)).collect::<Result<Vec<_>>>()?;
            let mut merged = None;
            costs.push(Cost::per_step(count, || merged = Some(merge(&home, &runs))));
            assert_eq!(merged.expect("it was merged")?.entries, count);
        }
        let cost = Cost::median(&costs);
        cost.print(&what, &megabytes_a_second(bytes, count, cost));
    }
    Ok(())
}

fn merge(home: &RunHome, runs: &[Arc<Run>]) -> Result<RunInfo> {
    let layers = runs.iter().map(Layer::run).collect::<Result<Vec<_>>>()?;
    let keep = Keep::new(Vec::new(), Timestamp::new(1), true)?;
    let filter = Some(Recipe::Bloom { bits_per_key: 10.0 });
    let options = BuildOptions { filter, codec: Codec::Lz4 };
    let mut builder = RunBuilder::new(home, FileId::new(100), options)?;
    Merge::new(layers, keep, Box::new(|_, _| ())).write_to(&mut builder)?;
    Ok(builder.finish()?.expect("a run with rows"))
}

fn main() -> Result<()> {
    let count = rows(1_000_000, 5_000);
    println!("{count} rows; a row: wall, processor");
    builds(count)?;
    reads(count)?;
    merges(count)?;
    let dir = tempfile::TempDir::new().map_err(|error| aether_types::Error::invalid(error.to_string()))?;
    load::loads(rows(5_000_000, 5_000), dir.path())
}
