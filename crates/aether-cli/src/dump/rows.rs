//! Rows as text.

use crate::db_dump::{Encoding, VERSION};
use crate::{csv, tsv};
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use std::io::{self, Write};

/// The least map that is declared for `mdb_load`, whose own default is too small for much data.
const MAP_BYTES_MIN: u64 = 64 << 20;
/// How often the bytes of this store fit into the map: other pages may be less full.
const MAP_PER_STORE: u64 = 4;

/// How rows are written.
#[derive(Clone, Copy)]
pub(crate) enum Form {
    Tsv,
    Csv,
    Jsonl,
    Database {
        encoding: Encoding,
        /// The map that LMDB will need.
        map_bytes: Option<u64>,
    },
}

impl Form {
    /// The form for a store of so many bytes.
    pub(crate) fn for_store(self, store_bytes: u64) -> Self {
        let needed = store_bytes.saturating_mul(MAP_PER_STORE).max(MAP_BYTES_MIN);
        match self {
            Self::Database { encoding, map_bytes } => {
                Self::Database { encoding, map_bytes: map_bytes.map(|_| needed) }
            }
            other => other,
        }
    }
}

/// Writes the rows of a database.
pub(crate) struct RowWriter<'a> {
    out: &'a mut dyn Write,
    form: Form,
}

impl<'a> RowWriter<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, form: Form) -> Self {
        Self { out, form }
    }

    /// What stands before the rows.
    pub(crate) fn begin(self, name: Option<&str>) -> io::Result<()> {
        let Form::Database { encoding, map_bytes } = self.form else { return Ok(()) };
        writeln!(self.out, "VERSION={VERSION}\nformat={}", encoding.name())?;
        if let Some(name) = name {
            self.out.write_all(b"database=")?;
            Encoding::Print.write(self.out, name.as_bytes())?;
            self.out.write_all(b"\n")?;
        }
        self.out.write_all(b"type=btree\n")?;
        if let Some(bytes) = map_bytes {
            writeln!(self.out, "mapsize={bytes}")?;
        }
        self.out.write_all(b"HEADER=END\n")
    }

    /// A row.
    pub(crate) fn row(self, key: &[u8], value: &[u8]) -> io::Result<()> {
        match self.form {
            Form::Tsv => tsv::write_row(self.out, key, value),
            Form::Csv => csv::write_row(self.out, key, value),
            Form::Jsonl => write_json(self.out, key, value),
            Form::Database { encoding, .. } => {
                write_line(self.out, encoding, key)?;
                write_line(self.out, encoding, value)
            }
        }
    }

    /// What stands behind the rows.
    pub(crate) fn end(self) -> io::Result<()> {
        match self.form {
            Form::Database { .. } => self.out.write_all(b"DATA=END\n"),
            _ => Ok(()),
        }
    }
}

fn write_line(out: &mut dyn Write, encoding: Encoding, bytes: &[u8]) -> io::Result<()> {
    out.write_all(b" ")?;
    encoding.write(out, bytes)?;
    out.write_all(b"\n")
}

fn write_json(out: &mut dyn Write, key: &[u8], value: &[u8]) -> io::Result<()> {
    out.write_all(b"{")?;
    write_member(out, "key", key)?;
    out.write_all(b",")?;
    write_member(out, "value", value)?;
    out.write_all(b"}\n")
}

fn write_member(out: &mut dyn Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    match str::from_utf8(bytes) {
        Ok(text) => {
            write!(out, "\"{name}\":")?;
            Ok(serde_json::to_writer(out, text)?)
        }
        Err(_) => write!(out, "\"{name}_b64\":\"{}\"", Base64Display::new(bytes, &STANDARD)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(form: Form, name: Option<&str>) -> String {
        let mut out = Vec::new();
        RowWriter::new(&mut out, form).begin(name).unwrap();
        RowWriter::new(&mut out, form).row(b"a\"\n", b"\xff\\").unwrap();
        RowWriter::new(&mut out, form).end().unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn rows_are_written_in_each_form() {
        assert_eq!(text(Form::Jsonl, None), "{\"key\":\"a\\\"\\n\",\"value_b64\":\"/1w=\"}\n");
        assert_eq!(text(Form::Tsv, None), "a\"\\n\t\u{fffd}\\\\\n");
        assert_eq!(text(Form::Csv, None), "\"a\"\"\n\",\u{fffd}\\\r\n");
        let database = |encoding, map_bytes| Form::Database { encoding, map_bytes };
        assert_eq!(
            text(database(Encoding::Bytevalue, Some(0)).for_store(1), None),
            "VERSION=3\nformat=bytevalue\ntype=btree\nmapsize=67108864\nHEADER=END\n 61220a\n ff5c\nDATA=END\n"
        );
        assert_eq!(
            text(database(Encoding::Print, None).for_store(1 << 40), Some("b\\")),
            "VERSION=3\nformat=print\ndatabase=b\\5c\ntype=btree\nHEADER=END\n a\"\\0a\n \\ff\\5c\nDATA=END\n"
        );
    }
}
