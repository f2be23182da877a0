//! Many histories: every level, contended and not, with crashes and without, in turn.

use super::judge::Findings;
use super::level::Level;
use super::run::{self, Settings};
use crate::rng::derive;
use core::fmt;
use serde_json::{Value, json};
use std::time::Instant;

/// Transactions of one history.
const HISTORY_TXNS: u64 = 1_000;

/// Transactions that the gate wants.
pub const CI_TXNS: u64 = 20_000;

/// Lists in use at a time: contended, and not.
pub const KEYS: [usize; 2] = [4, 64];

/// What to make.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all histories have in common.
    pub common: Settings,
    /// Levels.
    pub levels: Vec<Level>,
    /// Judge by this level instead.
    pub judged_as: Option<Level>,
    /// Lists in use at a time.
    pub keys: Vec<usize>,
    /// With crashes, or without.
    pub crashes: Vec<bool>,
    /// With conversions meanwhile, or without: in turn, and the other way round when all else has had its turn.
    pub converts: Vec<bool>,
    /// Transactions, of all histories together.
    pub txns: u64,
}

impl Plan {
    /// Everything, in the size of the gate.
    pub fn full(seed: u64) -> Self {
        Self {
            common: Settings::new(seed, Level::Snapshot),
            levels: Level::ALL.to_vec(),
            judged_as: None,
            keys: KEYS.to_vec(),
            crashes: vec![false, true],
            converts: vec![false, true],
            txns: CI_TXNS,
        }
    }

    /// History number `number`.
    pub fn settings(&self, number: u64) -> Settings {
        let turn = number as usize;
        let level = self.levels[turn % self.levels.len()];
        let turn = turn / self.levels.len();
        let keys = self.keys[turn % self.keys.len()];
        let crashes = self.crashes[turn / self.keys.len() % self.crashes.len()];
        let turns = (self.levels.len() * self.keys.len() * self.crashes.len()) as u64;
        let converts = self.converts[(number + number / turns) as usize % self.converts.len()];
        let txns = HISTORY_TXNS.min(self.txns - number * HISTORY_TXNS);
        let seed = derive(self.common.seed, number);
        let judged_as = self.judged_as.unwrap_or(level);
        Settings { seed, level, judged_as, keys, crashes, converts, txns, ..self.common }
    }

    fn histories(&self) -> u64 {
        self.txns.div_ceil(HISTORY_TXNS)
    }
}

/// What was made so far, and what it shows.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Histories.
    pub histories: u64,
    /// Transactions.
    pub transactions: u64,
    /// Of these: committed, and said so.
    pub committed: u64,
    /// Restarts after a crash.
    pub restarts: u64,
    /// Conversions of the keyspace that went through.
    pub conversions: u64,
    /// Edges between transactions.
    pub edges: u64,
    /// The first history that is wrong: its number, and how.
    pub failure: Option<(u64, Failure)>,
    /// The time it took.
    pub seconds: f64,
}

/// How a history went wrong.
#[derive(Clone, Debug)]
pub enum Failure {
    /// It shows what its level forbids.
    Anomalies(Findings),
    /// It could not be made.
    Broken(String),
}

/// Makes and judges histories until one is wrong or there are enough. Blocks.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(&Tally)) -> Tally {
    let (start, mut tally) = (Instant::now(), Tally::default());
    for number in 0..plan.histories() {
        let failure = tally.add(&plan.settings(number)).err();
        tally.seconds = start.elapsed().as_secs_f64();
        if let Some(failure) = failure {
            tally.failure = Some((number, failure));
            break;
        }
        progress(&tally);
    }
    tally
}

impl Tally {
    fn add(&mut self, settings: &Settings) -> Result<(), Failure> {
        let outcome = run::run(settings).map_err(Failure::Broken)?;
        let findings = outcome.findings;
        self.histories += 1;
        self.transactions += findings.transactions as u64;
        self.committed += findings.committed as u64;
        self.edges += findings.edges as u64;
        self.restarts += outcome.restarts;
        self.conversions += outcome.conversions;
        if findings.is_clean() { Ok(()) } else { Err(Failure::Anomalies(findings)) }
    }

    /// True if no history was wrong.
    pub fn is_clean(&self) -> bool {
        self.failure.is_none()
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        let failure = self.failure.as_ref().map(|(number, failure)| match failure {
            Failure::Anomalies(findings) => json!({ "history": number, "findings": findings.json() }),
            Failure::Broken(what) => json!({ "history": number, "what": what }),
        });
        json!({
            "ok": self.is_clean(),
            "histories": self.histories,
            "transactions": self.transactions,
            "committed": self.committed,
            "restarts": self.restarts,
            "conversions": self.conversions,
            "edges": self.edges,
            "seconds": self.seconds,
            "failure": failure,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anomalies(findings) => findings.fmt(f),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((number, failure)) = &self.failure {
            writeln!(f, "history {number}: {failure}")?;
        }
        let Self { histories, transactions, committed, restarts, conversions, edges, seconds, .. } = self;
        write!(
            f,
            "{transactions} transactions in {histories} histories, {committed} committed, {edges} edges, {restarts} restarts, \
             {conversions} conversions, {seconds:.1} s; {}",
            if self.is_clean() { "no anomaly" } else { "stopped" }
        )
    }
}
