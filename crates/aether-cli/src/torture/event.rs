//! The events of `work`: one JSON line each.

use super::lines::Lines;
use crate::exit::Outcome;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A put, or a delete where the value is none.
pub(super) type KeyWrite = (String, Option<String>);

/// What became of a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// Durable.
    Acknowledged,
    /// It certainly left nothing.
    Failed,
    /// It may be there or not.
    Unknown,
}

/// Where the clients tell.
pub(super) struct Events(Lines);

impl Events {
    /// Events to standard output.
    pub(super) fn new() -> Outcome<Self> {
        Lines::to_stdout().map(Self)
    }

    /// Tells that `client` is about to commit transaction `number`. Blocks on the reader.
    pub(super) fn intent(
        &self,
        client: u32,
        number: u64,
        writes: &[KeyWrite],
        read: &BTreeMap<u32, u64>,
    ) -> Outcome<()> {
        self.0.write(&intent_line(client, number, writes, read))
    }

    /// Tells what became of transaction `number` of `client`. Blocks on the reader.
    pub(super) fn end(&self, client: u32, number: u64, end: End) -> Outcome<()> {
        let letter = match end {
            End::Acknowledged => 'A',
            End::Failed => 'F',
            End::Unknown => 'U',
        };
        self.0.write(&format!("{{\"t\":\"{letter}\",\"c\":{client},\"s\":{number}}}\n"))
    }
}

fn intent_line(client: u32, number: u64, writes: &[KeyWrite], read: &BTreeMap<u32, u64>) -> String {
    let writes: Vec<Value> = writes.iter().map(|(key, value)| json!([key, value])).collect();
    let read: Value = read.iter().map(|(client, number)| (client.to_string(), json!(number))).collect();
    let writes = Value::Array(writes);
    format!("{{\"t\":\"I\",\"c\":{client},\"s\":{number},\"w\":{writes},\"dep\":{read}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intent_is_the_documented_line() {
        let writes = [("c0/k1".to_string(), Some("v".to_string())), ("c0/k2".to_string(), None)];
        let line = intent_line(0, 7, &writes, &BTreeMap::from([(1, 4)]));
        let wanted = r#"{"t":"I","c":0,"s":7,"w":[["c0/k1","v"],["c0/k2",null]],"dep":{"1":4}}"#;
        assert_eq!(line, format!("{wanted}\n"));
    }
}
