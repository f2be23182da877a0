//! The arguments of `load`, `dump` and `import`.

use super::InKeyspace;
use crate::db_dump::Encoding;
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `load`
#[derive(Args)]
pub(crate) struct Load {
    /// The input; `-` is standard input.
    pub(crate) file: PathBuf,
    /// The format; if it is not given, the name of the file tells (.tsv, .csv, .jsonl, .ndjson), or how
    /// the input begins, and else it is tsv.
    #[arg(long, value_enum)]
    pub(crate) input_format: Option<InputFormat>,
    /// The delimiter of `delimited` and `csv`, one ASCII character [default: ,]
    #[arg(long, value_name = "C", value_parser = delimiter)]
    pub(crate) delimiter: Option<u8>,
    /// tsv, delimited, csv: the column of the key, from 1; the value is the other columns, joined by the
    /// delimiter, in csv with quotes where they are wanted.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) key_column: u32,
    /// csv: the first record names the columns and is no row.
    #[arg(long)]
    pub(crate) header: bool,
    /// dbdump: load each database of the input into the keyspace of its name, and one without a name into
    /// `--keyspace`. Without this the input may hold one database only.
    #[arg(long)]
    pub(crate) databases: bool,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
    #[command(flatten)]
    pub(crate) batches: Batches,
    /// The longest line, or record of csv, that is taken, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 256 << 20)]
    pub(crate) line_bytes_max: u64,
}

/// What `load` and `import` have in common.
#[derive(Args)]
pub(crate) struct Batches {
    /// What a key that the input or the store has already means: the last row stays, the first stays,
    /// or it is an error. [default: last; but error for a key with several values in a database whose
    /// kind allows them]
    #[arg(long, value_enum)]
    pub(crate) on_duplicate: Option<OnDuplicate>,
    /// Rows per transaction.
    #[arg(long, value_name = "ROWS", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch: u64,
    /// Print `committed ROWS` after each durable transaction, unbuffered.
    #[arg(long)]
    pub(crate) acknowledge: bool,
}

/// Format of the input of `load`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum InputFormat {
    /// Columns apart by a tab, with the escapes \t \n \r \\.
    Tsv,
    /// Columns apart by `--delimiter`, no escapes, no quotes.
    Delimited,
    /// RFC 4180: columns may stand in quotes. Empty lines are skipped.
    Csv,
    /// An object a line: {"key":"..","value":".."}, with key_b64 and value_b64 for bytes in base64.
    Jsonl,
    /// What db_dump (Berkeley DB) and mdb_dump (LMDB) print, in either encoding.
    #[value(alias = "db-dump", alias = "mdb-dump")]
    Dbdump,
}

/// What `load` does with a key that is there already.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnDuplicate {
    Last,
    First,
    Error,
}

/// `dump`
#[derive(Args)]
pub(crate) struct Dump {
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
    /// The format, all of which `load` reads back; if it is not given, the name of `--output` tells
    /// (.tsv, .csv, .jsonl, .ndjson, .dbdump, .mdbdump), and else it is tsv.
    #[arg(long, value_enum)]
    pub(crate) output_format: Option<OutputFormat>,
    /// Write to this new file, which gets its name when it is whole, instead of standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// dbdump, mdbdump: how bytes are text [default: bytevalue]
    #[arg(long, value_enum)]
    pub(crate) encoding: Option<Encoding>,
    /// dbdump, mdbdump: every keyspace, each as a database of its name.
    #[arg(long, conflicts_with = "keyspace")]
    pub(crate) databases: bool,
}

/// `salvage`
#[derive(Args)]
pub(crate) struct Salvage {
    /// The new directory for the files, one for each keyspace.
    #[arg(long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// The format of the files, all of which `load` reads back.
    #[arg(long, value_enum, default_value = "tsv")]
    pub(crate) output_format: OutputFormat,
}

impl OutputFormat {
    /// How names of files in this format end.
    pub(crate) fn extension(self) -> &'static str {
        match self {
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Dbdump => "dbdump",
            Self::Mdbdump => "mdbdump",
        }
    }
}

/// Format of the output of `dump`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum OutputFormat {
    /// Key, tab, value, with the escapes \t \n \r \\.
    Tsv,
    /// Key and value as RFC 4180 has it.
    Csv,
    /// {"key":"..","value":".."} a line; key_b64 or value_b64 for bytes that are not UTF-8.
    Jsonl,
    /// What db_load (Berkeley DB) reads.
    #[value(alias = "db-dump")]
    Dbdump,
    /// What mdb_load (LMDB) reads: the same, with the size of the map that it needs.
    #[value(alias = "mdb-dump")]
    Mdbdump,
}

/// `import`
#[derive(Args)]
pub(crate) struct Import {
    /// The engine that wrote the file. Each is a cargo feature of this command, `import-lmdb` and so on.
    #[arg(long, value_enum)]
    pub(crate) from: StoreKind,
    /// The file or directory of the other engine. It is opened for reading alone where the engine can.
    pub(crate) path: PathBuf,
    /// lmdb: the named database; redb, sqlite: the table; fjall: the keyspace; sled: the tree;
    /// rocksdb: the column family. Without it the unnamed or the only one.
    #[arg(long, value_name = "T")]
    pub(crate) table: Option<String>,
    /// sqlite: the column of the key [default: key]
    #[arg(long, value_name = "K")]
    pub(crate) key_column: Option<String>,
    /// sqlite: the column of the value [default: value]
    #[arg(long, value_name = "V")]
    pub(crate) value_column: Option<String>,
    #[command(flatten)]
    pub(crate) keyspace: InKeyspace,
    #[command(flatten)]
    pub(crate) batches: Batches,
}

/// The engines that `import` reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum StoreKind {
    Lmdb,
    Redb,
    Fjall,
    Sled,
    Sqlite,
    Rocksdb,
}

fn delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        b"\\t" => Ok(b'\t'),
        [b'\n' | b'\r'] => Err("a line end cannot be the delimiter".into()),
        [one] if one.is_ascii() => Ok(*one),
        _ => Err("one ASCII character is wanted".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delimiter_is_one_ascii_character() {
        assert_eq!(delimiter(";"), Ok(b';'));
        assert_eq!(delimiter("\\t"), Ok(b'\t'));
        assert!(delimiter("ab").is_err() && delimiter("").is_err() && delimiter("é").is_err());
    }
}
