//! LMDB's files, made by `mdb_load` where it is installed. Sources that heed makes are in the tests of
//! `src/import/lmdb.rs`, for they need `unsafe`.

use super::{comes_over, refused};
use crate::home::Home;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const ONE: &str = "VERSION=3\nformat=print\ntype=btree\nHEADER=END\n a\n 1\nDATA=END\n";
const TWO: &str = "VERSION=3\nformat=print\ndatabase=blue\ntype=btree\nHEADER=END\n a\n 1\nDATA=END\n\
    VERSION=3\nformat=print\ndatabase=red\ntype=btree\nHEADER=END\n b\n 2\nDATA=END\n";

/// A directory with what `text` says, if the program is there.
fn made(path: PathBuf, text: &str) -> Option<PathBuf> {
    std::fs::create_dir(&path).unwrap();
    let child = Command::new("mdb_load").arg(&path).stdin(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        // Not `eprintln`, which a passed test swallows.
        let _ = writeln!(std::io::stderr(), "skipped: mdb_load is not installed");
        return None;
    };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    Some(path)
}

fn row(key: &str, value: &str) -> [(Vec<u8>, Vec<u8>); 1] {
    [(key.into(), value.into())]
}

#[test]
fn a_directory_or_its_file_comes_over() {
    let around = Home::new();
    if let Some(path) = made(around.around().join("one"), ONE) {
        comes_over("lmdb", &path, &[], &row("a", "1"));
        comes_over("lmdb", &path.join("data.mdb"), &[], &row("a", "1"));
    }
}

#[test]
fn named_databases_are_chosen() {
    let around = Home::new();
    if let Some(path) = made(around.around().join("two"), TWO) {
        comes_over("lmdb", &path, &["--table", "red"], &row("b", "2"));
        refused("lmdb", &path, &[], 2, &["which named database?", "blue, red"]);
        refused("lmdb", &path, &["--table", "green"], 2, &["no named database \"green\"", "blue, red"]);
    }
}

#[test]
fn a_damaged_source_is_named() {
    let around = Home::new();
    let Some(path) = made(around.around().join("one"), ONE) else { return };
    let file = path.join("data.mdb");
    let whole = std::fs::read(&file).unwrap();
    let replaced = |bytes: &[u8], path: &Path, part: &str| {
        std::fs::write(&file, bytes).unwrap();
        refused("lmdb", path, &[], 3, &[part]);
    };
    replaced(&whole[..whole.len() - 4096], &path, "truncated");
    let mut version = whole.clone();
    for page in [0, 4096] {
        // The version stands behind the page's header and the magic.
        version[page + 16 + 4] = 9;
    }
    replaced(&version, &path, "LMDB: ");
}
