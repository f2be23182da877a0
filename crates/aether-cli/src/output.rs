//! Standard output: buffered, in one of the three formats, and quiet about a reader that has gone.

use crate::arguments::Format;
use crate::exit::{Failure, Outcome};
use crate::{show, tsv};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output of a command.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
    format: Format,
}

impl Output {
    /// Output in `format`.
    pub(crate) fn new(format: Format) -> Self {
        Self { out: BufWriter::with_capacity(1 << 16, io::stdout().lock()), format }
    }

    /// The format.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: &str) -> Outcome<()> {
        self.write(|out| writeln!(out, "{text}"))
    }

    /// A line of text beside the results.
    pub(crate) fn note(&mut self, text: &str) -> Outcome<()> {
        if self.format == Format::Json { self.json(&json!({ "note": text })) } else { self.line(text) }
    }

    /// Bytes as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Outcome<()> {
        self.write(|out| out.write_all(bytes))
    }

    /// A row as TSV.
    pub(crate) fn tsv_row(&mut self, key: &[u8], value: &[u8]) -> Outcome<()> {
        self.write(|out| tsv::write_row(out, key, value))
    }

    /// A JSON value on a line of its own.
    pub(crate) fn json(&mut self, value: &Value) -> Outcome<()> {
        self.line(&value.to_string())
    }

    /// A table.
    pub(crate) fn table(&mut self, header: &[&str], rows: Vec<Vec<String>>) -> Outcome<()> {
        self.line(&table(header, rows))
    }

    /// Named values, `name: value` a line, or a table.
    pub(crate) fn pairs(&mut self, pairs: Vec<(String, String)>) -> Outcome<()> {
        if self.format == Format::Table {
            let rows = pairs.into_iter().map(|(name, value)| vec![name, value]).collect();
            return self.table(&["name", "value"], rows);
        }
        pairs.iter().try_for_each(|(name, value)| self.line(&format!("{name}: {value}")))
    }

    /// Rows in the format: TSV lines, JSON lines, or one table, which is held in memory.
    pub(crate) fn rows(
        &mut self,
        rows: impl Iterator<Item = aether::Result<(Vec<u8>, Vec<u8>)>>,
    ) -> Outcome<()> {
        let mut cells = Vec::new();
        for row in rows {
            let (key, value) = row?;
            match self.format {
                Format::Plain => self.tsv_row(&key, &value)?,
                Format::Json => self.json(&show::json_row(&key, &value))?,
                Format::Table => cells.push(vec![show::cell(&key), show::cell(&value)]),
            }
        }
        if self.format == Format::Table { self.table(&["key", "value"], cells) } else { Ok(()) }
    }

    /// Hands over what is buffered.
    pub(crate) fn flush(&mut self) -> Outcome<()> {
        self.write(|out| out.flush())
    }

    fn write(
        &mut self,
        write: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>,
    ) -> Outcome<()> {
        write(&mut self.out).map_err(|error| Failure::output(&error))
    }
}

fn table(header: &[&str], rows: Vec<Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_BORDERS_ONLY).set_header(header.iter().copied());
    table.add_rows(rows);
    table.to_string()
}
