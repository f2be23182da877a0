//! The input of `load`: a file or standard input, and the reader for its format.

use super::columns::{Columns, Shape};
use super::csv::{Csv, CsvShape};
use super::db_dump::DbDump;
use super::guess;
use super::json::Json;
use super::lines::LineLimit;
use super::source::Source;
use crate::arguments::{InputFormat, Load};
use crate::exit::{Failure, Outcome};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

const READ_BYTES: usize = 256 << 10;
/// Bytes of the first line that tell the format at the most.
const PEEK_BYTES: u64 = 4096;

/// An input that was opened.
pub(super) struct Input {
    reader: Box<dyn BufRead>,
    /// The size, of a regular file.
    pub(super) bytes_total: Option<u64>,
}

impl Input {
    /// Opens the file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> Outcome<Self> {
        if path == Path::new("-") {
            let reader = BufReader::with_capacity(READ_BYTES, io::stdin());
            return Ok(Self { reader: Box::new(reader), bytes_total: None });
        }
        let file = File::open(path).map_err(|error| unreadable(path, &error))?;
        let about = file.metadata().map_err(|error| unreadable(path, &error))?;
        if about.is_dir() {
            return Err(Failure::input(format!("{} is a directory", path.display())));
        }
        let bytes_total = about.is_file().then_some(about.len());
        Ok(Self { reader: Box::new(BufReader::with_capacity(READ_BYTES, file)), bytes_total })
    }

    /// The rows, in the format that the arguments name or the input tells. Blocks on the input.
    pub(super) fn into_source(mut self, arguments: &Load) -> Outcome<Box<dyn Source>> {
        let format = self.format(arguments)?;
        judge(arguments, format)?;
        let limit = LineLimit::of_user(arguments.line_bytes_max);
        let key_column = arguments.key_column as usize;
        let delimiter = arguments.delimiter.unwrap_or(b',');
        Ok(match format {
            InputFormat::Tsv => {
                let shape = Shape { delimiter: b'\t', escapes: true, key_column };
                Box::new(Columns::new(self.reader, shape, limit))
            }
            InputFormat::Delimited => {
                let shape = Shape { delimiter, escapes: false, key_column };
                Box::new(Columns::new(self.reader, shape, limit))
            }
            InputFormat::Csv => {
                let shape = CsvShape { delimiter, key_column, has_header: arguments.header };
                Box::new(Csv::new(self.reader, shape, limit))
            }
            InputFormat::Jsonl => Box::new(Json::new(self.reader, limit)),
            InputFormat::Dbdump => Box::new(DbDump::new(self.reader, limit)),
        })
    }

    fn format(&mut self, arguments: &Load) -> Outcome<InputFormat> {
        if let Some(format) = arguments.input_format.or_else(|| guess::by_name(&arguments.file)) {
            return Ok(format);
        }
        let beginning = self.peek_line().map_err(|error| unreadable(&arguments.file, &error))?;
        Ok(guess::by_beginning(&beginning))
    }

    /// The first line or the beginning of it, which stays to be read. A pipe may bring it in pieces.
    fn peek_line(&mut self) -> io::Result<Vec<u8>> {
        let mut line = Vec::new();
        (&mut *self.reader).take(PEEK_BYTES).read_until(b'\n', &mut line)?;
        let rest = std::mem::replace(&mut self.reader, Box::new(io::empty()));
        self.reader = Box::new(io::Cursor::new(line.clone()).chain(rest));
        Ok(line)
    }
}

/// Refuses arguments that say nothing about the format.
fn judge(arguments: &Load, format: InputFormat) -> Outcome<()> {
    use InputFormat::{Csv, Dbdump, Delimited, Tsv};
    let wants = |argument: &str, format: &str| {
        Err(Failure::input(format!("{argument} goes with --input-format {format}")))
    };
    match format {
        _ if arguments.delimiter.is_some() && !matches!(format, Csv | Delimited) => {
            wants("--delimiter", "delimited or csv")
        }
        _ if arguments.key_column != 1 && !matches!(format, Csv | Delimited | Tsv) => {
            wants("--key-column", "tsv, delimited or csv")
        }
        _ if arguments.header && format != Csv => wants("--header", "csv"),
        _ if arguments.databases && format != Dbdump => wants("--databases", "dbdump"),
        Csv if arguments.delimiter == Some(b'"') => Err(Failure::input("a quote cannot delimit csv")),
        _ => Ok(()),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let what = format!("opening {}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Failure::input(format!("{what}: {error}")),
        _ => Failure::system(&what, error),
    }
}

/// How the input is called.
pub(super) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}
