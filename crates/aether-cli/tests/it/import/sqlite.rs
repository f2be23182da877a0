//! SQLite's files.

use super::{comes_over, held, import, refused, rows};
use crate::home::Home;
use rusqlite::Connection;
use std::path::PathBuf;

fn closed(around: &Home, script: &str) -> PathBuf {
    let path = around.around().join("source.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(script).unwrap();
    path
}

#[test]
fn two_columns_of_a_table_come_over() {
    let around = Home::new();
    let path = closed(&around, "CREATE TABLE pairs (\"the key\" BLOB PRIMARY KEY, note TEXT, v BLOB)");
    let mut connection = Connection::open(&path).unwrap();
    let txn = connection.transaction().unwrap();
    for (key, value) in rows() {
        txn.execute("INSERT INTO pairs VALUES (?1, 'x', ?2)", (key, value)).unwrap();
    }
    txn.commit().unwrap();
    comes_over("sqlite", &path, &["--key-column", "the key", "--value-column", "V"], &rows());
    refused("sqlite", &path, &[], 2, &["no column \"key\"", "the key, note, v"]);
    refused("sqlite", &path, &["--table", "absent"], 2, &["no table \"absent\"", "pairs"]);
}

#[test]
fn numbers_are_text_and_a_view_is_a_table() {
    let around = Home::new();
    let path = closed(
        &around,
        "CREATE TABLE t (key INTEGER PRIMARY KEY, value REAL); INSERT INTO t VALUES (-7, 1.5), (10, NULL);
         CREATE VIEW whole AS SELECT key, coalesce(value, '') AS value FROM t",
    );
    let wanted = [(b"-7".to_vec(), b"1.5".to_vec()), (b"10".to_vec(), b"".to_vec())];
    comes_over("sqlite", &path, &["--table", "whole"], &wanted);
    refused("sqlite", &path, &[], 2, &["which table?", "t, whole"]);
    let home = Home::new();
    let text = import(&home, "sqlite", &path, &["--table", "t", "--batch", "1"], 2);
    assert!(text.contains("source.db: row 2: the value is NULL"), "{text}");
    assert!(text.contains("1 rows of 1 transactions are committed and stay"), "{text}");
    assert_eq!(held(&home), " 2d37\n 312e35\n");
}

#[test]
fn keys_that_repeat_want_a_choice() {
    let around = Home::new();
    let path =
        closed(&around, "CREATE TABLE t (key, value); INSERT INTO t VALUES ('b', 1), ('a', 2), ('b', 3)");
    let home = Home::new();
    let text = import(&home, "sqlite", &path, &[], 2);
    assert!(text.contains("row 3: the key \"b\" has several values"), "{text}");
    for (stays, value) in [("first", "1"), ("last", "3")] {
        let wanted = [(b"a".to_vec(), b"2".to_vec()), (b"b".to_vec(), value.into())];
        comes_over("sqlite", &path, &["--on-duplicate", stays], &wanted);
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let around = Home::new();
    let path = closed(&around, "CREATE TABLE t (key, value); INSERT INTO t VALUES ('a', 1)");
    let open = Connection::open(&path).unwrap();
    open.execute_batch("BEGIN EXCLUSIVE").unwrap();
    refused("sqlite", &path, &[], 4, &["locked"]);
}

/// Who opens a file with a write-ahead log for writing moves the log into it at the end.
#[test]
fn the_source_is_not_written() {
    let around = Home::new();
    let path = closed(&around, "PRAGMA journal_mode = wal; CREATE TABLE t (key, value)");
    let open = Connection::open(&path).unwrap();
    open.execute_batch("INSERT INTO t VALUES ('a', 1)").unwrap();
    let copy = around.around().join("copy.db");
    let (log, copied_log) = (around.around().join("source.db-wal"), around.around().join("copy.db-wal"));
    std::fs::copy(&path, &copy).unwrap();
    std::fs::copy(&log, &copied_log).unwrap();
    comes_over("sqlite", &copy, &[], &[(b"a".to_vec(), b"1".to_vec())]);
    assert_eq!(std::fs::read(&copy).unwrap(), std::fs::read(&path).unwrap());
    assert_eq!(std::fs::read(&copied_log).unwrap(), std::fs::read(&log).unwrap());
}
