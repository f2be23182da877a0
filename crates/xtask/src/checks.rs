//! The steps that want more than one command. They write straight to the terminal and block until done.

use std::env::{self, consts::ARCH};
use std::path::Path;
use std::process::Command;

use crate::gate::{is_installed, missing};
use crate::steps::{MIRI, crates_with_tests};
use crate::terminal::{say, warn};

/// The crates whose unit tests Miri can run in reasonable time, and whose bytes and atomics want it.
const MIRI_CRATES: &[&str] = &["aether-page", "aether-sync"];

/// Rooms of `unsafe` in crates whose other tests would take Miri too long. What calls C or the system is not for Miri: LMDB's rooms, and
/// the scheduling policy of a thread.
const MIRI_ROOMS: &[(&str, &str)] = &[("aether-buffer", "memory::"), ("aether-torture", "allocation::")];

/// The crates whose tests have threads.
const TSAN_CRATES: &[&str] = &[
    "aether-sync",
    "aether-wal",
    "aether-buffer",
    "aether-recovery",
    "aether-txn",
    "aether-index",
    "aether-lsm",
    "aether-kv",
];

/// Runs `tests/<checker>_*.rs` of `packages` (if none are named: of every crate that has some) with
/// `--cfg <checker>`, in a target directory of their own so that other builds stay warm.
pub(crate) fn schedules(root: &Path, checker: &str, packages: &[String]) -> Result<(), String> {
    let with_tests = crates_with_tests(root, checker);
    if let Some(without) = packages.iter().find(|name| !with_tests.contains(name)) {
        return Err(format!("{without} has no tests/{checker}_*.rs"));
    }
    let chosen = if packages.is_empty() { &with_tests } else { packages };
    if chosen.is_empty() {
        say(&format!("no crate has tests/{checker}_*.rs"));
    }
    chosen.iter().try_for_each(|package| schedule(root, checker, package))
}

fn schedule(root: &Path, checker: &str, package: &str) -> Result<(), String> {
    let target = format!("target/{checker}");
    let tests = format!("{checker}_*");
    let mut cargo = cargo(root);
    cargo.env("RUSTFLAGS", extended("RUSTFLAGS", &format!("--cfg {checker}")));
    cargo.args(["test", "--release", "-p", package, "--target-dir", &target, "--test", &tests]);
    finish(cargo)
}

/// Kinds of indexes that who takes `aether-index` alone may leave out; the first: all of them.
const INDEX_KINDS: &[&str] = &["", "btree", "skiplist", "rax"];

/// What no other build has: `aether-index` without some of its kinds, and `aether-lsm` with what is off by default.
pub(crate) fn features(root: &Path) -> Result<(), String> {
    for kinds in INDEX_KINDS {
        let mut clippy = cargo(root);
        clippy.args(["clippy", "-p", "aether-index", "--lib", "--no-default-features", "--features", kinds]);
        clippy.args(["--", "-D", "warnings"]);
        finish(clippy)?;
    }
    let mut lsm = cargo(root);
    lsm.args(["test", "-p", "aether-lsm", "--features", "zstd,left-right-lsm", "--lib", "--test", "*"]);
    finish(lsm)
}

/// Runs the tests of `packages` (if none are named: of those with threads) with ThreadSanitizer, the standard library included.
/// It knows nothing of fences; pages are words that are read and written atomically, so no race of theirs is one to it.
pub(crate) fn tsan(root: &Path, packages: &[String]) -> Result<(), String> {
    if !is_installed(&MIRI) {
        return Err(missing(&MIRI));
    }
    let mut cargo = cargo(root);
    cargo.env("RUSTFLAGS", extended("RUSTFLAGS", "-Zsanitizer=thread"));
    cargo.args([
        "+nightly",
        "test",
        "-Zbuild-std",
        "--target",
        &format!("{ARCH}-unknown-linux-gnu"),
        "--target-dir",
        "target/tsan",
        "--tests",
    ]);
    let named = packages.iter().map(String::as_str);
    let chosen: Vec<_> = if packages.is_empty() { TSAN_CRATES.to_vec() } else { named.collect() };
    for package in chosen {
        cargo.args(["-p", package]);
    }
    finish(cargo)
}

/// Runs unit tests of `packages` (if none are named: of those that profit) in Miri, with `seeds` schedules.
pub(crate) fn miri(root: &Path, packages: &[String], seeds: u32) -> Result<(), String> {
    if !is_installed(&MIRI) {
        return Err(missing(&MIRI));
    }
    let mut setup = cargo(root);
    setup.args(["+nightly", "miri", "setup"]);
    finish(setup)?;
    // proptest looks for its file of past failures, which isolation would refuse.
    let flags = format!("-Zmiri-disable-isolation -Zmiri-many-seeds=0..{seeds}");
    let run = |package: &str, filter: Option<&str>| {
        let mut cargo = cargo(root);
        cargo.env("MIRIFLAGS", extended("MIRIFLAGS", &flags));
        cargo.args(["+nightly", "miri", "test", "-p", package, "--lib"]);
        cargo.args(filter.iter().flat_map(|filter| ["--", *filter]));
        finish(cargo)
    };
    if packages.is_empty() {
        MIRI_CRATES.iter().try_for_each(|package| run(package, None))?;
        return MIRI_ROOMS.iter().try_for_each(|(package, room)| run(package, Some(*room)));
    }
    packages.iter().try_for_each(|package| run(package, None))
}

/// Runs the whole-engine simulation for `minutes`.
pub(crate) fn torture(root: &Path, minutes: u32, seed: Option<u64>) -> Result<(), String> {
    if !root.join("crates/aether-torture/src/main.rs").exists() {
        return Err("aether-torture has no program yet: there is no crates/aether-torture/src/main.rs".into());
    }
    let mut cargo = cargo(root);
    cargo.args([
        "run",
        "--release",
        "-p",
        "aether-torture",
        "--",
        "torture",
        "--minutes",
        &minutes.to_string(),
    ]);
    if let Some(seed) = seed {
        cargo.args(["--seed", &seed.to_string()]);
    }
    finish(cargo)
}

/// Not `$CARGO`, which is one toolchain's own and does not know `+nightly`.
fn cargo(root: &Path) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root);
    cargo
}

/// The flags already in the environment, then `more`.
pub(crate) fn extended(variable: &str, more: &str) -> String {
    match env::var(variable) {
        Ok(flags) if !flags.is_empty() => format!("{flags} {more}"),
        _ => more.to_string(),
    }
}

fn finish(mut command: Command) -> Result<(), String> {
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    let line = format!("cargo {}", words.join(" "));
    warn(&line);
    let status = command.status().map_err(|error| format!("`{line}` does not start: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{line}` failed: {status}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_without_such_tests_is_named() {
        let root = tempfile::tempdir().unwrap();
        let error = schedules(root.path(), "loom", &["aether-cli".into()]).unwrap_err();
        assert_eq!(error, "aether-cli has no tests/loom_*.rs");
        assert_eq!(schedules(root.path(), "shuttle", &[]), Ok(()));
    }

    #[test]
    fn torture_without_a_program_says_so() {
        let root = tempfile::tempdir().unwrap();
        assert!(torture(root.path(), 1, Some(7)).unwrap_err().contains("no program yet"));
    }
}
