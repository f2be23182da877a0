//! SQLite: two columns of a table or view, read-only. Blobs and text are taken as they are, numbers as decimal text.

use super::source::Job;
use crate::exit::{Exit, Failure, Outcome};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, ErrorCode, OpenFlags, Row};

pub(super) fn run(job: &Job<'_>) -> Outcome {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: Error| refused(job, &error);
    let connection = Connection::open_with_flags(job.path(), flags).map_err(failed)?;
    let table = job.choose("table", tables(&connection).map_err(failed)?)?;
    let columns = columns(&connection, &table).map_err(failed)?;
    let key = column(job, &columns, job.arguments.key_column.as_deref().unwrap_or("key"))?;
    let value = column(job, &columns, job.arguments.value_column.as_deref().unwrap_or("value"))?;
    let rows_total = rows_total(&connection, &table).map_err(failed)?;
    let mut statement = connection.prepare(&query(job, &table, key, value)).map_err(failed)?;
    let rows = statement.query_map([], |row| Ok((bytes(row, 0, "key"), bytes(row, 1, "value"))));
    let rows = rows.map_err(failed)?.map(|row| {
        let (key, value) = row.map_err(|error| failure(&error))?;
        Ok((key?, value?))
    });
    job.load(rows, Some(rows_total))
}

/// All rows. Where several of a key are an error they must stand side by side; where the first or last is to stay,
/// it is the table's order that counts.
fn query(job: &Job<'_>, table: &str, key: &str, value: &str) -> String {
    let query = format!("SELECT {}, {} FROM {}", quoted(key), quoted(value), quoted(table));
    match job.arguments.batches.on_duplicate {
        None => format!("{query} ORDER BY 1 COLLATE BINARY"),
        Some(_) => query,
    }
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let query = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("SELECT name FROM pragma_table_xinfo(?1)")?;
    statement.query_map([table], |row| row.get(0))?.collect()
}

/// The column of that name: SQLite would take an unknown one for a text.
fn column<'a>(job: &Job<'_>, columns: &'a [String], wanted: &str) -> Outcome<&'a str> {
    let found = columns.iter().find(|column| column.eq_ignore_ascii_case(wanted));
    found.map(String::as_str).ok_or_else(|| {
        let told = format!(
            "there is no column \"{wanted}\" (--key-column, --value-column); there are: {}",
            columns.join(", ")
        );
        job.failure(Exit::BadInput, &told)
    })
}

fn rows_total(connection: &Connection, table: &str) -> rusqlite::Result<u64> {
    let query = format!("SELECT count(*) FROM {}", quoted(table));
    connection.query_row(&query, [], |row| row.get::<_, i64>(0)).map(i64::cast_unsigned)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn bytes(row: &Row<'_>, index: usize, what: &str) -> Outcome<Vec<u8>> {
    match row.get_ref(index).map_err(|error| failure(&error))? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes.to_vec()),
        ValueRef::Integer(number) => Ok(number.to_string().into_bytes()),
        ValueRef::Real(number) => Ok(number.to_string().into_bytes()),
        ValueRef::Null => {
            Err(Failure::input(format!("the {what} is NULL (import from a view that has none)")))
        }
    }
}

fn refused(job: &Job<'_>, error: &Error) -> Failure {
    failure(error).within(&job.path().display().to_string(), "")
}

fn failure(error: &Error) -> Failure {
    let exit = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => Exit::Damaged,
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Exit::InUse,
        Some(ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::SystemIoFailure) => {
            Exit::System
        }
        _ => Exit::Other,
    };
    Failure::new(exit, format!("SQLite: {error}"))
}
