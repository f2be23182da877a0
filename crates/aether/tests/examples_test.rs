//! Runs every example; each asserts what it claims and prints something.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "support/cargo.rs"]
mod cargo;

use serde_json::Value;
use std::process::Command;

fn run(example: &str) -> String {
    run_with(example, &[])
}

fn run_with(example: &str, arguments: &[&str]) -> String {
    let mut cargo = cargo::cargo("run");
    cargo.args(["--example", example, "--"]).args(arguments);
    printed(example, cargo)
}

fn printed(example: &str, mut cargo: Command) -> String {
    let output = cargo.output().expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{example}: {}\n{text}{}", output.status, stderr(&output));
    assert!(!text.trim().is_empty(), "{example} prints nothing");
    println!("{text}");
    text
}

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn basic_btree() {
    assert!(run("basic_btree").contains("in key order"));
}

#[test]
fn kv_store() {
    assert!(run("kv_store").contains("hello = world"));
}

#[test]
fn transactions() {
    assert!(run("transactions").contains("total"));
}

#[test]
fn wal_recovery() {
    assert!(run("wal_recovery").contains("nothing acknowledged is missing"));
}

#[test]
fn group_commit() {
    assert!(run("group_commit").contains("commits per flush"));
}

#[test]
fn skiplist_concurrent() {
    assert!(run("skiplist_concurrent").contains("keys in order"));
}

#[test]
fn rax_prefix() {
    assert!(run("rax_prefix").contains("in one walk"));
}

#[test]
fn generic_index() {
    assert!(run("generic_index").contains("rolled back in both"));
}

#[test]
fn lsm_usage() {
    let text = run("lsm_usage");
    assert!(text.contains("part 21 is sold out, part 3 has few left"));
    assert!(text.contains("1000 parts, as the three levels say"));
    assert!(text.contains("the B+tree agrees with both"));
}

#[test]
fn adaptive_lsm() {
    let text = run("adaptive_lsm");
    for part in [
        "switched from fast to predictable: ",
        "switched from predictable to fast: ",
        "switched from fast to leveled: ",
        "switched by call:  hanoi in charge",
        "rows, whatever the policy",
    ] {
        assert!(text.contains(part), "{part}");
    }
}

/// It works in the directory that it is run in.
#[test]
fn lsm_engine() {
    let dir = tempfile::TempDir::new().unwrap();
    let mut cargo = cargo::cargo("run");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    cargo.args(["--manifest-path", manifest, "--example", "lsm_engine"]).current_dir(dir.path());
    assert!(printed("lsm_engine", cargo).contains("not found any more"));
    assert!(std::fs::read_dir(dir.path()).unwrap().count() > 0, "its files are there");
}

/// The snippet that users are shown, to the letter.
#[test]
fn lsm_engine_is_the_snippet() {
    let snippet = r#"
    let e = Engine::new("./", 64 * 1024 * 1024, 10).unwrap(); // memtable bytes before flush, runs before a merge
    e.put("1", "1");
    assert_eq!("1", e.get("1").unwrap());
    e.del("1");
    assert!(e.get("1").is_err_and(|e| e == Error::KeyNotFound));
"#;
    assert!(include_str!("../examples/lsm_engine.rs").contains(snippet));
}

#[test]
fn lsm_visualization() {
    // What is no terminal gets the last frame, and no escape sequence.
    let text = run_with("lsm_visualization", &["--seconds", "3", "--policy", "hanoi", "--keys", "20000"]);
    assert!(!text.contains('\x1b'));
    assert_eq!(text.lines().filter(|line| line.starts_with("policy   hanoi")).count(), 1);
    for name in ["puts ", "gets ", "memory ", "written ", "level  runs ", "merge ", "owed "] {
        assert!(text.lines().any(|line| line.starts_with(name)), "{name}: {text}");
    }
}

#[test]
fn lsm_visualization_as_json() {
    let text = run_with("lsm_visualization", &["--seconds", "3", "--json"]);
    let frames: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(frames.len() > 1);
    let number = |frame: &Value, name: &str| frame[name].as_u64().unwrap();
    for name in ["elapsed_ms", "puts", "put_bytes", "flushed_bytes"] {
        assert!(frames.is_sorted_by_key(|frame| number(frame, name)), "{name} only rises");
    }
    let last = frames.last().unwrap();
    assert!(number(last, "puts") > 0 && last["in_charge"] == "fast", "{last}");
}

#[test]
fn no_example_is_left_out() {
    let known = [
        "adaptive_lsm",
        "basic_btree",
        "generic_index",
        "group_commit",
        "kv_store",
        "lsm_engine",
        "lsm_usage",
        "lsm_visualization",
        "rax_prefix",
        "skiplist_concurrent",
        "transactions",
        "wal_recovery",
    ];
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, known);
}
