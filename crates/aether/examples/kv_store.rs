//! The single-owner form: every put and delete is a durable transaction of its own.
//!
//! `cargo run --example kv_store`

#![allow(clippy::print_stdout)]

use aether::{KvStore, Result};

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().expect("a temporary directory");
    let home = dir.path().join("kv.db");

    let mut kv = KvStore::open(&home)?;
    kv.put(b"hello", b"world")?;
    kv.put(b"answer", b"42")?;
    kv.put(b"gone", b"soon")?;
    assert!(kv.delete(b"gone")?);
    assert!(!kv.delete(b"gone")?, "a second delete finds nothing");
    drop(kv);

    // Whoever opens the home next finds what was put.
    let kv = KvStore::open(&home)?;
    assert_eq!(kv.get(b"hello")?, Some(b"world".to_vec()));
    assert_eq!(kv.get(b"gone")?, None);
    for row in kv.iter()? {
        let (key, value) = row?;
        println!("{} = {}", String::from_utf8_lossy(&key), String::from_utf8_lossy(&value));
    }
    assert_eq!(kv.iter()?.count(), 2);
    Ok(())
}
