//! Lines into rows: which column is the key, how columns end, which escapes they have.

use crate::tsv;
use std::borrow::Cow;
use std::io::{self, BufRead, Read};

/// How a line is a row.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// The byte between columns.
    pub(crate) delimiter: u8,
    /// Columns have TSV's escapes.
    pub(crate) escapes: bool,
    /// The key's column, from 1.
    pub(crate) key_column: usize,
    /// The longest line taken.
    pub(crate) line_bytes_max: u64,
}

/// Key and value of a line.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Row<'a> {
    pub(super) key: Cow<'a, [u8]>,
    pub(super) value: Cow<'a, [u8]>,
}

impl Shape {
    /// The row that `line`, without its end, stands for, or what is wrong with it.
    pub(super) fn parse<'a>(&self, line: &'a [u8]) -> Result<Row<'a>, String> {
        let (start, end) = self.key_span(line)?;
        let value = without(line, start, end);
        Ok(Row { key: self.column(Cow::Borrowed(&line[start..end]))?, value: self.column(value)? })
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
        let wanted = self.key_column.max(2);
        Err(format!(
            "{columns} column{} where at least {wanted} are wanted, apart by \"{}\"",
            if columns == 1 { "" } else { "s" },
            self.delimiter.escape_ascii()
        ))
    }

    fn column<'a>(&self, text: Cow<'a, [u8]>) -> Result<Cow<'a, [u8]>, String> {
        if self.escapes && text.contains(&b'\\') { Ok(Cow::Owned(tsv::unescape(&text)?)) } else { Ok(text) }
    }
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

/// What reading a line gave.
pub(super) enum Line {
    /// A line, of so many bytes with its end.
    Whole(u64),
    /// A line longer than the limit.
    TooLong,
    /// The end of the input.
    End,
}

/// Reads a line into `line`, without its LF or CR LF.
pub(super) fn read_line(input: &mut dyn BufRead, line: &mut Vec<u8>, bytes_max: u64) -> io::Result<Line> {
    line.clear();
    let read = input.take(bytes_max.saturating_add(2)).read_until(b'\n', line)? as u64;
    if read == 0 {
        return Ok(Line::End);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    Ok(if line.len() as u64 > bytes_max { Line::TooLong } else { Line::Whole(read) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(delimiter: u8, key_column: usize) -> Shape {
        Shape { delimiter, escapes: delimiter == b'\t', key_column, line_bytes_max: 100 }
    }

    fn parse(delimiter: u8, key_column: usize, line: &str) -> Result<(String, String), String> {
        let row = shape(delimiter, key_column).parse(line.as_bytes())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&row.key), text(&row.value)))
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

    #[test]
    fn lines_end_with_or_without_a_carriage_return() {
        let mut input = io::Cursor::new(b"a\r\nb\n\nc".to_vec());
        let mut lines = Vec::new();
        let mut line = Vec::new();
        while let Line::Whole(_) = read_line(&mut input, &mut line, 10).unwrap() {
            lines.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(lines, ["a", "b", "", "c"]);
    }

    #[test]
    fn a_line_over_the_limit_is_not_taken() {
        let mut line = Vec::new();
        for (text, fits) in [("12345\n", true), ("12345\r\n", true), ("12345", true), ("123456\n", false)] {
            let mut input = io::Cursor::new(text.as_bytes().to_vec());
            let read = read_line(&mut input, &mut line, 5).unwrap();
            assert_eq!(matches!(read, Line::Whole(_)), fits, "{text:?}");
        }
    }
}
