//! Kills a loading process and compares what it acknowledged with what is there afterwards.

use super::{BATCH_ROWS, CRASH_KEYSPACE, DELIMITER, UNICODE_DATA};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::show;
use aether::DbEnv;
use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Rows per transaction of the child: small, so that the kill meets it at work.
const CHILD_BATCH_ROWS: u64 = BATCH_ROWS / 10;
/// Rows that the child has acknowledged when it is killed.
const KILL_AFTER_ROWS: u64 = 12_000;

/// What the killed child said.
pub(super) struct Killed {
    acknowledged: u64,
}

/// Starts this program as a loader, kills it amid its work, and takes down what it acknowledged. Blocks.
pub(super) fn kill_while_loading(home: &Path, output: &mut Output) -> Outcome<Killed> {
    let mut child = start(home)?;
    let id = child.id();
    let feeder = child.stdin.take().map(|stdin| thread::spawn(move || feed(stdin)));
    let acknowledged = follow(&mut child);
    // The child may have ended by itself; either way it is waited for.
    let _ = child.kill();
    let status = child.wait().map_err(|error| Failure::system("waiting for the child", &error))?;
    if let Some(feeder) = feeder {
        let _ = feeder.join();
    }
    let acknowledged = acknowledged?;
    output.note(&format!(
        "crash: process {id} loaded the same rows, {CHILD_BATCH_ROWS} per transaction; killed ({status}) with {} rows acknowledged",
        show::count(acknowledged)
    ))?;
    output.flush()?;
    if status.code().is_some() {
        return Err(Failure::new(Exit::Other, format!("the loading child ended by itself: {status}")));
    }
    Ok(Killed { acknowledged })
}

/// Compares the reopened store with what was acknowledged.
pub(super) fn judge(env: &DbEnv, killed: &Killed, output: &mut Output) -> Outcome {
    let start = Instant::now();
    let found = rows_found(env)?;
    let acknowledged = rows().take(killed.acknowledged as usize);
    let missing =
        acknowledged.filter(|(key, value)| found.get(*key).is_none_or(|have| have != value)).count();
    let strangers = found.len() - rows().filter(|(key, _)| found.contains_key(*key)).count();
    let torn = found.len() as u64 % CHILD_BATCH_ROWS;
    tell(killed, found.len() as u64, missing, start.elapsed(), output)?;
    if missing + strangers > 0 || torn > 0 {
        let what =
            format!("{missing} acknowledged rows missing, {strangers} unknown, {torn} of a torn batch");
        output.note(&what)?;
        return Ok(Exit::Absent);
    }
    Ok(Exit::Done)
}

fn tell(killed: &Killed, found: u64, missing: usize, took: Duration, output: &mut Output) -> Outcome<()> {
    output.note(&format!(
        "reopened: {} rows acknowledged, {} found, {missing} acknowledged rows missing (checked in {took:.1?})",
        show::count(killed.acknowledged),
        show::count(found),
    ))?;
    output.flush()
}

fn start(home: &Path) -> Outcome<Child> {
    let failed = |error: io::Error| Failure::system("starting a loading child", &error);
    Command::new(std::env::current_exe().map_err(failed)?)
        .arg("--home")
        .arg(home)
        .args(["load", "-", "--input-format", "delimited", "--delimiter", ";", "--acknowledge"])
        .args(["--keyspace", CRASH_KEYSPACE, "--batch", &CHILD_BATCH_ROWS.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(failed)
}

/// Gives the child its rows. The pipe is given back still open, so that the child cannot come to an end
/// before it is killed.
fn feed(mut stdin: ChildStdin) -> ChildStdin {
    // A killed child's closed pipe fails the write.
    let _ = stdin.write_all(UNICODE_DATA);
    stdin
}

/// Reads the child's acknowledgements, kills it at the mark, and reads what it said until it was dead.
fn follow(child: &mut Child) -> Outcome<u64> {
    let Some(stdout) = child.stdout.take() else { return Ok(0) };
    let mut acknowledged = 0;
    for line in BufReader::new(stdout).lines() {
        let line = line.map_err(|error| Failure::system("reading from the child", &error))?;
        if let Some(rows) = line.strip_prefix("committed ").and_then(|rows| rows.parse().ok()) {
            acknowledged = rows;
        }
        if acknowledged >= KILL_AFTER_ROWS {
            child.kill().map_err(|error| Failure::system("killing the child", &error))?;
        }
    }
    Ok(acknowledged)
}

/// The rows of the data set, as `load` makes them.
fn rows() -> impl Iterator<Item = (&'static [u8], &'static [u8])> {
    UNICODE_DATA.split(|byte| *byte == b'\n').filter_map(|line| {
        let at = line.iter().position(|byte| *byte == DELIMITER)?;
        Some((&line[..at], &line[at + 1..]))
    })
}

fn rows_found(env: &DbEnv) -> Outcome<BTreeMap<Vec<u8>, Vec<u8>>> {
    let keyspace = env.keyspace(CRASH_KEYSPACE)?;
    let snapshot = env.snapshot()?;
    Ok(snapshot.iter(&keyspace)?.collect::<aether::Result<_>>()?)
}
