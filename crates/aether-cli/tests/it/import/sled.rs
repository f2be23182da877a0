//! sled's directories.

use super::{comes_over, refused, rows};
use crate::home::Home;

fn fill(tree: &sled::Tree) {
    for (key, value) in rows() {
        tree.insert(key, value).unwrap();
    }
    tree.flush().unwrap();
}

#[test]
fn a_tree_comes_over() {
    let around = Home::new();
    let path = around.around().join("source");
    let database = sled::open(&path).unwrap();
    fill(&database.open_tree("blue").unwrap());
    drop(database);
    comes_over("sled", &path, &[], &rows());
    comes_over("sled", &path, &["--table", "blue"], &rows());
    refused("sled", &path, &["--table", "red"], 2, &["no tree \"red\"", "blue"]);
    let database = sled::open(&path).unwrap();
    fill(&database.open_tree("red").unwrap());
    drop(database);
    refused("sled", &path, &[], 2, &["which tree?", "blue, red"]);
    let database = sled::open(&path).unwrap();
    database.insert("a", "1").unwrap();
    drop(database);
    comes_over("sled", &path, &[], &[(b"a".to_vec(), b"1".to_vec())]);
}

#[test]
fn what_cannot_be_read_is_named() {
    let around = Home::new();
    let path = around.around().join("source");
    let open = sled::open(&path).unwrap();
    fill(&open);
    refused("sled", &path, &[], 4, &["could not acquire lock"]);
    drop(open);
    std::fs::write(path.join("conf"), "segment_size: 524288\nuse_compression: false\nversion: 0.20\nxxxx")
        .unwrap();
    refused("sled", &path, &[], 3, &["sled: "]);
}
