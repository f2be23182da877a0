//! Shared parts of the engine's benches: keys, chance, medians, and how a figure is printed.
//!
//! The benches print medians of alternating runs in one process, and state the durability. Under `cargo bench` they run
//! in full; otherwise (`cargo test --benches`) a small run shows that they work.

#![allow(clippy::print_stdout, reason = "benches print")]

pub mod keys;

use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, Instant};

/// True under `cargo bench`.
pub fn is_full() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// True if no word was given after `--`, or one that occurs in `what`.
pub fn is_wanted(what: &str) -> bool {
    let mut words = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    words.peek().is_none() || words.any(|word| what.contains(&word))
}

/// `full` under `cargo bench` unless the variable `AETHER_BENCH_ROWS` says otherwise, `small` in a trial run.
pub fn rows(full: u64, small: u64) -> u64 {
    let wished = std::env::var("AETHER_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok());
    wished.unwrap_or(if is_full() { full } else { small })
}

/// A key of 20 bytes: `user` and 16 digits.
pub fn key(number: u64) -> [u8; 20] {
    let mut key = *b"user0000000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// A sequence of numbers that look random; the same for the same seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((u128::from(self.0) * u128::from(bound)) >> 64) as u64
    }
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// Nanoseconds per step of `count` steps that `work` takes.
pub fn per_step(count: u64, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    nanoseconds(start.elapsed(), count)
}

/// `time` shared out to `count` steps, in nanoseconds.
pub fn nanoseconds(time: Duration, count: u64) -> f64 {
    time.as_nanos() as f64 / count.max(1) as f64
}

/// Time of all threads of this process on a processor.
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// What a step costs, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// On the wall, for the whole process.
    pub wall: f64,
    /// Of all threads on a processor, background work included.
    pub cpu: f64,
}

impl Cost {
    /// What each of `count` steps that `work` takes costs.
    pub fn per_step(count: u64, work: impl FnOnce()) -> Self {
        let (cpu, wall) = (cpu_time(), Instant::now());
        work();
        let (wall, cpu) = (wall.elapsed(), cpu_time().saturating_sub(cpu));
        Self { wall: nanoseconds(wall, count), cpu: nanoseconds(cpu, count) }
    }

    /// The median of each.
    pub fn median(costs: &[Self]) -> Self {
        let of = |which: fn(&Self) -> f64| median(costs.iter().map(which).collect());
        Self { wall: of(|cost| cost.wall), cpu: of(|cost| cost.cpu) }
    }

    /// Prints both, and what is to be said of them.
    pub fn print(self, what: &str, remark: &str) {
        let [wall, cpu] = [self.wall, self.cpu].map(|ns| match ns {
            ns if ns < 1e3 => format!("{ns:.0} ns"),
            ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
            ns => format!("{:.2} ms", ns / 1e6),
        });
        println!("{what:56} {wall:>10} {cpu:>10} CPU  {remark}");
    }
}

/// Prints one figure.
pub fn line(what: &str, nanoseconds: f64) {
    match nanoseconds {
        ns if ns < 1e3 => println!("{what:44} {ns:10.2} ns"),
        ns if ns < 1e6 => println!("{what:44} {:10.2} us", ns / 1e3),
        ns => println!("{what:44} {:10.2} ms", ns / 1e6),
    }
}
