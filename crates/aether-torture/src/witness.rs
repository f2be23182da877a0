//! What transactions promise: the commands `history` (makes histories and judges them, or one from outside), `anomalies`
//! (one by one), `prepared` and `invariants` (through power cuts).

use super::{say, write_out};
use crate::cli::{Format, format, number};
use aether_torture::anomalies::{self, Row};
use aether_torture::histories::campaign::{self, Plan, Tally};
use aether_torture::histories::event::{self, Event};
use aether_torture::histories::judge::judge;
use aether_torture::histories::level::Level;
use aether_torture::histories::lie::Lie;
use aether_torture::histories::run;
use aether_torture::invariants::{self, Kind};
use aether_torture::mutant::Mutant;
use aether_torture::prepared;
use std::fs::File;
use std::io::{BufReader, stdin};
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) const USAGE: &str = "\
usage: aether-torture history run --level L [--threads T] [--txns N] [--keys K] [--ops N] [--seed S] [--crashes] [--converts]
                                  [--judge-as L] [--lie NAME] [--mutant NAME] [--format plain|json]
       aether-torture history run --ci [--txns N] [--seed S]  every level, contended and not, with crashes and without,
                                                 converted meanwhile and not
       aether-torture history print (options of run)          one history as JSON lines, not judged
       aether-torture history check FILE --level L [--format plain|json]  judge one; FILE - is standard input
       aether-torture anomalies [--format plain|json]         each anomaly at each level: shown, or how it is prevented
       aether-torture prepared [--seed S] [--shape N] [--steps N] [--mutant NAME]  prepared transactions through power
                                                 cuts, also inside recovery
       aether-torture prepared --ci                           the fixed seeds of the gate
       aether-torture invariants [--seed S] [--runs N]        a bank and a queue, at every level, through power cuts
levels: read-committed, snapshot, serializable
exit codes: 0 nothing that the level forbids; 1 an anomaly, or the store failed; 2 wrong usage, or no history";

/// Runs `history`, `anomalies`, `prepared` or `invariants`, if that is what the arguments ask for.
pub(crate) fn run(arguments: &[String]) -> Option<ExitCode> {
    let outcome = match arguments.split_first()? {
        (command, options) if command == "history" => history(options),
        (command, options) if command == "anomalies" => show_anomalies(options),
        (command, options) if command == "prepared" => run_prepared(options),
        (command, options) if command == "invariants" => run_invariants(options),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|usage| {
        say(&format!("{usage}\n{USAGE}"));
        ExitCode::from(2)
    }))
}

fn history(arguments: &[String]) -> Result<ExitCode, String> {
    match arguments.split_first() {
        Some((what, options)) if what == "run" => parse(options).map(run_plan),
        Some((what, options)) if what == "print" => parse(options).map(print),
        Some((what, options)) if what == "check" => check(options),
        _ => Err("history run, history print or history check".into()),
    }
}

