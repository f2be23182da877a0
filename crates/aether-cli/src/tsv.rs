//! The escapes of TSV: a tab, newline, carriage return or backslash inside a column is \t, \n, \r, \\.

use std::io::{self, Write};

/// Writes `bytes` escaped.
pub(crate) fn write_escaped(out: &mut (impl Write + ?Sized), bytes: &[u8]) -> io::Result<()> {
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| letter(*byte).is_some()) {
        out.write_all(&rest[..at])?;
        out.write_all(&[b'\\', letter(rest[at]).unwrap_or(b'\\')])?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}

/// Writes a row: key, tab, value, newline.
pub(crate) fn write_row(out: &mut (impl Write + ?Sized), key: &[u8], value: &[u8]) -> io::Result<()> {
    write_escaped(out, key)?;
    out.write_all(b"\t")?;
    write_escaped(out, value)?;
    out.write_all(b"\n")
}

/// The bytes that `text` stands for, or what is wrong with it.
pub(crate) fn unescape(text: &[u8]) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        bytes.extend_from_slice(&rest[..at]);
        bytes.push(escaped(rest.get(at + 1).copied())?);
        rest = &rest[at + 2..];
    }
    bytes.extend_from_slice(rest);
    Ok(bytes)
}

fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\\' => Some(b'\\'),
        _ => None,
    }
}

fn escaped(letter: Option<u8>) -> Result<u8, String> {
    match letter {
        Some(b't') => Ok(b'\t'),
        Some(b'n') => Ok(b'\n'),
        Some(b'r') => Ok(b'\r'),
        Some(b'\\') => Ok(b'\\'),
        Some(other) => Err(format!("unknown escape \\{} (known: \\t \\n \\r \\\\)", other.escape_ascii())),
        None => Err("a backslash at the end of a column (write \\\\)".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_bytes_survive() {
        let bytes: Vec<u8> = (0..=255).chain([b'\\', b'\\', b'\t']).collect();
        let mut text = Vec::new();
        write_escaped(&mut text, &bytes).unwrap();
        assert!(!text.iter().any(|byte| matches!(byte, b'\t' | b'\n' | b'\r')));
        assert_eq!(unescape(&text).unwrap(), bytes);
    }

    #[test]
    fn wrong_escapes_are_named() {
        assert!(unescape(b"a\\x").unwrap_err().contains("\\x"));
        assert!(unescape(b"a\\").unwrap_err().contains("at the end"));
    }
}
