//! A live view of an LSM tree under load: levels, tombstones, the merge in flight, memory, write amplification, puts per second.
//!
//! `cargo run --release --example lsm_visualization -- --seconds 30 --policy adaptive`
//!
//! Where standard output is no terminal, and with `--once`, it prints the last frame as plain text; with `--json`, a line for each frame.

#![allow(clippy::print_stderr)]

mod arguments;
mod draw;
mod frame;
mod json;
mod load;
mod screen;

use arguments::Arguments;
use frame::Gatherer;
use load::Load;
use screen::Screen;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Between two frames.
const FRAME_EVERY: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(what) => {
            eprintln!("{what}\n{}", arguments::USAGE);
            return ExitCode::from(2);
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> aether::Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let load = Load::start(&dir.path().join("home"), arguments.policy, arguments.keys)?;
    let mut gatherer = Gatherer::new(load::MEMTABLE_BYTES);
    let mut screen = Screen::new(arguments);
    let end = Instant::now() + arguments.run_for;
    while Instant::now() < end && load.is_running() {
        std::thread::sleep(FRAME_EVERY.min(end.saturating_duration_since(Instant::now())));
        screen.show(&gatherer.gather(load.counts(), load.tree().stat()));
    }
    screen.end();
    load.stop()
}
