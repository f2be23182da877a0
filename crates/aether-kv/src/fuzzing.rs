//! A door for fuzz targets, which no program needs: the catalog's rows as bytes.

use crate::DbEnv;
use crate::catalog::{Entry, decode, encode};
use aether_types::Result;

/// Reads the entry of a keyspace, and writes it again.
///
/// # Errors
/// `Corruption`.
pub fn entry_again(bytes: &[u8]) -> Result<Vec<u8>> {
    encode(&decode::<Entry>(bytes)?)
}

/// Reads the next tree id, and writes it again.
///
/// # Errors
/// `Corruption`.
pub fn tree_id_again(bytes: &[u8]) -> Result<Vec<u8>> {
    encode(&decode::<u32>(bytes)?)
}

/// Puts a row into the catalog of `env` as it is, in a transaction of its own.
///
/// # Errors
/// Those of any put.
pub fn put_catalog_row(env: &DbEnv, key: &[u8], value: &[u8]) -> Result<()> {
    let mut txn = env.0.txns.begin();
    env.0.catalog.tree().put(&mut txn, key, value)?;
    txn.commit()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::{ErrorKind, KeyspaceOptions, Options};
    use aether_vfs::Env;
    use std::path::Path;

    fn open(env: &Env) -> DbEnv {
        let options = Options { create: true, background: false, ..Options::default() };
        DbEnv::open_in(env.clone(), Path::new("/home"), options).unwrap()
    }

    fn in_default(store: &DbEnv) -> Option<Vec<u8>> {
        store.snapshot().unwrap().get(&store.keyspace("default").unwrap(), b"key").unwrap()
    }

    #[test]
    fn bytes_after_an_entry_are_damage() {
        let entry = encode(&Entry::of_default()).unwrap();
        assert_eq!(entry_again(&entry).unwrap(), entry);
        let error = entry_again(&[&entry[..], &[0]].concat()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corruption);
        assert!(tree_id_again(&[7, 7]).is_err());
    }

    /// The id after the last overflowed.
    #[test]
    fn no_tree_comes_after_the_last() {
        let store = open(&Env::memory());
        put_catalog_row(&store, b"i", &encode(&u32::MAX).unwrap()).unwrap();
        let mut txn = store.begin().unwrap();
        let error = store.create_keyspace(&mut txn, "new", KeyspaceOptions::default()).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::Corruption);
    }

    /// An entry with another's root: dropping it freed the other's pages, and who was given one of them waited for
    /// itself.
    #[test]
    fn dropping_a_keyspace_leaves_another_tree_alone() {
        let env = Env::memory();
        let store = open(&env);
        let mut txn = store.begin().unwrap();
        txn.put(&store.keyspace("default").unwrap(), b"key", b"value").unwrap();
        txn.commit().unwrap();
        let default = store.0.catalog.find(&store.0.txns.view(), "default").unwrap();
        put_catalog_row(&store, b"nfalse", &encode(&Entry { id: 99, ..default }).unwrap()).unwrap();
        let mut txn = store.begin().unwrap();
        store.drop_keyspace(&mut txn, "false").unwrap();
        txn.commit().unwrap();
        assert_eq!(in_default(&store).as_deref(), Some(&b"value"[..]));
        store.close().unwrap();
        // Neither commit nor close fails over it; a check says what could not be freed.
        let store = open(&env);
        assert_eq!(in_default(&store).as_deref(), Some(&b"value"[..]));
        let problems = store.verify().unwrap().problems;
        assert!(matches!(&problems[..], [one] if one.contains("the dropped keyspace 99")), "{problems:?}");
        store.close().unwrap();
        assert_eq!(in_default(&open(&env)).as_deref(), Some(&b"value"[..]));
    }
}
