//! TSV and delimited lines into rows: which column is the key, how columns end, which escapes they have.

use super::lines::{LineLimit, Lines};
use super::source::{Next, Row, Source};
use crate::exit::{Failure, Outcome};
use crate::tsv;
use std::borrow::Cow;
use std::io::BufRead;

/// How a line is a row.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// The byte between columns.
    pub(crate) delimiter: u8,
    /// Columns have TSV's escapes.
    pub(crate) escapes: bool,
    /// The key's column, from 1.
    pub(crate) key_column: usize,
}

/// A key and its value.
type Pair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// Lines of columns.
pub(crate) struct Columns<'a> {
    lines: Lines<'a>,
    shape: Shape,
    limit: LineLimit,
}

impl<'a> Columns<'a> {
    pub(crate) fn new(input: Box<dyn BufRead + 'a>, shape: Shape, limit: LineLimit) -> Self {
        Self { lines: Lines::new(input), shape, limit }
    }
}

impl Source for Columns<'_> {
    fn next(&mut self, row: &mut Row) -> Outcome<Next> {
        let Some(line) = self.lines.next(self.limit)? else { return Ok(Next::End) };
        let (key, value) = self.shape.parse(line).map_err(Failure::input)?;
        row.set(&key, &value);
        Ok(Next::Row)
    }

    fn place(&self) -> String {
        format!("line {}", self.lines.number())
    }

    fn bytes(&self) -> u64 {
        self.lines.bytes()
    }
}

impl Shape {
    /// The key and value that `line`, without its end, stands for, or what is wrong with it.
    fn parse<'a>(&self, line: &'a [u8]) -> Result<Pair<'a>, String> {
        let (start, end) = self.key_span(line)?;
        let value = without(line, start, end);
        Ok((self.column(Cow::Borrowed(&line[start..end]))?, self.column(value)?))
    }

    /// Where the key's column begins and ends; a line without a delimiter is no row.
    fn key_span(&self, line: &[u8]) -> Result<(usize, usize), String> {
        let mut start = 0;
        let mut columns = 0;
        for column in line.split(|byte| *byte == self.delimiter) {
            columns += 1;
            let end = start + column.len();
            if columns == self.key_column && (columns > 1 || end < line.len()) {
                return Ok((start, end));
            }
            start = end + 1;
        }
        Err(too_few(columns, self.key_column, self.delimiter))
    }

    fn column<'a>(&self, text: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, String> {
        if self.escapes && text.contains(&b'\\') { Ok(Cow::Owned(tsv::unescape(&text)?)) } else { Ok(text) }
    }
}

/// What is wrong with a row of so many columns.
pub(super) fn too_few(columns: usize, key_column: usize, delimiter: u8) -> String {
    format!(
        "{columns} column{} where at least {} are wanted, apart by \"{}\"",
        if columns == 1 { "" } else { "s" },
        key_column.max(2),
        delimiter.escape_ascii()
    )
}

/// `line` without the column at `start..end` and one delimiter beside it.
fn without(line: &[u8], start: usize, end: usize) -> Cow<'_, [u8]> {
    if start == 0 {
        return Cow::Borrowed(&line[end + 1..]);
    }
    if end == line.len() {
        return Cow::Borrowed(&line[..start - 1]);
    }
    Cow::Owned([&line[..start], &line[end + 1..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(delimiter: u8, key_column: usize, line: &str) -> Result<(String, String), String> {
        let shape = Shape { delimiter, escapes: delimiter == b'\t', key_column };
        let (key, value) = shape.parse(line.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&key), text(&value)))
    }

    fn pair(key: &str, value: &str) -> Result<(String, String), String> {
        Ok((key.into(), value.into()))
    }

    #[test]
    fn the_value_is_the_other_columns() {
        assert_eq!(parse(b';', 1, "a;b;c"), pair("a", "b;c"));
        assert_eq!(parse(b';', 2, "a;b;c"), pair("b", "a;c"));
        assert_eq!(parse(b';', 3, "a;b;c"), pair("c", "a;b"));
        assert_eq!(parse(b';', 1, "a;"), pair("a", ""));
        assert_eq!(parse(b';', 2, ";"), pair("", ""));
    }

    #[test]
    fn only_tsv_has_escapes() {
        assert_eq!(parse(b'\t', 1, "a\\tb\tc\\n"), pair("a\tb", "c\n"));
        assert_eq!(parse(b';', 1, "a\\t;c\\n"), pair("a\\t", "c\\n"));
    }

    #[test]
    fn too_few_columns_are_told() {
        assert!(parse(b'\t', 1, "alone").unwrap_err().contains("1 column where at least 2"));
        assert!(parse(b'\t', 1, "").is_err());
        assert!(parse(b';', 4, "a;b;c").unwrap_err().contains("3 columns where at least 4"));
    }
}
