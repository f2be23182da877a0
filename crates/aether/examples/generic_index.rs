//! One program over several kinds of index: the same calls, one transaction across them.
//!
//! `cargo run --example generic_index`
//!
//! An index of a program's own is in `docs/guide/custom-index`.

#![allow(clippy::print_stdout)]

use aether::{
    BTreeIndex, DbEnv, GenericKvStore, IndexKind, Keyspace, KeyspaceOptions, KvIndex, RaxIndex, Result,
};

const WORDS: [&str; 6] = ["roma", "romane", "romanus", "romulus", "rubens", "ruber"];

/// Fills a store of any kind, and looks for a prefix.
fn fill<I: KvIndex>(home: &std::path::Path) -> Result<usize> {
    let mut kv = GenericKvStore::<I>::open(home)?;
    for (number, word) in WORDS.iter().enumerate() {
        kv.put(word, number.to_string())?;
    }
    Ok(kv.prefix("roman")?.count())
}

fn main() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| aether::Error::invalid(error.to_string()))?;
    let found = [fill::<BTreeIndex>(&dir.path().join("btree"))?, fill::<RaxIndex>(&dir.path().join("rax"))?];
    assert_eq!(found, [2, 2]);
    println!("words that begin with `roman`: {found:?}, whatever the index");

    let env = DbEnv::open(dir.path().join("both"), aether::Options::default())?;
    let spaces = env.transact(|txn| {
        let make = |(name, kind)| env.create_keyspace(txn, name, KeyspaceOptions::of(kind));
        [("tree", IndexKind::BTREE), ("rax", IndexKind::RAX)]
            .map(make)
            .into_iter()
            .collect::<Result<Vec<Keyspace>>>()
    })?;
    env.transact(|txn| spaces.iter().try_for_each(|space| txn.put(space, b"account", b"100")))?;
    let undone = env.transact(|txn| {
        spaces.iter().try_for_each(|space| txn.put(space, b"account", b"0"))?;
        Err::<(), _>(aether::Error::invalid("changed my mind"))
    });
    assert!(undone.is_err());
    let snapshot = env.snapshot()?;
    for space in &spaces {
        assert_eq!(snapshot.get(space, b"account")?.as_deref(), Some(&b"100"[..]));
    }
    println!("one transaction over two kinds: rolled back in both");
    for stat in env.stat_full()?.keyspaces {
        println!("{}: {}, {} rows", stat.name, stat.kind, stat.entries.unwrap_or_default());
    }
    Ok(())
}
