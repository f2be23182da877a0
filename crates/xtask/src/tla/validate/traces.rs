//! Traces as the runs leave them, and as TLC reads them.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;

/// Events in one run of TLC.
const BATCH_EVENTS: usize = 15_000;
/// The parser calls itself along a literal, so that long ones are put together of short ones.
const CHUNK_EVENTS: usize = 200;

/// The threads of a trace, and their events as TLA+.
#[derive(Debug, Default, PartialEq, Eq)]
struct Trace {
    threads: BTreeMap<u64, Vec<(String, String)>>,
}

/// What a run has left.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    traces: BTreeMap<u64, Trace>,
}

impl Traces {
    /// Reads a step a line.
    ///
    /// # Errors
    /// The line that is none.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut traces: BTreeMap<u64, Trace> = BTreeMap::new();
        let whole = text.rfind('\n').map_or(text, |end| &text[..end]);
        for (index, line) in whole.lines().enumerate() {
            let step: Value =
                serde_json::from_str(line).map_err(|error| format!("line {}: {error}", index + 1))?;
            let wrong = || format!("line {}: {line} is no step", index + 1);
            let number = |name: &str| step[name].as_u64().ok_or_else(wrong);
            let action = step["action"].as_str().ok_or_else(wrong)?;
            let values = step["values"].as_array().ok_or_else(wrong)?;
            let values: Vec<_> = values.iter().map(Value::to_string).collect();
            let (actor, begin, end) = (number("actor")?, number("begin")?, number("end")?);
            let event = format!("<<\"{action}\",{actor},<<{}>>,{begin},{end}>>", values.join(","));
            let trace = traces.entry(number("trace")?).or_default();
            trace.threads.entry(number("thread")?).or_default().push((action.to_string(), event));
        }
        Ok(Self { traces })
    }

    /// Forgets the newest: its run may have been stopped while it was told.
    pub(crate) fn drop_last(&mut self) {
        self.traces.pop_last();
    }

    pub(crate) fn count(&self) -> usize {
        self.traces.len()
    }

    pub(crate) fn events(&self) -> usize {
        self.traces.values().map(Trace::events).sum()
    }

    /// Adds how often each action occurs.
    pub(crate) fn count_actions(&self, seen: &mut BTreeMap<String, u64>) {
        let events = self.traces.values().flat_map(|trace| trace.threads.values().flatten());
        events.for_each(|(action, _)| *seen.entry(action.clone()).or_default() += 1);
    }

    /// The numbers of traces, as many together as one run of TLC takes.
    pub(crate) fn batches(&self) -> Vec<Vec<u64>> {
        let mut batches: Vec<Vec<u64>> = Vec::new();
        let mut room = 0;
        for (number, trace) in &self.traces {
            match batches.last_mut() {
                Some(batch) if trace.events() <= room => batch.push(*number),
                _ => {
                    batches.push(vec![*number]);
                    room = BATCH_EVENTS;
                }
            }
            room = room.saturating_sub(trace.events());
        }
        batches
    }

    /// The module `TraceData` of these traces.
    pub(crate) fn module(&self, numbers: &[u64]) -> String {
        let mut text = String::from("---- MODULE TraceData ----\nEXTENDS Sequences\n");
        let mut names = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            let threads = self.traces.get(number).into_iter().flat_map(|trace| trace.threads.values());
            let logs = threads.zip(1..).map(|(events, thread)| log(&mut text, index + 1, thread, events));
            let logs: Vec<_> = logs.collect();
            // Writing to a string does not fail.
            let _ = writeln!(text, "T{} == <<{}>>", index + 1, logs.join(", "));
            names.push(format!("T{}", index + 1));
        }
        let _ = writeln!(text, "Data == <<{}>>\n====", names.join(", "));
        text
    }
}

impl Trace {
    fn events(&self) -> usize {
        self.threads.values().map(Vec::len).sum()
    }
}

/// Writes the events of a thread and returns the expression that they are.
fn log(text: &mut String, trace: usize, thread: usize, events: &[(String, String)]) -> String {
    let chunks = events.chunks(CHUNK_EVENTS).enumerate().map(|(index, chunk)| {
        let name = format!("T{trace}_{thread}_{index}");
        let events: Vec<_> = chunk.iter().map(|(_, event)| event.as_str()).collect();
        let _ = writeln!(text, "{name} == <<{}>>", events.join(",\n"));
        name
    });
    joined(&chunks.collect::<Vec<_>>())
}

/// A balanced tree of concatenations.
fn joined(names: &[String]) -> String {
    match names {
        [] => "<<>>".into(),
        [one] => one.clone(),
        _ => {
            let (left, right) = names.split_at(names.len() / 2);
            format!("({} \\o {})", joined(left), joined(right))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(trace: u64, thread: u64, action: &str) -> String {
        format!(
            r#"{{"trace":{trace},"thread":{thread},"action":"{action}","actor":3,"begin":5,"end":6,"values":[1,2]}}"#
        )
    }

    #[test]
    fn steps_become_a_module_and_are_counted() {
        let lines = [step(4, 1, "Fill"), step(4, 2, "Ack"), step(4, 1, "Ack"), step(9, 1, "Fill")];
        let traces = Traces::parse(&(lines.join("\n") + "\n")).unwrap();
        assert_eq!((traces.count(), traces.events()), (2, 4));
        let mut seen = BTreeMap::new();
        traces.count_actions(&mut seen);
        assert_eq!(seen["Ack"], 2);
        let module = traces.module(&[4]);
        assert!(
            module.contains("T1_1_0 == <<<<\"Fill\",3,<<1,2>>,5,6>>,\n<<\"Ack\",3,<<1,2>>,5,6>>>>"),
            "{module}"
        );
        assert!(module.contains("T1 == <<T1_1_0, T1_2_0>>\nData == <<T1>>"), "{module}");
    }

    #[test]
    fn batches_hold_as_many_events_as_one_run_takes() {
        let lines: Vec<_> =
            (0..BATCH_EVENTS as u64 + 1).map(|index| step(index / 10_000, 1, "Ack")).collect();
        let traces = Traces::parse(&(lines.join("\n") + "\n")).unwrap();
        assert_eq!(traces.batches(), [vec![0], vec![1]]);
    }

    #[test]
    fn long_logs_are_put_together_of_short_ones() {
        let names = ["a", "b", "c"].map(String::from);
        assert_eq!(joined(&names), "(a \\o (b \\o c))");
    }

    #[test]
    fn what_is_no_step_is_refused_with_its_line() {
        assert!(Traces::parse("{}\n").unwrap_err().starts_with("line 1: "));
        assert!(Traces::parse(&format!("{}\nx\n", step(1, 1, "Ack"))).unwrap_err().starts_with("line 2: "));
    }
}
