//! The loader: lines in, durable transactions out.

use super::rows::{self, Line, Row, Shape};
use crate::arguments::OnDuplicate;
use crate::exit::{Failure, Outcome};
use crate::show;
use aether::{DbEnv, Keyspace, Txn};
use std::io::BufRead;

/// A batch of long rows ends at so many bytes, whatever its rows.
const BATCH_BYTES_MAX: u64 = 4 << 20;

/// What is durable so far.
#[derive(Clone, Copy, Default)]
pub(crate) struct Report {
    /// Rows put.
    pub(crate) rows: u64,
    /// Rows left out because their key was there (`--on-duplicate first`).
    pub(crate) skipped: u64,
    /// Transactions.
    pub(crate) transactions: u64,
    /// Bytes of input.
    pub(crate) bytes: u64,
}

/// Loads rows into a keyspace.
pub(crate) struct Loader<'a> {
    env: &'a DbEnv,
    keyspace: &'a Keyspace,
    shape: Shape,
    on_duplicate: OnDuplicate,
    batch_rows: u64,
    durable: Report,
    pending: Report,
    line_number: u64,
}

impl<'a> Loader<'a> {
    /// A loader that commits after every `batch_rows` rows.
    pub(crate) fn new(
        env: &'a DbEnv,
        keyspace: &'a Keyspace,
        shape: Shape,
        on_duplicate: OnDuplicate,
        batch_rows: u64,
    ) -> Self {
        Self {
            env,
            keyspace,
            shape,
            on_duplicate,
            batch_rows,
            durable: Report::default(),
            pending: Report::default(),
            line_number: 0,
        }
    }

    /// Loads all of `input` and calls `committed` after each durable transaction. Blocks.
    pub(crate) fn run(
        mut self,
        mut input: impl BufRead,
        mut committed: impl FnMut(&Report) -> Outcome<()>,
    ) -> Outcome<Report> {
        let mut line = Vec::new();
        while self.batch(&mut input, &mut line).map_err(|failure| self.located(failure))? {
            committed(&self.durable)?;
        }
        Ok(self.durable)
    }

    /// Loads one batch; false at the end of the input.
    fn batch(&mut self, input: &mut dyn BufRead, line: &mut Vec<u8>) -> Outcome<bool> {
        let mut txn = self.env.begin()?;
        self.pending = self.durable;
        while !self.is_batch_full() && self.row(&mut txn, input, line)? {}
        if self.pending.bytes == self.durable.bytes {
            return Ok(false);
        }
        txn.commit()?;
        self.pending.transactions += 1;
        self.durable = self.pending;
        Ok(true)
    }

    fn is_batch_full(&self) -> bool {
        let rows = |report: &Report| report.rows + report.skipped;
        rows(&self.pending) - rows(&self.durable) >= self.batch_rows
            || self.pending.bytes - self.durable.bytes >= BATCH_BYTES_MAX
    }

    /// Loads one row; false at the end of the input.
    fn row(&mut self, txn: &mut Txn, input: &mut dyn BufRead, line: &mut Vec<u8>) -> Outcome<bool> {
        let bytes_max = self.shape.line_bytes_max;
        self.line_number += 1;
        let read = rows::read_line(input, line, bytes_max)
            .map_err(|error| Failure::system("reading the input", &error))?;
        match read {
            Line::End => return Ok(false),
            Line::TooLong => {
                return Err(Failure::input(format!("longer than {bytes_max} bytes (--line-bytes-max)")));
            }
            Line::Whole(bytes) => self.pending.bytes += bytes,
        }
        let row = self.shape.parse(line).map_err(Failure::input)?;
        self.put(txn, &row)?;
        Ok(true)
    }

    fn put(&mut self, txn: &mut Txn, row: &Row<'_>) -> Outcome<()> {
        if self.on_duplicate != OnDuplicate::Last && txn.get(self.keyspace, &row.key)?.is_some() {
            if self.on_duplicate == OnDuplicate::Error {
                return Err(Failure::input(format!("the key \"{}\" is there already", show::cell(&row.key))));
            }
            self.pending.skipped += 1;
            return Ok(());
        }
        txn.put(self.keyspace, &row.key, &row.value)?;
        self.pending.rows += 1;
        Ok(())
    }

    /// The failure with the line where it happened and what stays.
    fn located(&self, failure: Failure) -> Failure {
        let after = format!(
            "; {} rows of {} transactions are committed and stay",
            self.durable.rows, self.durable.transactions
        );
        failure.within(&format!("line {}", self.line_number), &after)
    }
}
