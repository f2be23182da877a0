//! Dumps as the programs print them, and what goes wrong with them.

use super::*;

const HEX: &str = "VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=1048576\nHEADER=END\n";
const PRINT: &str = "VERSION=3\nformat=print\ndatabase=b\\6cue\ntype=hash\nh_nelem=9\nHEADER=END\n";

/// The rows of `text` as `key=value`, databases as `[name]`, then the failure if there is one.
fn told(text: &[u8]) -> Vec<String> {
    let mut dump = DbDump::new(Box::new(text), LineLimit::of_user(1000));
    let mut row = Row::default();
    let mut told = Vec::new();
    loop {
        match dump.next(&mut row) {
            Ok(Next::Row) => told.push(format!("{}={}", row.key.escape_ascii(), row.value.escape_ascii())),
            Ok(Next::Database(name)) => told.push(format!("{name:?}")),
            Ok(Next::End) => return told,
            Err(failure) => {
                told.push(format!("{}: {failure:?}", dump.place()));
                return told;
            }
        }
    }
}

#[track_caller]
fn fails(text: &str, part: &str) {
    let told = told(text.as_bytes());
    let last = told.last().unwrap();
    assert!(last.contains(part), "{text:?}: {last}");
}

#[test]
fn databases_follow_one_another() {
    let text = format!("{HEX} 6100\n \n \n FF\nDATA=END\n{PRINT} a b\n \\00\\\\\nDATA=END\n");
    assert_eq!(told(text.as_bytes()), ["None", "a\\x00=", "=\\xff", "Some(\"blue\")", "a b=\\x00\\\\"]);
    assert_eq!(told(text.replace('\n', "\r\n").as_bytes()).len(), 5);
    assert_eq!(told(format!("{HEX}DATA=END\n").as_bytes()), ["None"]);
}

#[test]
fn a_dump_that_ends_early_is_truncated() {
    let whole = format!("{HEX} 61\n 62\n 63\n 64\nDATA=END\n");
    for length in 0..whole.len() - 1 {
        let told = told(&whole.as_bytes()[..length]);
        let last = told.last().unwrap();
        assert!(last.starts_with("line "), "cut at {length}: {told:?}");
    }
    fails(&format!("{HEX} 61\n 62\n"), "line 8: Told { exit: BadInput, message: \"the dump is truncated");
    fails("VERSION=3\nformat=print\n", "ends before HEADER=END");
    fails("", "line 1: Told { exit: BadInput, message: \"not a dump");
}

#[test]
fn foreign_input_is_told() {
    fails("\x7fELF\0\0", "line 1: Told { exit: BadInput, message: \"not a dump");
    fails("VERSION=2\nformat=print\n", "line 1: Told { exit: Damaged, message: \"version 2 of");
    fails(&format!("{HEX} 61\n 62\nDATA=END\nbye\n"), "line 9: Told { exit: BadInput, message: \"not a dump");
    fails("VERSION=3\nhello\n", "line 2: Told { exit: BadInput, message: \"\\\"hello\\\" in a header");
}

#[test]
fn headers_that_lie_or_repeat_are_told() {
    fails(
        "VERSION=3\nformat=print\nformat=bytevalue\n",
        "line 3: Told { exit: BadInput, message: \"format= is twice",
    );
    fails("VERSION=3\nVERSION=3\n", "VERSION= is twice");
    fails("VERSION=3\nformat=base64\ntype=btree\nHEADER=END\n", "format=base64, where");
    fails("VERSION=3\ntype=btree\nHEADER=END\n", "format= is missing");
    fails("VERSION=3\nformat=print\nHEADER=END\n", "type= is missing");
    fails("VERSION=3\nformat=print\ntype=heap\nHEADER=END\n", "type=heap, where");
    let many: String = (0..100).map(|number| format!("k{number}=1\n")).collect();
    fails(&format!("VERSION=3\n{many}"), "a header of more than 64 lines");
    fails(
        &format!("VERSION=3\n{}=1\n", "k".repeat(5000)),
        "line 2: Told { exit: BadInput, message: \"longer than 4096",
    );
    let huge = HEX.replace("1048576", "18446744073709551615999");
    assert_eq!(told(format!("{huge} 61\n 62\nDATA=END\n").as_bytes()), ["None", "a=b"]);
}

#[test]
fn bad_data_is_told_with_its_line() {
    fails(&format!("{HEX} 616\n"), "line 6: Told { exit: BadInput, message: \"3 hexadecimal digits");
    fails(&format!("{HEX} 61\n 6g\n"), "line 7: Told { exit: BadInput, message: \"column 3");
    fails(
        &format!("{HEX} 61\nDATA=END\n"),
        "line 7: Told { exit: BadInput, message: \"a key without a value",
    );
    fails(&format!("{HEX} 61\n62\n"), "a value begins with a blank");
    fails(&format!("{HEX} 61\n 62\nVERSION=3\n"), "there is \\\"VERSION=3\\\"");
    fails(&format!("{HEX}\0\0\n"), "there is \\\"\\\\x00\\\\x00\\\"");
    fails(
        &format!("{HEX} {}\n", "61".repeat(20_000)),
        "line 6: Told { exit: BadInput, message: \"longer than",
    );
    fails(
        &format!("{HEX} 61\n {}\n", "61".repeat(600)),
        "line 7: Told { exit: BadInput, message: \"longer than 1000",
    );
}
