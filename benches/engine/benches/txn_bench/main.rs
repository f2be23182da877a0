//! Transactions: what they cost at each level, alone and in each other's way; a snapshot that is held; how serializability
//! is had, beside two-phase locking.
//!
//! `cargo bench -p engine-benches --bench txn_bench [-- WORDS]`: of `alone`, `two-phase commit`, `counter`, `held` and
//! `serializable` only those with one of the words. `AETHER_BENCH_ROWS` sets the rows (200,000). Durability `None`, one thread
//! unless it says otherwise, on the real file system under the system's temporary directory.

#![allow(clippy::print_stdout, reason = "a bench prints")]

mod alone;
mod counter;
mod held;
mod locks;
mod mix;
mod serializable;

use aether_kv::buffer::BufferConfig;
use aether_kv::{Db, Durability, Error, Isolation, Options, Result, WriteBatch};
use engine_benches::{Cost, is_full, is_wanted, key};
use std::path::Path;
use std::thread;
use std::time::Duration;

/// A part of the bench, run in a directory of its own.
type Part = fn(&Path) -> Result<()>;

const ROUNDS: usize = 5;
const LEVELS: [Isolation; 3] = [Isolation::ReadCommitted, Isolation::Snapshot, Isolation::Serializable];

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    println!("per transaction unless it says otherwise: on the wall, on a processor; medians of {ROUNDS}");
    let parts: [(&str, Part); 5] = [
        ("alone", alone::alone),
        ("two-phase commit", alone::two_phase),
        ("counter", counter::counter),
        ("held", held::held),
        ("serializable", serializable::serializable),
    ];
    for (what, part) in parts.into_iter().filter(|(what, _)| is_wanted(what)) {
        println!("\n{what}");
        part(&dir.path().join(what.replace(' ', "-")))?;
    }
    Ok(())
}

fn options(frames: usize) -> Options {
    let buffer = BufferConfig { num_frames: frames, ..BufferConfig::default() };
    Options { buffer, durability: Durability::None, max_recovery_bytes: 1 << 30, ..Options::default() }
}

/// Rows of 20 and 100 bytes, by number.
fn fill(db: &Db, rows: u64) -> Result<()> {
    (0..rows).step_by(100).try_for_each(|start| {
        let mut batch = WriteBatch::new();
        (start..rows.min(start + 100)).for_each(|number| _ = batch.put(&key(number), &[number as u8; 100]));
        db.write(batch)
    })
}

/// One of the things that take turns.
struct Figure<'a> {
    what: String,
    /// Calls of `step` in a round.
    count: u64,
    /// Operations of a call.
    operations: u64,
    remark: &'static str,
    step: Box<dyn FnMut() -> Result<()> + 'a>,
}

impl<'a> Figure<'a> {
    fn new(what: impl Into<String>, count: u64, step: impl FnMut() -> Result<()> + 'a) -> Self {
        let count = if is_full() { count } else { count.min(20) };
        Self { what: what.into(), count, operations: 1, remark: "", step: Box::new(step) }
    }

    fn per(self, operations: u64) -> Self {
        Self { operations, ..self }
    }

    fn remark(self, remark: &'static str) -> Self {
        Self { remark, ..self }
    }

    fn round(&mut self) -> Result<Cost> {
        let Self { count, operations, step, .. } = self;
        let mut outcome = Ok(());
        let cost = Cost::per_step(*count * *operations, || outcome = (0..*count).try_for_each(|_| step()));
        outcome.map(|()| cost)
    }
}

/// Runs rounds in which `figures` take turns, after one that is not counted; prints medians.
fn take_turns(mut figures: Vec<Figure<'_>>) -> Result<Vec<Cost>> {
    let mut costs = vec![Vec::new(); figures.len()];
    for round in 0..=ROUNDS {
        for (figure, costs) in figures.iter_mut().zip(&mut costs) {
            let cost = figure.round()?;
            if round > 0 {
                costs.push(cost);
            }
        }
    }
    let medians: Vec<Cost> = costs.iter().map(|costs| Cost::median(costs)).collect();
    figures.iter().zip(&medians).for_each(|(figure, cost)| cost.print(&figure.what, figure.remark));
    Ok(medians)
}

/// For how long threads work in a round.
fn stretch() -> Duration {
    Duration::from_millis(if is_full() { 1_000 } else { 5 })
}

/// Runs `work` on so many threads, which are numbered; what each returns.
fn on_threads<T: Send>(threads: u64, work: impl Fn(u64) -> Result<T> + Sync) -> Result<Vec<T>> {
    thread::scope(|scope| {
        let work = &work;
        let workers: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        let joined = workers.into_iter().map(|worker| worker.join());
        joined.map(|outcome| outcome.unwrap_or_else(|_| Err(Error::invalid("a thread panicked")))).collect()
    })
}
