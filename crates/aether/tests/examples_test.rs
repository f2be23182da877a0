//! Runs every example; each asserts what it claims and prints something.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "support/cargo.rs"]
mod cargo;

fn run(example: &str) -> String {
    let output = cargo::cargo("run").args(["--example", example]).output().expect("cargo runs");
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
fn no_example_is_left_out() {
    let known = [
        "basic_btree",
        "generic_index",
        "group_commit",
        "kv_store",
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
