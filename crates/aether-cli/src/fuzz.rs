//! A door for fuzz targets, which no program needs: what `load` does with bytes from outside.
//!
//! | bytes of the input | meaning |
//! |---|---|
//! | 1 | bits 0 to 2: the format; bits 3 and 4: the key's column less one; bit 5: CSV has a header; bits 6 and 7: the longest line |
//! | 1 | the byte between columns |
//! | the rest | the text |

use crate::db_dump::Encoding;
use crate::dump::{Form, RowWriter};
use crate::load::{Columns, Csv, CsvShape, DbDump, Json, LineLimit, Next, Row, Shape, Source};

/// The longest lines.
const LINE_BYTES_MAX: [u64; 4] = [1 << 20, 1 << 12, 100, 10];
/// Rows that are written and read once more.
const AGAIN_MAX: usize = 64;
const FORMATS: u8 = 5;

/// Reads the input as text of each format; a row that is read is the same when it is dumped and loaded.
pub fn dump(data: &[u8]) {
    let [flags, delimiter, text @ ..] = data else { return };
    let limit = LineLimit::of_user(LINE_BYTES_MAX[usize::from(flags >> 6)]);
    let mut source = source(*flags, *delimiter, text, limit);
    let (mut row, mut rows, mut bytes) = (Row::default(), 0, 0);
    loop {
        match source.next(&mut row) {
            Ok(Next::End) | Err(_) => break,
            Ok(Next::Database(name)) => {
                assert!(name.is_none_or(|name| name.len() <= text.len()));
                bytes += 1;
            }
            Ok(Next::Row) => {
                bytes += row.key.len() + row.value.len() + 1;
                rows += 1;
                if rows <= AGAIN_MAX {
                    FORMS.into_iter().for_each(|form| again(form, &row));
                }
            }
        }
        // A column of CSV that is written anew may have each quote twice, and quotes around it.
        assert!(bytes <= 4 * text.len() + 4, "{bytes} bytes of rows from {} of text", text.len());
        assert!(source.bytes() <= text.len() as u64 && !source.place().is_empty());
    }
}

const FORMS: [Form; 5] = [
    Form::Tsv,
    Form::Csv,
    Form::Jsonl,
    Form::Database { encoding: Encoding::Bytevalue, map_bytes: None },
    Form::Database { encoding: Encoding::Print, map_bytes: Some(1) },
];

fn source<'a>(flags: u8, delimiter: u8, text: &'a [u8], limit: LineLimit) -> Box<dyn Source + 'a> {
    let (key_column, has_header) = (usize::from(flags >> 3 & 3) + 1, flags & 32 != 0);
    match flags % 8 % FORMATS {
        0 => Box::new(Columns::new(
            Box::new(text),
            Shape { delimiter: b'\t', escapes: true, key_column },
            limit,
        )),
        1 => Box::new(Columns::new(Box::new(text), Shape { delimiter, escapes: false, key_column }, limit)),
        2 => Box::new(Csv::new(Box::new(text), CsvShape { delimiter, key_column, has_header }, limit)),
        3 => Box::new(Json::new(Box::new(text), limit)),
        _ => Box::new(DbDump::new(Box::new(text), limit)),
    }
}

/// The reader of what a form writes.
fn reader(form: Form, text: &[u8]) -> Box<dyn Source + '_> {
    let limit = LineLimit::of_user(u64::MAX);
    match form {
        Form::Tsv => source(0, b'\t', text, limit),
        Form::Csv => source(2, b',', text, limit),
        Form::Jsonl => source(3, 0, text, limit),
        Form::Database { .. } => source(4, 0, text, limit),
    }
}

/// Dumps a row and loads it.
fn again(form: Form, row: &Row) {
    let mut text = Vec::new();
    let written = RowWriter::new(&mut text, form)
        .begin(Some("name"))
        .and_then(|()| RowWriter::new(&mut text, form).row(&row.key, &row.value))
        .and_then(|()| RowWriter::new(&mut text, form).end());
    assert!(written.is_ok(), "memory takes every row");
    let (mut source, mut back) = (reader(form, &text), Row::default());
    let mut next = source.next(&mut back);
    if matches!(next, Ok(Next::Database(_))) {
        next = source.next(&mut back);
    }
    let whole = matches!(next, Ok(Next::Row)) && back.key == row.key && back.value == row.value;
    // A line of CSV that is empty but for its delimiter is a row; an empty line is none.
    assert!(whole, "not read as written: {}", text.escape_ascii());
    assert!(matches!(source.next(&mut back), Ok(Next::End)), "more rows than were written");
}
