//! Several log streams: what a killed process leaves when one of them was flushed and another was not yet.
//!
//! Found by `aether-torture kill`. A commit (durability `None`) stood in the memory of one stream when another transaction
//! replaced one of its rows, and that change was flushed with the other stream. After the death of the process neither
//! was committed, yet both had changed the row: the older was rolled back first, left alone the row that was not its own
//! any more, and the younger one then put back the older one's value. Half a transaction was there.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether::{Db, Durability, Options, Txn};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn options() -> Options {
    let wal = aether::wal::WalConfig { streams: 2, segment_bytes: 64 << 10, ..Default::default() };
    let buffer = aether::buffer::BufferConfig { num_frames: 256, ..Default::default() };
    Options { wal, buffer, durability: Durability::Sync, background: false, ..Options::default() }
}

/// A transaction that has put something; writers take the streams in turn.
fn writer(db: &Db, key: &str) -> Txn {
    let mut txn = db.begin().unwrap();
    txn.put(db.keyspace(), key.as_bytes(), b"new").unwrap();
    txn
}

/// The files of one stream of the log.
fn log_files(home: &Path, stream: u8) -> Vec<PathBuf> {
    let of_stream = format!("log-{stream:02}-");
    let all = home.read_dir().unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(&of_stream)).collect()
}

fn copy(files: impl IntoIterator<Item = PathBuf>, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for file in files {
        fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}

/// What a process leaves that dies when everything is flushed but what `stream` got after the first flush.
fn left_behind(dir: &Path, stream: u8, skipped: usize) -> PathBuf {
    let (home, left) = (dir.join("home"), dir.join("left"));
    let db = Db::open_with(&home, options()).unwrap();
    let mut first = db.begin().unwrap();
    ["a", "b", "c"].iter().for_each(|key| first.put(db.keyspace(), key.as_bytes(), b"old").unwrap());
    first.commit().unwrap();
    (0..skipped).for_each(|_| writer(&db, "skipped").commit().unwrap());

    let mut older = writer(&db, "a");
    older.put(db.keyspace(), b"b", b"new").unwrap();
    older.put(db.keyspace(), b"c", b"new").unwrap();
    let flush = writer(&db, "first flush");
    let _in_between = writer(&db, "filler 1");
    let last = writer(&db, "last flush");
    let _in_between_again = writer(&db, "filler 2");
    flush.commit().unwrap();
    copy(log_files(&home, stream), &dir.join("early"));
    drop(older.commit_with(Durability::None).unwrap());
    let mut younger = db.begin().unwrap();
    younger.put(db.keyspace(), b"c", b"newer").unwrap();
    last.commit().unwrap();

    copy(home.read_dir().unwrap().map(|entry| entry.unwrap().path()), &left);
    log_files(&left, stream).into_iter().for_each(|file| fs::remove_file(file).unwrap());
    copy(log_files(&dir.join("early"), stream), &left);
    left
}

#[test]
fn no_row_has_two_losers() {
    for (stream, skipped) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let dir = TempDir::new().unwrap();
        let left = left_behind(dir.path(), stream, skipped);
        let db = Db::open_with(&left, options()).unwrap();
        let rows: Vec<_> =
            ["a", "b", "c"].iter().map(|key| db.get(key.as_bytes()).unwrap().unwrap()).collect();
        let whole = rows.iter().all(|row| row == b"old") || rows.iter().all(|row| row == b"new");
        assert!(whole, "stream {stream}, {skipped} skipped: half a transaction is there: {rows:?}");
        assert_eq!(db.env().verify().unwrap().problems, Vec::<String>::new());
    }
}
