//! What `torture work` says: one JSON line each.

use crate::oracle::Verdict;
use serde_json::Value;
use std::collections::BTreeMap;

/// A put, or a delete where the value is none.
pub type Write = (String, Option<String>);

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// `I`: a client is about to commit a transaction.
    Intent {
        /// The client.
        client: u64,
        /// The number of its transaction.
        number: u64,
        /// What the transaction writes.
        writes: Vec<Write>,
        /// The newest transaction that it read from, of each other client.
        read: BTreeMap<u64, u64>,
    },
    /// `A`, `F`, `U`: what became of it.
    End {
        /// The client.
        client: u64,
        /// The number of its transaction.
        number: u64,
        /// What became of it.
        fate: Fate,
    },
}

/// What a process said about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing, or that it does not know.
    Open,
    /// It is durable.
    Acknowledged,
    /// It certainly left nothing.
    Failed,
}

/// The events in the output of one process. A last line without its newline was cut by the kill and says nothing.
///
/// # Errors
/// If a whole line is not an event.
pub fn parse(text: &str) -> Verdict<Vec<Event>> {
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| event(line).ok_or_else(|| format!("not an event: {}", line.trim_end()))).collect()
}

fn event(line: &str) -> Option<Event> {
    let value: Value = serde_json::from_str(line).ok()?;
    let (client, number) = (value["c"].as_u64()?, value["s"].as_u64()?);
    let fate = match value["t"].as_str()? {
        "I" => return intent(client, number, &value),
        "A" => Fate::Acknowledged,
        "F" => Fate::Failed,
        "U" => Fate::Open,
        _ => return None,
    };
    Some(Event::End { client, number, fate })
}

fn intent(client: u64, number: u64, value: &Value) -> Option<Event> {
    let writes = value["w"].as_array()?.iter().map(write).collect::<Option<_>>()?;
    let read = value["dep"].as_object()?.iter();
    let read = read.map(|(client, number)| Some((client.parse().ok()?, number.as_u64()?)));
    Some(Event::Intent { client, number, writes, read: read.collect::<Option<_>>()? })
}

fn write(value: &Value) -> Option<Write> {
    let text = &value[1];
    if !text.is_string() && !text.is_null() {
        return None;
    }
    Some((value[0].as_str()?.to_owned(), text.as_str().map(str::to_owned)))
}
