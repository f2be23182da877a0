//! Rows on their way from memory to what lies below.
//!
//! What is settled is handed over, with those older versions that a snapshot may still ask for. Once it can be read below, it is taken
//! out here; a row that was changed meanwhile stays. Rows whose newest version is not settled stay as they are. They are logged
//! again if the log they need is to go; so whoever is rolled back after a crash finds its rows in what is redone.

use super::Resident;
use super::cell::Cell;
use super::image::{Known, decode_known, encode_known};
use super::slices::{Due, Extent};
use super::versions::versions;
use super::write_out::carry_over;
use crate::rows::retry;
use aether_page::node::Row;
use aether_txn::Txn;
use aether_txn::recovery::stripe_of;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Lsn, Lv, Psn, Reader, Result, StreamId, Timestamp, limits};
use std::collections::BTreeMap;

/// Rows that are not settled which a flush logs again in any case.
const STAYED_MAX: usize = 1024;
/// Entries looked at under one hold of the map.
const ENTRIES: usize = 256;
/// Bytes of rows gathered under one hold of the map, but for the last row.
const GATHERED_BYTES: u64 = 32 << 10;

/// A version of a row that leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaver {
    /// The key.
    pub key: Vec<u8>,
    /// When it was committed; 0: every snapshot sees it.
    pub at: Timestamp,
    /// The value, or the stub of a large one; none if the row was deleted.
    pub value: Option<Vec<u8>>,
    /// The value is a stub.
    pub is_stub: bool,
}

impl Leaver {
    pub(super) fn new(key: &[u8], at: Timestamp, row: Row<'_>) -> Self {
        let value = (!row.ghost).then(|| row.value.into_owned());
        Self { key: key.to_vec(), at, value, is_stub: row.overflow && !row.ghost }
    }

    /// What it counts for.
    pub fn bytes(&self) -> u64 {
        (self.key.len() + self.value.as_ref().map_or(0, Vec::len)) as u64
    }
}

/// A flush under way.
pub struct Leaving {
    due: Due,
    known: Known,
    /// The next key to look at; none at the end.
    next: Option<Vec<u8>>,
    /// Rows that are not settled are logged again.
    lets_log_go: bool,
    /// Those that were not, with the number of their change.
    stayed: BTreeMap<Vec<u8>, Psn>,
    /// Where taking out stands.
    taken: Option<Vec<u8>>,
}

impl Leaving {
    /// True if the log of all rows from before may go once what was handed over is kept.
    pub fn is_whole(&self) -> bool {
        self.stayed.is_empty()
    }

    /// What stands for the rows that were handed over, to be kept with them and given to
    /// [`Tables::open_over`](super::Tables::open_over).
    pub fn known(&self) -> Vec<u8> {
        let mut known = Vec::new();
        encode_known(&self.known, &mut known);
        known
    }
}

/// Everything, in every stream.
fn everything() -> Lv {
    let mut lv = Lv::ZERO;
    (0..limits::STREAMS_MAX).for_each(|stream| lv.set(StreamId::new(stream as u8), Lsn::new(u64::MAX)));
    lv
}

impl Resident {
    /// Begins to hand rows over; one flush at a time. None if no row has changed since the last one. `lets_log_go`: rows that are not
    /// settled are logged again, so that the log before can go in any case; else only if they are few. Blocks until changes that have
    /// begun are done.
    pub fn begin_flush(&self, lets_log_go: bool) -> Option<Leaving> {
        let rows = &self.0.rows;
        let due = rows.slices.begin(&[], &everything(), 1)?;
        let known = rows.known();
        let stayed = BTreeMap::new();
        Some(Leaving { due, known, next: Some(Vec::new()), lets_log_go, stayed, taken: Some(Vec::new()) })
    }

    /// Hands over about so many bytes more of the rows that were there when it began, by key, of a key the newest version first; how
    /// many there were, or none if that was all before. Blocks as `sink` does.
    ///
    /// # Errors
    /// Those of `sink` and of undo pages, `Expired` if snapshots were held for too long meanwhile; the flush can only be given up then.
    pub fn leave(
        &self,
        leaving: &mut Leaving,
        bytes: u64,
        sink: &mut dyn FnMut(Leaver) -> Result<()>,
    ) -> Result<Option<u64>> {
        // Large values are read by `sink`, and whoever replaces a row meanwhile would free them.
        let held = self.manager().hold_versions();
        self.leave_held(leaving, bytes, sink).map_err(|error| held.check().err().unwrap_or(error))
    }

    fn leave_held(
        &self,
        leaving: &mut Leaving,
        bytes: u64,
        sink: &mut dyn FnMut(Leaver) -> Result<()>,
    ) -> Result<Option<u64>> {
        let mut done = 0;
        let mut any = false;
        while done < bytes {
            let Some(from) = leaving.next.take() else { break };
            any = true;
            let (leavers, unsettled, next) = self.gather(&from, &leaving.known)?;
            done += leavers.iter().map(Leaver::bytes).sum::<u64>() + unsettled.len() as u64;
            for (key, psn) in unsettled {
                match leaving.lets_log_go {
                    true => carry_over(&self.0.rows, self.manager(), &key, psn)?,
                    false => drop(leaving.stayed.insert(key, psn)),
                }
            }
            leavers.into_iter().try_for_each(&mut *sink)?;
            leaving.next = next;
        }
        if leaving.next.is_none() && leaving.stayed.len() <= STAYED_MAX {
            // Few: what they take in the log is less than what a flush is good for that lets none of it go.
            for (key, psn) in core::mem::take(&mut leaving.stayed) {
                carry_over(&self.0.rows, self.manager(), &key, psn)?;
            }
        }
        Ok(any.then_some(done.max(1)))
    }

