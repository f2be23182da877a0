//! `dump`: a keyspace, or all of them, in a format that `load` reads back.

pub(crate) mod rows;
pub(crate) mod target;

pub(crate) use rows::{Form, RowWriter};

use crate::arguments::{Common, Dump, OutputFormat};
use crate::exit::{Exit, Failure, Outcome};
use crate::home;
use crate::output::Output;
use aether::{DbEnv, Keyspace, Snapshot};
use std::path::Path;
use target::Target;

pub(crate) fn run(common: &Common, arguments: &Dump) -> Outcome {
    let form = form(arguments)?;
    let env = home::open_existing(common)?;
    let keyspaces = keyspaces(&env, arguments)?;
    let form = form.for_store(store_bytes(&env)?);
    let mut target = Target::open(arguments.output.as_deref())?;
    let snapshot = env.snapshot()?;
    for keyspace in &keyspaces {
        let name = arguments.databases.then(|| keyspace.name());
        write(&snapshot, keyspace, name, form, &mut target)?;
    }
    target.finish()?;
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

/// Writes the rows of a keyspace, as a database of that name if there is one.
fn write(
    snapshot: &Snapshot,
    keyspace: &Keyspace,
    name: Option<&str>,
    form: Form,
    target: &mut Target,
) -> Outcome<()> {
    target.write(|out| RowWriter::new(out, form).begin(name))?;
    for row in snapshot.iter(keyspace)? {
        let (key, value) = row?;
        target.write(|out| RowWriter::new(out, form).row(&key, &value))?;
    }
    target.write(|out| RowWriter::new(out, form).end())
}

fn keyspaces(env: &DbEnv, arguments: &Dump) -> Outcome<Vec<Keyspace>> {
    if !arguments.databases {
        return Ok(vec![home::keyspace(env, &arguments.keyspace)?]);
    }
    let names = env.keyspaces()?;
    Ok(names.iter().map(|name| env.keyspace(name)).collect::<aether::Result<_>>()?)
}

fn store_bytes(env: &DbEnv) -> Outcome<u64> {
    let stat = env.stat()?;
    Ok(stat.pages.saturating_mul(stat.page_size as u64))
}

/// What the arguments want to be written.
fn form(arguments: &Dump) -> Outcome<Form> {
    let by_name = || arguments.output.as_deref().and_then(format_by_name);
    let format = arguments.output_format.or_else(by_name).unwrap_or(OutputFormat::Tsv);
    let form = Form::of(format, arguments.encoding);
    let is_database = matches!(form, Form::Database { .. });
    if !is_database && (arguments.encoding.is_some() || arguments.databases) {
        return Err(Failure::input("--encoding and --databases go with --output-format dbdump or mdbdump"));
    }
    Ok(form)
}

fn format_by_name(path: &Path) -> Option<OutputFormat> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "tsv" | "tab" => Some(OutputFormat::Tsv),
        "csv" => Some(OutputFormat::Csv),
        "jsonl" | "ndjson" => Some(OutputFormat::Jsonl),
        "dbdump" => Some(OutputFormat::Dbdump),
        "mdbdump" => Some(OutputFormat::Mdbdump),
        _ => None,
    }
}
