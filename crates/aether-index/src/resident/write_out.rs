//! Writing slices out, so that the log below can go.
//!
//! Only what is settled goes out: rows that are bare, and versions whose commit no crash can undo. Of a row whose newest version
//! is not settled its newest settled one goes out, and the row itself is logged again, by a group that is part of no
//! transaction; so whoever is rolled back after a crash finds its rows in what is redone.

use super::cell::Cell;
use super::image::{ImageRow, Known, SliceImage};
use super::memory::Need;
use super::rows::{Rows, Wanted};
use super::slices::{Due, Extent};
use crate::btree::BTree;
use crate::rows::{Stop, long_row_before, retry, row_mtr_bytes, with_record};
use crate::skiplist::{Entry, Guard};
use crate::trace;
use aether_page::UndoPtr;
use aether_page::node::Row;
use aether_sync::Arc;
use aether_trace::planted;
use aether_txn::recovery::Store;
use aether_txn::recovery::stripe_of;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::{ChainWalk, Durability, Isolation, Outcome, Txn, TxnManager, TxnOptions, UndoKind};
use aether_types::{Psn, Result, TxnId};
use std::borrow::Cow;
use std::time::Duration;

/// Bytes of a slice besides its rows, about.
const HEAD_BYTES: usize = 256;
/// Bytes of a row besides its key and value at the most.
const ROW_BYTES: usize = 7;

/// Writes slices of a table out.
pub(super) struct WriteOut<'t> {
    pub(super) rows: &'t Rows,
    pub(super) manager: &'t Arc<TxnManager>,
    pub(super) image: BTree,
    /// Bytes of a slice, about.
    pub(super) slice_bytes: usize,
}

/// Rows gathered for a slice.
#[derive(Default)]
struct Gathered {
    rows: Vec<ImageRow>,
    bytes: usize,
    /// Rows whose newest version is not settled, with the number of their change.
    unsettled: Vec<(Vec<u8>, Psn)>,
    /// The first key that there was no room for.
    next: Option<Vec<u8>>,
}

