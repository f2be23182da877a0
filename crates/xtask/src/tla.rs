//! Model checking: every spec below `tla/`, by two checkers, and its mutants.
//!
//! A folder of `tla/` is a protocol: a module, models of it (`*.cfg`; `quick.cfg` has the smallest bounds), `mutants.txt`.
//! `tla/states.txt` says how many distinct states each model has, and who counted them. A run passes if TLC and, where the file says `both`,
//! the second checker find no error and exactly that many states; a mutant if the property it names fails. `model` reads
//! the folders, `mutant` the edits, `record` the file, `tools` finds the checkers, `checker` runs them, `jobs` several side by side; `validate`
//! holds traces of the running code against the specs.

mod checker;
mod jobs;
mod model;
mod mutant;
mod page;
mod record;
mod tools;
mod validate;

use std::path::Path;
use std::time::Duration;

use checker::Verdict;
use jobs::{Done, Job, Work};
use model::{Model, Protocol};
use mutant::Mutant;
use page::Rows;
use record::{Counted, Record};
use tools::Tools;
pub(crate) use validate::{Source, Validation, validate};

use crate::terminal::{Mood, paint, say, warn};

/// Where the specs are.
const HOME: &str = "tla";

/// What to check.
pub(crate) struct Plan<'a> {
    /// The smallest models and the first mutant of each protocol only.
    pub(crate) quick: bool,
    /// None: every protocol.
    pub(crate) specs: &'a [String],
    /// Only models, or only mutants whose names are listed.
    pub(crate) mutants: &'a [String],
    /// Write the counts down instead of comparing them, and the tables of `docs/verification.md`.
    pub(crate) record: bool,
}

/// Runs the checkers; true if all is as it should be. Blocks until they are done.
///
/// # Errors
/// A missing tool, a file that cannot be read or understood, a checker that does not start.
pub(crate) fn check(root: &Path, plan: &Plan<'_>) -> Result<bool, String> {
    let protocols = chosen(model::read(&root.join(HOME))?, plan.specs)?;
    let mut record = Record::read(&root.join(HOME).join("states.txt"))?;
    let tools = Tools::find(root, needs_second(&protocols, &record, plan))?;
    let mut table = Table::new();
    let jobs: Vec<_> = protocols.iter().flat_map(|protocol| Job::of(protocol, &record, plan)).collect();
    let mut states = None;
    let take = |job: &Job<'_>, done: Result<Done, String>| {
        take(job, &done?, &mut states, &mut record, plan, &mut table);
        Ok(())
    };
    jobs::in_order(&jobs, |job| job.run(&tools), take)?;
    if plan.specs.is_empty() && !plan.quick && plan.mutants.is_empty() {
        table.strangers(&record.without_model(&protocols));
    }
    if plan.record {
        rows_of_models(&model::read(&root.join(HOME))?, &record).iter().for_each(|row| table.models.add(row));
        record.write(&root.join(HOME).join("states.txt"))?;
        let Table { models, mutants, .. } = &mut table;
        [models, mutants].into_iter().try_for_each(|rows| rows.write(root))?;
    }
    let right = table.end();
    if right {
        tools.clean_up();
    } else {
        warn(&format!("what the checkers said, traces included, is in {}", tools.runs.display()));
    }
    Ok(right)
}

fn chosen(protocols: Vec<Protocol>, names: &[String]) -> Result<Vec<Protocol>, String> {
    let known: Vec<_> = protocols.iter().map(|protocol| protocol.name.clone()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(name)) {
        return Err(format!("there is no spec {unknown}; there are {}", known.join(", ")));
    }
    let is_named = |protocol: &Protocol| names.is_empty() || names.contains(&protocol.name);
    Ok(protocols.into_iter().filter(is_named).collect())
}

