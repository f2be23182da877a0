//! `load`: rows of a file or standard input, a durable transaction per batch.
//!
//! The input streams: no more than a batch and a line are in memory. A malformed line ends the load with
//! its number; its batch is aborted, what was committed before stays, and the message says how much.

mod batch;
mod progress;
mod rows;

pub(crate) use batch::{Loader, Report};
pub(crate) use rows::Shape;

use crate::arguments::{Common, Format, InputFormat, Load};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::{home, show};
use progress::Progress;
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::time::{Duration, Instant};

const READ_BYTES: usize = 256 << 10;

pub(crate) fn run(common: &Common, arguments: &Load) -> Outcome {
    let shape = shape(arguments)?;
    let (input, bytes_total) = open(&arguments.file)?;
    let env = home::open_for_load(&home::path(common))?;
    let keyspace = env.open_or_create_keyspace(&arguments.keyspace.keyspace)?;
    let start = Instant::now();
    let mut progress = Progress::new(bytes_total);
    let loader = Loader::new(&env, &keyspace, shape, arguments.on_duplicate, arguments.batch);
    let report = loader.run(input, |report| {
        progress.at(report);
        if arguments.acknowledge { acknowledge(report) } else { Ok(()) }
    });
    progress.end();
    let report = report.map_err(|failure| failure.within(&source(&arguments.file), ""))?;
    let elapsed = start.elapsed();
    env.close()?;
    tell(&report, elapsed, &mut Output::new(common.format))?;
    Ok(Exit::Done)
}

/// Rows in a time, as rows/s.
pub(crate) fn rate(rows: u64, elapsed: Duration) -> u64 {
    (rows as f64 / elapsed.as_secs_f64().max(1e-9)) as u64
}

fn shape(arguments: &Load) -> Outcome<Shape> {
    let delimiter = match (arguments.input_format, arguments.delimiter) {
        (InputFormat::Tsv, None) => b'\t',
        (InputFormat::Tsv, Some(_)) => {
            return Err(Failure::input("--delimiter goes with --input-format delimited"));
        }
        (InputFormat::Delimited, delimiter) => delimiter.unwrap_or(b','),
    };
    Ok(Shape {
        delimiter,
        escapes: arguments.input_format == InputFormat::Tsv,
        key_column: arguments.key_column as usize,
        line_bytes_max: arguments.line_bytes_max,
    })
}

fn open(path: &Path) -> Outcome<(Box<dyn BufRead>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(BufReader::with_capacity(READ_BYTES, io::stdin())), None));
    }
    let file = File::open(path).map_err(|error| unreadable(path, &error))?;
    let about = file.metadata().map_err(|error| unreadable(path, &error))?;
    if about.is_dir() {
        return Err(Failure::input(format!("{} is a directory", path.display())));
    }
    let bytes = about.is_file().then_some(about.len());
    Ok((Box::new(BufReader::with_capacity(READ_BYTES, file)), bytes))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("opening {}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Failure::input(format!("{what}: {error}")),
        _ => Failure::system(&what, error),
    }
}

fn source(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

/// Tells that so many rows are durable, at once.
fn acknowledge(report: &Report) -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "committed {}", report.rows)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::output(&error))
}

fn tell(report: &Report, elapsed: Duration, output: &mut Output) -> Outcome<()> {
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
