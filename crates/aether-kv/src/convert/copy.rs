//! Copying rows from the old index to the new one, in transactions of bounded size that nobody waits for.
//!
//! Memory: a value that stands apart from its row goes from one index to the other piece by piece, so what is held at once is some rows that lie
//! together, the notes of a round, and of the largest value a few pages or one piece of a value file.

use super::captured::{Note, bytes_of};
use super::{Converter, begin};
use crate::lsm::index::ValueReader;
use crate::lsm::index::txn::{Durability, Txn};
use crate::rows::Rows;
use aether_types::{Error, Result};

/// Rows of one transaction.
const ROWS_MAX: usize = if cfg!(test) { 4 } else { 512 };
/// Bytes of one transaction, but for the last row.
const BYTES_MAX: usize = 256 << 10;

/// Copies after which their log is waited for.
const RESTING_MAX: usize = if cfg!(test) { 3 } else { 1024 };

/// How much of a transaction is used.
#[derive(Default)]
struct Used {
    rows: usize,
    bytes: usize,
}

impl Used {
    fn add(&mut self, key: &[u8], value_bytes: u64) {
        self.rows += 1;
        self.bytes = self.bytes.saturating_add(key.len()).saturating_add(value_bytes as usize);
    }

    fn is_full(&self) -> bool {
        self.rows >= ROWS_MAX || self.bytes >= BYTES_MAX
    }
}

impl Converter<'_> {
    /// A transaction that copies: its snapshot shows the keyspace, and keeps the old index.
    fn begin_copy(&self) -> Result<Txn> {
        let mut txn = begin(self.env).for_bookkeeping();
        self.env.catalog.check_is(txn.view(), self.name, &self.old)?;
        txn.begin_write()?;
        // Nobody has read there, so the keys need not be listed for validation.
        txn.wrote_all(self.new.id);
        Ok(txn)
    }

    fn commit_copy(&mut self, txn: Txn) -> Result<()> {
        self.resting.push(txn.id());
        self.newest = Some(txn.commit_with(Durability::None)?);
        Ok(())
    }

    /// Waits until all copies are durable. Blocks.
    pub(super) fn wait_for_copies(&mut self) -> Result<()> {
        self.newest.take().map_or(Ok(()), |newest| newest.wait())?;
        self.resting.clear();
        Ok(())
    }

    fn rows(&self) -> (&Rows, &Rows) {
        (self.claim.slot.rows(), self.to.rows())
    }

    /// Copies the next rows.
    pub(super) fn copy_part(&mut self) -> Result<()> {
        let (mut txn, mut used) = (self.begin_copy()?, Used::default());
        let (old, new) = self.rows();
        let mut cursor = old.cursor();
        match &self.copied_to {
            Some(key) => cursor.seek(&[&key[..], &[0]].concat()),
            None => cursor.seek_first(),
        }
        let (mut last, mut is_end) = (None, false);
        while !used.is_full() {
            let Some((key, value)) = cursor.next_lazy(txn.view())? else {
                is_end = true;
                break;
            };
            let bytes = match value {
                Some(value) => new.put(&mut txn, key, value).map(|()| value.len() as u64)?,
                None => copy_value(old, new, &mut txn, key)?.ok_or_else(|| missing(key))?,
            };
            used.add(key, bytes);
            last = Some(key.to_vec());
        }
        self.commit_copy(txn)?;
        self.copied_to = last.or(self.copied_to.take());
        self.has_copied = is_end;
        self.done.rows_copied += used.rows as u64;
        if self.resting.len() >= RESTING_MAX {
            self.wait_for_copies()?;
        }
        Ok(())
    }

    /// Copies the rows of the keys noted so far.
    pub(super) fn run_round(&mut self) -> Result<()> {
        let notes: Vec<Note> = self.captured().take().into_iter().collect();
        let (mut left, mut unfinished_bytes) = (&notes[..], 0);
        while !left.is_empty() {
            let mut unfinished = Vec::new();
            let (taken, rest) = left.split_at(self.copy_again(left, &mut unfinished)?);
            unfinished_bytes += unfinished.iter().map(|(key, _)| bytes_of(key)).sum::<usize>();
            self.captured().copied(taken, unfinished);
            left = rest;
        }
        self.done.rounds += 1;
        self.captured().check_room(unfinished_bytes)
    }

    /// Copies rows as a snapshot shows them that was taken after their notes; returns how many notes that did for. Those of changes that the
    /// snapshot does not show are `unfinished`.
    fn copy_again(&mut self, notes: &[Note], unfinished: &mut Vec<Note>) -> Result<usize> {
        let (mut txn, mut used, mut taken) = (self.begin_copy()?, Used::default(), 0);
        while taken < notes.len() && !used.is_full() {
            let (key, writer) = &notes[taken];
            taken += 1;
            if !txn.view().sees(*writer) {
                unfinished.push((key.clone(), *writer));
            } else if self.has_passed(key) {
                used.add(key, self.copy_row(&mut txn, key)?);
            }
        }
        self.done.rows_copied_again += used.rows as u64;
        self.commit_copy(txn)?;
        Ok(taken)
    }

    /// Copies a row, or deletes it; how many bytes its value has.
    fn copy_row(&self, txn: &mut Txn, key: &[u8]) -> Result<u64> {
        let (old, new) = self.rows();
        match copy_value(old, new, txn, key)? {
            Some(bytes) => Ok(bytes),
            None => new.delete(txn, key).map(|_| 0),
        }
    }

    /// False for a key whose row is still to be copied: then its newest committed state will be.
    fn has_passed(&self, key: &[u8]) -> bool {
        self.has_copied || self.copied_to.as_deref().is_some_and(|last| key <= last)
    }
}

/// Copies the value of `key`, piece by piece if it stands apart; how many bytes it has. None: there is none.
fn copy_value(old: &Rows, new: &Rows, txn: &mut Txn, key: &[u8]) -> Result<Option<u64>> {
    let Some(mut value) = old.index().get_stream(txn.view(), key)? else { return Ok(None) };
    let bytes = value.len();
    put_value(new, txn, key, &mut value)?;
    Ok(Some(bytes))
}

fn put_value(new: &Rows, txn: &mut Txn, key: &[u8], value: &mut ValueReader) -> Result<()> {
    if let Some(value) = value.in_memory() {
        return new.put(txn, key, value);
    }
    let put = new.index().put_from(txn, key, value.len(), value);
    // The pages of the value are kept for as long as the snapshot is: what was read later may be anything.
    txn.view().check().map_err(|error| error.at_key(key))?;
    put
}

fn missing(key: &[u8]) -> Error {
    Error::corruption("a row that a scan has met is not found by its key").at_key(key)
}