fn needs_second(protocols: &[Protocol], record: &Record, plan: &Plan<'_>) -> bool {
    let mut models = protocols
        .iter()
        .flat_map(|protocol| protocol.models.iter().map(move |model| (protocol.name.as_str(), model)));
    plan.mutants.is_empty() && models.any(|(name, model)| record.wants_second(name, &model.name))
}

/// Judges what a job has found. `states` is what TLC counted in the model before, if it found no error there.
fn take(
    job: &Job<'_>,
    done: &Done,
    states: &mut Option<u64>,
    record: &mut Record,
    plan: &Plan<'_>,
    table: &mut Table,
) {
    let Job { protocol, work } = job;
    let name_of = |model: &Model| format!("{}/{}", protocol.name, model.name);
    match work {
        Work::First(model) => {
            let name = name_of(model);
            table.row(
                &name,
                "TLC",
                &done.verdict.in_words(),
                done.time,
                judged(&done.verdict, record.get(&name), plan),
            );
            *states = done.verdict.states();
            if let (true, Some(states)) = (plan.record, *states) {
                record.set(&name, states);
            }
        }
        Work::Second(model) => {
            let same = states.is_some() && done.verdict.states() == *states;
            table.row(&name_of(model), "tla-checker", &done.verdict.in_words(), done.time, same);
        }
        Work::Mutant(mutant) => take_mutant(protocol, mutant, done, table),
    }
}

fn judged(verdict: &Verdict, recorded: Option<&Counted>, plan: &Plan<'_>) -> bool {
    match verdict {
        Verdict::Passed { states } => {
            plan.record || recorded.is_some_and(|counted| counted.states == *states)
        }
        _ => false,
    }
}

fn take_mutant(protocol: &Protocol, mutant: &Mutant, done: &Done, table: &mut Table) {
    let killed = done.verdict == Verdict::Violated;
    let words = if killed {
        format!("breaks {}", mutant.breaks)
    } else {
        format!("does not break {}: {}", mutant.breaks, done.verdict.in_words())
    };
    table.row(&format!("{} - {}", protocol.name, mutant.name), "TLC", &words, done.time, killed);
    if killed {
        let Mutant { name, drops, breaks, .. } = mutant;
        let cells =
            [format!("`{}`", protocol.name), format!("`{name}`"), drops.clone(), format!("`{breaks}`")];
        table.mutants.add(&cells);
    }
}

/// The rows of the table of models: one for each protocol, and one for all of them together.
fn rows_of_models(protocols: &[Protocol], record: &Record) -> Vec<[String; 7]> {
    let numbers: Vec<_> = protocols.iter().map(|protocol| numbers_of(protocol, record)).collect();
    let row = |name: String, numbers: &[u64; 5], bound: String| {
        let [models, states, both, mutants, planted] = numbers.map(|number| number.to_string());
        [name, models, states, both, mutants, bound, planted]
    };
    let each = protocols.iter().zip(&numbers).map(|(protocol, numbers)| {
        let bound = if protocol.trace.is_some() { "yes" } else { "no" };
        row(format!("`{}`", protocol.name), numbers, bound.into())
    });
    let sum = |at: usize| numbers.iter().map(|numbers| numbers[at]).sum();
    let bound = protocols.iter().filter(|protocol| protocol.trace.is_some()).count();
    let all = row("all".into(), &std::array::from_fn(sum), format!("{bound} of {}", protocols.len()));
    each.chain([all]).collect()
}

/// Models, their states, how many models both checkers have counted, mutants, bugs planted in the code.
fn numbers_of(protocol: &Protocol, record: &Record) -> [u64; 5] {
    let counted = |model: &Model| record.get(&format!("{}/{}", protocol.name, model.name));
    let counts: Vec<_> = protocol.models.iter().filter_map(counted).collect();
    let states = counts.iter().map(|counted| counted.states).sum();
    let both = counts.iter().filter(|counted| counted.second.is_ok()).count();
    let [models, both, mutants, planted] =
        [counts.len(), both, protocol.mutants.len(), protocol.planted.len()].map(|number| number as u64);
    [models, states, both, mutants, planted]
}

