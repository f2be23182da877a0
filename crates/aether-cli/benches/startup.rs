//! What it costs to start `aether torture dump` on a small store that was closed: process, open, print, end.
//!
//! `cargo bench -p aether-cli --bench startup`; the target is 10 ms.

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const RUNS: usize = 40;
const TARGET: Duration = Duration::from_millis(10);

fn main() {
    let dir = tempfile::TempDir::new().unwrap();
    let home = dir.path().join("home");
    aether(&["torture", "work", "--txs", "100"], &home);
    let mut times: Vec<_> = (0..RUNS).map(|_| timed(&["torture", "dump"], &home)).collect();
    times.sort();
    let median = times[RUNS / 2];
    let verdict = if median < TARGET { "within" } else { "over" };
    println!(
        "torture dump of a small closed store: median {median:.1?}, fastest {:.1?}, slowest {:.1?} of {RUNS} runs; {verdict} {TARGET:?}",
        times[0],
        times[RUNS - 1]
    );
    println!("a process that only prints its version: {:.1?}", timed(&["--version"], &home));
}

fn timed(arguments: &[&str], home: &Path) -> Duration {
    let start = Instant::now();
    aether(arguments, home);
    start.elapsed()
}

fn aether(arguments: &[&str], home: &Path) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_aether"));
    command.args(arguments).stdout(Stdio::null());
    if arguments[0] == "torture" {
        command.arg(home);
    }
    assert!(command.status().unwrap().success());
}
