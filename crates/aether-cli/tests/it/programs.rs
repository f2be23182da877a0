//! Round trips with the programs of LMDB and Berkeley DB, where they are installed
//! (Debian: `apt-get install lmdb-utils db-util`); a test that is skipped says so.

use crate::home::{Home, told};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

/// One engine's programs.
struct Programs {
    dump: &'static str,
    load: &'static str,
    output_format: &'static str,
    /// Bytes of a key at the most.
    key_bytes_max: usize,
    /// What LMDB takes is a directory, which must be there.
    wants_directory: bool,
    /// The oldest dump program that is still installed widely writes a backslash bare in `print`.
    escapes_backslash: bool,
}

const LMDB: Programs = Programs {
    dump: "mdb_dump",
    load: "mdb_load",
    output_format: "mdbdump",
    key_bytes_max: 511,
    wants_directory: true,
    escapes_backslash: false,
};

const BERKELEY: Programs = Programs {
    dump: "db_dump",
    load: "db_load",
    output_format: "dbdump",
    key_bytes_max: 900,
    wants_directory: false,
    escapes_backslash: true,
};

impl Programs {
    fn are_installed(&self) -> bool {
        [self.dump, self.load].iter().all(|program| {
            let found = Command::new(program).arg("-V").output().is_ok();
            if !found {
                // Not `eprintln`, which a passed test swallows.
                let _ = writeln!(std::io::stderr(), "skipped: {program} is not installed");
            }
            found
        })
    }

    /// Makes a database of what `text` says.
    fn make(&self, path: &Path, text: &[u8]) {
        if self.wants_directory {
            std::fs::create_dir(path).unwrap();
        }
        let mut child = Command::new(self.load).arg(path).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text).unwrap();
        assert!(child.wait().unwrap().success());
    }

    fn dump(&self, path: &Path, flags: &[&str]) -> Vec<u8> {
        let output = Command::new(self.dump).args(flags).arg(path).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// The rows of a dump, and its databases' names, without what a size or a version may change.
fn content(dump: &[u8]) -> Vec<&[u8]> {
    let lines = dump.split(|byte| *byte == b'\n');
    lines.filter(|line| line.starts_with(b" ") || line.starts_with(b"database=")).collect()
}

/// A database with every byte in keys and values, long keys, an empty and a large value.
fn source_text(programs: &Programs, with_backslash: bool) -> Vec<u8> {
    let mut text = b"VERSION=3\nformat=bytevalue\ntype=btree\n".to_vec();
    if programs.wants_directory {
        text.extend(b"mapsize=67108864\n");
    }
    text.extend(b"HEADER=END\n");
    let mut put = |key: &[u8], value: &[u8]| {
        for bytes in [key, value] {
            text.push(b' ');
            text.extend(bytes.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
            text.push(b'\n');
        }
    };
    for byte in (0..=255_u8).filter(|byte| with_backslash || *byte != b'\\') {
        put(&[byte], &[b'v', byte, byte]);
        put(&[byte; 3], &[byte]);
    }
    put(b"empty", b"");
    put(b"large", &vec![0xab; 300_000]);
    put(&vec![b'k'; programs.key_bytes_max], b"long key");
    for row in 0..5000 {
        put(format!("row {row:06}").as_bytes(), format!("value {row}").as_bytes());
    }
    text.extend(b"DATA=END\n");
    text
}

/// A real database, out by its program, in and out by ours, in by its program: equal contents.
fn round_trip(programs: &Programs, encoding: &str, flags: &[&str], with_backslash: bool) {
    let home = Home::new();
    let (first, second) = (home.around().join("first"), home.around().join("second"));
    programs.make(&first, &source_text(programs, with_backslash));
    let theirs = programs.dump(&first, flags);
    told(&home.feed(&theirs, &["load", "-"]), 0);
    let format = ["--output-format", programs.output_format, "--encoding", encoding];
    let ours = home.run(&[&["dump"], &format[..]].concat());
    told(&ours, 0);
    programs.make(&second, &ours.stdout);
    let again = programs.dump(&second, &[]);
    let before = programs.dump(&first, &[]);
    assert!(content(&before).len() > 10_000);
    assert!(content(&again) == content(&before), "{} {encoding}: the contents differ", programs.dump);
}

#[test]
fn a_database_of_lmdb_goes_through_in_both_encodings() {
    if LMDB.are_installed() {
        round_trip(&LMDB, "bytevalue", &[], true);
        round_trip(&LMDB, "print", &["-p"], LMDB.escapes_backslash);
    }
}

#[test]
fn a_database_of_berkeley_db_goes_through_in_both_encodings() {
    if BERKELEY.are_installed() {
        round_trip(&BERKELEY, "bytevalue", &[], true);
        round_trip(&BERKELEY, "print", &["-p"], BERKELEY.escapes_backslash);
    }
}

#[test]
fn an_ambiguous_print_dump_is_refused_and_not_misread() {
    if !LMDB.are_installed() {
        return;
    }
    let home = Home::new();
    let first = home.around().join("first");
    LMDB.make(&first, b"VERSION=3\nformat=bytevalue\ntype=btree\nHEADER=END\n 6b\n 5c7a\nDATA=END\n");
    let printed = LMDB.dump(&first, &["-p"]);
    if content(&printed)[1] == b" \\z" {
        let text = told(&home.feed(&printed, &["load", "-"]), 2);
        assert!(text.contains("use mdb_dump without -p"), "{text}");
    }
}

#[test]
fn several_databases_of_one_file_go_through() {
    let text = b"VERSION=3\nformat=print\ndatabase=blue\ntype=btree\nHEADER=END\n a\n 1\nDATA=END\n\
        VERSION=3\nformat=print\ndatabase=red\ntype=btree\nHEADER=END\n b\n 2\nDATA=END\n";
    for (programs, flags) in [(LMDB, &["-a"][..]), (BERKELEY, &[])] {
        if !programs.are_installed() {
            continue;
        }
        let home = Home::new();
        let (first, second) = (home.around().join("first"), home.around().join("second"));
        programs.make(&first, text);
        told(&home.feed(&programs.dump(&first, flags), &["load", "-", "--databases"]), 0);
        let ours = home.run(&["dump", "--databases", "--output-format", programs.output_format]);
        told(&ours, 0);
        programs.make(&second, &without_default(&ours.stdout));
        let (before, again) = (programs.dump(&first, flags), programs.dump(&second, flags));
        assert_eq!(content(&before).len(), 6);
        assert_eq!(content(&again), content(&before), "{}", programs.dump);
    }
}

/// The dump without the keyspace that every home has, which is empty here.
fn without_default(dump: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(dump).unwrap();
    let databases = text.split_inclusive("DATA=END\n");
    databases.filter(|database| !database.contains("database=default\n")).collect::<String>().into()
}