impl WriteOut<'_> {
    /// Writes slices out in a transaction of its own, which need not be durable on return: a checkpoint waits for that. Returns the
    /// slices as they stand in the image now. Blocks.
    ///
    /// # Errors
    /// Of pages and the log; then nothing was written out.
    pub(super) fn write(&self, due: &Due) -> Result<Vec<Extent>> {
        let known = self.rows.known();
        // Who made the table and is not over may be this thread: nobody is waited for.
        let lock_timeout = Some(Duration::ZERO);
        let options = TxnOptions { lock_timeout, ..Isolation::ReadCommitted.into() };
        let mut txn = self.manager.begin_with(options).for_bookkeeping();
        let extents = self.write_slices(&mut txn, due, known)?;
        // What comes later in a slice than a crash lets it come is still in the log.
        drop(txn.commit_with(Durability::None)?);
        Ok(extents)
    }

    fn write_slices(&self, txn: &mut Txn, due: &Due, known: Known) -> Result<Vec<Extent>> {
        let mut extents = Vec::new();
        let mut from = Some(due.keys[0].clone());
        while let Some(key) = from.take() {
            let Gathered { rows, unsettled, next, .. } = self.gather(&key, due.upper.as_deref())?;
            unsettled.iter().try_for_each(|(key, psn)| carry_over(self.rows, self.manager, key, *psn))?;
            if !unsettled.is_empty() {
                // It may stand in another stream than the slice, which takes the place of what was logged before.
                wait_for_all_streams(self.manager.store())?;
            }
            let known = if planted("known-after-gathering") { self.rows.known() } else { known };
            extents.push(self.put(txn, key, &SliceImage { known, is_written: true, rows })?);
            match next {
                // The log has all rows of the rest.
                Some(rest) if !due.is_known => {
                    let known = self.rows.base();
                    let nothing = SliceImage { known, is_written: false, rows: Vec::new() };
                    extents.push(self.put(txn, rest, &nothing)?);
                }
                next => from = next,
            }
        }
        for key in due.keys.iter().filter(|key| extents.iter().all(|extent| extent.key != **key)) {
            self.image.delete(txn, key)?;
        }
        Ok(extents)
    }

    fn put(&self, txn: &mut Txn, key: Vec<u8>, slice: &SliceImage) -> Result<Extent> {
        let value = slice.encode();
        self.image.put(txn, &key, &value)?;
        Ok(Extent { key, bytes: value.len(), is_known: slice.is_written })
    }

    /// The settled rows from `from` on and below `upper`, as many as a slice has.
    fn gather(&self, from: &[u8], upper: Option<&[u8]>) -> Result<Gathered> {
        let mut gathered = Gathered { bytes: HEAD_BYTES, ..Gathered::default() };
        let pin = self.rows.map.pin();
        let mut cursor = pin.cursor();
        let mut found = cursor.seek(from);
        while found {
            let key = cursor.key();
            if upper.is_some_and(|upper| key >= upper) {
                break;
            }
            let key = key.to_vec();
            let entry = cursor.entry().expect("it stands at a key");
            let settled = || retry(|| self.settled(&pin, &entry, &key));
            let (row, unsettled) = trace::gather(stripe_of(&key), settled)?;
            let bytes = row.as_ref().map_or(0, |row| key.len() + row.value.len() + ROW_BYTES);
            if gathered.bytes + bytes > self.slice_bytes && !gathered.rows.is_empty() {
                gathered.next = Some(key);
                break;
            }
            gathered.unsettled.extend(unsettled.map(|psn| (key.clone(), psn)));
            gathered.rows.extend(row.map(|row| (key, row)));
            gathered.bytes += bytes;
            found = cursor.next();
        }
        Ok(gathered)
    }

    /// The newest settled version of a row, bare, and the number of the row's newest change if that is not settled.
    fn settled(
        &self,
        pin: &Guard<'_>,
        entry: &Entry<'_>,
        key: &[u8],
    ) -> Result<(Option<Row<'static>>, Option<Psn>), Stop> {
        let payload = entry.payload();
        let cell = Cell::of(pin, payload).filter(|cell| !cell.is_removed());
        let Some(cell) = cell else { return Ok((None, None)) };
        let behind = cell.version().filter(|(writer, _)| !is_settled(self.manager, *writer));
        let found = match behind {
            None => (cell.to_row().and_then(bare), None),
            Some(version) => (self.settled_before(key, version)?, Some(cell.psn())),
        };
        // Whoever is rolled back has changed the row before it is forgotten.
        if entry.payload() == payload { Ok(found) } else { Err(Stop::Restart) }
    }

    /// The newest settled version behind one that is not.
    fn settled_before(
        &self,
        key: &[u8],
        mut version: (TxnId, UndoPtr),
    ) -> Result<Option<Row<'static>>, Stop> {
        let mut walk = ChainWalk::default();
        loop {
            let (writer, undo) = version;
            walk.visit(undo)?;
            let bytes = self.manager.read_undo(undo)?;
            let found = with_record(bytes, key, writer, |record| {
                Ok(match record.version {
                    _ if record.kind == UndoKind::Insert => Ok(None),
                    // The writer itself is not asked for again: rolled back by now, it would look like one that is forgotten.
                    Some(before) if before.0 == writer || !is_settled(self.manager, before.0) => Err(before),
                    _ => Ok(bare(long_row_before(self.manager, record)?.ok_or(Stop::Restart)?)),
                })
            })?;
            match found {
                Ok(row) => return Ok(row),
                Err(before) => version = before,
            }
        }
    }
}

/// Waits until all that is logged is durable, if the log has several streams; in one nothing is kept without what stands before it.
///
/// # Errors
/// Those of the log.
pub fn wait_for_all_streams(store: &Store) -> Result<()> {
    match store.log().filter(|_| store.streams() > 1 && !planted("slice-before-its-copies")) {
        Some(log) => log.wait_durable(&trace::wait_for_streams(|| log.slv_join())),
        None => Ok(()),
    }
}

