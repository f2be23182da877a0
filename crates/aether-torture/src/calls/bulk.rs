//! Calls that change many rows.

use super::{Calls, WRONG_ANSWER};
use crate::model::{Bytes, Range, show};
use crate::oracle::{Verdict, failed};

impl Calls {
    pub(super) fn ingest(&mut self, name: &'static str, rows: &[(Bytes, Bytes)]) -> Verdict<()> {
        let space = self.space(name)?;
        let given = rows.iter().map(|(key, value)| Ok((key.to_vec(), value.to_vec())));
        let count = self.txn.ingest(&space, given).map_err(failed("ingest"))?;
        if count != rows.len() as u64 {
            return Err(format!("{WRONG_ANSWER}: ingest took {count} rows of {}", rows.len()));
        }
        self.touched.extend(rows.iter().map(|(key, _)| (name, key.clone())));
        Ok(())
    }

    pub(super) fn delete_range(&mut self, name: &'static str, range: &Range) -> Verdict<()> {
        let space = self.space(name)?;
        let rows = self.draft.state.rows(name).into_iter().flat_map(|rows| rows.keys());
        let gone: Vec<Bytes> = rows.filter(|key| range.has(key)).cloned().collect();
        let deleted = self.txn.delete_range(&space, range.bounds()).map_err(failed("delete_range"))?;
        if let Some(deleted) = deleted.filter(|deleted| *deleted != gone.len() as u64) {
            return Err(format!("{WRONG_ANSWER}: delete_range deleted {deleted} rows of {}", gone.len()));
        }
        self.touched.extend(gone.into_iter().map(|key| (name, key)));
        Ok(())
    }

    /// What the transaction sees of a keyspace, in order, is what it should.
    pub(super) fn read_all(&mut self, name: &'static str) -> Verdict<()> {
        let space = self.space(name)?;
        let Some(rows) = self.draft.state.rows(name) else { return Ok(()) };
        let mut wanted = rows.iter();
        for row in self.txn.iter(&space).map_err(failed("iter"))? {
            let (key, value) = row.map_err(failed("scan"))?;
            let next = wanted.next();
            if next.is_none_or(|(known, expected)| **known != key[..] || **expected != value[..]) {
                let expected = next.map_or_else(|| "the end".to_owned(), |(key, _)| show(key));
                let what = format!("a transaction sees {} where {expected} should be", show(&key));
                return Err(format!("{WRONG_ANSWER}: after rows in bulk, {what}"));
            }
        }
        match wanted.next() {
            None => Ok(()),
            Some((key, _)) => {
                Err(format!("{WRONG_ANSWER}: after rows in bulk, a transaction does not see {}", show(key)))
            }
        }
    }
}
