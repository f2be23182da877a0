//! What chance decides: how a store is made, how `work` runs on it, and when it dies.

use crate::rng::Rng;
use std::path::Path;
use std::time::Duration;

/// What is fixed when a store is created.
#[derive(Clone, Copy, Debug)]
pub struct Make {
    page_size: usize,
}

/// How one process works.
#[derive(Clone, Debug)]
pub struct Work {
    make: Make,
    streams: usize,
    seed: u64,
    clients: usize,
    keys: u64,
    value_bytes_max: usize,
    pool_frames: usize,
    segment_bytes: usize,
    max_recovery_bytes: usize,
    durability: &'static str,
    wait_us: usize,
    /// What the keyspace is, or is to become; none: what it is made as, a B+tree.
    kind: Option<&'static str>,
}

impl Make {
    /// A store of chance.
    pub fn draw(rng: &mut Rng) -> Self {
        Self { page_size: one_of(rng, &[4096, 4096, 8192, 16384, 65536]) }
    }
}

impl Work {
    /// Work of chance on a store that has lived for `age` rounds; older ones have more keys.
    pub fn draw(rng: &mut Rng, make: Make, age: u64, kind: Option<&'static str>) -> Self {
        Self {
            make,
            streams: one_of(rng, &[1, 1, 2, 4]),
            seed: rng.word() >> 1,
            clients: rng.between(1, 6),
            keys: 20 + age * 10,
            value_bytes_max: one_of(rng, &[100, 3000, 12_000, 12_000, 200_000]),
            pool_frames: one_of(rng, &[64, 64, 128, 1024]),
            segment_bytes: one_of(rng, &[64 << 10, 64 << 10, 256 << 10, 4 << 20]),
            max_recovery_bytes: one_of(rng, &[64 << 10, 256 << 10, 1 << 20, 16 << 20]),
            durability: one_of(rng, &["sync", "sync", "group", "async", "none"]),
            wait_us: one_of(rng, &[0, 200, 2000, 50_000]),
            kind,
        }
    }

    /// The arguments of the process.
    pub fn arguments(&self, home: &Path) -> Vec<String> {
        let options: [(&str, String); 11] = [
            ("txs", "100000000".into()),
            ("seed", self.seed.to_string()),
            ("clients", self.clients.to_string()),
            ("keys", self.keys.to_string()),
            ("value-bytes-max", self.value_bytes_max.to_string()),
            ("pool-frames", self.pool_frames.to_string()),
            ("segment-bytes", self.segment_bytes.to_string()),
            ("max-recovery-bytes", self.max_recovery_bytes.to_string()),
            ("wait-us", self.wait_us.to_string()),
            ("page-bytes", self.make.page_size.to_string()),
            ("streams", self.streams.to_string()),
        ];
        let mut arguments = vec!["torture".into(), "work".into(), home.display().to_string()];
        arguments.extend(["--durability".into(), self.durability.into()]);
        arguments.extend(self.kind.into_iter().flat_map(|kind| ["--kind".into(), kind.into()]));
        arguments.extend(options.into_iter().flat_map(|(name, value)| [format!("--{name}"), value]));
        arguments
    }
}

/// A kind of keyspace by the name that `work` knows it by; twice as often an LSM tree as another.
pub fn kind(rng: &mut Rng) -> &'static str {
    one_of(rng, &["btree", "rax", "skiplist", "lsm", "lsm"])
}

/// When working processes die: some while they start, most amid work, a few late.
pub fn moment(rng: &mut Rng) -> Duration {
    let most_us = match rng.below(100) {
        0..15 => 3_000,
        15..40 => 30_000,
        40..85 => 250_000,
        _ => 700_000,
    };
    Duration::from_micros(rng.below(most_us) as u64)
}

/// When a process dies that recovers a store, where recovery may take `long`.
pub fn moment_within(rng: &mut Rng, long: Duration) -> Duration {
    Duration::from_micros(rng.below(long.as_micros() as usize + 1) as u64)
}

fn one_of<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    choices[rng.below(choices.len())]
}
