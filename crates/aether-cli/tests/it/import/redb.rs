//! redb's files.

use super::{comes_over, refused, rows};
use crate::home::Home;
use redb::{Database, MultimapTableDefinition, TableDefinition};
use std::path::{Path, PathBuf};

const BYTES: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("bytes");
const TEXT: TableDefinition<'_, &str, &str> = TableDefinition::new("text");
const MIXED: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("mixed");
const NUMBERS: TableDefinition<'_, u64, u64> = TableDefinition::new("numbers");
const MANY: MultimapTableDefinition<'_, &str, &str> = MultimapTableDefinition::new("many");

fn database(path: &Path, tables: bool) -> Database {
    let database = Database::create(path).unwrap();
    let txn = database.begin_write().unwrap();
    {
        let mut table = txn.open_table(BYTES).unwrap();
        for (key, value) in rows() {
            table.insert(&key[..], &value[..]).unwrap();
        }
    }
    if tables {
        txn.open_table(TEXT).unwrap().insert("a", "1").unwrap();
        txn.open_table(MIXED).unwrap().insert("b", &b"\xff"[..]).unwrap();
        txn.open_table(NUMBERS).unwrap().insert(1, 2).unwrap();
        txn.open_multimap_table(MANY).unwrap().insert("c", "3").unwrap();
    }
    txn.commit().unwrap();
    database
}

fn closed(around: &Home, tables: bool) -> PathBuf {
    let path = around.around().join("source.redb");
    drop(database(&path, tables));
    path
}

#[test]
fn tables_of_bytes_and_text_come_over() {
    let around = Home::new();
    comes_over("redb", &closed(&around, false), &[], &rows());
    let around = Home::new();
    let path = closed(&around, true);
    comes_over("redb", &path, &["--table", "bytes"], &rows());
    comes_over("redb", &path, &["--table", "text"], &[(b"a".to_vec(), b"1".to_vec())]);
    comes_over("redb", &path, &["--table", "mixed"], &[(b"b".to_vec(), b"\xff".to_vec())]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let around = Home::new();
    let path = closed(&around, true);
    let tables = "bytes, mixed, numbers, text";
    refused("redb", &path, &[], 2, &["which table?", tables]);
    refused("redb", &path, &["--table", "absent"], 2, &["no table \"absent\"", tables]);
    refused("redb", &path, &["--table", "numbers"], 2, &["must be bytes or text"]);
    let open = around.around().join("open.redb");
    let _open = database(&open, false);
    refused("redb", &open, &[], 4, &["redb: "]);
    let bytes = std::fs::read(&path).unwrap();
    let cut = around.around().join("cut.redb");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    refused("redb", &cut, &["--table", "bytes"], 3, &["redb: "]);
}
