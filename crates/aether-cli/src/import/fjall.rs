//! fjall: a directory, of which a keyspace (formerly partition) is read. It cannot be opened read-only.

use super::source::Job;
use crate::exit::{Exit, Failure, Outcome};
use fjall::{Database, Error, KeyspaceCreateOptions};

/// The file that every directory of fjall has.
const MARKER: &str = "version";

pub(super) fn run(job: &Job<'_>) -> Outcome {
    if !job.path().join(MARKER).is_file() {
        return Err(job.failure(Exit::Damaged, "this is not fjall: there is no file \"version\""));
    }
    let database = Database::builder(job.path()).open().map_err(|error| refused(job, &error))?;
    let names = database.list_keyspace_names().iter().map(ToString::to_string).collect();
    let name = job.choose("keyspace of fjall", names)?;
    let keyspace =
        database.keyspace(&name, KeyspaceCreateOptions::default).map_err(|error| refused(job, &error))?;
    let rows = keyspace.iter().map(|row| row.into_inner().map_err(|error| failure(&error)));
    job.load(rows, Some(keyspace.approximate_len() as u64))
}

fn refused(job: &Job<'_>, error: &Error) -> Failure {
    failure(error).within(&job.path().display().to_string(), "")
}

fn failure(error: &Error) -> Failure {
    match error {
        Error::Locked => Failure::new(Exit::InUse, "fjall: it is in use by another process"),
        Error::InvalidVersion(Some(version)) => {
            Failure::new(Exit::Damaged, format!("fjall: format {version}, which this build does not read"))
        }
        Error::InvalidVersion(None) => Failure::new(Exit::Damaged, "fjall: the format's version is unknown"),
        Error::Io(error) => Failure::system("fjall", error),
        error => Failure::new(Exit::Damaged, format!("fjall: {error:?}")),
    }
}
