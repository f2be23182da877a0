//! What is told of a history, in the order of one clock: the order in which the lines are written.

use super::lists::Lists;
use crate::exit::{Outcome, warn};
use crate::torture::event::End;
use crate::torture::lines::Lines;
use aether_sync::atomic::{AtomicU64, Ordering::Relaxed};
use aether_sync::{Mutex, Rank};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Between two lines on standard error.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

const PROGRESS: Rank = Rank::new(980, "the progress of torture history");

/// A part of a transaction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// Appends the value to the list of the key.
    Append(String, u64),
    /// Reads the list of a key, or those of neighbouring keys by one scan.
    Read(Vec<String>),
}

/// The events of a run.
pub(super) struct Record {
    lines: Lines,
    first: u64,
    txns: u64,
    begun: AtomicU64,
    told: Mutex<Instant>,
}

impl Record {
    /// A record of so many transactions, and one more.
    pub(super) fn new(lists: &Lists, txns: u64) -> Outcome<Self> {
        let told = Mutex::new(PROGRESS, Instant::now());
        Ok(Self { lines: Lines::to_stdout()?, first: lists.first(), txns, begun: AtomicU64::new(0), told })
    }

    /// The id of another transaction, if one is wanted.
    pub(super) fn next_id(&self) -> Option<u64> {
        let number = self.begun.fetch_add(1, Relaxed);
        self.tell(number);
        (number < self.txns).then_some(self.first + number)
    }

    /// The id of the last transaction.
    pub(super) fn last_id(&self) -> u64 {
        self.first + self.txns
    }

    /// Tells of a transaction that is about to begin. Blocks on the reader.
    pub(super) fn invoke(&self, process: u64, id: u64, ops: &[Op]) -> Outcome<()> {
        self.lines.write(&line(process, "invoke", id, ops, None))
    }

    /// Tells what became of it; `seen` holds the lists that it read. Blocks on the reader.
    pub(super) fn end(&self, process: u64, id: u64, ops: &[Op], end: End, seen: &[Vec<u64>]) -> Outcome<()> {
        let seen = (end == End::Acknowledged).then_some(seen);
        self.lines.write(&line(process, name(end), id, ops, seen))
    }

    fn tell(&self, number: u64) {
        let Some(mut told) = self.told.try_lock() else { return };
        if told.elapsed() > PROGRESS_INTERVAL {
            *told = Instant::now();
            warn(&format!("{number} of {} transactions", self.txns + 1));
        }
    }
}

fn name(end: End) -> &'static str {
    match end {
        End::Acknowledged => "ok",
        End::Failed => "fail",
        End::Unknown => "info",
    }
}

fn line(process: u64, kind: &str, id: u64, ops: &[Op], seen: Option<&[Vec<u64>]>) -> String {
    let mut seen = seen.map(|seen| seen.iter());
    let mut list = || seen.as_mut().and_then(Iterator::next).map_or(Value::Null, |list| json!(list));
    let mut all = Vec::new();
    for op in ops {
        match op {
            Op::Append(key, value) => all.push(json!(["append", key, value])),
            Op::Read(keys) => all.extend(keys.iter().map(|key| json!(["r", key, list()]))),
        }
    }
    let ops = Value::Array(all);
    format!("{{\"p\":{process},\"t\":\"{kind}\",\"id\":{id},\"ops\":{ops}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_the_documented_lines() {
        let ops = [Op::Append("x".into(), 41), Op::Read(vec!["x".into(), "y".into()])];
        let asked = r#"{"p":3,"t":"invoke","id":17,"ops":[["append","x",41],["r","x",null],["r","y",null]]}"#;
        assert_eq!(line(3, "invoke", 17, &ops, None), format!("{asked}\n"));
        let seen = [vec![7, 41], vec![]];
        let told = r#"{"p":3,"t":"ok","id":17,"ops":[["append","x",41],["r","x",[7,41]],["r","y",[]]]}"#;
        assert_eq!(line(3, "ok", 17, &ops, Some(&seen)), format!("{told}\n"));
    }
}
