//! What is run: the list of workloads and how large they are.

use crate::draw::ROW_BYTES;
use crate::engine::{Durability, Order};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How large a run is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// Rows of the set that is read and updated.
    pub rows: u64,
    /// Rows that a load workload writes.
    pub load_rows: u64,
    /// Rows that the long load writes.
    pub long_rows: u64,
    /// Seconds that a cell measures, for all that is not a load.
    pub seconds: f64,
    /// Seconds of the sustained puts.
    pub sustained_seconds: f64,
    /// Rounds; medians are over them.
    pub rounds: u32,
    /// MiB of cache that each engine gets, but for the set that is larger than it.
    pub cache_mib: u64,
}

impl Scale {
    /// Minutes rather than seconds, and a set that no processor's cache holds.
    pub const FULL: Self = Self {
        rows: 1_000_000,
        load_rows: 200_000,
        long_rows: 5_000_000,
        seconds: 2.0,
        sustained_seconds: 20.0,
        rounds: 5,
        cache_mib: 512,
    };

    /// About three minutes on an idle machine.
    pub const QUICK: Self = Self {
        rows: 20_000,
        load_rows: 10_000,
        long_rows: 20_000,
        seconds: 0.05,
        sustained_seconds: 0.3,
        rounds: 3,
        cache_mib: 64,
    };

    /// Time that a cell of `task` measures.
    pub fn time(&self, task: Task) -> Duration {
        let seconds = if task == Task::Sustained { self.sustained_seconds } else { self.seconds };
        Duration::from_secs_f64(seconds)
    }

    /// Time that a cell of `task` may take beyond what any may: the slowest engines write a row in a good tenth of a millisecond.
    pub fn patience(&self, task: Task) -> Duration {
        match task {
            Task::LongLoad => Duration::from_micros(150 * self.long_rows),
            task => self.time(task) * 4,
        }
    }

    /// A quarter of the set.
    pub fn small_cache_bytes(&self) -> u64 {
        (self.rows * ROW_BYTES / 4).max(1 << 20)
    }
}

/// How rows to get are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// Each as likely as any other.
    Uniform,
    /// By Zipf's law, 0.99, the frequent ones scattered.
    Zipf,
    /// Uniform, and never there.
    Miss,
}

/// One of YCSB's core mixes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Half reads, half updates.
    A,
    /// 95 % reads, updates.
    B,
    /// Reads.
    C,
    /// 95 % reads of the latest, inserts.
    D,
    /// 95 % scans of 1 to 100 rows, inserts.
    E,
    /// Half reads, half reads with an update of the same row.
    F,
}

/// Transactions that read before they write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trade {
    /// New orders and payments, like TPC-C's.
    Orders {
        /// Each has its rows; one is contended.
        warehouses: u32,
    },
    /// One or two accounts, as YCSB-T.
    Accounts,
}

/// What a cell does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Writes all rows of an empty store.
    Load {
        /// In random order rather than ascending.
        is_random: bool,
        /// Rows of a transaction.
        batch: u64,
    },
    /// Writes many rows into an empty store in random order, one a transaction, made durable every second; each is timed.
    LongLoad,
    /// Gets.
    Get(Draw),
    /// Scans from random places, or of everything.
    Scan {
        /// Rows of each scan; none: all.
        rows: Option<u64>,
        /// Which way.
        order: Order,
    },
    /// A mix.
    Ycsb(Mix),
    /// Puts of a row, at random, each a transaction.
    Put,
    /// The same, made durable every second.
    Sustained,
    /// Transactions, at each level of an engine.
    Transact(Trade),
    /// Opening what a killed process has left, and the first get.
    Reopen,
}

/// Which store a cell works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// None yet.
    Empty,
    /// The loaded set; read only.
    Shared,
    /// A copy of the loaded set.
    Copied,
    /// What a killed process has left.
    Killed,
}

/// A row of the tables.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The name on the command line and in tables.
    pub name: String,
    /// The heading under which it is printed.
    pub group: &'static str,
    /// What it does.
    pub task: Task,
    /// On which store.
    pub store: Store,
    /// By how many threads.
    pub threads: u32,
    /// What commits wait for.
    pub durability: Durability,
    /// With a cache of a quarter of the set.
    pub is_tight: bool,
}

impl Workload {
    fn new(name: impl Into<String>, group: &'static str, task: Task, store: Store) -> Self {
        let (name, durability) = (name.into(), Durability::Never);
        Self { name, group, task, store, threads: 1, durability, is_tight: false }
    }

    fn threads(self, threads: u32) -> Self {
        Self { name: format!("{}, {threads} threads", self.name), threads, ..self }
    }

    fn durable(self, durability: Durability) -> Self {
        Self { durability, ..self }
    }

    fn tight(self) -> Self {
        Self { is_tight: true, ..self }
    }

