//! The format of an input that was not named: by the name of the file, else by how the input begins.

use crate::arguments::InputFormat;
use std::path::Path;

/// The format that the name of a file tells.
pub(super) fn by_name(path: &Path) -> Option<InputFormat> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "tsv" | "tab" => Some(InputFormat::Tsv),
        "csv" => Some(InputFormat::Csv),
        "jsonl" | "ndjson" => Some(InputFormat::Jsonl),
        "dbdump" | "mdbdump" => Some(InputFormat::Dbdump),
        _ => None,
    }
}

/// The format that the beginning of an input tells; tsv where nothing speaks for another.
pub(super) fn by_beginning(bytes: &[u8]) -> InputFormat {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.starts_with(b"VERSION=") && !line.contains(&b'\t') {
        return InputFormat::Dbdump;
    }
    if line.trim_ascii_start().starts_with(b"{\"") && !line.contains(&b'\t') {
        return InputFormat::Jsonl;
    }
    let is_csv = line.contains(&b',') && !line.contains(&b'\t');
    if is_csv { InputFormat::Csv } else { InputFormat::Tsv }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_beginnings_tell_the_format() {
        assert_eq!(by_name(Path::new("a.b/x.CSV")), Some(InputFormat::Csv));
        assert_eq!(by_name(Path::new("x.ndjson")), Some(InputFormat::Jsonl));
        assert_eq!(by_name(Path::new("x.txt")), None);
        assert_eq!(by_name(Path::new("-")), None);
        for (text, format) in [
            ("VERSION=3\nformat=print\n", InputFormat::Dbdump),
            ("{\"key\":\"a,b\",", InputFormat::Jsonl),
            ("a,b\tc", InputFormat::Tsv),
            ("VERSION=3\tx", InputFormat::Tsv),
            ("a,b\nc\td", InputFormat::Csv),
            ("", InputFormat::Tsv),
        ] {
            assert_eq!(by_beginning(text.as_bytes()), format, "{text}");
        }
    }
}
