//! `delete`: removes a key durably; exit code 1 if it was not there.

use crate::arguments::{Common, Delete};
use crate::exit::{Exit, Outcome};
use crate::{get, home};
use std::os::unix::ffi::OsStrExt;

pub(crate) fn run(common: &Common, arguments: &Delete) -> Outcome {
    let env = home::open_existing(common)?;
    let keyspace = home::keyspace(&env, &arguments.keyspace)?;
    let key = arguments.key.as_bytes();
    let mut txn = env.begin()?;
    if !txn.delete(&keyspace, key)? {
        return Err(get::absent(key));
    }
    txn.commit()?;
    env.close()?;
    Ok(Exit::Done)
}
