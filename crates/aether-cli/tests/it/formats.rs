//! The formats of `load` and `dump`: what goes out comes back, and what is wrong is told with its line.

use crate::home::{Home, bare, told};
use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// Rows of every kind: each byte, nothing, text with marks that some format uses.
const ROWS: &[u8] = b"\x01\xff\x80\x00,\t\xc3\nall\\\\\t\x00\x7f\xfe\\n\\r\\t\\\\\nempty\t\n\
    quote \"x\"\ta,b\\n\"c\"\ntext\tcaf\xc3\xa9 {}\n\xef\xbb\xbfmark\t\xef\xbb\xbf\n";

const FORMATS: [&[&str]; 7] = [
    &["tsv"],
    &["csv"],
    &["jsonl"],
    &["dbdump"],
    &["dbdump", "--encoding", "print"],
    &["mdbdump"],
    &["mdbdump", "--encoding", "print"],
];

fn filled(rows: &[u8]) -> Home {
    let home = Home::new();
    told(&home.feed(rows, &["load", "-", "--input-format", "tsv"]), 0);
    home
}

fn dump(home: &Home, flags: &[&str]) -> Vec<u8> {
    let output = home.run(&[&["dump"], flags].concat());
    told(&output, 0);
    output.stdout
}

/// What `input` leaves in a new home, as TSV.
fn loaded(input: &[u8], flags: &[&str]) -> Vec<u8> {
    let home = Home::new();
    told(&home.feed(input, &[&["load", "-"], flags].concat()), 0);
    dump(&home, &[])
}

#[test]
fn every_format_brings_every_byte_back() {
    let home = filled(ROWS);
    let wanted = dump(&home, &[]);
    for format in FORMATS {
        let text = dump(&home, &[&["--output-format"], format].concat());
        assert_eq!(
            loaded(&text, &["--input-format", format[0].trim_start_matches('m')]),
            wanted,
            "{format:?}"
        );
    }
}

#[test]
fn the_format_is_guessed_from_the_name_or_the_beginning() {
    let home = filled(b"a\t1\nb\tx,y\n");
    for (name, beginning) in [
        ("x.tsv", "a\t1\n"),
        ("x.csv", "a,1\r\n"),
        ("x.jsonl", "{\"key\":\"a\""),
        ("x.ndjson", "{\"key\":\"a\""),
        ("x.dbdump", "VERSION=3\n"),
        ("x.mdbdump", "VERSION=3\n"),
    ] {
        let file = home.around().join(name);
        let path = file.to_str().unwrap();
        assert_eq!(dump(&home, &["--output", path]), b"");
        let text = fs::read(&file).unwrap();
        assert!(text.starts_with(beginning.as_bytes()), "{name}: {}", String::from_utf8_lossy(&text));
        assert_eq!(loaded(&text, &[]), b"a\t1\nb\tx,y\n", "{name} by its beginning");
        let keyspace = ["--keyspace", name];
        told(&home.run(&[&["load", path], &keyspace[..]].concat()), 0);
        assert_eq!(dump(&home, &keyspace), b"a\t1\nb\tx,y\n", "{name} by its name");
    }
}

