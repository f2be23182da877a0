//! Records, line numbers and bounds, with input buffers of every small size.

use super::*;
use std::io::BufReader;

const SHAPE: CsvShape = CsvShape { delimiter: b',', key_column: 1, has_header: false };

/// The rows of `text` as `key=value`, then the failure if there is one.
fn rows(shape: CsvShape, buffer_bytes: usize, text: &[u8]) -> Vec<String> {
    let input = BufReader::with_capacity(buffer_bytes, text);
    let mut csv = Csv::new(Box::new(input), shape, LineLimit::of_user(5000));
    let mut row = Row::default();
    let mut rows = Vec::new();
    loop {
        match csv.next(&mut row) {
            Ok(Next::Row) => rows.push(format!(
                "{}={}",
                String::from_utf8_lossy(&row.key),
                String::from_utf8_lossy(&row.value)
            )),
            Ok(_) => return rows,
            Err(failure) => {
                rows.push(format!("{}: {failure:?}", csv.place()));
                return rows;
            }
        }
    }
}

#[test]
fn records_are_rows_whatever_the_buffer() {
    let text = b"a,1\r\n\"b,\"\"x\"\"\",\"line 1\nline 2\"\n\n\r\nc,\n,d";
    for buffer_bytes in 1..60 {
        let wanted = ["a=1", "b,\"x\"=line 1\nline 2", "c=", "=d"];
        assert_eq!(rows(SHAPE, buffer_bytes, text), wanted, "{buffer_bytes}");
    }
}

#[test]
fn other_columns_are_a_record_again() {
    let text = b"a;\"b;b\";c\n";
    let shape = CsvShape { delimiter: b';', ..SHAPE };
    assert_eq!(rows(shape, 64, text), ["a=\"b;b\";c"]);
    assert_eq!(rows(CsvShape { key_column: 2, ..shape }, 64, text), ["b;b=a;c"]);
    assert_eq!(rows(CsvShape { key_column: 2, ..SHAPE }, 64, b"a,\"b,b\"\n"), ["b,b=a"]);
}

#[test]
fn a_header_is_no_row_and_a_mark_no_part_of_the_key() {
    let shape = CsvShape { has_header: true, ..SHAPE };
    assert_eq!(rows(shape, 64, b"\xef\xbb\xbfkey,value\na,1\n"), ["a=1"]);
    assert_eq!(rows(shape, 64, b"key,value"), [""; 0]);
    assert_eq!(rows(SHAPE, 64, b"\xef\xbb\xbfa,1\n"), ["a=1"]);
}

#[test]
fn an_open_or_bare_quote_is_told_with_the_line_of_its_record() {
    for (text, line) in
        [(&b"a,1\n\n\"b,2\nc,3\n"[..], "line 3"), (b"a,\"1", "line 1"), (b"a,1\nb,2\"\nc,3\n", "line 2")]
    {
        for buffer_bytes in 1..20 {
            let rows = rows(SHAPE, buffer_bytes, text);
            let last = rows.last().unwrap();
            assert!(last.starts_with(line) && last.contains("a quote that is not closed"), "{last}");
        }
    }
}

#[test]
fn what_grows_without_end_is_refused() {
    let endless = [&b"a,\""[..], &b"x\n".repeat(3000)].concat();
    assert!(rows(SHAPE, 64, &endless)[0].contains("longer than 5000 bytes"));
    let wide = b",".repeat(COLUMNS_MAX + 1);
    let mut csv = Csv::new(Box::new(&wide[..]), SHAPE, LineLimit::of_user(1 << 20));
    assert!(format!("{:?}", csv.next(&mut Row::default()).err()).contains("more than 65536 columns"));
    assert!(rows(SHAPE, 64, b"alone\n")[0].contains("1 column where at least 2"));
}
