//! The corpora of the fuzz targets, played once each: seeds, what the fuzzer found, and regressions.

#![allow(clippy::unwrap_used)]

use aether_torture::fuzz::{TARGETS, bounded, seeds};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target)
}

/// The files of a corpus, by name.
fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(corpus(target)).unwrap().map(|entry| entry.unwrap());
    let read = |entry: fs::DirEntry| {
        (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).unwrap())
    };
    let mut files: Vec<_> = entries.map(read).collect();
    files.sort();
    files
}

#[track_caller]
fn replay(target: &str) {
    let (_, body) = TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let files = files(target);
    assert!(files.len() >= 10, "{} files in the corpus of {target}", files.len());
    for (name, bytes) in files {
        let played = catch_unwind(AssertUnwindSafe(|| bounded(body, &bytes)));
        assert!(played.is_ok(), "{target}: {name}");
    }
}

#[test]
fn the_corpus_of_catalog() {
    replay("catalog");
}

#[test]
fn the_corpus_of_checkpoint() {
    replay("checkpoint");
}

#[test]
fn the_corpus_of_page() {
    replay("page");
}

#[test]
fn the_corpus_of_record() {
    replay("record");
}

#[test]
fn the_corpus_of_run() {
    replay("run");
}

#[test]
fn the_corpus_of_segment() {
    replay("segment");
}

#[test]
fn the_corpus_of_store() {
    replay("store");
}

/// What the engine writes today is in the corpora: `cargo run --release -p aether-torture -- corpus
/// crates/aether-torture/fuzz/corpus` brings them up to date.
#[test]
fn the_seeds_are_those_of_the_engine() {
    for (target, made) in seeds::all() {
        let kept: BTreeMap<_, _> =
            files(target).into_iter().filter(|(name, _)| name.starts_with(seeds::PREFIX)).collect();
        assert!(kept.keys().eq(made.keys()), "{target}: {:?}, not {:?}", kept.keys(), made.keys());
        let differs = kept.iter().find(|(name, bytes)| made[*name] != **bytes);
        assert_eq!(differs.map(|(name, _)| name), None, "{target}: not what the engine writes");
    }
}
