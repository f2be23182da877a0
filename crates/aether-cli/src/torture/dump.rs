//! `torture dump`: opens and recovers any store and prints its default keyspace; light to start.

use crate::arguments::{Format, TortureDump};
use crate::exit::{Exit, Failure, Outcome, warn};
use crate::output::Output;
use crate::{dump, home};
use aether::{Db, ErrorKind, Options};
use std::path::Path;

pub(super) fn run(arguments: &TortureDump) -> Outcome {
    if holds_nothing(&arguments.dir)? {
        warn(&format!("there is no store in {}: nothing to print", arguments.dir.display()));
        return Ok(Exit::Done);
    }
    let db = open(&arguments.dir)?;
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

/// Opens the store. Where there is none, the directory holds either the rest of a creation that was cut short,
/// which opens as an empty store, or something else, which is damage.
fn open(dir: &Path) -> Outcome<Db> {
    match Db::open_with(dir, home::light_options()) {
        Err(error) if error.kind() == ErrorKind::NotFound => create(dir),
        opened => opened.map_err(|error| home::refused(error, dir)),
    }
}

fn create(dir: &Path) -> Outcome<Db> {
    let options = Options { create: true, ..home::light_options() };
    Db::open_with(dir, options).map_err(|error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::InvalidInput => Failure::new(Exit::Damaged, error.to_string()),
        _ => error.into(),
    })
}
