//! What `db_dump` and `mdb_dump` print: one database after another, a header and then keys and values by turns.
//!
//! Nothing that a header declares is believed: no size in it makes anything large, and a database ends where
//! `DATA=END` stands, not where the input does.

mod header;

use super::lines::{LineLimit, Lines};
use super::source::{Next, Row, Source};
use crate::db_dump::Encoding;
use crate::exit::{Failure, Outcome};
use aether::types::{PageSize, limits};
use header::Header;
use std::io::BufRead;

const DATA_END: &[u8] = b"DATA=END";

/// A dump.
pub(crate) struct DbDump<'a> {
    lines: Lines<'a>,
    value_limit: LineLimit,
    /// The database that is being read.
    database: Option<Header>,
    databases: u64,
}

impl<'a> DbDump<'a> {
    pub(crate) fn new(input: Box<dyn BufRead + 'a>, value_limit: LineLimit) -> Self {
        Self { lines: Lines::new(input), value_limit, database: None, databases: 0 }
    }

    fn begin_database(&mut self) -> Outcome<Next> {
        let Some(header) = header::read(&mut self.lines)? else {
            return if self.databases > 0 { Ok(Next::End) } else { Err(header::foreign(b"")) };
        };
        let name = header.name.clone();
        self.database = Some(header);
        self.databases += 1;
        Ok(Next::Database(name))
    }

    /// Reads a key and its value; false at the end of the database.
    fn read_row(&mut self, encoding: Encoding, row: &mut Row) -> Outcome<bool> {
        let key = data_line(&mut self.lines, key_limit(encoding), "a key")?;
        let Some(key) = key else { return Ok(false) };
        encoding.decode(key, &mut row.key).map_err(Failure::input)?;
        let value = data_line(&mut self.lines, self.value_limit, "a value")?;
        let value = value.ok_or_else(|| Failure::input("a key without a value before DATA=END"))?;
        encoding.decode(value, &mut row.value).map_err(Failure::input)?;
        Ok(true)
    }
}

impl Source for DbDump<'_> {
    fn next(&mut self, row: &mut Row) -> Outcome<Next> {
        if let Some(header) = &self.database {
            let encoding = header.encoding;
            if self.read_row(encoding, row)? {
                return Ok(Next::Row);
            }
            self.database = None;
        }
        self.begin_database()
    }

    fn place(&self) -> String {
        format!("line {}", self.lines.number())
    }

    fn bytes(&self) -> u64 {
        self.lines.bytes()
    }

    fn may_repeat_keys(&self) -> bool {
        self.database.as_ref().is_some_and(|header| header.may_repeat_keys)
    }
}

/// The longest line of a key that any store could take.
fn key_limit(encoding: Encoding) -> LineLimit {
    let bytes = limits::key_bytes_max(PageSize::MAX) as u64 * encoding.characters_max() + 1;
    LineLimit { bytes, origin: "no key is that long" }
}

/// The text of a line of data, without the blank before it; nothing for `DATA=END`.
fn data_line<'a>(lines: &'a mut Lines<'_>, limit: LineLimit, wanted: &str) -> Outcome<Option<&'a [u8]>> {
    let Some(line) = lines.next(limit)? else {
        return Err(Failure::input(format!(
            "the dump is truncated: it ends where {wanted} or DATA=END is wanted"
        )));
    };
    match line {
        DATA_END => Ok(None),
        [b' ', text @ ..] => Ok(Some(text)),
        line => Err(Failure::input(format!(
            "{wanted} begins with a blank, or DATA=END stands here; there is \"{}\"",
            header::beginning(line)
        ))),
    }
}

#[cfg(test)]
mod tests;
