//! `dump`: a whole keyspace as TSV that `load` reads back.

use crate::arguments::{Common, Dump, DumpFormat};
use crate::exit::{Exit, Outcome};
use crate::home;
use crate::output::Output;
use aether::{DbEnv, Keyspace};

pub(crate) fn run(common: &Common, arguments: &Dump) -> Outcome {
    let env = home::open_existing(common)?;
    let keyspace = home::keyspace(&env, &arguments.keyspace)?;
    let mut output = Output::new(common.format);
    match arguments.output_format {
        DumpFormat::Tsv => tsv(&env, &keyspace, &mut output)?,
    }
    Ok(Exit::Done)
}

/// Prints every row of a snapshot as TSV.
pub(crate) fn tsv(env: &DbEnv, keyspace: &Keyspace, output: &mut Output) -> Outcome<()> {
    let snapshot = env.snapshot()?;
    for row in snapshot.iter(keyspace)? {
        let (key, value) = row?;
        output.tsv_row(&key, &value)?;
    }
    output.flush()
}
