//! fjall's directories.

use super::{comes_over, refused, rows};
use crate::home::Home;
use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use std::path::Path;

fn database(path: &Path, names: &[&str]) -> Database {
    let database = Database::builder(path).open().unwrap();
    for name in names {
        let keyspace = database.keyspace(name, KeyspaceCreateOptions::default).unwrap();
        for (key, value) in rows() {
            keyspace.insert(key, value).unwrap();
        }
    }
    database.persist(PersistMode::SyncAll).unwrap();
    database
}

#[test]
fn a_keyspace_comes_over() {
    let around = Home::new();
    let path = around.around().join("one");
    drop(database(&path, &["blue"]));
    comes_over("fjall", &path, &[], &rows());
    let path = around.around().join("two");
    drop(database(&path, &["blue", "red"]));
    comes_over("fjall", &path, &["--table", "red"], &rows());
    refused("fjall", &path, &[], 2, &["blue, red"]);
    refused("fjall", &path, &["--table", "green"], 2, &["no keyspace of fjall \"green\""]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let around = Home::new();
    let path = around.around().join("open");
    let open = database(&path, &["blue"]);
    refused("fjall", &path, &[], 4, &["in use"]);
    drop(open);
    let version = path.join("version");
    let mut bytes = std::fs::read(&version).unwrap();
    bytes[3] = 2;
    std::fs::write(&version, &bytes).unwrap();
    refused("fjall", &path, &[], 3, &["fjall: format 2"]);
    std::fs::write(&version, "XXX").unwrap();
    refused("fjall", &path, &[], 3, &["version is unknown"]);
}