fn show_anomalies(options: &[String]) -> Result<ExitCode, String> {
    let how = match options {
        [] => Format::Plain,
        [option, value] if option == "--format" => format(value)?,
        _ => return Err("anomalies takes --format alone".into()),
    };
    match anomalies::table() {
        Ok(rows) => write_out(&match how {
            Format::Plain => anomalies::markdown(&rows),
            Format::Json => serde_json::Value::from_iter(rows.iter().map(Row::json)).to_string(),
        }),
        Err(what) => {
            say(&what);
            return Ok(ExitCode::from(1));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn run_prepared(options: &[String]) -> Result<ExitCode, String> {
    let mut settings = prepared::Settings::new(1);
    let mut runs = Vec::new();
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        if option == "--ci" {
            runs = prepared::CI.to_vec();
            continue;
        }
        let value = rest.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--seed" => settings.seed = number(option, value)?,
            "--shape" => settings.shape = number(option, value)?,
            "--steps" => settings.steps = number::<usize>(option, value)?.max(1),
            "--mutant" => settings.mutant = Some(mutant(value)?),
            _ => return Err(format!("unknown option {option}")),
        }
    }
    if runs.is_empty() {
        runs.push((settings.seed, settings.shape));
    }
    Ok(runs
        .into_iter()
        .map(|(seed, shape)| cut_prepared(prepared::Settings { seed, shape, ..settings }))
        .max()
        .unwrap_or(0)
        .into())
}

/// Every workload at every level that promises it, as often as is asked for.
fn run_invariants(options: &[String]) -> Result<ExitCode, String> {
    let (mut seed, mut runs) = (1, 10);
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        match option.as_str() {
            "--seed" => seed = number(option, value)?,
            "--runs" => runs = number::<u64>(option, value)?,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    for kind in Kind::ALL {
        for level in Level::ALL.into_iter().filter(|level| kind.holds_at(*level)) {
            match hold(seed, runs, kind, level) {
                Ok(told) => write_out(&told),
                Err(what) => {
                    write_out(&what);
                    return Ok(ExitCode::from(1));
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn hold(seed: u64, runs: u64, kind: Kind, level: Level) -> Result<String, String> {
    let mut total = invariants::Tally::default();
    for seed in seed..seed.saturating_add(runs) {
        let told = |what: String| format!("{} at {level}, seed {seed}: {what}", kind.name());
        let tally = invariants::run(&invariants::Settings::new(seed, kind, level)).map_err(told)?;
        total.committed += tally.committed;
        total.restarts += tally.restarts;
    }
    let invariants::Tally { committed, restarts } = total;
    Ok(format!("{} at {level}: holds; {committed} transactions, {restarts} restarts", kind.name()))
}

/// One script; returns the exit code.
fn cut_prepared(settings: prepared::Settings) -> u8 {
    let start = Instant::now();
    let mut last = Instant::now();
    let outcome = prepared::run(&settings, &mut |tally| {
        if last.elapsed() > Duration::from_secs(10) {
            last = Instant::now();
            say(&format!("{} cuts, {} states", tally.cuts, tally.states));
        }
    });
    match outcome {
        Ok(tally) => write_out(&format!(
            "seed {}, shape {}: {} cuts, {} states, {} of them after a cut in recovery, {} after two; {:.1} s",
            settings.seed,
            settings.shape,
            tally.cuts,
            tally.states,
            tally.in_recovery,
            tally.two_deep,
            start.elapsed().as_secs_f64()
        )),
        Err(ref what) => write_out(what),
    }
    u8::from(outcome.is_err())
}

struct Request {
    plan: Plan,
    format: Format,
}

fn parse(options: &[String]) -> Result<Request, String> {
    let mut plan = Plan { crashes: vec![false], converts: vec![false], ..Plan::full(1) };
    let (mut format_, mut level, mut is_ci) = (Format::Plain, None, false);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        match option.as_str() {
            "--ci" => {
                (plan.crashes, plan.converts, is_ci) = (vec![false, true], vec![false, true], true);
                continue;
            }
            "--converts" => {
                plan.converts = vec![true];
                continue;
            }
            "--crashes" => {
                plan.crashes = vec![true];
                continue;
            }
            _ => {}
        }
        let value = rest.next().ok_or_else(|| format!("{option} needs a value"))?;
        match option.as_str() {
            "--level" => level = Some(value.parse()?),
            "--judge-as" => plan.judged_as = Some(value.parse()?),
            "--threads" => plan.common.threads = within(option, value, 1..=1024)?,
            "--txns" => plan.txns = number(option, value)?,
            "--keys" => plan.keys = vec![within(option, value, 1..=999)?],
            "--ops" => plan.common.ops_max = within(option, value, 1..=1000)?,
            "--seed" => plan.common.seed = number(option, value)?,
            "--lie" => plan.common.lie = Some(lie(value)?),
            "--mutant" => plan.common.mutant = Some(mutant(value)?),
            "--format" => format_ = format(value)?,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    match level {
        Some(level) => plan.levels = vec![level],
        None if !is_ci => return Err("--level or --ci is needed".into()),
        None => {}
    }
    Ok(Request { plan, format: format_ })
}

fn within(option: &str, value: &str, range: std::ops::RangeInclusive<usize>) -> Result<usize, String> {
    let found = number(option, value)?;
    range
        .contains(&found)
        .then_some(found)
        .ok_or_else(|| format!("{option} {value}: not from {} to {}", range.start(), range.end()))
}

fn lie(name: &str) -> Result<Lie, String> {
    let names: Vec<_> = Lie::ALL.into_iter().map(Lie::name).collect();
    Lie::named(name).ok_or_else(|| format!("--lie {name:?}: not one of {}", names.join(", ")))
}

fn mutant(name: &str) -> Result<Mutant, String> {
    Mutant::named(name).ok_or_else(|| format!("--mutant {name:?}: there is none"))
}

fn run_plan(Request { plan, format }: Request) -> ExitCode {
    let mut last = Instant::now();
    let tally = campaign::run(&plan, &mut |tally: &Tally| {
        if last.elapsed() > Duration::from_secs(10) {
            last = Instant::now();
            say(&tally.to_string());
        }
    });
    write_out(&match format {
        Format::Plain => tally.to_string(),
        Format::Json => tally.json().to_string(),
    });
    ExitCode::from(u8::from(!tally.is_clean()))
}

fn print(Request { plan, .. }: Request) -> ExitCode {
    let settings = run::Settings { txns: plan.txns, ..plan.settings(0) };
    match run::make(&settings) {
        Ok(made) => {
            write_out(&made.events.iter().map(Event::line).collect::<Vec<_>>().join("\n"));
            ExitCode::SUCCESS
        }
        Err(what) => {
            say(&what);
            ExitCode::from(1)
        }
    }
}

fn check(options: &[String]) -> Result<ExitCode, String> {
    let (file, options) = options.split_first().ok_or("history check needs a file")?;
    let (mut level, mut how): (Option<Level>, _) = (None, Format::Plain);
    for pair in options.chunks(2) {
        let [option, value] = pair else { return Err(format!("{} needs a value", pair[0])) };
        match option.as_str() {
            "--level" => level = Some(value.parse()?),
            "--format" => how = format(value)?,
            _ => return Err(format!("unknown option {option}")),
        }
    }
    let level = level.ok_or("history check needs --level")?;
    let events = match file.as_str() {
        "-" => event::read(stdin().lock()),
        path => File::open(path)
            .map_err(|error| error.to_string())
            .and_then(|file| event::read(BufReader::new(file))),
    };
    let judged = events.and_then(|events| judge(events, level));
    let findings = match judged {
        Ok(findings) => findings,
        Err(what) => {
            say(&format!("{file}: {what}"));
            return Ok(ExitCode::from(2));
        }
    };
    write_out(&match how {
        Format::Plain => findings.to_string(),
        Format::Json => findings.json().to_string(),
    });
    Ok(ExitCode::from(u8::from(!findings.is_clean())))
}
