//! Trace validation: what the running code did, held against the specs.
//!
//! `aether-trace-runs` is built with the events compiled in, once for threads of the system and once for shuttle. It
//! leaves traces (`traces` reads them), TLC searches for each a behaviour of the spec that takes all its events (`verdict`).
//! A run passes if every trace is accepted and every action of a spec occurs; with a bug planted in the code, if a
//! trace is refused. `runner` builds and starts the runs, `names` holds the names of events and actions together.

mod names;
mod runner;
mod traces;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use super::model::{self, Model, Protocol};
use super::page::Rows;
use super::tools::Tools;
use super::{HOME, chosen};
use crate::terminal::{Mood, paint, say, warn};
pub(crate) use runner::Source;
use runner::{Order, Runner};
use traces::Traces;
use verdict::{Refusal, judge};

/// How many events the traces of a planted bug have, of each source.
const MUTANT_EVENTS: u64 = 12_000;

/// What to validate.
pub(crate) struct Validation<'a> {
    /// None: every protocol that has traces.
    pub(crate) specs: &'a [String],
    /// None: both.
    pub(crate) sources: &'a [Source],
    /// Of all protocols together.
    pub(crate) events: u64,
    /// Too few events for the rare ones: an action that does not occur is told, and is no error.
    pub(crate) is_quick: bool,
    pub(crate) seed: u64,
    /// Only these bugs, instead of the code as it is.
    pub(crate) mutants: &'a [String],
    pub(crate) all_mutants: bool,
    /// Write the tables of `docs/verification.md`.
    pub(crate) record: bool,
}

/// Makes traces and judges them; true if all is as it should be. Blocks until that is done.
///
/// # Errors
/// A missing tool, a build that fails, a file that cannot be read or understood.
pub(crate) fn validate(root: &Path, plan: &Validation<'_>) -> Result<bool, String> {
    let all = model::read(&root.join(HOME))?;
    let unpaired = names::unpaired(root, &all)?;
    unpaired.iter().for_each(|name| warn(&format!("error: {name}")));
    let protocols = traced(chosen(all, plan.specs)?, plan.specs)?;
    let tools = Tools::find(root, false)?;
    let right = if plan.all_mutants || !plan.mutants.is_empty() {
        refuse_mutants(root, &tools, &protocols, plan)?
    } else {
        accept_code(root, &tools, &protocols, plan)?
    };
    if right {
        tools.clean_up();
    } else {
        warn(&format!("traces and what TLC said are in {}", tools.runs.display()));
    }
    Ok(right && unpaired.is_empty())
}

/// Those that have traces; all that are named must.
fn traced(protocols: Vec<Protocol>, names: &[String]) -> Result<Vec<Protocol>, String> {
    let (traced, rest): (Vec<_>, Vec<_>) =
        protocols.into_iter().partition(|protocol| protocol.trace.is_some());
    match rest.first().filter(|_| !names.is_empty()) {
        Some(without) => Err(format!("nothing binds {} to the code: it has no trace.cfg", without.name)),
        None => Ok(traced),
    }
}

/// Of the code as it is every trace is accepted, and every action occurs.
fn accept_code(
    root: &Path,
    tools: &Tools,
    protocols: &[Protocol],
    plan: &Validation<'_>,
) -> Result<bool, String> {
    let runners = Runner::all(root, plan.sources, false)?;
    let shares = |protocol: &Protocol| protocol.trace.as_ref().map_or(0, Model::shares);
    let share = plan.events / (protocols.iter().map(shares).sum::<u64>().max(1) * runners.len() as u64);
    let start = Instant::now();
    let (mut right, mut events) = (true, 0);
    let mut rows = Rows::new("traces", 2);
    for protocol in protocols {
        let mut seen = BTreeMap::new();
        for runner in &runners {
            let (name, count) = (protocol.name.as_str(), (share * shares(protocol)).max(1));
            let order = Order { protocol: name, events: count, seed: plan.seed, mutant: None };
            let told = runner.run(tools, &order)?;
            if let Some(failure) = told.failure {
                return Err(failure);
            }
            let traces = Traces::parse(&told.traces)?;
            traces.count_actions(&mut seen);
            events += traces.events();
            right &= accepts(tools, protocol, runner.source(), &traces, &mut rows)?;
        }
        right &= occurs_everything(protocol, &seen) || plan.is_quick;
    }
    say(&format!("{events} events, {:.1} s", start.elapsed().as_secs_f64()));
    if plan.record {
        rows.write(root)?;
    }
    Ok(right)
}

