//! The verdict on a history.

use super::anomaly::Anomaly;
use super::edge::{self, Step};
use super::event::Event;
use super::graph::{Graph, Pass};
use super::level::Level;
use super::order::{self, Order};
use super::transaction::{self, Fate, Transaction};
use core::fmt;
use serde_json::{Value, json};
use std::collections::HashSet;

/// Anomalies of one name that are told in full.
const EXAMPLES: usize = 3;

/// What a history shows.
#[derive(Clone, Debug)]
pub struct Findings {
    /// The level that it claims.
    pub level: Level,
    /// Transactions.
    pub transactions: usize,
    /// Of these: committed, and said so.
    pub committed: usize,
    /// Of these: certainly not committed.
    pub failed: usize,
    /// Lists in use.
    pub keys: usize,
    /// Edges between transactions.
    pub edges: usize,
    /// What the level forbids.
    pub anomalies: Vec<Anomaly>,
}

/// Judges a history that claims a level.
///
/// # Errors
/// What makes it no history.
pub fn judge(events: Vec<Event>, level: Level) -> Result<Findings, String> {
    let transactions = transaction::pair(events)?;
    let mut order = order::find(&transactions, level);
    let edges = edge::find(&transactions, &order);
    let mut anomalies = std::mem::take(&mut order.anomalies);
    anomalies.extend(cycles(&transactions, &order, &edges, level));
    anomalies.sort_by_key(|anomaly| (anomaly.name, anomaly.realtime));
    let count = |fate| transactions.iter().filter(|transaction| transaction.fate == fate).count();
    Ok(Findings {
        level,
        transactions: transactions.len(),
        committed: count(Fate::Committed),
        failed: count(Fate::Failed),
        keys: order.keys.len(),
        edges: edges.len(),
        anomalies,
    })
}

/// The cycles that the level forbids. All passes see less than the last: without a cycle there, there is none.
fn cycles(transactions: &[Transaction], order: &Order, edges: &[edge::Edge], level: Level) -> Vec<Anomaly> {
    let in_pass = |pass| Graph::new(transactions, edges, pass).cycles();
    if in_pass(Pass::Level(level)).is_empty() {
        return Vec::new();
    }
    let (mut found, mut met) = (Vec::new(), HashSet::new());
    for cycle in Pass::of(level).into_iter().flat_map(in_pass) {
        let anomaly = describe(&cycle, transactions, order);
        let mut members = anomaly.transactions.clone();
        members.sort_unstable();
        if met.insert((anomaly.name, members)) {
            found.push(anomaly);
        }
    }
    found
}

fn describe(cycle: &[Step], transactions: &[Transaction], order: &Order) -> Anomaly {
    Anomaly {
        name: edge::name(cycle),
        realtime: cycle.iter().any(|step| matches!(step, Step::Realtime { .. })),
        transactions: cycle.iter().map(|step| transactions[step.from() as usize].id).collect(),
        why: cycle.iter().map(|step| step.why(transactions, order)).collect(),
    }
}

impl Findings {
    /// True if the history shows nothing that its level forbids.
    pub fn is_clean(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// The names of what was found, each once.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.anomalies.iter().map(Anomaly::title).collect();
        names.dedup();
        names
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "ok": self.is_clean(),
            "level": self.level.name(),
            "transactions": self.transactions,
            "committed": self.committed,
            "failed": self.failed,
            "unknown": self.transactions - self.committed - self.failed,
            "keys": self.keys,
            "edges": self.edges,
            "anomalies": self.anomalies.iter().map(Anomaly::json).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for title in self.names() {
            let same: Vec<_> = self.anomalies.iter().filter(|anomaly| anomaly.title() == title).collect();
            same.iter().take(EXAMPLES).try_for_each(|anomaly| writeln!(f, "{anomaly}"))?;
            if same.len() > EXAMPLES {
                writeln!(f, "{title}: {} more", same.len() - EXAMPLES)?;
            }
        }
        let Self { level, transactions, committed, failed, keys, edges, .. } = self;
        write!(
            f,
            "{level}: {transactions} transactions on {keys} lists, {committed} committed, {failed} failed, {} unknown; {edges} edges; {} anomalies",
            transactions - committed - failed,
            self.anomalies.len()
        )
    }
}
