//! `aether-torture`: crash tests, fault sweeps, kills, long runs and histories of the whole engine.

mod blackbox;
mod cli;
mod witness;

use aether_sync::Arc;
use aether_torture::allocation::Counted;
use aether_torture::campaign::{self, Limits, Visit};
use aether_torture::damage::{self, tally::Findings};
use aether_torture::faults::{self, Plan, Trouble};
use aether_torture::fuzz::seeds;
use aether_torture::kind::Kinds;
use aether_torture::report::{Failure, Report, Tally};
use aether_torture::rng::{Rng, derive};
use aether_torture::shrink;
use aether_torture::study::{Settings, Study};
use aether_torture::threads;
use cli::{Command, Format, Request};
use std::io::{Write, stderr, stdout};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static COUNTED: Counted = Counted;

/// Runs of several threads between two other campaigns.
const TORTURE_RUNS: u64 = 300;

/// Damaged stores between two other campaigns.
const TORTURE_CASES: u64 = 4_000;

/// The seeds that the gate plays to the end.
const CI_SEEDS: [u64; 2] = [9, 15];

/// The states that the gate wants at least; more seeds follow if those above give fewer.
const CI_STATES: u64 = 10_000;

/// The shapes whose workloads the gate lets fail, one log stream and the smallest sizes, four and others; and the seeds of these.
const CI_SHAPES: [(u64, u64); 2] = [(0, 4), (3, 3)];

/// Transactions of those workloads.
const CI_FAULT_TRANSACTIONS: usize = 12;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let asks_for_help = |argument: &String| matches!(argument.as_str(), "--help" | "-h");
    if arguments.iter().any(asks_for_help) || arguments.first().is_some_and(|first| first == "help") {
        write_out(&usage());
        return ExitCode::SUCCESS;
    }
    if let Some(code) = blackbox::run(&arguments).or_else(|| witness::run(&arguments)) {
        return code;
    }
    let request = match cli::parse(arguments.into_iter()) {
        Ok(request) => request,
        Err(what) => {
            say(&format!("{what}\n{}", usage()));
            return ExitCode::from(2);
        }
    };
    let report = match request.command {
        Command::Damage => return damage(&request),
        Command::Corpus(ref directory) => return corpus(directory),
        Command::Replay => replay(&request),
        Command::Ci => ci(&request),
        Command::Crash => crash(&request),
        Command::Faults => sweep(request.settings.clone(), request.limits, |_| true),
        Command::FaultAt(nth) => {
            outcome(Study::new(request.settings.clone()).and_then(|study| fault_at(&study, nth)))
        }
        Command::FaultsCi => faults_ci(&request),
        Command::Threads(first, runs) => {
            let settings = Settings { first, ..request.settings.clone() };
            threads(settings, first + runs, request.limits)
        }
        Command::Torture(minutes) => torture(&request, minutes),
    };
    let failed = !report.is_clean();
    print(&shrunk(report, request.shrink), request.format);
    ExitCode::from(u8::from(failed))
}

/// All commands.
fn usage() -> String {
    [cli::USAGE, blackbox::USAGE, witness::USAGE].join("\n")
}

/// The same, with the first failure made small.
fn shrunk(mut report: Report, time: Duration) -> Report {
    if let Some(failure) = report.failures.first_mut().filter(|_| !time.is_zero()) {
        say(&format!("{failure}\nmaking the script smaller, for at most {} s", time.as_secs()));
        *failure = shrink::shrink(failure, Instant::now() + time);
    }
    report
}

fn print(report: &Report, format: Format) {
    let text = match format {
        Format::Plain => report.to_string(),
        Format::Json => report.json().to_string(),
    };
    write_out(&text);
}

fn write_out(text: &str) {
    // A closed standard output changes nothing about the exit code.
    let _ = writeln!(stdout().lock(), "{text}");
}

fn damage(request: &Request) -> ExitCode {
    let mut last = Instant::now();
    let found = damage::run(&request.damage, &mut |findings: &Findings| {
        if last.elapsed() > Duration::from_secs(5) {
            last = Instant::now();
            say(&findings.to_string());
        }
    });
    let found = match found {
        Ok(found) => found,
        Err(what) => {
            say(&format!("a store cannot be made: {what}"));
            return ExitCode::from(1);
        }
    };
    write_out(&match request.format {
        Format::Plain => found.to_string(),
        Format::Json => found.json().to_string(),
    });
    ExitCode::from(u8::from(!found.is_clean()))
}

