//! `load`: rows of a file or standard input, a durable transaction per batch.
//!
//! The input streams: no more than a batch and a line are in memory. A malformed line ends the load with
//! its number; its batch is aborted, what was committed before stays, and the message says how much.
//!
//! A reader per format makes a [`Source`] of the input; the [`Loader`] knows no format.

mod columns;
mod csv;
mod db_dump;
mod guess;
mod input;
mod json;
mod lines;
mod loader;
mod progress;
mod source;

pub(crate) use columns::{Columns, Shape};
pub(crate) use csv::{Csv, CsvShape};
pub(crate) use db_dump::DbDump;
pub(crate) use json::Json;
pub(crate) use lines::LineLimit;
pub(crate) use loader::{Loader, Report, Rules};
pub(crate) use progress::{Progress, bar};
pub(crate) use source::{Next, Row, Source};

use crate::arguments::{Batches, Common, Format, Load};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::{home, show};
use aether::DbEnv;
use input::Input;
use serde_json::json;
use std::io::{self, Write};
use std::time::{Duration, Instant};

pub(crate) fn run(common: &Common, arguments: &Load) -> Outcome {
    let input = Input::open(&arguments.file)?;
    let progress = Progress::of_bytes(input.bytes_total);
    let mut source = input.into_source(arguments)?;
    let env = home::open_for_load(&home::path(common))?;
    let rules = Rules { by_database: arguments.databases, ..Rules::new(&arguments.batches) };
    let to = Destination { env, keyspace: &arguments.keyspace.keyspace, rules, progress };
    let acknowledges = arguments.batches.acknowledge;
    let done = to.fill(&mut *source, acknowledges);
    let (report, elapsed) = done.map_err(|failure| failure.within(&input::name(&arguments.file), ""))?;
    tell(&report, elapsed, &mut Output::new(common.format))?;
    Ok(Exit::Done)
}

impl Rules {
    /// The rules that the arguments give.
    pub(crate) fn new(arguments: &Batches) -> Self {
        Self { on_duplicate: arguments.on_duplicate, batch_rows: arguments.batch, by_database: false }
    }
}

/// Where rows go and how.
pub(crate) struct Destination<'a> {
    pub(crate) env: DbEnv,
    pub(crate) keyspace: &'a str,
    pub(crate) rules: Rules,
    pub(crate) progress: Progress,
}

impl Destination<'_> {
    /// Loads every row of the source and closes the home. Blocks.
    pub(crate) fn fill(mut self, source: &mut dyn Source, acknowledges: bool) -> Outcome<(Report, Duration)> {
        let start = Instant::now();
        let report = Loader::new(&self.env, self.keyspace, self.rules).run(source, &mut |report| {
            self.progress.at(report);
            if acknowledges { acknowledge(report) } else { Ok(()) }
        });
        self.progress.end();
        let done = (report?, start.elapsed());
        self.env.close()?;
        Ok(done)
    }
}

/// Rows in a time, as rows/s.
pub(crate) fn rate(rows: u64, elapsed: Duration) -> u64 {
    (rows as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

/// Tells that so many rows are durable, at once.
fn acknowledge(report: &Report) -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "committed {}", report.rows)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::output(&error))
}

/// Tells what was loaded.
pub(crate) fn tell(report: &Report, elapsed: Duration, output: &mut Output) -> Outcome<()> {
    let rate = rate(report.rows, elapsed);
    match output.format() {
        Format::Json => output.json(&json!({
            "rows": report.rows,
            "skipped": report.skipped,
            "transactions": report.transactions,
            "bytes": report.bytes,
            "seconds": elapsed.as_secs_f64(),
            "rows_per_second": rate,
        }))?,
        Format::Plain => output.line(&summary(report, elapsed))?,
        Format::Table => output.pairs(vec![
            ("rows".into(), show::count(report.rows)),
            ("skipped".into(), show::count(report.skipped)),
            ("transactions".into(), show::count(report.transactions)),
            ("seconds".into(), format!("{:.3}", elapsed.as_secs_f64())),
            ("rows/s".into(), show::count(rate)),
        ])?,
    }
    output.flush()
}

/// A load in one line of text.
pub(crate) fn summary(report: &Report, elapsed: Duration) -> String {
    let skipped = match report.skipped {
        0 => String::new(),
        skipped => format!(", {} duplicates skipped", show::count(skipped)),
    };
    format!(
        "loaded {} rows{skipped} in {} durable transactions, {:.2} s, {} rows/s",
        show::count(report.rows),
        show::count(report.transactions),
        elapsed.as_secs_f64(),
        show::count(rate(report.rows, elapsed))
    )
}
