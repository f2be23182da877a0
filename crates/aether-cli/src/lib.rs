//! The command `aether`: loads, reads, changes and examines a home through the facade alone.
//!
//! One module a command; `arguments` is the whole command line, `exit` every way out. The command knows
//! nothing that an embedding program could not know: no page, no log record, no file of the home.

#![cfg_attr(not(feature = "import-lmdb"), forbid(unsafe_code))]
#![cfg_attr(feature = "import-lmdb", deny(unsafe_code))]

mod arguments;
mod convert;
mod csv;
mod db_dump;
mod delete;
mod demo;
mod dump;
mod exit;
#[doc(hidden)]
pub mod fuzz;
mod get;
mod home;
mod import;
mod load;
mod output;
mod put;
mod salvage;
mod scan;
mod show;
mod stat;
mod torture;
mod tsv;
mod verify;

use arguments::{Arguments, Command};
use clap::Parser;
use exit::Outcome;
use std::process::ExitCode;

/// Does what the command line says. Blocks until done.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(code) => code.into(),
        Err(failure) => failure.report(),
    }
}

fn run(arguments: &Arguments) -> Outcome {
    let common = &arguments.common;
    match &arguments.command {
        Command::Load(load) => load::run(common, load),
        Command::Import(import) => import::run(common, import),
        Command::Dump(dump) => dump::run(common, dump),
        Command::Get(get) => get::run(common, get),
        Command::Put(put) => put::run(common, put),
        Command::Delete(delete) => delete::run(common, delete),
        Command::Scan(scan) => scan::run(common, scan),
        Command::Convert(convert) => convert::run(common, convert),
        Command::Stat { full } => stat::run(common, *full),
        Command::Verify => verify::run(common),
        Command::Salvage(salvage) => salvage::run(common, salvage),
        Command::Demo => demo::run(common),
        Command::Torture(torture) => torture::run(torture),
    }
}
