//! Traces as the specs read them.

use std::fmt::Write;

/// An event in the words of a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The action.
    pub action: &'static str,
    /// Who takes it, in the spec.
    pub actor: u64,
    /// What it binds.
    pub values: Vec<u64>,
    /// The interval of its tickets.
    pub interval: (u64, u64),
}

/// The name in a spec of what the code calls otherwise.
pub(crate) const fn named(action: &'static str) -> &'static str {
    action
}

/// The steps of each thread of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// A thread each, its steps in order.
    pub logs: Vec<Vec<Step>>,
}

impl Trace {
    /// How many steps there are.
    pub fn steps(&self) -> usize {
        self.logs.iter().map(Vec::len).sum()
    }

    /// A JSON object for each step of this trace, which is the one called `number`.
    pub fn lines(&self, number: u64) -> impl Iterator<Item = String> {
        let logs = self.logs.iter().filter(|log| !log.is_empty()).zip(1..);
        logs.flat_map(move |(log, thread)| log.iter().map(move |step| step.line(number, thread)))
    }
}

impl Step {
    fn line(&self, trace: u64, thread: u64) -> String {
        let Self { action, actor, values, interval: (begin, end) } = self;
        let mut line = format!(
            r#"{{"trace":{trace},"thread":{thread},"action":"{action}","actor":{actor},"begin":{begin},"end":{end},"values":["#
        );
        for (index, value) in values.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            // Writing to a string does not fail.
            let _ = write!(line, "{comma}{value}");
        }
        line + "]}"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_a_line() {
        let step = Step { action: "Fill", actor: 2, values: vec![3, 4], interval: (5, 6) };
        let trace = Trace { logs: vec![Vec::new(), vec![step]] };
        let lines: Vec<_> = trace.lines(7).collect();
        let expected = r#"{"trace":7,"thread":1,"action":"Fill","actor":2,"begin":5,"end":6,"values":[3,4]}"#;
        assert_eq!(lines, [expected]);
    }
}
