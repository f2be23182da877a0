//! `torture dump`: opens and recovers any store and prints its default keyspace; light to start.

use crate::arguments::{Format, TortureDump};
use crate::exit::{Exit, Failure, Outcome, warn};
use crate::output::Output;
use crate::{dump, home};
use aether::{Db, ErrorKind};
use std::path::Path;

pub(super) fn run(arguments: &TortureDump) -> Outcome {
    if holds_nothing(&arguments.dir)? {
        warn(&format!("there is no store in {}: nothing to print", arguments.dir.display()));
        return Ok(Exit::Done);
    }
    let db = Db::open_with(&arguments.dir, home::light_options()).map_err(refused)?;
    dump::tsv(db.env(), db.keyspace(), &mut Output::new(Format::Plain))?;
    Ok(Exit::Done)
}

/// A killed process may not have come to create anything.
fn holds_nothing(dir: &Path) -> Outcome<bool> {
    if !dir.exists() {
        return Ok(true);
    }
    let mut entries = dir.read_dir().map_err(|error| Failure::system(&dir.display().to_string(), &error))?;
    Ok(entries.next().is_none())
}

/// There is something in the directory: if a part of the store is missing, that is damage.
fn refused(error: aether::Error) -> Failure {
    if error.kind() == ErrorKind::NotFound {
        return Failure::new(Exit::Damaged, error.to_string());
    }
    error.into()
}
