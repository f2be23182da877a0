//! A load of random keys into an LSM keyspace, policy by policy: what it costs to write, to keep and to read.

use aether_kv::lsm::policy::PolicyKind;
use aether_kv::lsm::tree::{LsmConfig, LsmStat};
use aether_kv::{DbEnv, Durability, KeyspaceOptions, Options, Result};
use engine_benches::{Rng, is_wanted, key};
use std::path::Path;
use std::time::{Duration, Instant};

const POLICIES: [PolicyKind; 4] =
    [PolicyKind::Hanoi, PolicyKind::Predictable, PolicyKind::Fast, PolicyKind::Leveled];
/// Gets after the load.
const GETS: u64 = 200_000;
const KEY_BYTES: u64 = 20;

/// Bytes of a value: 100, or `AETHER_BENCH_VALUE_BYTES`.
fn value_bytes() -> usize {
    std::env::var("AETHER_BENCH_VALUE_BYTES").ok().and_then(|text| text.parse().ok()).unwrap_or(100)
}

/// Half of the bytes follow from nothing, half are the same in every row.
fn value(rng: &mut Rng, bytes: usize) -> Vec<u8> {
    let mut value = vec![b'.'; bytes];
    value[..bytes / 2].iter_mut().for_each(|byte| *byte = rng.below(256) as u8);
    value
}

/// What a load was like.
struct Load {
    seconds: f64,
    /// Of each put, in nanoseconds, rising.
    puts: Vec<u32>,
    /// Puts in each whole second.
    each_second: Vec<u64>,
    stat: LsmStat,
    disk_bytes: u64,
}

impl Load {
    fn put_at(&self, thousandth: usize) -> f64 {
        let at = (self.puts.len() * thousandth / 1000).min(self.puts.len() - 1);
        f64::from(self.puts[at]) / 1e3
    }
}

/// Loads `count` rows in random order under each policy, in `dir`; `Async` (50 ms), one row a transaction, one thread.
pub(crate) fn loads(count: u64, dir: &Path) -> Result<()> {
    for policy in POLICIES.into_iter().filter(|policy| is_wanted(&format!("load, {policy}"))) {
        let home = dir.join(policy.to_string());
        let env = DbEnv::open(&home, options(count))?;
        env.transact(|txn| env.create_keyspace(txn, "load", KeyspaceOptions::lsm(policy)).map(drop))?;
        let load = load(&env, &home, count)?;
        print(&format!("load, {policy}"), count, &load);
        gets(&env, policy, count)?;
        env.close()?;
        std::fs::remove_dir_all(&home).map_err(|error| aether_types::Error::invalid(error.to_string()))?;
    }
    Ok(())
}

/// Memtables of a sixtieth of the rows' bytes, so that a short load has its flushes too.
fn options(count: u64) -> Options {
    let memtable_bytes = (count * (KEY_BYTES + value_bytes() as u64) / 60).clamp(64 << 10, 64 << 20);
    Options {
        durability: Durability::Async { interval: Duration::from_millis(50) },
        lsm: LsmConfig { memtable_bytes, ..LsmConfig::default() },
        ..Options::default()
    }
}

fn load(env: &DbEnv, home: &Path, count: u64) -> Result<Load> {
    let keyspace = env.keyspace("load")?;
    let mut rng = Rng::new(7);
    let value_bytes = value_bytes();
    let (mut puts, mut each_second) = (Vec::with_capacity(count as usize), Vec::new());
    let began = Instant::now();
    for number in 0..count {
        let (key, value) = (key(engine_benches::keys::mix(number)), value(&mut rng, value_bytes));
        let put = Instant::now();
        let mut txn = env.begin()?;
        txn.put(&keyspace, &key, &value)?;
        txn.commit()?;
        puts.push(u32::try_from(put.elapsed().as_nanos()).unwrap_or(u32::MAX));
        let second = began.elapsed().as_secs() as usize;
        each_second.resize(each_second.len().max(second + 1), 0);
        each_second[second] += 1;
    }
    let seconds = began.elapsed().as_secs_f64();
    puts.sort_unstable();
    let tree = env.lsm(&keyspace).expect("an LSM keyspace");
    let stat = tree.stat();
    tree.flush()?;
    Ok(Load { seconds, puts, each_second, stat, disk_bytes: run_bytes(home) })
}

fn run_bytes(home: &Path) -> u64 {
    let files = std::fs::read_dir(home).into_iter().flatten().flatten();
    let runs = files.filter(|file| file.file_name().to_string_lossy().starts_with("run-"));
    runs.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

fn print(what: &str, count: u64, load: &Load) {
    let Load { stat, each_second, .. } = load;
    let whole = &each_second[..each_second.len().saturating_sub(1)];
    let mean = whole.iter().sum::<u64>() / whole.len().max(1) as u64;
    println!(
        "{what}: {:.0} puts a second; puts p50 {:.1} us, p99 {:.1}, p999 {:.1}, max {:.0}; worst second {} of {mean} on average",
        count as f64 / load.seconds,
        load.put_at(500),
        load.put_at(990),
        load.put_at(999),
        load.put_at(1000),
        whole.iter().min().copied().unwrap_or(mean),
    );
    println!(
        "{what}: written to runs per byte put {:.2}; runs on disk per byte put {:.2}; levels {:?}",
        stat.write_amplification().unwrap_or(0.0),
        load.disk_bytes as f64 / (count * (KEY_BYTES + value_bytes() as u64)) as f64,
        stat.levels.iter().map(|level| level.runs).collect::<Vec<_>>(),
    );
}

fn gets(env: &DbEnv, policy: PolicyKind, count: u64) -> Result<()> {
    let keyspace = env.keyspace("load")?;
    let mut rng = Rng::new(3);
    for (what, offset) in [("get", 0), ("miss", count)] {
        let began = Instant::now();
        for _ in 0..GETS.min(count) {
            let snapshot = env.snapshot()?;
            let key = key(engine_benches::keys::mix(offset + rng.below(count)));
            assert_eq!(snapshot.get(&keyspace, &key)?.is_some(), offset == 0);
        }
        let each = began.elapsed().as_secs_f64() / GETS.min(count) as f64 * 1e6;
        println!("load, {policy}, then {what}: {each:.2} us");
    }
    Ok(())
}
