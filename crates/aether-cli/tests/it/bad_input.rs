//! Wrong usage and bad input: each is told with its place, and nothing that was there is lost.

use crate::home::{Home, bare, told};
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

/// A key longer than a quarter of any page.
const LONG_KEY_BYTES: usize = 20_000;

#[test]
fn a_malformed_line_is_named_and_what_was_committed_stays() {
    let home = Home::new();
    let lines = "a\t1\nb\t2\nc\t3\nno tab here\nd\t4\n";
    let text = told(&home.feed(lines.as_bytes(), &["load", "-", "--batch", "2"]), 2);
    assert!(text.contains("standard input: line 4: 1 column"), "{text}");
    assert!(text.contains("2 rows of 1 transactions are committed and stay"), "{text}");
    assert_eq!(String::from_utf8(home.run(&["dump"]).stdout).unwrap(), "a\t1\nb\t2\n");
}

#[test]
fn malformed_lines_of_every_kind_have_numbers() {
    let home = Home::new();
    for (input, flags, part) in [
        ("a\t1\n\nb\t2\n", &[][..], "line 2: 1 column"),
        ("a\tx\\q\n", &[], "line 1: unknown escape \\q"),
        ("a\tx\\", &[], "line 1: a backslash at the end"),
        (
            "a,b\n",
            &["--input-format", "delimited", "--key-column", "3"],
            "line 1: 2 columns where at least 3",
        ),
        ("a\t123456789\n", &["--line-bytes-max", "8"], "line 1: longer than 8 bytes"),
        ("a\t1\na\t2\n", &["--on-duplicate", "error"], "line 2: the key \"a\" is there already"),
    ] {
        let text = told(&home.feed(input.as_bytes(), &[&["load", "-"], flags].concat()), 2);
        assert!(text.contains(part), "{input:?}: {text}");
        assert!(text.contains("0 rows of 0 transactions"), "{input:?}: {text}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let home = Home::new();
    let file = home.around().join("absent.tsv");
    let text = told(&home.run(&["load", file.to_str().unwrap()]), 2);
    assert!(text.contains("absent.tsv"), "{text}");
    assert!(!home.path().exists(), "a load without input creates no home");
    let text = told(&home.run(&["load", home.around().to_str().unwrap()]), 2);
    assert!(text.contains("is a directory"), "{text}");
}

#[test]
fn a_home_that_is_missing_is_not_created() {
    let home = Home::new();
    let convert = ["convert", "--to", "lsm"];
    for arguments in
        [&["get", "k"][..], &["delete", "k"], &["scan"], &["dump"], &["stat"], &["verify"], &convert]
    {
        let text = told(&home.run(arguments), 2);
        assert!(text.contains("there is no home at") && text.contains("home"), "{text}");
        assert!(!home.path().exists());
    }
}

#[test]
fn an_empty_directory_is_no_home() {
    let home = Home::new();
    std::fs::create_dir(home.path()).unwrap();
    told(&home.run(&["get", "k"]), 2);
    told(&home.dump(), 0);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_foreign_directory_is_refused_and_left_alone() {
    let home = Home::new();
    std::fs::create_dir(home.path()).unwrap();
    std::fs::write(home.path().join("letter.txt"), "dear reader").unwrap();
    for arguments in [&["get", "k"][..], &["scan"], &["verify"], &["put", "k", "v"]] {
        let output = home.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(2 | 3)), "{arguments:?}: {text}");
        assert!(text.contains("home"), "{arguments:?}: {text}");
    }
    assert_eq!(std::fs::read(home.path().join("letter.txt")).unwrap(), b"dear reader");
    assert_eq!(home.files().len(), 1, "{:?}", home.files());
}

#[test]
fn a_file_is_no_home() {
    let home = Home::new();
    std::fs::write(home.path(), "a file").unwrap();
    for arguments in [&["get", "k"][..], &["put", "k", "v"], &["stat"]] {
        let output = home.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(2 | 3 | 5)), "{arguments:?}: {text}");
    }
    assert_eq!(std::fs::read(home.path()).unwrap(), b"a file");
}

#[test]
fn a_key_over_the_limit_is_refused() {
    let home = Home::new();
    let key = "k".repeat(LONG_KEY_BYTES);
    told(&home.run(&["put", "short", "v"]), 0);
    told(&home.run(&["put", &key, "v"]), 2);
    let text = told(&home.feed(format!("a\t1\n{key}\t2\n").as_bytes(), &["load", "-"]), 2);
    assert!(text.contains("line 2:"), "{text}");
    assert_eq!(home.run(&["dump"]).stdout, b"short\tv\n");
}

#[test]
fn an_unknown_keyspace_is_told_and_not_created() {
    let home = Home::new();
    told(&home.run(&["put", "k", "v"]), 0);
    for arguments in [&["get", "k"][..], &["delete", "k"], &["scan"], &["dump"], &["convert", "--to", "lsm"]]
    {
        let text = told(&home.run(&[arguments, &["--keyspace", "nowhere"]].concat()), 1);
        assert!(text.contains("nowhere"), "{text}");
    }
    let stat = String::from_utf8(home.run(&["stat"]).stdout).unwrap();
    assert!(!stat.contains("nowhere"), "{stat}");
}

#[test]
fn wrong_usage_has_code_2() {
    let home = Home::new();
    for arguments in [
        &["fly"][..],
        &["put", "key-alone"],
        &["load"],
        &["load", "-", "--key-column", "0"],
        &["load", "-", "--batch", "0"],
        &["load", "-", "--delimiter", ";"],
        &["load", "-", "--input-format", "delimited", "--delimiter", "ab"],
        &["scan", "--limit", "many"],
        &["get", "k", "--format", "xml"],
        &["convert"],
        &["convert", "--to", "tree"],
    ] {
        told(&home.feed(b"", arguments), 2);
    }
    assert!(!home.path().exists());
    told(&bare(&[]).output().unwrap(), 2);
}

#[test]
fn a_home_in_use_is_told() {
    let home = Home::new();
    let mut holder = home.command(&["load", "-", "--acknowledge", "--batch", "1"]);
    let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = holder.stdin.take().unwrap();
    input.write_all(b"a\t1\n").unwrap();
    let mut first = String::new();
    let mut output = BufReader::new(holder.stdout.take().unwrap());
    output.read_line(&mut first).unwrap();
    assert_eq!(first, "committed 1\n");
    for arguments in [&["get", "a"][..], &["put", "a", "2"], &["verify"], &["convert", "--to", "lsm"]] {
        let text = told(&home.run(arguments), 4);
        assert!(text.contains("in use"), "{text}");
    }
    drop(input);
    assert!(holder.wait().unwrap().success());
    assert_eq!(home.run(&["get", "a"]).stdout, b"1\n");
}
