//! `convert`: every kind in turn, what it tells, and processes killed while they convert.

use crate::home::{Home, told};
use std::process::Stdio;
use std::time::Duration;

const KINDS: [&str; 4] = ["rax", "lsm", "skiplist", "btree"];

/// Rows of a keyspace beside `default`, a few of them large.
fn filled(rows: u64) -> (Home, Vec<u8>) {
    let home = Home::new();
    let value = |row: u64| "v".repeat(if row.is_multiple_of(500) { 50_000 } else { 20 });
    let text: String = (0..rows).map(|row| format!("key-{row:06}\t{row} {}\n", value(row))).collect();
    told(&home.feed(text.as_bytes(), &["load", "-", "--keyspace", "rows"]), 0);
    (home, text.into_bytes())
}

fn dump(home: &Home) -> Vec<u8> {
    let output = home.run(&["dump", "--keyspace", "rows"]);
    told(&output, 0);
    output.stdout
}

/// The line of `stat` about the keyspace.
fn stat(home: &Home) -> String {
    let text = String::from_utf8(home.run(&["stat"]).stdout).unwrap();
    text.lines().find(|line| line.starts_with("keyspace rows:")).unwrap().to_owned()
}

#[test]
fn a_keyspace_becomes_each_kind_and_keeps_its_rows() {
    let (home, rows) = filled(1500);
    for kind in KINDS {
        let output = home.run(&["convert", "--keyspace", "rows", "--to", kind]);
        assert_eq!(told(&output, 0), "", "no progress in a pipe");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!(" to {kind}: 1,500 rows, ")), "{text}");
        assert!(stat(&home).starts_with(&format!("keyspace rows: {kind}, ")), "{}", stat(&home));
        assert!(dump(&home) == rows, "other rows in {kind}");
        told(&home.run(&["verify"]), 0);
    }
}

#[test]
fn what_was_done_is_told_as_json_and_as_a_table() {
    let (home, _) = filled(10);
    let output = home.run(&["convert", "--keyspace", "rows", "--to", "lsm", "--format", "json"]);
    told(&output, 0);
    let told_as_json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (name, value) in [("keyspace", "rows"), ("from", "btree"), ("to", "lsm")] {
        assert_eq!(told_as_json[name], value);
    }
    assert_eq!(told_as_json["rows"], 10);
    for name in ["seconds", "locked_seconds", "rows_per_second"] {
        assert!(told_as_json[name].is_number(), "{name} of {told_as_json}");
    }
    let output = home.run(&["convert", "--keyspace", "rows", "--to", "rax", "--format", "table"]);
    told(&output, 0);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(["lsm", "rax", "rows/s"].iter().all(|part| text.contains(part)), "{text}");
}

#[test]
fn the_default_keyspace_is_the_one_unless_another_is_named() {
    let (home, _) = filled(10);
    told(&home.feed(b"a\t1\n", &["load", "-"]), 0);
    told(&home.run(&["convert", "--to", "skiplist"]), 0);
    assert_eq!(home.run(&["dump"]).stdout, b"a\t1\n");
    let text = String::from_utf8(home.run(&["stat"]).stdout).unwrap();
    assert!(text.contains("keyspace default: skiplist, "), "{text}");
    assert!(stat(&home).starts_with("keyspace rows: btree, "));
}

#[test]
fn what_cannot_be_converted_is_told_and_stays() {
    let (home, rows) = filled(10);
    let text = told(&home.run(&["convert", "--keyspace", "rows", "--to", "btree"]), 2);
    assert!(text.contains("the keyspace `rows` is of") && text.contains("already"), "{text}");
    let text = told(&home.run(&["convert", "--keyspace", "rows", "--to", "hash"]), 2);
    assert!(KINDS.iter().all(|kind| text.contains(kind)), "the kinds there are: {text}");
    let text = told(&home.run(&["convert", "--keyspace", "row", "--to", "lsm"]), 1);
    assert!(text.contains("there is no keyspace `row`"), "{text}");
    assert!(dump(&home) == rows && stat(&home).starts_with("keyspace rows: btree, "));
}

#[test]
fn a_process_killed_while_it_converts_leaves_all_rows() {
    let (home, rows) = filled(4000);
    let (mut killed, mut done) = (0, 0);
    for (round, to) in (0..).zip(KINDS.into_iter().cycle()) {
        let mut command = home.command(&["convert", "--keyspace", "rows", "--to", to]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(15 * (round % 12)));
        child.kill().unwrap();
        match child.wait().unwrap().code() {
            None => killed += 1,
            // It may be of that kind already: the one before was killed when all was done.
            code => assert!(matches!(code, Some(0 | 2)), "{code:?}"),
        }
        assert!(dump(&home) == rows, "after {round} rounds");
        told(&home.run(&["verify"]), 0);
        if stat(&home).starts_with(&format!("keyspace rows: {to}, ")) {
            done += 1;
        } else {
            told(&home.run(&["convert", "--keyspace", "rows", "--to", to]), 0);
            assert!(dump(&home) == rows, "after {round} rounds, converted again");
        }
        if round == 11 {
            break;
        }
    }
    assert!(killed > 4 && killed + done >= 12, "{killed} killed, {done} done");
}
