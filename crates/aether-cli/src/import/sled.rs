//! sled: a directory, of which a tree is read. It cannot be opened read-only.

use super::source::Job;
use crate::exit::{Exit, Failure, Outcome};
use sled::{Config, Db, Error};
use std::io;

/// The tree that has no name of its own.
const DEFAULT_TREE: &str = "__sled__default";

pub(super) fn run(job: &Job<'_>) -> Outcome {
    if !["db", "conf"].iter().all(|name| job.path().join(name).is_file()) {
        return Err(job.failure(Exit::Damaged, "this is not sled: there are no files \"db\" and \"conf\""));
    }
    let database = Config::new().path(job.path()).open().map_err(|error| refused(job, &error))?;
    let name = tree(job, &database)?;
    let tree = database.open_tree(name).map_err(|error| refused(job, &error))?;
    job.load(tree.iter().map(|row| row.map_err(|error| failure(&error))), None)
}

/// The tree that `--table` names; without it the unnamed one, or the only other if that is empty.
fn tree(job: &Job<'_>, database: &Db) -> Outcome<String> {
    let names = database.tree_names();
    let mut names: Vec<_> = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
    if job.arguments.table.is_none() && !database.is_empty() {
        return Ok(DEFAULT_TREE.into());
    }
    if job.arguments.table.is_none() && names.len() > 1 {
        names.retain(|name| name != DEFAULT_TREE);
    }
    job.choose("tree", names)
}

fn refused(job: &Job<'_>, error: &Error) -> Failure {
    failure(error).within(&job.path().display().to_string(), "")
}

fn failure(error: &Error) -> Failure {
    let exit = match error {
        Error::Io(error) if error.to_string().contains("could not acquire lock") => Exit::InUse,
        Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Exit::Damaged,
        Error::Io(_) => Exit::System,
        _ => Exit::Damaged,
    };
    Failure::new(exit, format!("sled: {error}"))
}
