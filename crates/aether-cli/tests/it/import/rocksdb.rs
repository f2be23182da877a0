//! RocksDB's directories.

use super::{comes_over, refused, rows};
use crate::home::Home;
use rocksdb::{DB, Options};

fn database(around: &Home) -> (DB, std::path::PathBuf) {
    let path = around.around().join("source");
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    let database = DB::open_cf(&options, &path, ["default", "blue"]).unwrap();
    for (key, value) in rows() {
        database.put_cf(&database.cf_handle("blue").unwrap(), key, value).unwrap();
    }
    database.put("a", "1").unwrap();
    (database, path)
}

#[test]
fn a_column_family_comes_over_while_another_process_has_it_open() {
    let around = Home::new();
    let (open, path) = database(&around);
    comes_over("rocksdb", &path, &["--table", "blue"], &rows());
    drop(open);
    comes_over("rocksdb", &path, &["--table", "blue"], &rows());
    comes_over("rocksdb", &path, &[], &[(b"a".to_vec(), b"1".to_vec())]);
    refused("rocksdb", &path, &["--table", "red"], 2, &["no column family \"red\"", "blue, default"]);
}

#[test]
fn a_damaged_source_is_named() {
    let around = Home::new();
    let (open, path) = database(&around);
    drop(open);
    let manifest = std::fs::read_to_string(path.join("CURRENT")).unwrap();
    let manifest = path.join(manifest.trim_end());
    let mut bytes = std::fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&manifest, bytes).unwrap();
    let home = Home::new();
    let text = super::import(&home, "rocksdb", &path, &[], 3);
    assert!(text.contains("source: RocksDB: Corruption"), "{text}");
    std::fs::remove_file(manifest).unwrap();
    let text = super::import(&home, "rocksdb", &path, &[], 5);
    assert!(text.contains("source: RocksDB: IO error: No such file"), "{text}");
}
