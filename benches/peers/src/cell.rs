//! Running one workload on one engine, in this process.

mod hammer;
mod load;
mod read;
mod transact;
mod write;

use crate::draw::ROW_BYTES;
use crate::engine::{Durability, Engine, Failure, Level, Peer, Result, Setting};
use crate::latency::{Histogram, Quantiles};
use crate::meter::{self, Meter, Spent};
use crate::workload::{Mix, Scale, Store, Task, Workload};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// What a cell found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    /// Operations measured.
    pub operations: f64,
    /// Wall time per operation of the whole process, in nanoseconds.
    pub wall_ns: f64,
    /// CPU time per operation, in nanoseconds, background threads included.
    pub cpu_ns: f64,
    /// Attempts per operation, of transactions.
    pub attempts: Option<f64>,
    /// Latencies, where the workload asks for them.
    pub latency: Option<Quantiles>,
    /// Bytes sent to storage until the store was closed, per byte of keys and values written.
    pub written_per_byte: Option<f64>,
    /// Operations in the worst whole second for one in a mean second, where there was more than one.
    pub worst_second: Option<f64>,
    /// Bytes that the store occupies once closed.
    pub file_bytes: f64,
    /// The most memory the process had.
    pub memory_bytes: f64,
}

/// What the measured stretch of a cell did.
#[derive(Default)]
pub(crate) struct Tally {
    operations: u64,
    attempts: u64,
    user_bytes: u64,
    latency: Histogram,
    /// Operations that ended in each second, where that is a figure.
    each_second: Vec<u64>,
    spent: Spent,
}

/// An open store and what is done with it.
pub(crate) struct Bench<'a> {
    engine: &'a dyn Engine,
    workload: &'a Workload,
    scale: &'a Scale,
}

/// Runs `workload` on the store in `home`.
///
/// # Errors
/// Of the engine, and `wrong answer` if it does not know what it should.
pub fn run(peer: &Peer, workload: &Workload, home: &Path, scale: &Scale) -> Result<Figures> {
    let meter = Meter::start();
    let engine = (peer.open)(home, &setting(workload, scale))?;
    let bench = Bench { engine: &*engine, workload, scale };
    let (tally, meter) = match workload.task {
        Task::Reopen => (bench.reopened(&meter)?, meter),
        task => bench.measured(task)?,
    };
    drop(engine);
    Ok(figures(&tally, &meter, home))
}

/// Runs a transactional `workload` at `level`, on a store made in `home`, and checks what is in it then.
///
/// # Errors
/// Of the engine, and the first invariant that does not hold.
pub fn run_transactions(level: &Level, workload: &Workload, home: &Path, scale: &Scale) -> Result<Figures> {
    let store = (level.open)(home, &setting(workload, scale))?;
    let bench = Bench { engine: &*store, workload, scale };
    let (tally, meter) = bench.transacted(&*store)?;
    drop(store);
    let attempts = tally.attempts as f64 / tally.operations.max(1) as f64;
    Ok(Figures { attempts: Some(attempts), ..figures(&tally, &meter, home) })
}

fn setting(workload: &Workload, scale: &Scale) -> Setting {
    let cache_bytes = if workload.is_tight { scale.small_cache_bytes() } else { scale.cache_mib << 20 };
    Setting { durability: workload.durability, cache_bytes }
}

fn figures(tally: &Tally, meter: &Meter, home: &Path) -> Figures {
    let operations = tally.operations.max(1) as f64;
    let written = meter.written_bytes().filter(|_| tally.user_bytes > 0);
    Figures {
        operations,
        wall_ns: tally.spent.wall.as_nanos() as f64 / operations,
        cpu_ns: tally.spent.cpu.as_nanos() as f64 / operations,
        attempts: None,
        latency: tally.latency.quantiles(),
        written_per_byte: written.map(|bytes| bytes as f64 / tally.user_bytes as f64),
        worst_second: worst_second(&tally.each_second),
        file_bytes: meter::size_bytes(home) as f64,
        memory_bytes: meter::memory_peak_bytes().unwrap_or_default() as f64,
    }
}

/// The last second is not whole.
fn worst_second(each: &[u64]) -> Option<f64> {
    let whole = each.get(..each.len().checked_sub(1)?)?;
    let mean = whole.iter().sum::<u64>() as f64 / whole.len() as f64;
    whole.iter().min().map(|worst| *worst as f64 / mean)
}

impl Bench<'_> {
    /// Brings the store into the state that the workload measures, then measures.
    fn measured(&self, task: Task) -> Result<(Tally, Meter)> {
        if self.workload.store != Store::Empty || task == Task::Put {
            self.warm(task)?;
        }
        let meter = Meter::start();
        let tally = self.go(task, self.scale.time(task), &meter)?;
        if self.workload.durability != Durability::Each && tally.user_bytes > 0 {
            self.engine.sync()?;
        }
        Ok((tally, meter))
    }

    /// Touches every page by gets and by a scan if all fit the cache, then runs the workload for a while; a mix only reads
    /// then, so that its inserts stay inserts. What this has written is synced, so that it is not measured.
    fn warm(&self, task: Task) -> Result<()> {
        if !self.workload.is_tight && self.workload.store != Store::Empty {
            self.touch_rows()?;
            self.count_rows()?;
        }
        let warming = if matches!(task, Task::Ycsb(_)) { Task::Ycsb(Mix::C) } else { task };
        let tally = self.go(warming, self.scale.time(task) / 8, &Meter::start())?;
        if tally.user_bytes > 0 { self.engine.sync() } else { Ok(()) }
    }

    fn go(&self, task: Task, time: Duration, meter: &Meter) -> Result<Tally> {
        match task {
            Task::Load { is_random, batch } => self.load(is_random, batch, meter),
            Task::LongLoad => self.long_load(meter),
            Task::Get(draw) => self.gets(draw, time),
            Task::Scan { rows, order } => self.scans(rows, order, time),
            Task::Ycsb(mix) => self.mix(mix, time),
            Task::Put => self.puts(time),
            Task::Sustained => self.sustained(time),
            Task::Transact(_) | Task::Reopen => Err(Failure::from("no task of an open engine")),
        }
    }
}

/// Loads a store, syncs it, says `ready` and waits to be killed.
///
/// # Errors
/// Of the engine.
pub fn fill_and_wait(peer: &Peer, home: &Path, scale: &Scale, ready: impl FnOnce()) -> Result<()> {
    let setting = Setting { durability: Durability::Never, cache_bytes: scale.cache_mib << 20 };
    let engine = (peer.open)(home, &setting)?;
    load::fill(&*engine, scale.load_rows, true, 20)?;
    engine.sync()?;
    ready();
    loop {
        std::thread::park();
    }
}

fn is_right(found: bool) -> Result<()> {
    if found { Ok(()) } else { Err(Failure::from("wrong answer")) }
}

/// Bytes that a put of one row is worth.
const PUT_BYTES: u64 = ROW_BYTES;
