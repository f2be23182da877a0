//! Counts of kill rounds, for people and for programs.

use super::ledger::Findings;
use serde_json::{Value, json};
use std::fmt;
use std::path::PathBuf;

/// A round that went wrong, and what there is to see of it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The round.
    pub round: u64,
    /// What is wrong.
    pub what: Vec<String>,
    /// The commands of the round, in order.
    pub commands: Vec<String>,
    /// Where the store (`home`, and `before`, as it was before the last dump) and the outputs are kept.
    pub evidence: PathBuf,
}

/// What was tested.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Rounds.
    pub rounds: u64,
    /// Rounds with a kill during recovery.
    pub recovery_rounds: u64,
    /// Stores.
    pub stores: u64,
    /// Processes killed.
    pub kills: u64,
    /// Of those: before they had said anything, on a store to recover.
    pub in_recovery: u64,
    /// Of those: before they had said anything, on a store that was closed, or none.
    pub at_start: u64,
    /// Transactions acknowledged and found.
    pub acknowledged: u64,
    /// Transactions found that were not acknowledged.
    pub kept: u64,
    /// Transactions requested and not found.
    pub undone: u64,
    /// The most rows of a store.
    pub rows_max: u64,
    /// The time it took.
    pub seconds: f64,
    /// What was not right.
    pub failures: Vec<Failure>,
}

impl Tally {
    /// True if everything was right.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }

    /// Counts a round that was right.
    pub(super) fn count(&mut self, found: Findings) {
        self.acknowledged += found.acknowledged;
        self.kept += found.kept;
        self.undone += found.undone;
        self.rows_max = self.rows_max.max(found.rows);
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({
            "ok": self.is_clean(),
            "rounds": self.rounds,
            "recovery_rounds": self.recovery_rounds,
            "stores": self.stores,
            "kills": self.kills,
            "in_recovery": self.in_recovery,
            "at_start": self.at_start,
            "acknowledged": self.acknowledged,
            "kept": self.kept,
            "undone": self.undone,
            "rows_max": self.rows_max,
            "seconds": self.seconds,
            "failures": self.failures.iter().map(Failure::json).collect::<Vec<_>>(),
        })
    }
}

impl Failure {
    fn json(&self) -> Value {
        json!({
            "round": self.round,
            "what": self.what,
            "commands": self.commands,
            "evidence": self.evidence.display().to_string(),
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "round {}: {} faults", self.round, self.what.len())?;
        self.what.iter().take(20).try_for_each(|what| writeln!(f, "  {what}"))?;
        self.commands.iter().try_for_each(|command| writeln!(f, "  ran: {command}"))?;
        write!(f, "  kept: {}", self.evidence.display())
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failures.iter().try_for_each(|failure| writeln!(f, "{failure}"))?;
        write!(
            f,
            "{} rounds on {} stores in {:.1} s: {} kills, {} at start, {} in recovery (of {} rounds); {} transactions \
             acknowledged, {} more kept, {} undone; up to {} rows; {} failures",
            self.rounds,
            self.stores,
            self.seconds,
            self.kills,
            self.at_start,
            self.in_recovery,
            self.recovery_rounds,
            self.acknowledged,
            self.kept,
            self.undone,
            self.rows_max,
            self.failures.len()
        )
    }
}