    /// Is the time of each operation taken?
    pub fn has_latency(&self) -> bool {
        self.is_tight
            || matches!(
                self.task,
                Task::LongLoad | Task::Ycsb(_) | Task::Put | Task::Sustained | Task::Transact(_)
            )
    }

    /// Does it run on the levels of an engine, rather than on the engine?
    pub fn is_transactional(&self) -> bool {
        matches!(self.task, Task::Transact(_))
    }

    /// Are bytes written per user byte a figure of it?
    pub fn has_writes(&self) -> bool {
        matches!(
            self.task,
            Task::Load { .. } | Task::LongLoad | Task::Put | Task::Sustained | Task::Transact(_)
        ) || matches!(self.task, Task::Ycsb(mix) if mix != Mix::C)
    }
}

/// All workloads, in the order of the document.
pub fn all() -> Vec<Workload> {
    [loads(), gets(), scans(), mixes(), transactions(), commits(), long_ones()]
        .into_iter()
        .flatten()
        .collect()
}

fn loads() -> Vec<Workload> {
    let one = |(order, is_random, batch)| {
        let task = Task::Load { is_random, batch };
        Workload::new(format!("load {order}, batch {batch}"), "Load", task, Store::Empty)
    };
    [("seq", false, 1), ("random", true, 1), ("seq", false, 100), ("random", true, 100)].map(one).into()
}

fn twice(one: &Workload) -> [Workload; 2] {
    [one.clone(), one.clone().threads(2)]
}

fn gets() -> Vec<Workload> {
    let draws = [("get uniform", Draw::Uniform), ("get zipf", Draw::Zipf), ("get miss", Draw::Miss)];
    let one = |(name, draw)| Workload::new(name, "Get", Task::Get(draw), Store::Shared);
    draws.map(one).iter().flat_map(twice).collect()
}

fn scans() -> Vec<Workload> {
    let (some, all) = (Some(100), None);
    let one = |(name, rows, order)| {
        Workload::new(name, "Scan (per row)", Task::Scan { rows, order }, Store::Shared)
    };
    let scans = [
        ("scan 100 forward", some, Order::Forward),
        ("scan 100 reverse", some, Order::Reverse),
        ("scan all forward", all, Order::Forward),
        ("scan all reverse", all, Order::Reverse),
    ];
    scans.map(one).into()
}

fn mixes() -> Vec<Workload> {
    let one = |mix| {
        let store = if mix == Mix::C { Store::Shared } else { Store::Copied };
        Workload::new(format!("ycsb {mix:?}"), "YCSB", Task::Ycsb(mix), store)
    };
    [Mix::A, Mix::B, Mix::C, Mix::D, Mix::E, Mix::F].map(one).iter().flat_map(twice).collect()
}

/// By name those of one group have `txn` in common.
fn transactions() -> Vec<Workload> {
    let one = |name: &str, trade| {
        Workload::new(format!("txn {name}"), "Transactions", Task::Transact(trade), Store::Empty)
    };
    let orders = one("orders, 4 warehouses", Trade::Orders { warehouses: 4 });
    let synced = |workload: &Workload| Workload {
        name: format!("{}, synced each second", workload.name),
        ..workload.clone().durable(Durability::EverySecond)
    };
    let accounts = one("accounts", Trade::Accounts);
    let all = [
        one("orders, 1 warehouse", Trade::Orders { warehouses: 1 }),
        orders.clone(),
        synced(&orders),
        accounts.clone(),
        synced(&accounts),
    ];
    all.iter().flat_map(twice).collect()
}

fn commits() -> Vec<Workload> {
    let one = Workload::new("commit", "Durable commits", Task::Put, Store::Empty).durable(Durability::Each);
    let more = [2, 8, 32].map(|threads| one.clone().threads(threads));
    [one].into_iter().chain(more).collect()
}

fn long_ones() -> Vec<Workload> {
    let larger = "Four times the cache";
    vec![
        Workload::new("sustained puts", "Sustained random puts", Task::Sustained, Store::Copied)
            .durable(Durability::EverySecond),
        Workload::new("long load, random", "Long load", Task::LongLoad, Store::Empty)
            .durable(Durability::EverySecond),
        Workload::new("4x cache: get", larger, Task::Get(Draw::Uniform), Store::Shared).tight(),
        Workload::new("4x cache: put", larger, Task::Put, Store::Copied).tight(),
        Workload::new("open after SIGKILL", "Open after SIGKILL", Task::Reopen, Store::Killed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_writers_do_not_share() {
        let all = all();
        let names: BTreeSet<_> = all.iter().map(|workload| &workload.name).collect();
        assert_eq!(names.len(), all.len());
        assert!(all.iter().all(|workload| !(workload.has_writes() && workload.store == Store::Shared)));
    }
}
