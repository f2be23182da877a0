//! Keys and values as text that a person or a JSON reader can take.

use crate::tsv;
use serde_json::{Value, json};

/// A JSON string if the bytes are UTF-8, else `{"hex": ".."}`.
pub(crate) fn json_bytes(bytes: &[u8]) -> Value {
    match str::from_utf8(bytes) {
        Ok(text) => Value::from(text),
        Err(_) => json!({ "hex": hex(bytes) }),
    }
}

/// A row as a JSON object.
pub(crate) fn json_row(key: &[u8], value: &[u8]) -> Value {
    json!({ "key": json_bytes(key), "value": json_bytes(value) })
}

/// Escaped text for a cell of a table; bytes that are not UTF-8 are replaced.
pub(crate) fn cell(bytes: &[u8]) -> String {
    let mut text = Vec::with_capacity(bytes.len());
    // A write to a Vec cannot fail.
    let _ = tsv::write_escaped(&mut text, bytes);
    String::from_utf8_lossy(&text).into_owned()
}

/// A count with thin groups: 1234567 as 1,234,567.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let mut groups: Vec<&str> = Vec::new();
    if first > 0 {
        groups.push(&digits[..first]);
    }
    groups.extend((first..digits.len()).step_by(3).map(|at| &digits[at..at + 3]));
    groups.join(",")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1234567, "1,234,567")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_hex() {
        assert_eq!(json_bytes(b"\xff\x00").to_string(), r#"{"hex":"ff00"}"#);
        assert_eq!(json_bytes("é".as_bytes()), Value::from("é"));
    }
}
