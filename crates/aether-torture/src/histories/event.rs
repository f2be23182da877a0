//! Events, and the lines of JSON that they are outside.
//!
//! `{"p":3,"t":"invoke","id":17,"ops":[["append","x",41],["r","x",null]]}` before transaction 17 begins, then, with the
//! same id, `ok` with the lists read in place of `null`, `fail` if it has certainly not committed, or `info`. The order of
//! the lines is the order of the events.

use aether_sync::Arc;
use serde_json::{Value, json};
use std::io::{BufRead, Read};

/// A key.
pub type Key = Arc<str>;

/// The longest line that is taken.
const LINE_BYTES_MAX: usize = 256 << 20;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A transaction is about to begin.
    Invoke,
    /// It has committed.
    Ok,
    /// It has certainly not committed.
    Fail,
    /// It may have committed or not.
    Info,
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// The value was appended to the list of the key.
    Append(Key, u64),
    /// The list of the key was read; none: not known.
    Read(Key, Option<Vec<u64>>),
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who: does one transaction at a time.
    pub process: u64,
    /// What happened.
    pub kind: Kind,
    /// To which transaction.
    pub id: u64,
    /// Its operations, in order.
    pub ops: Vec<Op>,
}

/// Reads a history; a last line without an end, of a process that was killed, is left out.
///
/// # Errors
/// The number of the line and what is wrong with it.
pub fn read(mut from: impl BufRead) -> Result<Vec<Event>, String> {
    let (mut events, mut line) = (Vec::new(), Vec::new());
    for number in 1.. {
        line.clear();
        let wrong = |what: String| format!("line {number}: {what}");
        let length = from
            .by_ref()
            .take(LINE_BYTES_MAX as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(|error| wrong(error.to_string()))?;
        if length > LINE_BYTES_MAX {
            return Err(wrong(format!("longer than {LINE_BYTES_MAX} bytes")));
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            break;
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            events.push(parse(&line).map_err(wrong)?);
        }
    }
    Ok(events)
}

fn parse(line: &[u8]) -> Result<Event, String> {
    let value: Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let number = |name: &str| value[name].as_u64().ok_or_else(|| format!("{name:?} is no number"));
    let kind = match value["t"].as_str() {
        Some("invoke") => Kind::Invoke,
        Some("ok") => Kind::Ok,
        Some("fail") => Kind::Fail,
        Some("info") => Kind::Info,
        _ => return Err("\"t\" is none of invoke, ok, fail, info".into()),
    };
    let ops = value["ops"].as_array().ok_or("\"ops\" is no array")?;
    let ops = ops.iter().map(parse_op).collect::<Result<_, _>>()?;
    Ok(Event { process: number("p")?, kind, id: number("id")?, ops })
}

fn parse_op(op: &Value) -> Result<Op, String> {
    let wrong = || format!("{op} is no operation");
    let [what, key, rest] = op.as_array().map(Vec::as_slice).ok_or_else(wrong)? else { return Err(wrong()) };
    let key = match key {
        Value::String(key) => Key::from(key.as_str()),
        Value::Number(key) => Key::from(key.to_string()),
        _ => return Err(wrong()),
    };
    match (what.as_str(), rest) {
        (Some("append"), value) => Ok(Op::Append(key, value.as_u64().ok_or_else(wrong)?)),
        (Some("r"), Value::Null) => Ok(Op::Read(key, None)),
        (Some("r"), Value::Array(list)) => {
            let list = list.iter().map(Value::as_u64).collect::<Option<_>>().ok_or_else(wrong)?;
            Ok(Op::Read(key, Some(list)))
        }
        _ => Err(wrong()),
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Invoke => "invoke",
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Info => "info",
        }
    }
}

impl Event {
    /// The line, without its end.
    pub fn line(&self) -> String {
        let op = |op: &Op| match op {
            Op::Append(key, value) => json!(["append", &**key, value]),
            Op::Read(key, list) => json!(["r", &**key, list]),
        };
        let ops = Value::Array(self.ops.iter().map(op).collect());
        format!("{{\"p\":{},\"t\":\"{}\",\"id\":{},\"ops\":{ops}}}", self.process, self.kind.name(), self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_the_event_that_it_was() {
        let text = "{\"p\":3,\"t\":\"ok\",\"id\":17,\"ops\":[[\"append\",\"x\",41],[\"r\",\"x\",[41]],[\"r\",\"y\",null]]}\n";
        let events = read(text.as_bytes()).unwrap();
        assert_eq!(events[0].ops[1], Op::Read("x".into(), Some(vec![41])));
        assert_eq!(format!("{}\n", events[0].line()), text);
    }

    #[test]
    fn a_bad_line_is_told_with_its_number() {
        let good = "{\"p\":0,\"t\":\"invoke\",\"id\":1,\"ops\":[]}\n";
        for bad in [
            "{",
            "[]",
            "{\"p\":0,\"t\":\"begin\",\"id\":1,\"ops\":[]}",
            "{\"p\":0,\"t\":\"ok\",\"id\":-1,\"ops\":[]}",
            "{\"p\":0,\"t\":\"ok\",\"id\":1,\"ops\":[[\"w\",\"x\",1]]}",
            "{\"p\":0,\"t\":\"ok\",\"id\":1,\"ops\":[[\"append\",\"x\",\"1\"]]}",
            "{\"p\":0,\"t\":\"ok\",\"id\":1,\"ops\":[[\"r\",\"x\",[1,null]]]}",
        ] {
            let told = read(format!("{good}\n{bad}\n").as_bytes()).unwrap_err();
            assert!(told.starts_with("line 3: "), "{bad}: {told}");
        }
        assert_eq!(read(format!("{good}{{\"p\":").as_bytes()).unwrap().len(), 1, "cut off");
    }
}
