//! redb: one file, read-only. Tables of bytes and text, in any pairing.

use super::source::Job;
use crate::exit::{Exit, Failure, Outcome};
use redb::{
    DatabaseError, Key, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    ReadableTableMetadata, StorageError, TableDefinition, TableError, TableHandle, Value,
};
use std::io;

/// A type of a table whose values are bytes as they are.
trait Plain: Value {
    fn bytes<'a>(value: &'a Self::SelfType<'_>) -> &'a [u8];
}

impl Plain for &'static [u8] {
    fn bytes<'a>(value: &'a Self::SelfType<'_>) -> &'a [u8] {
        value
    }
}

impl Plain for &'static str {
    fn bytes<'a>(value: &'a Self::SelfType<'_>) -> &'a [u8] {
        value.as_bytes()
    }
}

pub(super) fn run(job: &Job<'_>) -> Outcome {
    let database = ReadOnlyDatabase::open(job.path()).map_err(|error| unopened(job, &error))?;
    let failed = |error: &dyn std::fmt::Display| job.failure(Exit::Damaged, &format!("redb: {error}"));
    let txn = database.begin_read().map_err(|error| failed(&error))?;
    let tables = txn.list_tables().map_err(|error| failed(&error))?;
    let name = job.choose("table", tables.map(|table| table.name().to_owned()).collect())?;
    let mut mismatch = None;
    for try_types in
        [try_load::<&[u8], &[u8]>, try_load::<&str, &str>, try_load::<&str, &[u8]>, try_load::<&[u8], &str>]
    {
        match try_types(job, &txn, &name)? {
            Tried::Done(exit) => return Ok(exit),
            Tried::Mismatch(error) => mismatch = Some(error),
        }
    }
    let types = mismatch.map(|error| error.to_string()).unwrap_or_default();
    Err(job.failure(Exit::BadInput, &format!("keys and values must be bytes or text: {types}")))
}

/// What came of reading the table as one of certain types.
enum Tried {
    Done(Exit),
    Mismatch(TableError),
}

fn try_load<K: Key + Plain + 'static, V: Plain + 'static>(
    job: &Job<'_>,
    txn: &ReadTransaction,
    name: &str,
) -> Outcome<Tried> {
    let table = match txn.open_table(TableDefinition::<K, V>::new(name)) {
        Ok(table) => table,
        Err(error @ TableError::TableTypeMismatch { .. }) => return Ok(Tried::Mismatch(error)),
        Err(error) => return Err(job.failure(Exit::Damaged, &format!("redb: {error}"))),
    };
    let failed = |error: StorageError| job.failure(Exit::Damaged, &format!("redb: {error}"));
    let rows_total = table.len().map_err(failed)?;
    let rows = table.iter().map_err(failed)?.map(|row| {
        let (key, value) = row.map_err(|error| Failure::new(Exit::Damaged, format!("redb: {error}")))?;
        Ok((K::bytes(&key.value()).to_vec(), V::bytes(&value.value()).to_vec()))
    });
    job.load(rows, Some(rows_total)).map(Tried::Done)
}

fn unopened(job: &Job<'_>, error: &DatabaseError) -> Failure {
    let exit = match error {
        DatabaseError::DatabaseAlreadyOpen => Exit::InUse,
        DatabaseError::Storage(StorageError::Io(error)) if error.kind() != io::ErrorKind::InvalidData => {
            Exit::System
        }
        _ => Exit::Damaged,
    };
    let hint = match error {
        DatabaseError::RepairAborted => " (it was not closed: open it once with its own program)",
        DatabaseError::UpgradeRequired(_) => " (upgrade it with the version of redb that wrote it)",
        _ => "",
    };
    job.failure(exit, &format!("redb: {error}{hint}"))
}