/// What was seen, a line each.
struct Table {
    right: usize,
    wrong: usize,
    time: Duration,
    /// For the page.
    models: Rows,
    mutants: Rows,
}

impl Table {
    fn new() -> Self {
        let (models, mutants) = (Rows::new("models", 1), Rows::new("mutants", 2));
        Self { right: 0, wrong: 0, time: Duration::ZERO, models, mutants }
    }

    fn row(&mut self, name: &str, checker: &str, words: &str, time: Duration, right: bool) {
        *(if right { &mut self.right } else { &mut self.wrong }) += 1;
        self.time += time;
        let mood = if right { paint("ok   ", Mood::Good) } else { paint("WRONG", Mood::Bad) };
        say(&format!("{mood} {name:48} {checker:11} {:>6.1} s  {words}", time.as_secs_f64()));
    }

    fn strangers(&mut self, names: &[String]) {
        for name in names {
            self.row(name, "-", "is in states.txt, but there is no such model", Duration::ZERO, false);
        }
    }

    fn end(self) -> bool {
        say(&format!(
            "{} as they should be, {} not, runs of {:.1} s together",
            self.right,
            self.wrong,
            self.time.as_secs_f64()
        ));
        self.wrong == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_spec_is_refused_with_the_known_ones() {
        let error = chosen(vec![Protocol::named("wal")], &["val".into()]).err().unwrap();
        assert!(error.contains("no spec val") && error.contains("wal"), "{error}");
        assert_eq!(chosen(vec![Protocol::named("wal")], &[]).unwrap().len(), 1);
    }

    #[test]
    fn a_count_that_differs_from_the_recorded_one_is_wrong() {
        let plan = Plan { quick: false, specs: &[], mutants: &[], record: false };
        let counted = Counted { states: 7, second: Ok(()) };
        assert!(judged(&Verdict::Passed { states: 7 }, Some(&counted), &plan));
        assert!(!judged(&Verdict::Passed { states: 8 }, Some(&counted), &plan));
        assert!(!judged(&Verdict::Passed { states: 7 }, None, &plan));
        assert!(!judged(&Verdict::Violated, Some(&counted), &plan));
        assert!(judged(&Verdict::Passed { states: 8 }, None, &Plan { record: true, ..plan }));
    }

    #[test]
    fn every_spec_of_the_repository_can_be_read_and_has_its_counts_and_mutants() {
        let home = crate::repository::root().join(HOME);
        let protocols = model::read(&home).unwrap();
        let record = Record::read(&home.join("states.txt")).unwrap();
        assert_eq!(record.without_model(&protocols), Vec::<String>::new());
        for protocol in &protocols {
            assert!(protocol.mutants.len() >= 4, "{} has too few mutants", protocol.name);
            assert!(protocol.models.iter().any(Model::is_quick), "{} has no quick.cfg", protocol.name);
            for model in &protocol.models {
                let name = format!("{}/{}", protocol.name, model.name);
                assert!(record.get(&name).is_some(), "{name} is not in states.txt");
            }
            for mutant in &protocol.mutants {
                mutant.applied(protocol).unwrap();
            }
        }
    }

    #[test]
    fn the_page_has_the_numbers_of_every_spec_and_of_all_together() {
        let root = crate::repository::root();
        let protocols = model::read(&root.join(HOME)).unwrap();
        let record = Record::read(&root.join(HOME).join("states.txt")).unwrap();
        let page = std::fs::read_to_string(root.join("docs/verification.md")).unwrap();
        for row in rows_of_models(&protocols, &record) {
            let line = format!("| {} |", row.join(" | "));
            assert!(
                page.lines().any(|there| there == line),
                "`cargo xtask tla check --record` would write {line}"
            );
        }
    }
}
