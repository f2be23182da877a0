//! How a column of CSV is written: in quotes where RFC 4180 wants them.

use std::io::{self, Write};

/// The first byte of a mark that some readers take off the beginning of a file.
const MARK_START: u8 = 0xef;

/// Writes a column, in quotes if it holds the delimiter, a quote or a line end.
pub(crate) fn write_column(out: &mut (impl Write + ?Sized), column: &[u8], delimiter: u8) -> io::Result<()> {
    if !wants_quotes(column, delimiter) {
        return out.write_all(column);
    }
    out.write_all(b"\"")?;
    for (index, part) in column.split(|byte| *byte == b'"').enumerate() {
        if index > 0 {
            out.write_all(b"\"\"")?;
        }
        out.write_all(part)?;
    }
    out.write_all(b"\"")
}

/// Writes a row of two columns with its line end.
pub(crate) fn write_row(out: &mut (impl Write + ?Sized), key: &[u8], value: &[u8]) -> io::Result<()> {
    write_column(out, key, b',')?;
    out.write_all(b",")?;
    write_column(out, value, b',')?;
    out.write_all(b"\r\n")
}

fn wants_quotes(column: &[u8], delimiter: u8) -> bool {
    column.first() == Some(&MARK_START)
        || column.iter().any(|byte| [b'"', b'\r', b'\n', delimiter].contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_stand_where_they_are_wanted() {
        let mut out = Vec::new();
        for (key, value) in [("a", "b c"), ("a,b", "say \"x\""), ("", "1\n2"), ("\u{feff}k", "\r")] {
            write_row(&mut out, key.as_bytes(), value.as_bytes()).unwrap();
        }
        let wanted = "a,b c\r\n\"a,b\",\"say \"\"x\"\"\"\r\n,\"1\n2\"\r\n\"\u{feff}k\",\"\r\"\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }
}
