//! `aether-trace-runs PROTOCOL --events N --seed S [--mutant NAME]`: traces on standard output, a step a line.
#![forbid(unsafe_code)]

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use aether_trace_runs::arguments::{Arguments, read};
use aether_trace_runs::schedule;

fn main() -> ExitCode {
    let arguments = match read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => return failed(2, &error),
    };
    if !cfg!(aether_trace) {
        return failed(1, "this build leaves no traces; build it with --cfg aether_trace");
    }
    match make(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(1, &error),
    }
}

/// Makes traces until they have enough steps.
fn make(arguments: &Arguments) -> Result<(), String> {
    if let Some(name) = &arguments.mutant
        && !aether_trace::plant(name)
    {
        return Err(format!("this build has no bug {name} to plant; build it with --cfg aether_mutants"));
    }
    schedule::prepare();
    let mut out = BufWriter::new(io::stdout().lock());
    let (mut steps, mut number) = (0, 0);
    while steps < arguments.events {
        let trace = schedule::once(arguments.seed.wrapping_add(number), arguments.run);
        steps += trace.steps().max(1) as u64;
        let written = trace.lines(number).try_for_each(|line| writeln!(out, "{line}"));
        // What comes after it may never end, if a bug was planted.
        written.and_then(|()| out.flush()).map_err(|error| format!("standard output: {error}"))?;
        number += 1;
    }
    Ok(())
}

fn failed(code: u8, error: &str) -> ExitCode {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::from(code)
}