fn accepts(
    tools: &Tools,
    protocol: &Protocol,
    source: Source,
    traces: &Traces,
    rows: &mut Rows,
) -> Result<bool, String> {
    let start = Instant::now();
    let refused = judge(tools, protocol, traces)?;
    let (count, accepted) = (traces.count(), traces.count() - refused.len());
    let words = format!("{count} traces, {} events, {accepted} accepted", traces.events());
    row(&format!("{} {}", protocol.name, source.name()), &words, start, refused.is_empty());
    refused.iter().for_each(tell);
    let [count, events, accepted] = [count, traces.events(), accepted].map(|number| number.to_string());
    rows.add(&[format!("`{}`", protocol.name), source.name().into(), count, events, accepted]);
    Ok(refused.is_empty())
}

/// Where a refused trace stops.
fn tell(refusal: &Refusal) {
    warn(&format!("trace {}: {}", refusal.trace, refusal.why));
}

fn occurs_everything(protocol: &Protocol, seen: &BTreeMap<String, u64>) -> bool {
    let arms = names::arms(protocol);
    let never: Vec<_> = arms.iter().filter(|action| !seen.contains_key(*action)).cloned().collect();
    let counts: Vec<_> = seen.iter().map(|(action, count)| format!("{action} {count}")).collect();
    say(&format!("      {}", counts.join(", ")));
    if !never.is_empty() {
        warn(&format!("{}: no trace has {}", protocol.name, never.join(", ")));
    }
    never.is_empty()
}

/// Of code with a bug some trace is refused.
fn refuse_mutants(
    root: &Path,
    tools: &Tools,
    protocols: &[Protocol],
    plan: &Validation<'_>,
) -> Result<bool, String> {
    let known: Vec<_> = protocols.iter().flat_map(|protocol| &protocol.planted).collect();
    if let Some(unknown) = plan.mutants.iter().find(|name| !known.iter().any(|(known, _)| known == *name)) {
        let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
        return Err(format!("there is no bug {unknown} to plant; there are {}", names.join(", ")));
    }
    let runners = Runner::all(root, plan.sources, true)?;
    let mut right = true;
    let mut rows = Rows::new("planted", 2);
    for protocol in protocols {
        for (name, what) in &protocol.planted {
            if plan.all_mutants || plan.mutants.contains(name) {
                right &= refuses(tools, protocol, &runners, (name, what), plan.seed, &mut rows)?;
            }
        }
    }
    if plan.record {
        rows.write(root)?;
    }
    Ok(right)
}

fn refuses(
    tools: &Tools,
    protocol: &Protocol,
    runners: &[Runner],
    (name, what): (&str, &str),
    seed: u64,
    rows: &mut Rows,
) -> Result<bool, String> {
    let start = Instant::now();
    let mut found = Vec::new();
    for runner in runners {
        let order = Order { protocol: &protocol.name, events: MUTANT_EVENTS, seed, mutant: Some(name) };
        let told = runner.run(tools, &order)?;
        let mut traces = Traces::parse(&told.traces)?;
        if let Some(failure) = told.failure {
            traces.drop_last();
            found.push(failure);
        }
        let refused = judge(tools, protocol, &traces)?;
        let share = format!("{} of {}, {}", refused.len(), traces.count(), runner.source().name());
        found.push(share.clone());
        if let Some(first) = refused.first() {
            rows.add(&[format!("`{}`", protocol.name), format!("`{name}`"), what.into(), share]);
            found.push(first.in_short());
            row(
                &format!("{} - {name}", protocol.name),
                &format!("refused: {}", found.join(", ")),
                start,
                true,
            );
            return Ok(true);
        }
    }
    row(
        &format!("{} - {name}", protocol.name),
        &format!("LIVES ({what}): {}", found.join(", ")),
        start,
        false,
    );
    Ok(false)
}

fn row(name: &str, words: &str, start: Instant, right: bool) {
    let mood = if right { paint("ok   ", Mood::Good) } else { paint("WRONG", Mood::Bad) };
    say(&format!("{mood} {name:40} {:>6.1} s  {words}", start.elapsed().as_secs_f64()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spec_without_traces_is_refused_if_it_is_named() {
        let one = || vec![Protocol::named("a")];
        assert_eq!(traced(one(), &[]).unwrap().len(), 0);
        assert!(traced(one(), &["a".into()]).unwrap_err().contains("a to the code"));
    }

    #[test]
    fn an_action_that_no_trace_has_is_told() {
        let mut protocol = Protocol::named("a");
        protocol.modules.insert("ATrace".into(), "CASE Action(e) = \"Fill\" -> Fill\n".into());
        protocol.trace = Some(Model { name: "trace".into(), module: "ATrace".into(), text: String::new() });
        assert!(!occurs_everything(&protocol, &BTreeMap::new()));
        assert!(occurs_everything(&protocol, &BTreeMap::from([("Fill".into(), 1)])));
    }
}