/// No crash can undo what it wrote.
pub(super) fn is_settled(manager: &TxnManager, writer: TxnId) -> bool {
    match manager.outcome(writer) {
        None => true,
        Some(Outcome::Committed(at)) => at <= manager.durable_ts() || planted("settled-when-committed"),
        Some(_) => false,
    }
}

/// Logs a row again as it is, unless it has changed since; then that is in the log. One that has been taken out since is logged as gone:
/// its writer is settled by now, but what takes the place of the log has the version before.
pub(super) fn carry_over(rows: &Rows, manager: &TxnManager, key: &[u8], psn: Psn) -> Result<()> {
    let store = manager.store();
    // Unless it changes before it is latched, which is the end of this.
    let value_bytes = rows.find(&rows.map.pin(), key).map_or(0, Cell::value_bytes);
    let (pin, mut ready);
    let mut mtr = store.mtr(store.pick_stream(), row_mtr_bytes(store, value_bytes))?;
    pin = rows.map.pin();
    let stripe = rows.latch(key);
    let cell = rows.find(&pin, key);
    let is_in_log = cell.is_some_and(|cell| cell.psn() != psn) || planted("log-nothing-again");
    if is_in_log {
        return Ok(());
    }
    let wanted = Wanted { key, row: cell.and_then(Cell::to_row), need: Need::Urgent };
    ready = rows.prepare(&pin, stripe, store.incarnation(), wanted)?;
    mtr.change_row(&mut ready);
    mtr.commit();
    Ok(())
}

/// The row without its version; none if it is deleted.
fn bare(row: Row<'_>) -> Option<Row<'static>> {
    let value = Cow::Owned(row.value.into_owned());
    (!row.ghost).then_some(Row { version: None, value, ghost: false, overflow: row.overflow })
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::scene::{ID, open};
    use super::super::tree_id;
    use super::*;
    use aether_sim::{CrashPolicy, Sim};
    use aether_types::{Lsn, Lv, StreamId};

    /// A row was deleted, and that was not settled when its slice was gathered, which so has the version before. Then it was, and the
    /// row was taken out of memory before it could be logged again; the slice knew its deletion, and had the row.
    #[test]
    fn a_row_that_is_taken_out_while_its_slice_is_written_does_not_come_back() {
        let sim = Sim::new(1);
        let (manager, table) = open(&sim, None);
        let mut txn = manager.begin();
        table.put(&mut txn, b"row", b"old").unwrap();
        txn.commit().unwrap();
        let mut deletion = manager.begin();
        assert!(table.delete(&mut deletion, b"row").unwrap());
        let rows = &table.0.rows;
        let due = rows.slices.begin(&[], &Lv::at(StreamId::new(0), Lsn::new(u64::MAX)), 1 << 16).unwrap();
        let known = rows.known();
        let root = table.0.anchor.root;
        let image = BTree::open(manager.clone(), root, tree_id(ID));
        let writer = WriteOut { rows, manager: &manager, image, slice_bytes: 1 << 16 };
        let gathered = writer.gather(&[], None).unwrap();
        assert_eq!((gathered.rows.len(), gathered.unsettled.len()), (1, 1));
        deletion.commit().unwrap();
        manager.collect().unwrap();
        rows.purge(&rows.map.pin(), &mut rows.latch(b"row"), &manager);
        assert!(rows.find(&rows.map.pin(), b"row").is_none(), "it was taken out");
        let (key, psn) = &gathered.unsettled[0];
        carry_over(rows, &manager, key, *psn).unwrap();
        let mut txn = manager.begin().for_bookkeeping();
        let slice = SliceImage { known, is_written: true, rows: gathered.rows };
        let extent = writer.put(&mut txn, Vec::new(), &slice).unwrap();
        txn.commit().unwrap();
        rows.slices.written(&due, &[extent]);
        let (manager, table) = open(&sim.crash_image(CrashPolicy::LoseAll), Some(root));
        assert!(!table.get_into(&manager.view(), b"row", &mut Vec::new()).unwrap(), "it is deleted");
        assert!(table.0.rows.map.pin().get(b"row").is_none(), "nothing is left of it");
    }
}