fn corpus(directory: &Path) -> ExitCode {
    match seeds::write(directory) {
        Ok(count) => {
            write_out(&format!("{count} seeds"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("{}: {error}", directory.display()));
            ExitCode::from(1)
        }
    }
}

fn say(text: &str) {
    let _ = writeln!(stderr().lock(), "{text}");
}

fn replay(request: &Request) -> Report {
    outcome(Study::new(request.settings.clone()).and_then(|study| study.replay(&request.trail)))
}

fn outcome(outcome: Result<Tally, Failure>) -> Report {
    match outcome {
        Ok(tally) => Report { tally, seeds: 1, ..Report::default() },
        Err(failure) => failed(failure),
    }
}

fn failed(failure: Failure) -> Report {
    Report { failures: vec![failure], seeds: 1, ..Report::default() }
}

fn ci(request: &Request) -> Report {
    let mut total = Report::default();
    for seed in CI_SEEDS.into_iter().chain(CI_SEEDS[1] + 1..) {
        let optional = !CI_SEEDS.contains(&seed);
        if !total.is_clean() || (optional && total.tally.states >= CI_STATES) {
            break;
        }
        total.add(study(Settings { seed, ..request.settings.clone() }, request.limits, crash_visit()));
    }
    total
}

fn crash(request: &Request) -> Report {
    let mut total = Report::default();
    for seed in request.settings.seed.. {
        let left = request.limits.states.saturating_sub(total.tally.states);
        if !total.is_clean() || left == 0 || (total.seeds > 0 && request.limits.states == u64::MAX) {
            break;
        }
        let limits = Limits { states: left, ..request.limits };
        total.add(study(Settings { seed, ..request.settings.clone() }, limits, crash_visit()));
    }
    total
}

fn fault_at(study: &Study, nth: u64) -> Result<Tally, Failure> {
    faults::visit(study, &Plan::new(study)?, nth, &|| ())
}

fn sweep(settings: Settings, limits: Limits, wanted: fn(&Trouble) -> bool) -> Report {
    let seed = settings.seed;
    let swept = Study::new(settings).and_then(|study| {
        say(&format!("seed {seed}: {} operations to fail", study.operations()));
        faults::run(study, limits, wanted, &mut progress(seed))
    });
    swept.unwrap_or_else(failed)
}

/// One workload for each shape of store, with every trouble that there is.
fn faults_ci(request: &Request) -> Report {
    let mut total = Report::default();
    for (shape, seed) in CI_SHAPES {
        let settings =
            Settings { seed, shape, transactions: CI_FAULT_TRANSACTIONS, ..request.settings.clone() };
        total.add(sweep(settings, request.limits, |_| true));
    }
    total
}

fn threads(settings: Settings, end: u64, limits: Limits) -> Report {
    let seed = settings.seed;
    say(&format!("seed {seed}: several threads"));
    threads::run(settings, end, limits, &mut progress(seed))
}

fn torture(request: &Request, minutes: f64) -> Report {
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let limits = Limits { until: Some(until), ..request.limits };
    let mut total = Report::default();
    let mut number = 0;
    while total.is_clean() && Instant::now() < until {
        let settings = varied(derive(request.settings.seed, number) >> 16, request.settings.kinds);
        total.add(match number % 6 {
            1 => sweep(settings, limits, |trouble| !matches!(trouble, Trouble::Disk(_))),
            2 => sweep(settings, limits, |trouble| matches!(trouble, Trouble::Disk(_))),
            3 => threads(settings, TORTURE_RUNS, limits),
            4 => damaged(&settings, until),
            _ => study(settings, limits, crash_visit()),
        });
        number += 1;
    }
    total
}

/// Harm at rest, as part of a longer run.
fn damaged(settings: &Settings, until: Instant) -> Report {
    let wanted = damage::Settings::new(settings.seed, Some(TORTURE_CASES));
    let found =
        if Instant::now() < until { damage::run(&wanted, &mut |_| ()) } else { Ok(Findings::default()) };
    let what = match found {
        Ok(found) if found.is_clean() => {
            let tally = Tally { states: found.cases, damaged: found.cases, ..Tally::default() };
            return Report { tally, seeds: 1, ..Report::default() };
        }
        Ok(found) => found.to_string(),
        Err(what) => format!("a store cannot be made: {what}"),
    };
    failed(Failure { settings: settings.clone(), trail: Vec::new(), fault: None, thread_run: None, what })
}

/// Another size of script with every seed.
fn varied(seed: u64, kinds: Kinds) -> Settings {
    let transactions = Rng::new(seed).between(20, 120);
    Settings { transactions, shape: seed, kinds, ..Settings::full(seed) }
}

fn crash_visit() -> Arc<Visit> {
    Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat))
}

fn study(settings: Settings, limits: Limits, visit: Arc<Visit>) -> Report {
    let study = match Study::new(settings) {
        Ok(study) => study,
        Err(failure) => return failed(failure),
    };
    let seed = study.settings().seed;
    say(&format!("seed {seed}: {} operations", study.operations()));
    campaign::run(study, limits, visit, &mut progress(seed))
}

/// Says now and then how far it has come.
fn progress(seed: u64) -> impl FnMut(&Report) {
    let mut last = Instant::now();
    move |report| {
        if last.elapsed() > Duration::from_secs(5) {
            last = Instant::now();
            say(&format!("seed {seed}: {report}"));
        }
    }
}
