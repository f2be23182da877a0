//! JSON lines: an object a line, `key` and `value` as text, or `key_b64` and `value_b64` as bytes in base64.

use super::lines::{LineLimit, Lines};
use super::source::{Next, Row, Source};
use crate::exit::{Failure, Outcome};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::borrow::Cow;
use std::io::BufRead;

/// Lines of JSON.
pub(crate) struct Json<'a> {
    lines: Lines<'a>,
    limit: LineLimit,
}

/// A line. A member that is unknown or there twice is an error.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<'a> {
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key_b64: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value_b64: Option<Cow<'a, str>>,
}

impl<'a> Json<'a> {
    pub(crate) fn new(input: Box<dyn BufRead + 'a>, limit: LineLimit) -> Self {
        Self { lines: Lines::new(input), limit }
    }
}

impl Source for Json<'_> {
    fn next(&mut self, row: &mut Row) -> Outcome<Next> {
        while let Some(line) = self.lines.next(self.limit)? {
            if !line.trim_ascii().is_empty() {
                parse(line, row).map_err(Failure::input)?;
                return Ok(Next::Row);
            }
        }
        Ok(Next::End)
    }

    fn place(&self) -> String {
        format!("line {}", self.lines.number())
    }

    fn bytes(&self) -> u64 {
        self.lines.bytes()
    }
}

fn parse(line: &[u8], row: &mut Row) -> Result<(), String> {
    let object: Object<'_> = serde_json::from_slice(line).map_err(|error| told(&error))?;
    fill(&mut row.key, "key", object.key, object.key_b64)?;
    fill(&mut row.value, "value", object.value, object.value_b64)
}

/// The text of an error, with the column alone: the line is told by the caller.
fn told(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    format!("column {}: {what}", error.column())
}

fn fill(
    bytes: &mut Vec<u8>,
    name: &str,
    text: Option<Cow<'_, str>>,
    base64: Option<Cow<'_, str>>,
) -> Result<(), String> {
    bytes.clear();
    match (text, base64) {
        (Some(text), None) => bytes.extend_from_slice(text.as_bytes()),
        (None, Some(text)) => {
            STANDARD.decode_vec(text.as_bytes(), bytes).map_err(|error| format!("{name}_b64: {error}"))?;
        }
        (None, None) => return Err(format!("neither {name} nor {name}_b64")),
        (Some(_), Some(_)) => return Err(format!("both {name} and {name}_b64")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(line: &str) -> Result<(Vec<u8>, Vec<u8>), String> {
        let mut row = Row::default();
        parse(line.as_bytes(), &mut row)?;
        Ok((row.key, row.value))
    }

    #[test]
    fn text_and_bytes_are_rows() {
        assert_eq!(row(r#"{"key":"a\n\u00e9","value":""}"#), Ok(("a\né".into(), vec![])));
        assert_eq!(row(r#" {"value_b64":"/wA=","key_b64":""} "#), Ok((vec![], vec![0xff, 0])));
    }

    #[test]
    fn what_is_no_row_is_told() {
        for (line, part) in [
            ("{", "column 1: EOF"),
            (r#"{"key":"a"}"#, "neither value nor value_b64"),
            (r#"{"key":"a","value":5}"#, "column 20: invalid type"),
            (r#"{"key":"a","value":{"hex":"00"}}"#, "invalid type: map"),
            (r#"{"key":"a","key":"b","value":""}"#, "duplicate field `key`"),
            (r#"{"key":"a","key_b64":"","value":""}"#, "both key and key_b64"),
            (r#"{"key":"a","value":"","ttl":1}"#, "unknown field `ttl`"),
            (r#"{"key_b64":"/w","value":""}"#, "key_b64: "),
            (r#"{"key":"a","value":""} x"#, "trailing"),
            (r#"{"key":"a","value":"\ud800"}"#, "column"),
        ] {
            let told = row(line).unwrap_err();
            assert!(told.contains(part) && !told.contains("at line"), "{line}: {told}");
        }
    }

    #[test]
    fn blank_lines_are_no_rows_but_count() {
        let mut json = Json::new(Box::new(&b"\n  \n{}\n"[..]), LineLimit::of_user(100));
        assert!(json.next(&mut Row::default()).is_err());
        assert_eq!(json.place(), "line 3");
    }
}
