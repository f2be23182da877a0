//! `aether-torture`: crash tests, fault sweeps, kills and long runs of the whole engine.

mod blackbox;
mod cli;

use aether_sync::Arc;
use aether_torture::allocation::Counted;
use aether_torture::campaign::{self, Limits, Visit};
use aether_torture::damage::{self, tally::Findings};
use aether_torture::faults;
use aether_torture::report::{Failure, Report, Tally};
use aether_torture::rng::{Rng, derive};
use aether_torture::study::{Settings, Study};
use cli::{Command, Format, Request};
use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::time::{Duration, Instant};

#[global_allocator]
static COUNTED: Counted = Counted;

/// The seeds that the gate plays to the end.
const CI_SEEDS: [u64; 2] = [1, 2];

/// The states that the gate wants at least; more seeds follow if those above give fewer.
const CI_STATES: u64 = 10_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(code) = blackbox::run(&arguments) {
        return code;
    }
    let request = match cli::parse(arguments.into_iter()) {
        Ok(request) => request,
        Err(usage) => {
            say(&format!("{usage}\n{}", blackbox::USAGE));
            return ExitCode::from(2);
        }
    };
    if request.command == Command::Damage {
        return damage(&request);
    }
    let report = match request.command {
        Command::Damage => Report::default(),
        Command::Replay => replay(&request),
        Command::Ci => ci(&request),
        Command::Crash => crash(&request),
        Command::Faults => sweep(&request),
        Command::FaultAt(nth) => {
            outcome(Study::new(request.settings.clone()).and_then(|study| faults::visit(&study, nth, &|| ())))
        }
        Command::Torture(minutes) => torture(&request, minutes),
    };
    print(&report, request.format);
    ExitCode::from(u8::from(!report.is_clean()))
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
    for seed in CI_SEEDS.into_iter().chain(CI_SEEDS.len() as u64 + 1..) {
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

fn sweep(request: &Request) -> Report {
    study(request.settings.clone(), request.limits, Arc::new(faults::visit))
}

fn torture(request: &Request, minutes: f64) -> Report {
    let until = Instant::now() + Duration::from_secs_f64(minutes * 60.0);
    let limits = Limits { until: Some(until), ..request.limits };
    let mut total = Report::default();
    let mut number = 0;
    while total.is_clean() && Instant::now() < until {
        let settings = varied(derive(request.settings.seed, number) >> 16);
        let visit = if number % 4 == 3 { Arc::new(faults::visit) as Arc<Visit> } else { crash_visit() };
        total.add(study(settings, limits, visit));
        number += 1;
    }
    total
}

/// Another size of script with every seed.
fn varied(seed: u64) -> Settings {
    let transactions = Rng::new(seed).between(20, 120);
    Settings { transactions, shape: seed, ..Settings::full(seed) }
}

fn crash_visit() -> Arc<Visit> {
    Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat))
}

fn study(settings: Settings, limits: Limits, visit: Arc<Visit>) -> Report {
    let study = match Study::new(settings) {
        Ok(study) => study,
        Err(failure) => return failed(failure),
    };
    let (seed, operations) = (study.settings().seed, study.operations());
    say(&format!("seed {seed}: {operations} operations"));
    let mut last = Instant::now();
    campaign::run(study, limits, visit, &mut |report| {
        if last.elapsed() > Duration::from_secs(5) {
            last = Instant::now();
            say(&format!("seed {seed}: {report}"));
        }
    })
}
