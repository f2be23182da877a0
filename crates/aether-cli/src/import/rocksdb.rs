//! RocksDB: a directory, of which a column family is read, read-only. Another process may have it open.

use super::source::Job;
use crate::exit::{Exit, Failure, Outcome};
use rocksdb::{DB, Error, ErrorKind, IteratorMode, Options};

/// The column family that every database has.
const DEFAULT_FAMILY: &str = "default";

pub(super) fn run(job: &Job<'_>) -> Outcome {
    if !job.path().join("CURRENT").is_file() {
        return Err(job.failure(Exit::Damaged, "this is not RocksDB: there is no file \"CURRENT\""));
    }
    let options = Options::default();
    let mut names = DB::list_cf(&options, job.path()).map_err(|error| refused(job, &error))?;
    if job.arguments.table.is_none() {
        names.retain(|name| name == DEFAULT_FAMILY);
    }
    let name = job.choose("column family", names)?;
    let database = DB::open_cf_for_read_only(&options, job.path(), [&name], false)
        .map_err(|error| refused(job, &error))?;
    let family = database
        .cf_handle(&name)
        .ok_or_else(|| job.failure(Exit::Damaged, &format!("\"{name}\" cannot be opened")))?;
    let rows = database.iterator_cf(&family, IteratorMode::Start);
    job.load(rows.map(|row| row.map_err(|error| failure(&error))), None)
}

fn refused(job: &Job<'_>, error: &Error) -> Failure {
    failure(error).within(&job.path().display().to_string(), "")
}

fn failure(error: &Error) -> Failure {
    let exit = match error.kind() {
        ErrorKind::IOError => Exit::System,
        ErrorKind::Busy | ErrorKind::TryAgain => Exit::InUse,
        _ => Exit::Damaged,
    };
    Failure::new(exit, format!("RocksDB: {error}"))
}
