//! `import`, of every engine that this build has: rows come over, and a source that cannot be read is named.

#[cfg(feature = "import-fjall")]
mod fjall;
#[cfg(feature = "import-lmdb")]
mod lmdb;
#[cfg(feature = "import-redb")]
mod redb;
#[cfg(feature = "import-rocksdb")]
mod rocksdb;
#[cfg(feature = "import-sled")]
mod sled;
#[cfg(feature = "import-sqlite")]
mod sqlite;

use crate::home::{Home, told};
use std::path::Path;

/// Every engine, and whether this build reads it.
const ENGINES: [(&str, bool); 6] = [
    ("lmdb", cfg!(feature = "import-lmdb")),
    ("redb", cfg!(feature = "import-redb")),
    ("fjall", cfg!(feature = "import-fjall")),
    ("sled", cfg!(feature = "import-sled")),
    ("sqlite", cfg!(feature = "import-sqlite")),
    ("rocksdb", cfg!(feature = "import-rocksdb")),
];

/// Keys and values.
#[cfg(feature = "import")]
type Rows = Vec<(Vec<u8>, Vec<u8>)>;

/// Rows that a source of a test holds: more than a batch, any bytes, one large value.
#[cfg(feature = "import")]
#[allow(dead_code, reason = "LMDB's own program makes its sources")]
fn rows() -> Rows {
    let numbered =
        (0..2500_u32).map(|row| (format!("row {row:06}").into_bytes(), row.to_be_bytes().to_vec()));
    let mut rows: Rows = numbered.collect();
    rows.push((b"\x00\xff".to_vec(), b"".to_vec()));
    rows.push((b"large".to_vec(), vec![0xab; 100_000]));
    rows.sort();
    rows
}

/// The rows as `dump` prints them in hexadecimal digits.
#[cfg(feature = "import")]
fn dumped(rows: &[(Vec<u8>, Vec<u8>)]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    rows.iter().map(|(key, value)| format!(" {}\n {}\n", hex(key), hex(value))).collect()
}

/// What the keyspace holds now, as [`dumped`] prints it.
#[cfg(feature = "import")]
fn held(home: &Home) -> String {
    let dump = home.run(&["dump", "--keyspace", "in", "--output-format", "dbdump"]);
    told(&dump, 0);
    let text = String::from_utf8(dump.stdout).unwrap();
    text.split_inclusive('\n').filter(|line| line.starts_with(' ')).collect()
}

/// Standard error of an import that ends with `code`.
#[track_caller]
fn import(home: &Home, from: &str, path: &Path, flags: &[&str], code: i32) -> String {
    let mut command = home.command(&["import", "--from", from, "--keyspace", "in"]);
    told(&command.arg(path).args(flags).output().unwrap(), code)
}

/// The source comes over, whole, in batches.
#[cfg(feature = "import")]
#[track_caller]
fn comes_over(from: &str, path: &Path, flags: &[&str], wanted: &[(Vec<u8>, Vec<u8>)]) {
    let home = Home::new();
    import(&home, from, path, &[flags, &["--batch", "100"]].concat(), 0);
    assert!(held(&home) == dumped(wanted), "{from}: the rows differ");
}

/// The import is refused with `code`, names the path and says each part, and creates no home.
#[track_caller]
fn refused(from: &str, path: &Path, flags: &[&str], code: i32, parts: &[&str]) {
    let home = Home::new();
    let text = import(&home, from, path, flags, code);
    for part in parts.iter().chain([&path.to_str().unwrap()]) {
        assert!(text.contains(part), "{from}: {part}: {text}");
    }
    assert!(!home.path().exists(), "{text}");
}

#[test]
fn an_engine_that_was_not_built_in_names_its_feature() {
    let home = Home::new();
    for (engine, _) in ENGINES.into_iter().filter(|(_, built)| !built) {
        let text = import(&home, engine, home.around(), &[], 2);
        assert!(text.contains(&format!("--features import-{engine}")), "{text}");
        assert!(!home.path().exists());
    }
}

#[test]
fn a_source_that_is_not_there_or_foreign_is_named() {
    let around = Home::new();
    let (absent, empty) = (around.around().join("absent"), around.around().join("empty"));
    let (letter, zeros) = (around.around().join("letter"), around.around().join("zeros"));
    std::fs::create_dir(&empty).unwrap();
    std::fs::write(&letter, "dear reader, this is a letter\n".repeat(500)).unwrap();
    std::fs::write(&zeros, vec![0; 20_000]).unwrap();
    for (engine, _) in ENGINES.into_iter().filter(|(_, built)| *built) {
        refused(engine, &absent, &[], 2, &["there is nothing"]);
        refused(engine, &letter, &[], 3, &[]);
        refused(engine, &zeros, &[], 3, &[]);
        let home = Home::new();
        let text =
            import(&home, engine, &empty, &[], if matches!(engine, "redb" | "sqlite") { 5 } else { 3 });
        assert!(text.contains("empty"), "{text}");
        assert_eq!(std::fs::read_dir(&empty).unwrap().count(), 0, "{engine} left something in the source");
    }
}

#[test]
fn columns_are_for_sqlite_alone() {
    let home = Home::new();
    let text = import(&home, "sled", home.around(), &["--key-column", "k"], 2);
    assert!(text.contains("--from sqlite"), "{text}");
    import(&home, "oracle", home.around(), &[], 2);
}
