//! The system refuses a thread: opening says so. It ended the process by a panic.
//!
//! The opening runs in a process of its own: this test binary again, with one test and a variable that says where.

use super::options;
use aether::DbEnv;
use std::process::{Command, Output};
use tempfile::TempDir;

const CHILD: &str = "AETHER_LIMITS_THREADS_HOME";

/// Opens a home with many threads, when the test below asks for it.
#[test]
fn child_of_the_thread_limit() {
    let Ok(home) = std::env::var(CHILD) else { return };
    let mut options = options(4096);
    options.buffer.prefetch_threads = 40;
    match DbEnv::open(home, options) {
        Ok(env) => println!("opened and closed: {}", env.close().is_ok()),
        Err(error) => println!("refused: {error}"),
    }
}

/// Runs the child in so much address space.
fn open_within(mebibytes: u32) -> Output {
    let dir = TempDir::new().unwrap();
    Command::new("bash")
        .args(["-c", &format!("ulimit -v {}; exec \"$@\"", mebibytes << 10), "limited"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "threads::child_of_the_thread_limit", "--nocapture", "--test-threads", "1"])
        .env(CHILD, dir.path().join("home"))
        .env("RUST_BACKTRACE", "0")
        // Each thread that allocates early would take 64 MiB of the address space for an arena of its own.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap()
}

#[test]
fn a_thread_that_the_system_refuses_is_told_by_open() {
    let (mut opened, mut told) = (0, 0);
    for mebibytes in (16..400).step_by(12) {
        let output = open_within(mebibytes);
        let said = String::from_utf8_lossy(&output.stdout);
        let complaint = String::from_utf8_lossy(&output.stderr);
        // There is room for the thread and not for its signal stack: the standard library gives up, not this engine.
        if complaint.contains("failed to allocate an alternative stack") {
            continue;
        }
        assert!(!complaint.contains("panicked"), "{mebibytes} MiB: {complaint}");
        opened += u32::from(said.contains("opened and closed: true"));
        told += u32::from(said.contains("refused: the system starts no thread for"));
    }
    assert!(opened > 0 && told > 0, "{opened} opened, {told} were told of a thread");
}
