//! A keyspace is a B+tree: rows come back in key order, from any key, both ways.
//!
//! `cargo run --example basic_btree`

#![allow(clippy::print_stdout)]

use aether::{Db, Result};

const ROWS: u32 = 10_000;

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let db = Db::open(dir.path().join("fruit.db"))?;

    // Any order in; one transaction, so one flush of the log.
    let mut txn = db.begin()?;
    for row in (0..ROWS).map(|row| row * 7919 % ROWS) {
        txn.put(db.keyspace(), &key(row), format!("value {row}").as_bytes())?;
    }
    txn.commit()?;

    let keys: Vec<_> = db.iter()?.map(|row| Ok(row?.0)).collect::<Result<_>>()?;
    assert_eq!(keys.len() as u32, ROWS);
    assert!(keys.is_sorted());
    println!("{} rows, in key order", keys.len());

    assert_eq!(db.get(&key(42))?, Some(b"value 42".to_vec()));
    println!("get row-00042: value 42");

    let three: Vec<_> = db.range(key(500)..key(503))?.collect::<Result<_>>()?;
    assert_eq!(three.len(), 3);
    for (key, value) in &three {
        println!("range: {} = {}", text(key), text(value));
    }

    let (last, _) = db.iter()?.next_back().expect("a last row")?;
    assert_eq!(last, key(ROWS - 1));
    println!("last, from behind: {}", text(&last));

    let hundred = db.prefix(b"row-012")?.count();
    assert_eq!(hundred, 100);
    println!("prefix row-012: {hundred} rows");

    let tree = db.env().stat()?.keyspaces.into_iter().find(|keyspace| keyspace.name == "default");
    let tree = tree.expect("the default keyspace");
    assert!(tree.height > 1 && tree.leaf_pages > 1);
    println!("the tree: height {}, {} leaf pages", tree.height, tree.leaf_pages);
    Ok(())
}

fn key(row: u32) -> Vec<u8> {
    format!("row-{row:05}").into_bytes()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
