//! CSV as RFC 4180 has it: columns may stand in quotes and then hold line ends, delimiters and doubled quotes.
//!
//! `csv_core` splits; this file bounds what it may collect and refuses what it would mend: a record with an odd
//! number of quotes has a quote that is not closed, as at the end of a truncated file, or that stands bare.

use super::columns::too_few;
use super::lines::{LineLimit, unread};
use super::source::{Next, Row, Source};
use crate::csv;
use crate::exit::{Failure, Outcome};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use std::io::BufRead;

/// Columns of a record at the most.
const COLUMNS_MAX: usize = 1 << 16;
const COLUMN_BYTES_FIRST: usize = 4 << 10;
const COLUMNS_FIRST: usize = 16;

/// How a record is a row.
#[derive(Clone, Copy)]
pub(crate) struct CsvShape {
    /// The byte between columns.
    pub(crate) delimiter: u8,
    /// The key's column, from 1.
    pub(crate) key_column: usize,
    /// The first record names the columns and is no row.
    pub(crate) has_header: bool,
}

/// Records of CSV.
pub(crate) struct Csv<'a> {
    input: Box<dyn BufRead + 'a>,
    reader: Reader,
    shape: CsvShape,
    limit: LineLimit,
    record: Record,
    bytes: u64,
    /// Lines that ended before the record.
    lines_before: u64,
    started: bool,
}

/// The columns of a record, one behind another, and where each ends.
struct Record {
    text: Vec<u8>,
    ends: Vec<usize>,
    columns: usize,
    lines: u64,
    quotes: u64,
}

impl<'a> Csv<'a> {
    pub(crate) fn new(input: Box<dyn BufRead + 'a>, shape: CsvShape, limit: LineLimit) -> Self {
        let record = Record {
            text: vec![0; COLUMN_BYTES_FIRST],
            ends: vec![0; COLUMNS_FIRST],
            columns: 0,
            lines: 0,
            quotes: 0,
        };
        let reader = ReaderBuilder::new().delimiter(shape.delimiter).build();
        Self { input, reader, shape, limit, record, bytes: 0, lines_before: 0, started: false }
    }

    /// Skips the line ends before a record; false at the end of the input.
    fn skip_line_ends(&mut self) -> Outcome<bool> {
        loop {
            let chunk = self.input.fill_buf().map_err(|error| unread(&error))?;
            let Some(first) = chunk.first() else { return Ok(false) };
            if !matches!(first, b'\r' | b'\n') {
                return Ok(true);
            }
            self.lines_before += u64::from(*first == b'\n');
            self.input.consume(1);
            self.bytes += 1;
        }
    }

    /// Reads a record; false at the end of the input.
    fn read_record(&mut self) -> Outcome<bool> {
        self.lines_before += std::mem::take(&mut self.record.lines);
        (self.record.columns, self.record.quotes) = (0, 0);
        if !self.skip_line_ends()? {
            return Ok(false);
        }
        let begin = self.bytes;
        let mut text_bytes = 0;
        loop {
            let result = self.read_part(&mut text_bytes)?;
            if self.bytes - begin > self.limit.bytes {
                return Err(self.limit.exceeded());
            }
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.record.text.resize(self.record.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.record.grow_ends()?,
                ReadRecordResult::Record => return self.record.judge_quotes().map(|()| true),
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    /// Reads what is in the input's buffer, but no more than the limit allows to hold.
    fn read_part(&mut self, text_bytes: &mut usize) -> Outcome<ReadRecordResult> {
        let chunk = self.input.fill_buf().map_err(|error| unread(&error))?;
        let record = &mut self.record;
        let (text, ends) = (&mut record.text[*text_bytes..], &mut record.ends[record.columns..]);
        let (result, read, written, columns) = self.reader.read_record(chunk, text, ends);
        let count = |wanted: u8| chunk[..read].iter().filter(|byte| **byte == wanted).count() as u64;
        record.quotes += count(b'"');
        record.lines += count(b'\n');
        record.columns += columns;
        *text_bytes += written;
        self.bytes += read as u64;
        self.input.consume(read);
        Ok(result)
    }
}

impl Record {
    fn grow_ends(&mut self) -> Outcome<()> {
        if self.ends.len() >= COLUMNS_MAX {
            return Err(Failure::input(format!("more than {COLUMNS_MAX} columns")));
        }
        self.ends.resize(self.ends.len() * 2, 0);
        Ok(())
    }

    fn judge_quotes(&self) -> Outcome<()> {
        if self.quotes.is_multiple_of(2) {
            return Ok(());
        }
        Err(Failure::input("a quote that is not closed, or stands in a column without quotes (write \"\")"))
    }

    fn column(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// The row: one other column as it is, several as a record of CSV.
    fn to_row(&self, shape: CsvShape, row: &mut Row) -> Result<(), String> {
        if self.columns < shape.key_column.max(2) {
            return Err(too_few(self.columns, shape.key_column, shape.delimiter));
        }
        let key = shape.key_column - 1;
        row.set(self.column(key), b"");
        if self.columns == 2 {
            row.value.extend_from_slice(self.column(1 - key));
            return Ok(());
        }
        for (place, index) in (0..self.columns).filter(|index| *index != key).enumerate() {
            if place > 0 {
                row.value.push(shape.delimiter);
            }
            // A write to a Vec cannot fail.
            let _ = csv::write_column(&mut row.value, self.column(index), shape.delimiter);
        }
        Ok(())
    }
}

impl Source for Csv<'_> {
    fn next(&mut self, row: &mut Row) -> Outcome<Next> {
        let skips = self.shape.has_header && !std::mem::replace(&mut self.started, true);
        if skips && !self.read_record()? || !self.read_record()? {
            return Ok(Next::End);
        }
        self.record.to_row(self.shape, row).map_err(Failure::input)?;
        Ok(Next::Row)
    }

    fn place(&self) -> String {
        format!("line {}", self.lines_before + 1)
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
mod tests;
