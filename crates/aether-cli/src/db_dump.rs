//! The encodings of the text dump format of Berkeley DB and LMDB, both ways.
//!
//! `bytevalue` is two hexadecimal digits a byte. `print` is printing characters as they are, a backslash twice,
//! any other byte as a backslash and two digits.

use clap::ValueEnum;
use std::io::{self, Write};

/// The only version of the format that is known.
pub(crate) const VERSION: u32 = 3;

/// How bytes are text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Encoding {
    Bytevalue,
    Print,
}

impl Encoding {
    /// The name in the header.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bytevalue => "bytevalue",
            Self::Print => "print",
        }
    }

    /// Characters of one byte at the most.
    pub(crate) fn characters_max(self) -> u64 {
        match self {
            Self::Bytevalue => 2,
            Self::Print => 3,
        }
    }

    /// Writes the bytes as text.
    pub(crate) fn write(self, out: &mut (impl Write + ?Sized), bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Bytevalue => bytes.iter().try_for_each(|byte| out.write_all(&digits(*byte))),
            Self::Print => bytes.iter().try_for_each(|byte| write_printed(out, *byte)),
        }
    }

    /// Replaces `bytes` by those that the text stands for, or tells what is wrong with it.
    pub(crate) fn decode(self, text: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
        bytes.clear();
        match self {
            Self::Bytevalue => decode_digits(text, bytes),
            Self::Print => decode_printed(text, bytes),
        }
    }
}

fn digits(byte: u8) -> [u8; 2] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]
}

/// A backslash is written by its digits, which every reader of the format takes.
fn write_printed(out: &mut (impl Write + ?Sized), byte: u8) -> io::Result<()> {
    match byte {
        b'\\' | 0..=0x1f | 0x7f.. => {
            let [high, low] = digits(byte);
            out.write_all(&[b'\\', high, low])
        }
        _ => out.write_all(&[byte]),
    }
}

fn decode_digits(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    if let Some(at) = text.iter().position(|digit| !digit.is_ascii_hexdigit()) {
        let what = text[at].escape_ascii();
        return Err(format!("column {}: \"{what}\" is no hexadecimal digit", at + 2));
    }
    if !text.len().is_multiple_of(2) {
        return Err(format!("{} hexadecimal digits, which is odd", text.len()));
    }
    bytes.extend(text.chunks_exact(2).filter_map(pair));
    Ok(())
}

fn pair(digits: &[u8]) -> Option<u8> {
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    match digits {
        [high, low] => u8::try_from(value(high)? << 4 | value(low)?).ok(),
        _ => None,
    }
}

fn decode_printed(text: &[u8], bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let (byte, length) = match byte {
            b'\\' => escaped(&text[at + 1..]).ok_or_else(|| no_escape(text, at))?,
            0..=0x1f | 0x7f => return Err(bare(*byte, at)),
            byte => (*byte, 1),
        };
        bytes.push(byte);
        at += length;
    }
    Ok(())
}

/// The byte behind a backslash, and how many characters it takes with the backslash.
fn escaped(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [b'\\', ..] => Some((b'\\', 2)),
        _ => Some((pair(rest.get(..2)?)?, 3)),
    }
}

fn no_escape(text: &[u8], at: usize) -> String {
    let what = text[at..text.len().min(at + 3)].escape_ascii();
    format!(
        "column {}: \"{what}\" is neither \\\\ nor a backslash and two hexadecimal digits \
         (some versions of mdb_dump -p write a backslash bare: use mdb_dump without -p)",
        at + 2
    )
}

fn bare(byte: u8, at: usize) -> String {
    format!("column {}: the byte {} must be written \\{byte:02x}", at + 2, byte.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(encoding: Encoding, text: &str) -> Result<Vec<u8>, String> {
        let mut bytes = b"old".to_vec();
        encoding.decode(text.as_bytes(), &mut bytes).map(|()| bytes)
    }

    #[test]
    fn all_bytes_survive() {
        let bytes: Vec<u8> = (0..=255).chain(*b"\\5c\\\\").collect();
        for encoding in [Encoding::Bytevalue, Encoding::Print] {
            let mut text = Vec::new();
            encoding.write(&mut text, &bytes).unwrap();
            assert!(text.iter().all(|byte| (b' '..=b'~').contains(byte)));
            assert_eq!(decoded(encoding, str::from_utf8(&text).unwrap()), Ok(bytes.clone()));
        }
    }

    #[test]
    fn both_ways_to_write_a_backslash_are_read() {
        assert_eq!(decoded(Encoding::Print, "a\\\\b\\5cc\\5C"), Ok(b"a\\b\\c\\".to_vec()));
    }

    #[test]
    fn bad_text_is_told_with_its_column() {
        let bytevalue = |text| decoded(Encoding::Bytevalue, text).unwrap_err();
        assert!(bytevalue("616").contains("3 hexadecimal digits, which is odd"));
        assert!(bytevalue("61zz").contains("column 4: \"z\""));
        assert!(bytevalue("6\0").contains("column 3: \"\\x00\""));
        let print = |text| decoded(Encoding::Print, text).unwrap_err();
        assert!(print("a\\").contains("column 3: \"\\\\\" is neither"));
        assert!(print("\\6").contains("column 2:"));
        assert!(print("\\x41").contains("column 2:"));
        assert!(print("a\0").contains("column 3: the byte \\x00 must be written \\00"));
    }
}
