//! Runs every command of the binary `aether`, as a user would.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "support/binary.rs"]
mod binary;

use aether::KvStore;
use binary::binary;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const UNICODE_DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/data/UnicodeData.txt");

/// A home in a directory of its own.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.arg("--home").arg(self.path()).args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Standard output of a run that ends with `code`.
    fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {errors}");
        assert_eq!(code == 0, errors.is_empty(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn works(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments)
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.works(&[&["--format", "json"], arguments].concat());
        serde_json::from_str(&text).unwrap()
    }

    /// Runs with `input` on standard input.
    fn feeds(&self, input: &[u8], arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    fn loads(&self, input: &str, arguments: &[&str]) {
        let output = self.feeds(input.as_bytes(), &[&["load", "-"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn put_get_delete() {
    let home = Home::new();
    assert_eq!(home.works(&["put", "hello", "world"]), "");
    assert_eq!(home.works(&["get", "hello"]), "world\n");
    assert_eq!(home.works(&["get", "hello", "--raw"]), "world");
    assert_eq!(home.json(&["get", "hello"]), serde_json::json!({ "key": "hello", "value": "world" }));
    assert!(home.works(&["--format", "table", "get", "hello"]).contains("world"));
    assert_eq!(home.works(&["delete", "hello"]), "");
    home.ends(1, &["get", "hello"]);
    home.ends(1, &["delete", "hello"]);
}

#[test]
fn a_value_comes_from_a_file_or_standard_input() {
    let home = Home::new();
    let value: Vec<u8> = (0..300_000u32).map(|at| (at % 251) as u8).collect();
    let file = home.0.path().join("value");
    std::fs::write(&file, &value).unwrap();
    home.works(&["put", "file", "--from", file.to_str().unwrap()]);
    assert!(home.feeds(&value, &["put", "pipe", "--from", "-"]).status.success());
    for key in ["file", "pipe"] {
        assert!(home.run(&["get", "--raw", key]).stdout == value, "{key} differs");
    }
}

#[test]
fn tsv_goes_in_and_out_unchanged() {
    let home = Home::new();
    let text = "a\tone\nb\\tc\ttwo\\nlines\\\\\nz\t\n";
    home.loads(text, &[]);
    assert_eq!(home.works(&["dump", "--output-format", "tsv"]), text);
    assert_eq!(home.works(&["get", "b\tc"]), "two\nlines\\\n");
    let second = Home::new();
    second.loads(&home.works(&["dump"]), &[]);
    assert_eq!(second.works(&["dump"]), text);
}

#[test]
fn the_key_may_be_any_column() {
    let home = Home::new();
    home.loads(
        "1;one;x\n2;two;y\n",
        &["--input-format", "delimited", "--delimiter", ";", "--key-column", "2"],
    );
    assert_eq!(home.works(&["scan"]), "one\t1;x\ntwo\t2;y\n");
}

#[test]
fn duplicates_are_overwritten_kept_or_refused() {
    let home = Home::new();
    home.loads("a\t1\na\t2\n", &["--on-duplicate", "first"]);
    assert_eq!(home.works(&["get", "a"]), "1\n");
    home.loads("a\t3\na\t4\n", &["--on-duplicate", "last"]);
    assert_eq!(home.works(&["get", "a"]), "4\n");
    let refused = home.feeds(b"b\t1\na\t5\n", &["load", "-", "--on-duplicate", "error", "--batch", "1"]);
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("line 2") && told.contains("1 rows of 1 transactions"), "{told}");
    assert_eq!(home.works(&["scan"]), "a\t4\nb\t1\n");
}

#[test]
fn scans_have_bounds_direction_and_limit() {
    let home = Home::new();
    home.loads("a1\t1\na2\t2\nb1\t3\nb2\t4\nc\t5\n", &["--keyspace", "letters"]);
    let scan = |arguments: &[&str]| {
        let rows = home.works(&[&["scan", "--keyspace", "letters"], arguments].concat());
        rows.lines().map(|row| row.split('\t').next().unwrap().to_string()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(scan(&[]), "a1 a2 b1 b2 c");
    assert_eq!(scan(&["--prefix", "b"]), "b1 b2");
    assert_eq!(scan(&["--from", "a2", "--to", "b2"]), "a2 b1");
    assert_eq!(scan(&["--prefix", "a", "--from", "a2"]), "a2");
    assert_eq!(scan(&["--reverse", "--limit", "2"]), "c b2");
    assert_eq!(scan(&["--prefix", "b", "--reverse"]), "b2 b1");
    assert_eq!(scan(&["--from", "z"]), "");
    assert_eq!(scan(&["--from", "b", "--to", "a"]), "");
    assert_eq!(scan(&["--limit", "0"]), "");
    assert_eq!(home.works(&["scan"]), "");
}

#[test]
fn stat_and_verify_speak_every_format() {
    let home = Home::new();
    home.loads("a\t1\n", &["--keyspace", "letters"]);
    for format in ["plain", "json", "table"] {
        let stat = home.works(&["stat", "--format", format]);
        assert!(stat.contains("page_size") && stat.contains("letters"), "{stat}");
        home.works(&["verify", "--format", format]);
    }
    let verify = home.json(&["verify"]);
    assert_eq!(verify["sound"], true);
    assert!(verify["entries"].as_u64().unwrap() >= 1, "{verify}");
}

#[test]
fn a_whole_data_set_is_loaded_and_dumped() {
    let home = Home::new();
    let shape = ["--input-format", "delimited", "--delimiter", ";", "--keyspace", "unicode"];
    let report = home.json(&[&["load", UNICODE_DATA], &shape[..]].concat());
    let lines = std::fs::read_to_string(UNICODE_DATA).unwrap();
    assert_eq!(report["rows"].as_u64().unwrap() as usize, lines.lines().count());
    assert_eq!(home.works(&["get", "1F980", "--keyspace", "unicode"]), "CRAB;So;0;ON;;;;;N;;;;;\n");
    let mut wanted: Vec<_> = lines.lines().map(|line| line.replacen(';', "\t", 1)).collect();
    wanted.sort();
    let dump = home.works(&["dump", "--keyspace", "unicode"]);
    assert!(dump.lines().eq(wanted.iter().map(String::as_str)), "the dump differs from the input");
    let rows = home.works(&["scan", "--keyspace", "unicode", "--prefix", "265"]);
    assert_eq!(rows.lines().count(), 16);
}

#[test]
fn the_library_and_the_command_share_a_home() {
    let home = Home::new();
    let mut store = KvStore::open(home.path()).unwrap();
    store.put(b"hello", b"world").unwrap();
    drop(store);
    assert_eq!(home.works(&["get", "hello"]), "world\n");
    home.works(&["put", "hello", "again"]);
    let store = KvStore::open(home.path()).unwrap();
    assert_eq!(store.get(b"hello").unwrap(), Some(b"again".to_vec()));
}

#[test]
fn the_demo_succeeds() {
    let home = Home::new();
    let demo = Command::new(binary()).arg("demo").env("TMPDIR", home.0.path()).output().unwrap();
    let text = String::from_utf8(demo.stdout).unwrap();
    println!("{text}");
    assert!(demo.status.success(), "{text}{}", String::from_utf8_lossy(&demo.stderr));
    assert!(text.contains("rows/s") && text.contains("CRAB") && text.contains("BLACK CHESS KNIGHT"));
    assert!(text.contains(" 0 acknowledged rows missing"));
    assert_eq!(std::fs::read_dir(home.0.path()).unwrap().count(), 0, "the temporary home is left");
}

#[test]
fn the_demo_takes_a_home_twice() {
    let home = Home::new();
    home.works(&["demo"]);
    home.works(&["demo"]);
    assert_eq!(
        home.works(&["get", "0041", "--keyspace", "unicode"]).split(';').next(),
        Some("LATIN CAPITAL LETTER A")
    );
}

#[test]
fn torture_works_and_dumps() {
    let home = Home::new();
    let directory = home.path();
    let directory = directory.to_str().unwrap();
    for durability in ["sync", "group", "async", "none"] {
        let work =
            ["torture", "work", directory, "--txs", "60", "--clients", "3", "--durability", durability];
        let events: Vec<Value> =
            home.works(&work).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let count = |letter: &str| events.iter().filter(|event| event["t"] == letter).count();
        assert_eq!((count("I"), count("A")), (60, 60), "{durability}");
    }
    let dump = home.works(&["torture", "dump", directory]);
    assert!(dump.contains("c0/seq\t80\n") && dump.contains("c2/seq\t80\n"));
    assert_eq!(dump, home.works(&["dump"]));
}

#[test]
fn help_documents_every_command_and_exit_code() {
    let home = Home::new();
    let help = home.works(&["--help"]);
    for command in
        ["load", "dump", "get", "put", "delete", "scan", "stat", "verify", "salvage", "demo", "torture"]
    {
        assert!(help.contains(command), "{command}");
        home.works(&[command, "--help"]);
    }
    for code in 0..=6 {
        assert!(help.contains(&format!("\n  {code}  ")), "{code}");
    }
    assert!(!home.path().exists());
}
