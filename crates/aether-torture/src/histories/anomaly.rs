//! What a history may show that its level forbids.

use super::level::Level;
use core::fmt;
use serde_json::{Value, json};

/// The name of an anomaly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A value was read that nobody appended.
    GarbageRead,
    /// A list holds a value twice.
    DuplicateElement,
    /// Two reads of a key show orders that contradict each other: an append was undone or overwritten.
    IncompatibleOrder,
    /// A transaction does not see its own appends, or, from snapshot on, reads a key twice and differently.
    Internal,
    /// A value of a transaction that did not commit was read.
    G1a,
    /// A value was read that its own transaction had followed by another.
    G1b,
    /// A committed value stands behind one of a transaction that did not commit.
    DirtyUpdate,
    /// A cycle of writes over writes.
    G0,
    /// A cycle of writes over writes and reads of writes.
    G1c,
    /// A transaction does not see what was acknowledged before it began.
    StaleRead,
    /// An append that was acknowledged is in no list that was read later.
    LostAppend,
    /// Two transactions change what both have read before; one of the changes is built on an old state.
    LostUpdate,
    /// A cycle with one anti-dependency: a transaction sees a part of another.
    GSingle,
    /// A cycle in which no two anti-dependencies follow each other: two see others in contrary orders.
    GNonadjacent,
    /// A cycle of anti-dependencies on rows that were there: write skew.
    G2Item,
    /// The same with a row that was not there yet: a phantom.
    G2,
}

impl Name {
    /// As it is printed.
    pub fn text(self) -> &'static str {
        match self {
            Self::GarbageRead => "garbage-read",
            Self::DuplicateElement => "duplicate-element",
            Self::IncompatibleOrder => "incompatible-order",
            Self::Internal => "internal",
            Self::G1a => "G1a",
            Self::G1b => "G1b",
            Self::DirtyUpdate => "dirty-update",
            Self::G0 => "G0",
            Self::G1c => "G1c",
            Self::StaleRead => "stale-read",
            Self::LostAppend => "lost-append",
            Self::LostUpdate => "lost-update",
            Self::GSingle => "G-single",
            Self::GNonadjacent => "G-nonadjacent",
            Self::G2Item => "G2-item",
            Self::G2 => "G2",
        }
    }

    /// The weakest level that forbids it.
    pub fn forbidden_from(self) -> Level {
        match self {
            Self::LostUpdate | Self::GSingle | Self::GNonadjacent => Level::Snapshot,
            Self::G2Item | Self::G2 => Level::Serializable,
            _ => Level::ReadCommitted,
        }
    }
}

/// Something forbidden, and how the history shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// Its name.
    pub name: Name,
    /// A part of the cycle is that one transaction had ended before another began.
    pub realtime: bool,
    /// The transactions, each once, in the order of the cycle if there is one.
    pub transactions: Vec<u64>,
    /// A sentence for each step.
    pub why: Vec<String>,
}

impl Anomaly {
    /// One that needs no cycle.
    pub(super) fn direct(name: Name, transactions: Vec<u64>, why: String) -> Self {
        Self { name, realtime: false, transactions, why: vec![why] }
    }

    /// Its name, and whether it is so only because of real time.
    pub fn title(&self) -> String {
        let implied = matches!(self.name, Name::StaleRead | Name::LostAppend);
        let suffix = if self.realtime && !implied { "-realtime" } else { "" };
        format!("{}{suffix}", self.name.text())
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        json!({ "anomaly": self.title(), "transactions": self.transactions, "why": self.why })
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transactions: Vec<_> = self.transactions.iter().map(|id| format!("T{id}")).collect();
        write!(f, "{}: {}", self.title(), transactions.join(" -> "))?;
        self.why.iter().try_for_each(|why| write!(f, "\n  {why}"))
    }
}
