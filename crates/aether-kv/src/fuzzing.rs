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
