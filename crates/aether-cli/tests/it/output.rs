//! What goes out: closed pipes, full devices, bytes that are no text.

use crate::home::{Home, told};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::process::Stdio;

fn filled() -> Home {
    let home = Home::new();
    let rows: String = (0..20_000).map(|row| format!("key-{row:06}\tvalue {row}\n")).collect();
    told(&home.feed(rows.as_bytes(), &["load", "-"]), 0);
    home
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let home = filled();
    for arguments in [&["scan"][..], &["dump"], &["scan", "--format", "json"]] {
        let mut command = home.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(told(&output, 0), "");
    }
}

#[test]
fn a_device_without_space_is_told() {
    let home = filled();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = home.command(&["dump"]);
    let text = told(&command.stdout(full).output().unwrap(), 5);
    assert!(text.contains("writing the output"), "{text}");
}

#[test]
fn a_piped_load_shows_no_progress_and_acknowledges_each_batch() {
    let home = Home::new();
    let output = home.feed(b"a\t1\nb\t2\nc\t3\n", &["load", "-", "--batch", "2", "--acknowledge"]);
    assert_eq!(told(&output, 0), "");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("committed 2\ncommitted 3\nloaded 3 rows in 2 durable"), "{text}");
}

#[test]
fn keys_and_values_may_be_any_bytes() {
    let home = Home::new();
    let key = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    let mut put = home.command(&["put"]);
    told(&put.arg(key).args(["--from", "-"]).stdin(Stdio::null()).output().unwrap(), 0);
    assert_eq!(home.run(&["dump"]).stdout, b"\xff\xfe\t\n");
    let json = home.run(&["scan", "--format", "json"]).stdout;
    assert_eq!(json, b"{\"key\":{\"hex\":\"fffe\"},\"value\":\"\"}\n");
    told(&home.run(&["scan", "--format", "table"]), 0);
}

#[test]
fn rows_without_a_key_or_value_come_back() {
    let home = Home::new();
    let rows = b"\tempty key\nempty value\t\n";
    told(&home.feed(rows, &["load", "-"]), 0);
    assert_eq!(home.run(&["dump"]).stdout, rows);
}

#[test]
fn no_colour_is_printed_to_a_pipe() {
    let home = Home::new();
    for environment in [None, Some(("NO_COLOR", "1"))] {
        let mut command = home.command(&["fly"]);
        let output = command.envs(environment).output().unwrap();
        assert!(!told(&output, 2).contains('\u{1b}'));
    }
}
