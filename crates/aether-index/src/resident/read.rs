//! Point reads: without a latch, and begun again if the row has changed meanwhile.

use super::Resident;
use super::cell::Cell;
use crate::rows::{Seen, Stop, ValueReader, older, read_extents, retry};
use crate::skiplist::CLOSED;
use aether_page::UndoPtr;
use aether_txn::ReadView;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_types::{Result, TxnId};

/// What a row's cell says to a view.
pub(super) enum Newest {
    Seen(Seen),
    /// A version that the view does not show: look behind it.
    Older(TxnId, UndoPtr),
}

impl Resident {
    /// Appends the value of `key`, as `view` shows it, to `out`; false if there is none.
    ///
    /// # Errors
    /// `Corruption`, `Io`; `Expired` for a view that is over.
    pub fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        let start = out.len();
        let seen = self.get_row(view, key, out)?;
        if seen == Seen::Stub {
            let stub = out.split_off(start);
            read_extents(self.store(), &stub, out)?;
        }
        Ok(seen.is_there())
    }

    /// A reader of the value of `key`, page by page; `None` if there is none. `view` must outlive the reading.
    ///
    /// # Errors
    /// As [`Resident::get_into`].
    pub fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<ValueReader>> {
        let mut row = Vec::new();
        Ok(match self.get_row(view, key, &mut row)? {
            Seen::Absent | Seen::Missing => None,
            Seen::Stub => Some(ValueReader::of_stub(self.store(), &row)?),
            Seen::Value => Some(ValueReader::of_bytes(row)),
        })
    }

    /// The row as it stands, value or stub, and whether what lies below is to be asked.
    ///
    /// # Errors
    /// As [`Resident::get_into`].
    pub fn get_row(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<Seen> {
        let start = out.len();
        retry(|| {
            out.truncate(start);
            match self.newest(view, key, out)? {
                Newest::Seen(seen) => Ok(seen),
                Newest::Older(writer, undo) => older(self.manager(), view, key, (writer, undo), out),
            }
        })
    }

    /// The value of `key` at the newest durable commit, without a snapshot, if that is possible: a row that is bare,
    /// or whose newest version is settled. `None`: it takes a view to tell.
    ///
    /// # Errors
    /// None now.
    pub fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        Ok(match self.get_newest(key, out)? {
            None | Some(Seen::Stub) => None,
            Some(seen) => Some(seen.is_there()),
        })
    }

    /// The row at the newest durable commit, value or stub, as [`Resident::get_settled`].
    ///
    /// # Errors
    /// None now.
    pub fn get_newest(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<Seen>> {
        let start = out.len();
        retry(|| {
            out.truncate(start);
            self.try_get_newest(key, out)
        })
    }

    fn newest(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<Newest, Stop> {
        let pin = self.0.rows.map.pin();
        let Some(entry) = pin.get(key) else {
            view.check()?;
            return Ok(Newest::Seen(Seen::Missing));
        };
        let payload = entry.payload();
        let newest = newest(Cell::of(&pin, payload), view, out);
        // Whoever is rolled back has changed the row before it is forgotten.
        if is_changed(payload, entry.payload()) {
            return Err(Stop::Restart);
        }
        view.check()?;
        Ok(newest)
    }

    fn try_get_newest(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<Seen>, Stop> {
        let pin = self.0.rows.map.pin();
        let Some(entry) = pin.get(key) else { return Ok(Some(Seen::Missing)) };
        let payload = entry.payload();
        let cell = Cell::of(&pin, payload).filter(|cell| !cell.is_removed());
        let answer = cell.map_or(Some(Seen::Missing), |cell| {
            let seen = Seen::of(cell.flags());
            let is_settled = cell.version().is_none_or(|(writer, _)| self.manager().is_settled(writer));
            if is_settled && seen.is_there() {
                cell.value_into(out);
            }
            is_settled.then_some(seen)
        });
        if is_changed(payload, entry.payload()) { Err(Stop::Restart) } else { Ok(answer) }
    }
}

/// Whether what was read of a payload may not be used.
pub(super) fn is_changed(before: u64, now: u64) -> bool {
    before == CLOSED || before != now
}

/// Reads the newest version; the view is asked before the caller looks whether the row has changed.
pub(super) fn newest(cell: Option<Cell<'_>>, view: &ReadView, out: &mut Vec<u8>) -> Newest {
    let Some(cell) = cell.filter(|cell| !cell.is_removed()) else { return Newest::Seen(Seen::Missing) };
    if let Some((writer, undo)) = cell.version()
        && !view.sees(writer)
    {
        return Newest::Older(writer, undo);
    }
    let flags = cell.flags();
    if !flags.is_ghost() {
        cell.value_into(out);
    }
    Newest::Seen(Seen::of(flags))
}
