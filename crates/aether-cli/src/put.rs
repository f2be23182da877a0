//! `put`: sets a key durably, from the command line or a file of any size.

use crate::arguments::{Common, Put};
use crate::exit::{Exit, Failure, Outcome};
use crate::home;
use aether::{Keyspace, Txn};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) fn run(common: &Common, arguments: &Put) -> Outcome {
    let env = home::open_or_create(common)?;
    let keyspace = env.open_or_create_keyspace(&arguments.keyspace.keyspace)?;
    let mut txn = env.begin()?;
    let key = arguments.key.as_bytes();
    match (&arguments.value, &arguments.from) {
        (Some(value), _) => txn.put(&keyspace, key, value.as_bytes())?,
        (None, Some(file)) => put_from(&mut txn, &keyspace, key, file)?,
        (None, None) => return Err(Failure::input("a value or --from is wanted")),
    }
    txn.commit()?;
    env.close()?;
    Ok(Exit::Done)
}

fn put_from(txn: &mut Txn, keyspace: &Keyspace, key: &[u8], path: &Path) -> Outcome<()> {
    if path == Path::new("-") {
        let mut value = Vec::new();
        io::stdin().lock().read_to_end(&mut value).map_err(|error| failed(path, &error))?;
        return Ok(txn.put(keyspace, key, &value)?);
    }
    let mut file = File::open(path).map_err(|error| failed(path, &error))?;
    let about = file.metadata().map_err(|error| failed(path, &error))?;
    if !about.is_file() {
        return Err(Failure::input(format!("{} is not a regular file", path.display())));
    }
    Ok(txn.put_stream(keyspace, key, about.len(), &mut file)?)
}

fn failed(path: &Path, error: &io::Error) -> Failure {
    let what = format!("reading the value from {}", path.display());
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::input(format!("{what}: {error}"));
    }
    Failure::system(&what, error)
}
