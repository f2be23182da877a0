//! `verify`: the engine walks everything it keeps; problems mean exit code 3.

use crate::arguments::{Common, Format};
use crate::exit::{Exit, Outcome};
use crate::output::Output;
use crate::{home, show};
use aether::{DbEnv, VerifyReport};
use serde_json::json;

pub(crate) fn run(common: &Common) -> Outcome {
    let env = home::open_existing(common)?;
    show(&env, &mut Output::new(common.format))
}

/// Verifies and prints the report. Blocks for a walk over the whole store.
pub(crate) fn show(env: &DbEnv, output: &mut Output) -> Outcome {
    let report = env.verify()?;
    match output.format() {
        Format::Json => output.json(&json(&report))?,
        Format::Plain => plain(&report, output)?,
        Format::Table => table(&report, output)?,
    }
    output.flush()?;
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Damaged })
}

fn json(report: &VerifyReport) -> serde_json::Value {
    json!({
        "sound": report.problems.is_empty(),
        "pages": report.pages,
        "entries": report.entries,
        "keyspaces": report.keyspaces,
        "problems": report.problems,
    })
}

fn plain(report: &VerifyReport, output: &mut Output) -> Outcome<()> {
    let verdict = match report.problems.len() {
        0 => "sound".to_string(),
        problems => format!("{problems} problems"),
    };
    output.line(&format!(
        "verify: {verdict}; {} pages, {} entries, {} keyspaces",
        show::count(report.pages),
        show::count(report.entries),
        report.keyspaces
    ))?;
    report.problems.iter().try_for_each(|problem| output.line(&format!("problem: {problem}")))
}

fn table(report: &VerifyReport, output: &mut Output) -> Outcome<()> {
    let numbers = [("pages", report.pages), ("entries", report.entries), ("keyspaces", report.keyspaces)];
    let numbers = numbers.into_iter().map(|(name, number)| (name.to_string(), show::count(number)));
    let problems = report.problems.iter().map(|problem| ("problem".to_string(), problem.clone()));
    output.pairs(numbers.chain(problems).collect())
}
