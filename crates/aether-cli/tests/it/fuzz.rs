//! The corpus of the fuzz target `dump`, played once: seeds, what the fuzzer found, and regressions.

use std::path::Path;
use std::{fs, panic};

#[test]
fn the_corpus_of_dump() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../aether-torture/fuzz/corpus/dump");
    let mut count = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(panic::catch_unwind(|| aether_cli::fuzz::dump(&bytes)).is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count >= 20, "{count} files");
}