    /// What was handed over is kept below, and can be read there: the log of it may go. If rows have stayed, nothing of it does.
    pub fn left(&self, leaving: &Leaving) {
        let rows = &self.0.rows;
        if leaving.is_whole() {
            rows.slices.written(&leaving.due, &[Extent { key: Vec::new(), bytes: 0, is_known: true }]);
        } else {
            rows.slices.failed(&leaving.due);
        }
    }

    /// What was handed over is not kept.
    pub fn give_up(&self, leaving: &Leaving) {
        self.0.rows.slices.failed(&leaving.due);
    }

    /// Takes some of the rows out that are kept below, and have not changed since; bytes that it looked at, or none if that was all
    /// before. Stubs of large values that only those rows had are added to `stubs`: for a transaction that commits after this to retire.
    pub fn take_out(&self, leaving: &mut Leaving, stubs: &mut Vec<Vec<u8>>) -> Option<u64> {
        let from = leaving.taken.take()?;
        let (rows, mut bytes) = (&self.0.rows, 1);
        let pin = rows.map.pin();
        let mut cursor = pin.cursor();
        let mut found = cursor.seek(&from);
        for _ in 0..ENTRIES {
            if !found {
                break;
            }
            let key = cursor.key().to_vec();
            let entry = cursor.entry().expect("it stands at a key");
            bytes += key.len() as u64;
            if !leaving.stayed.contains_key(&key) {
                let _stripe = rows.latch(&key);
                let payload = entry.payload();
                let is_known = |cell: &Cell<'_>| cell.psn() <= leaving.known[stripe_of(&key) as usize];
                if let Some(cell) = Cell::of(&pin, payload).filter(is_known) {
                    let row = cell.to_row().filter(|row| row.overflow && !row.ghost);
                    // Where redo may bring the row back, its value must stay.
                    if row.is_none() || leaving.is_whole() {
                        stubs.extend(row.map(|row| row.value.into_owned()));
                        rows.take_out(&pin, entry, payload);
                    }
                }
            }
            found = cursor.next();
        }
        leaving.taken = found.then(|| cursor.key().to_vec());
        drop(pin);
        rows.reclaim();
        Some(bytes)
    }

    /// Takes all rows out, those that nobody has settled too; nobody else uses the table. What their large values take is freed with
    /// `txn`. Returns what is to be kept in place of the rows: as [`Leaving::known`]. Blocks.
    ///
    /// # Errors
    /// Those of [`Txn::retire`]; no row was taken out then.
    pub fn clear_rows(&self, txn: &mut Txn) -> Result<Vec<u8>> {
        let rows = &self.0.rows;
        let mut known = Vec::new();
        encode_known(&rows.known(), &mut known);
        let pin = rows.map.pin();
        let mut cursor = pin.cursor();
        let mut found = cursor.first();
        while found {
            let row =
                Cell::of(&pin, cursor.entry().expect("it stands at a key").payload()).and_then(Cell::to_row);
            if let Some(row) = row.filter(|row| row.overflow && !row.ghost) {
                txn.retire(row.value.into_owned())?;
            }
            found = cursor.next();
        }
        found = cursor.first();
        while found {
            let entry = cursor.entry().expect("it stands at a key");
            let _stripe = rows.latch(cursor.key());
            rows.take_out(&pin, entry, entry.payload());
            found = cursor.next();
        }
        Ok(known)
    }

    /// What [`Resident::clear_rows`] gave is kept: no log is needed any more.
    pub fn cleared(&self) {
        self.0.rows.slices.forget();
    }

    /// Forgets a table that is no more.
    pub fn forget(&self) {
        self.0.tables.forget(self.id());
    }

    /// The settled versions of some rows from `from` on; the rows that are not settled, with the number of their change; and where to
    /// go on.
    #[allow(clippy::type_complexity, reason = "used once")]
    fn gather(
        &self,
        from: &[u8],
        known: &Known,
    ) -> Result<(Vec<Leaver>, Vec<(Vec<u8>, Psn)>, Option<Vec<u8>>)> {
        let (mut leavers, mut unsettled, mut found_bytes) = (Vec::new(), Vec::new(), 0);
        let pin = self.0.rows.map.pin();
        let mut cursor = pin.cursor();
        let mut found = cursor.seek(from);
        for _ in 0..ENTRIES {
            if !found || found_bytes >= GATHERED_BYTES {
                break;
            }
            let key = cursor.key().to_vec();
            let entry = cursor.entry().expect("it stands at a key");
            // What has changed since the flush began could not be taken out after it: the next one's.
            let is_later = |cell: Cell<'_>| cell.psn() > known[stripe_of(&key) as usize];
            if !Cell::in_entry(&pin, &entry).is_some_and(is_later) {
                match retry(|| versions(self.manager(), &pin, &entry, &key))? {
                    Ok(versions) => {
                        found_bytes += versions.iter().map(Leaver::bytes).sum::<u64>();
                        leavers.extend(versions);
                    }
                    Err(psn) => unsettled.push((key, psn)),
                }
            }
            found = cursor.next();
        }
        let next = found.then(|| cursor.key().to_vec());
        Ok((leavers, unsettled, next))
    }
}

/// Reads what [`Leaving::known`] gave.
pub(super) fn known_from(bytes: &[u8]) -> Result<Known> {
    let mut reader = Reader::new(bytes);
    let known = decode_known(&mut reader)?;
    reader.finish()?;
    Ok(known)
}