#[test]
fn the_format_is_guessed_when_a_pipe_brings_the_beginning_in_pieces() {
    let home = Home::new();
    let mut command = home.command(&["load", "-"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    for byte in b"VERSION=3\nformat=print\ntype=btree\nHEADER=END\n a\n 1\nDATA=END\n" {
        input.write_all(&[*byte]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    drop(input);
    assert!(child.wait().unwrap().success());
    assert_eq!(dump(&home, &[]), b"a\t1\n");
}

#[test]
fn a_dump_does_not_replace_a_file_and_leaves_no_half_of_one() {
    let home = filled(b"a\t1\n");
    let file = home.around().join("out.tsv");
    fs::write(&file, "mine").unwrap();
    let text = told(&home.run(&["dump", "--output", file.to_str().unwrap()]), 2);
    assert!(text.contains("out.tsv is there already"), "{text}");
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let inside = home.around().join("absent/out.tsv");
    let text = told(&home.run(&["dump", "--output", inside.to_str().unwrap()]), 5);
    assert!(text.contains("absent/out.tsv"), "{text}");
    assert_eq!(fs::read_dir(home.around()).unwrap().count(), 2, "the home and the file alone");
}

#[test]
fn databases_become_keyspaces_and_keyspaces_databases() {
    let home = filled(b"a\t1\n");
    told(&home.feed(b"b\t2\n", &["load", "-", "--keyspace", "other name\\"]), 0);
    for encoding in ["bytevalue", "print"] {
        let all = dump(&home, &["--databases", "--output-format", "dbdump", "--encoding", encoding]);
        let again = Home::new();
        told(&again.feed(&all, &["load", "-", "--databases"]), 0);
        assert_eq!(dump(&again, &[]), b"a\t1\n");
        assert_eq!(dump(&again, &["--keyspace", "other name\\"]), b"b\t2\n");
        let refused = Home::new();
        let text = told(&refused.feed(&all, &["load", "-", "--batch", "1"]), 2);
        assert!(text.contains("line 13: a second database"), "{text}");
        assert!(text.contains("1 rows of 1 transactions are committed"), "{text}");
    }
}

#[test]
fn columns_are_chosen_and_joined() {
    let people = b"id,name,town\r\n7,\"Li, Ada\",Ulm\r\n8,Bo,Rom\r\n";
    assert_eq!(loaded(people, &["--header"]), b"7\t\"Li, Ada\",Ulm\n8\tBo,Rom\n");
    let by_name = loaded(people, &["--header", "--key-column", "2"]);
    assert_eq!(by_name, b"Bo\t8,Rom\nLi, Ada\t7,Ulm\n");
    assert_eq!(loaded(b"a;1\n", &["--input-format", "csv", "--delimiter", ";"]), b"a\t1\n");
}

#[test]
fn several_values_of_a_key_are_not_lost_in_silence() {
    let dump_text =
        b"VERSION=3\nformat=print\ntype=btree\nduplicates=1\nHEADER=END\n a\n 1\n a\n 2\nDATA=END\n";
    let home = Home::new();
    let text = told(&home.feed(dump_text, &["load", "-"]), 2);
    assert!(text.contains("line 9: the key \"a\" has several values"), "{text}");
    assert_eq!(loaded(dump_text, &["--on-duplicate", "first"]), b"a\t1\n");
    assert_eq!(loaded(dump_text, &["--on-duplicate", "last"]), b"a\t2\n");
}

#[test]
fn what_was_committed_before_the_bad_line_stays() {
    let header = "VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n";
    for (format, input, place, rows) in [
        ("csv", "a,1\nb,2\n\"c,3\n".to_string(), "line 3: a quote", "a\t1\nb\t2\n"),
        ("jsonl", "{\"key\":\"a\",\"value\":\"1\"}\n{\"key\":\n".into(), "line 2: column", "a\t1\n"),
        ("dbdump", format!("{header} 61\n 31\n 62\n 3\nDATA=END\n"), "line 8: 1 hexa", "a\t1\n"),
        ("dbdump", format!("{header} 61\n 31\n 62"), "line 8: the dump is truncated", "a\t1\n"),
        ("dbdump", format!("{header} 61\n 31\n{header}"), "line 7: a key begins", "a\t1\n"),
    ] {
        let home = Home::new();
        let flags = ["load", "-", "--batch", "1", "--input-format", format];
        let text = told(&home.feed(input.as_bytes(), &flags), 2);
        let count = rows.lines().count();
        assert!(text.contains(place), "{input:?}: {text}");
        assert!(text.contains(&format!("; {count} rows of {count} transactions are committed")), "{text}");
        assert_eq!(dump(&home, &[]), rows.as_bytes());
    }
}

#[test]
fn a_foreign_or_unknown_dump_creates_no_rows() {
    for (input, code, part) in [
        (&b"\x7fELF\x02\x00\x00"[..], 2, "line 1: not a dump"),
        (b"VERSION=4\nformat=print\n", 3, "line 1: version 4"),
        (b"", 2, "line 1: not a dump"),
    ] {
        let home = Home::new();
        let text = told(&home.feed(input, &["load", "-", "--input-format", "dbdump"]), code);
        assert!(text.contains(part) && text.contains("standard input"), "{text}");
        assert_eq!(dump(&home, &[]), b"");
    }
}

#[test]
fn arguments_that_do_not_fit_the_format_are_refused() {
    let home = filled(b"a\t1\n");
    for arguments in [
        &["load", "-", "--input-format", "jsonl", "--key-column", "2"][..],
        &["load", "-", "--input-format", "tsv", "--header"],
        &["load", "-", "--input-format", "csv", "--databases"],
        &["load", "-", "--input-format", "csv", "--delimiter", "\""],
        &["dump", "--output-format", "csv", "--databases"],
        &["dump", "--encoding", "print"],
        &["dump", "--output-format", "dbdump", "--databases", "--keyspace", "x"],
    ] {
        told(&home.feed(b"", arguments), 2);
    }
}

#[test]
fn a_line_without_end_takes_bounded_memory() {
    let limit_kib = 700_000;
    for (format, beginning) in [
        ("tsv", ""),
        ("csv", "a,\""),
        ("jsonl", "{\"key\":\""),
        ("dbdump", "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n "),
        ("dbdump", "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n a\n "),
    ] {
        let home = Home::new();
        let script = format!(
            "(printf '{beginning}'; yes a | tr -d '\\n') | \
             (ulimit -v {limit_kib}; exec \"$0\" load - --line-bytes-max 1000000 --input-format {format} --home \"$1\")"
        );
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_aether")])
            .arg(home.path())
            .output()
            .unwrap();
        let text = told(&output, 2);
        assert!(text.contains("longer than") && text.contains("bytes ("), "{format}: {text}");
    }
}

#[test]
fn a_reader_that_goes_away_ends_every_dump_quietly() {
    let rows: String = (0..20_000).map(|row| format!("key-{row:06}\tvalue {row}\n")).collect();
    let home = filled(rows.as_bytes());
    for format in FORMATS {
        let mut command = home.command(&[&["dump", "--output-format"], format].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.signal(), None);
        assert_eq!(told(&output, 0), "", "{format:?}");
    }
    told(&bare(&["dump", "--output-format", "xml"]).output().unwrap(), 2);
}
