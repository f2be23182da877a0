//! Which events are one transaction.

use super::event::{Event, Kind, Op};
use std::collections::HashMap;

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It has committed, and said so.
    Committed,
    /// It has certainly not committed.
    Failed,
    /// Unknown; so is one that never ended.
    Unknown,
}

/// A transaction of a history.
#[derive(Clone, Debug)]
pub struct Transaction {
    /// Its id.
    pub id: u64,
    /// Its operations; lists are known only of what has committed.
    pub ops: Vec<Op>,
    /// What became of it.
    pub fate: Fate,
    /// The number of the event before its begin.
    pub begun: usize,
    /// The number of the event after its commit, if it has said that it committed.
    pub ended: Option<usize>,
}

/// The transactions of a history, in the order of their begins.
///
/// # Errors
/// What makes it no history: an end without a begin, two of either, other operations at the end than at the begin, a
/// process with two transactions at a time, a value appended twice.
pub fn pair(events: Vec<Event>) -> Result<Vec<Transaction>, String> {
    let mut all: Vec<Transaction> = Vec::new();
    let (mut open, mut busy) = (HashMap::new(), HashMap::new());
    let mut known = HashMap::new();
    for (number, event) in events.into_iter().enumerate() {
        let wrong = |what: &str| format!("event {}, transaction {}: {what}", number + 1, event.id);
        if event.kind == Kind::Invoke {
            if known.insert(event.id, ()).is_some() {
                return Err(wrong("begins twice"));
            }
            if busy.insert(event.process, event.id).is_some() {
                return Err(wrong("its process is in another transaction"));
            }
            open.insert(event.id, all.len());
            all.push(begin(number, event));
            continue;
        }
        let at = open.remove(&event.id).ok_or_else(|| wrong("ends, but is not running"))?;
        if busy.get(&event.process) != Some(&event.id) {
            return Err(wrong("ends in another process"));
        }
        if !same_ops(&all[at].ops, &event.ops) {
            return Err(wrong("ends with other operations"));
        }
        if event.kind != Kind::Info {
            // Who does not know what it has done begins nothing more.
            busy.remove(&event.process);
        }
        all[at].end(number, event).map_err(|what| format!("event {}: {what}", number + 1))?;
    }
    check_values(&all)?;
    Ok(all)
}

fn begin(number: usize, event: Event) -> Transaction {
    Transaction { id: event.id, ops: event.ops, fate: Fate::Unknown, begun: number, ended: None }
}

impl Transaction {
    fn end(&mut self, number: usize, event: Event) -> Result<(), String> {
        match event.kind {
            Kind::Ok => {
                if event.ops.iter().any(|op| matches!(op, Op::Read(_, None))) {
                    return Err("ok, but a list is not known".into());
                }
                (self.fate, self.ended, self.ops) = (Fate::Committed, Some(number), event.ops);
            }
            Kind::Fail => self.fate = Fate::Failed,
            Kind::Invoke | Kind::Info => {}
        }
        Ok(())
    }

    /// What it appended, in order.
    pub fn appends(&self) -> impl Iterator<Item = (&super::event::Key, u64)> {
        self.ops.iter().filter_map(|op| match op {
            Op::Append(key, value) => Some((key, *value)),
            Op::Read(..) => None,
        })
    }
}

fn same_ops(begun: &[Op], ended: &[Op]) -> bool {
    let same = |pair: (&Op, &Op)| match pair {
        (Op::Append(key, value), Op::Append(other_key, other)) => key == other_key && value == other,
        (Op::Read(key, _), Op::Read(other, _)) => key == other,
        _ => false,
    };
    begun.len() == ended.len() && begun.iter().zip(ended).all(same)
}

/// No value is appended twice to one key.
fn check_values(all: &[Transaction]) -> Result<(), String> {
    let mut seen = HashMap::new();
    for transaction in all {
        for (key, value) in transaction.appends() {
            if let Some(other) = seen.insert((key.clone(), value), transaction.id) {
                return Err(format!(
                    "{value} is appended to {key} twice, by transactions {other} and {}",
                    transaction.id
                ));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::event;
    use super::*;

    fn pair_lines(lines: &str) -> Result<Vec<Transaction>, String> {
        pair(event::read(lines.as_bytes()).unwrap())
    }

    const BEGUN: &str = "{\"p\":0,\"t\":\"invoke\",\"id\":1,\"ops\":[[\"append\",\"x\",1]]}\n";

    #[test]
    fn what_is_no_history_is_refused() {
        for (then, what) in [
            (BEGUN.to_owned(), "begins twice"),
            (BEGUN.replace(":1,", ":2,"), "in another transaction"),
            (BEGUN.replace("invoke", "ok").replace(":1,", ":2,"), "not running"),
            (BEGUN.replace("invoke", "ok").replace("\"p\":0", "\"p\":1"), "another process"),
            (BEGUN.replace("invoke", "ok").replace(",1]", ",2]"), "other operations"),
            (
                BEGUN.replace("\"p\":0", "\"p\":1").replace(":1,", ":2,").replace("\"p\":2", "\"p\":1"),
                "twice",
            ),
        ] {
            let told = pair_lines(&format!("{BEGUN}{then}")).unwrap_err();
            assert!(told.contains(what), "{then}: {told}");
        }
    }

    #[test]
    fn what_never_ends_is_unknown() {
        let pairs = pair_lines(BEGUN).unwrap();
        assert_eq!((pairs[0].fate, pairs[0].ended), (Fate::Unknown, None));
    }
}
