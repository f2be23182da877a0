//! `get`: the value of a key; a plain one is streamed, so its size does not matter.

use crate::arguments::{Common, Format, Get};
use crate::exit::{Exit, Failure, Outcome};
use crate::output::Output;
use crate::{home, show};
use aether::{Keyspace, Txn};
use std::io::Read;
use std::os::unix::ffi::OsStrExt;

const CHUNK_BYTES: usize = 64 << 10;

pub(crate) fn run(common: &Common, arguments: &Get) -> Outcome {
    let env = home::open_existing(common)?;
    let keyspace = home::keyspace(&env, &arguments.keyspace)?;
    let key = arguments.key.as_bytes();
    let txn = env.begin()?;
    let mut output = Output::new(common.format);
    if arguments.raw || common.format == Format::Plain {
        stream(&txn, &keyspace, key, &mut output)?;
        output.bytes(if arguments.raw { b"" } else { b"\n" })?;
    } else {
        let value = txn.get(&keyspace, key)?.ok_or_else(|| absent(key))?;
        show_row(&mut output, key, &value)?;
    }
    output.flush()?;
    Ok(Exit::Done)
}

/// The failure that says that a key is not there.
pub(crate) fn absent(key: &[u8]) -> Failure {
    Failure::new(Exit::Absent, format!("the key \"{}\" was not found", show::cell(key)))
}

fn show_row(output: &mut Output, key: &[u8], value: &[u8]) -> Outcome<()> {
    match output.format() {
        Format::Json => output.json(&show::json_row(key, value)),
        _ => output.table(&["key", "value"], vec![vec![show::cell(key), show::cell(value)]]),
    }
}

fn stream(txn: &Txn, keyspace: &Keyspace, key: &[u8], output: &mut Output) -> Outcome<()> {
    let mut value = txn.get_stream(keyspace, key)?.ok_or_else(|| absent(key))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match value.read(&mut chunk).map_err(|error| Failure::system("reading the value", &error))? {
            0 => return Ok(()),
            length => output.bytes(&chunk[..length])?,
        }
    }
}
