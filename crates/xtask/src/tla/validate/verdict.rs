//! What TLC says of traces.

use std::thread;

use super::traces::Traces;
use crate::tla::checker::{self, Run, Verdict};
use crate::tla::model::{Model, Protocol};
use crate::tla::tools::Tools;

/// Runs of TLC side by side.
const RUNS: usize = 2;
/// Of how many refused traces it is looked for why.
const EXPLAINED: usize = 2;

/// A trace that no behaviour of the spec takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) trace: u64,
    /// The events that could not come next, and the state before them; or the invariant that does not hold.
    pub(crate) why: String,
}

impl Refusal {
    /// The first words of why.
    pub(crate) fn in_short(&self) -> String {
        let mut words = self.why.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some((at, _)) = words.char_indices().nth(160) {
            words.truncate(at);
        }
        words
    }
}

/// The traces that the spec refuses, in order. Blocks until TLC is done.
///
/// # Errors
/// TLC does not start, or stumbles.
pub(crate) fn judge(tools: &Tools, protocol: &Protocol, traces: &Traces) -> Result<Vec<Refusal>, String> {
    let model = protocol.trace.as_ref().ok_or("no model for traces")?;
    let batches = traces.batches();
    let every = |first: usize| batches.iter().skip(first).step_by(RUNS);
    let work = |first: usize| -> Result<Vec<Refusal>, String> {
        let judged = every(first).map(|batch| judge_batch(tools, protocol, model, traces, batch));
        Ok(judged.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
    };
    let done: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..RUNS).map(|first| scope.spawn(move || work(first))).collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| "whoever judges panicked")).collect()
    });
    let mut refused = Vec::new();
    for judged in done {
        refused.extend(judged??);
    }
    refused.sort_by_key(|refusal: &Refusal| refusal.trace);
    Ok(refused)
}

fn judge_batch(
    tools: &Tools,
    protocol: &Protocol,
    model: &Model,
    traces: &Traces,
    batch: &[u64],
) -> Result<Vec<Refusal>, String> {
    let text = run(tools, protocol, model, traces, batch)?;
    let accepted = accepted(&text);
    let rest: Vec<_> = batch
        .iter()
        .zip(1..)
        .filter(|(_, index)| !accepted.contains(index))
        .map(|(number, _)| *number)
        .collect();
    // An invariant that does not hold ends the run: of what was not judged each trace is judged alone.
    let stopped = !matches!(checker::read_tlc(&text), Verdict::Passed { .. });
    let mut refused = Vec::new();
    for number in rest {
        if refused.len() >= EXPLAINED {
            if stopped {
                break;
            }
            refused.push(Refusal { trace: number, why: "no behaviour takes all its events".into() });
        } else {
            refused.extend(judge_alone(tools, protocol, model, traces, number)?);
        }
    }
    Ok(refused)
}

fn judge_alone(
    tools: &Tools,
    protocol: &Protocol,
    model: &Model,
    traces: &Traces,
    number: u64,
) -> Result<Option<Refusal>, String> {
    let model = Model { text: model.text.replace(" Accepted", " Accepted Stuck"), ..model.clone() };
    let text = run(tools, protocol, &model, traces, &[number])?;
    let verdict = checker::read_tlc(&text);
    let why = match verdict {
        Verdict::Passed { .. } if accepted(&text).contains(&1) => return Ok(None),
        Verdict::Passed { .. } => stuck(&text).unwrap_or_else(|| "no behaviour takes all its events".into()),
        Verdict::Violated => violated(&text),
        Verdict::Failed(why) => return Err(format!("trace {number} cannot be judged: {why}")),
    };
    Ok(Some(Refusal { trace: number, why }))
}

fn run(
    tools: &Tools,
    protocol: &Protocol,
    model: &Model,
    traces: &Traces,
    numbers: &[u64],
) -> Result<String, String> {
    let first = numbers.first().copied().unwrap_or_default();
    let name = format!("{}-traces-{first}-{}", protocol.name, numbers.len());
    let run = Run::of_traces(tools, &name, protocol, model, traces.module(numbers))?;
    let text = checker::tlc_said(tools, &run)??;
    match checker::read_tlc(&text) {
        Verdict::Failed(why) => Err(format!("TLC stumbles over traces of {}: {why}", protocol.name)),
        _ => Ok(text),
    }
}

/// Lines `<<"ACCEPTED", 3>>`.
fn accepted(text: &str) -> Vec<usize> {
    let number = |line: &str| line.strip_prefix("<<\"ACCEPTED\", ")?.strip_suffix(">>")?.parse().ok();
    text.lines().filter_map(number).collect()
}

/// The last place where a behaviour could not go on: the deepest, for TLC searches breadth first.
fn stuck(text: &str) -> Option<String> {
    let lines: Vec<_> = text.lines().collect();
    let begins = |line: &&str| line.replace(' ', "").starts_with("<<\"STUCK\"");
    let start = lines.iter().rposition(begins)?;
    let mut depth = 0;
    let mut found = String::from("stuck before one of ");
    for line in &lines[start..] {
        depth += line.matches("<<").count() as i64 - line.matches(">>").count() as i64;
        found.push_str(line);
        found.push('\n');
        if depth <= 0 {
            break;
        }
    }
    Some(found)
}

/// Which invariant does not hold, and the last state.
fn violated(text: &str) -> String {
    let error = text.lines().find(|line| line.starts_with("Error: ")).unwrap_or("Error: a property");
    let last = text.rfind("\nState ").map(|at| &text[at..]).unwrap_or_default();
    let state = last.split("\n\n").next().unwrap_or_default();
    format!("{}{state}", error.trim_start_matches("Error: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted_traces_are_read() {
        assert_eq!(accepted("x\n<<\"ACCEPTED\", 3>>\n<<\"ACCEPTED\", 12>>\n"), [3, 12]);
    }

    #[test]
    fn the_deepest_place_is_told_whole() {
        let text = "<<\"STUCK\", 1, <<1>>>>\n<< \"STUCK\",\n   2,\n   << 7,\n      8 >> >>\nModel checking completed\n";
        let told = stuck(text).unwrap();
        assert!(told.contains("8 >> >>") && !told.contains("Model") && !told.contains("<<1>>"), "{told}");
        assert_eq!(stuck("none"), None);
    }

    #[test]
    fn a_broken_invariant_is_named_with_the_last_state() {
        let text = "Error: Invariant NoHole is violated.\nError: The behavior up to this point is:\nState 1: <a>\nx = 1\n\nState 2: <b>\nx = 2\n\nmore\n";
        let told = violated(text);
        assert!(told.starts_with("Invariant NoHole is violated.") && told.contains("x = 2"), "{told}");
        assert!(!told.contains("x = 1") && !told.contains("more"), "{told}");
    }
}
