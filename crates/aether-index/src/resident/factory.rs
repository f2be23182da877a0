//! The factory of tables of rows in memory, and what goes over all rows of one: counting, checking, clearing.

use super::cell::Cell;
use super::image::SliceImage;
use super::memory::Need;
use super::rows::{Home, Wanted};
use super::{Resident, ResidentCursor, Tables, TablesConfig, image, rank, wait_for_all_streams};
use crate::findings::{IndexCheck, Salvaged, Shape, Sink};
use crate::rows::{Extents, free_extents, free_some, highest_psn, log_creation, mtr_bytes, read_extents};
use crate::traits::{Anchor, Index, IndexFactory, OrderedCursor, OrderedIndex};
use aether_page::UndoPtr;
use aether_page::overflow::Stub;
use aether_sync::{Arc, RwLock};
use aether_txn::recovery::wal::buffer::Budget;
use aether_txn::recovery::wal::buffer::page as aether_page;
use aether_txn::recovery::{ActiveTxn, Mtr, Participant, Store};
use aether_txn::{ReadView, Txn, TxnManager, UndoKind, UndoRecord};
use aether_types::{Error, ErrorKind, IndexKind, Psn, Result};

/// Makes and opens the tables of rows in memory of one open home.
pub struct ResidentFactory {
    config: TablesConfig,
    /// Those of the home that was opened last.
    tables: RwLock<Option<Arc<Tables>>>,
}

impl ResidentFactory {
    /// For tables like this.
    pub fn new(config: TablesConfig) -> Self {
        Self { config, tables: RwLock::new(rank::FACTORY, None) }
    }

    /// The tables of the home.
    ///
    /// # Errors
    /// `InvalidInput` if no home was opened with what [`IndexFactory::participant`] gives.
    pub fn tables(&self) -> Result<Arc<Tables>> {
        let tables = self.tables.read().clone();
        tables.ok_or_else(|| {
            Error::invalid("rows in memory need a store that was opened with their participant")
        })
    }

    /// Opens a table; as [`IndexFactory::open`].
    ///
    /// # Errors
    /// `Corruption` for a damaged image, whose slice it names, and if changes that the log should have are missing;
    /// `OverLimit` without memory.
    pub fn open_table(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Resident> {
        Resident::open(txns.clone(), self.tables()?, at)
    }
}

impl IndexFactory for ResidentFactory {
    fn name(&self) -> &str {
        "skiplist"
    }

    fn participant(&self, budget: &Budget) -> Option<Arc<dyn Participant>> {
        let tables = Tables::new(budget, self.config);
        *self.tables.write() = Some(tables.clone());
        Some(tables)
    }

    fn create(&self, txn: &mut Txn, kind: IndexKind, id: u32) -> Result<Anchor> {
        let root = log_creation(txn, kind, id, image::tree_id(id))?;
        // The log may have rows of an earlier table with this id, whose creation was rolled back.
        let known = self.tables()?.rows(id)?.known_at_creation(txn.store().incarnation());
        let nothing = SliceImage { known, is_written: false, rows: Vec::new() };
        image::tree(txn.manager().clone(), root, id).put(txn, &[], &nothing.encode())?;
        Ok(Anchor { kind, id, root })
    }

    fn open(&self, txns: &Arc<TxnManager>, at: Anchor) -> Result<Arc<dyn OrderedIndex>> {
        Ok(Arc::new(self.open_table(txns, at)?))
    }

    fn undo(
        &self,
        txns: &Arc<TxnManager>,
        txn: &ActiveTxn,
        pointer: UndoPtr,
        record: &UndoRecord<'_>,
    ) -> Result<()> {
        let tables = self.tables()?;
        let rows = tables.rows(record.tree)?;
        if record.kind != UndoKind::CreateTree {
            return rows.undo(txns, txn, pointer, record);
        }
        tables.detach(&rows);
        rows.slices.forget();
        image::tree(txns.clone(), record.root, record.tree).undo(txn, pointer, record)
    }
}

impl Resident {
    /// Checks that rows rise, the large values that `view` shows, and the image.
    pub(super) fn check_all(&self, view: &ReadView) -> Result<IndexCheck> {
        let mut found = self.image().check(view)?;
        found.entries = 0;
        let mut cursor = ResidentCursor::new(self.clone());
        let mut last: Option<Vec<u8>> = None;
        while let Some(row) = cursor.next_row(view)? {
            found.entries += 1;
            if last.as_ref().is_some_and(|last| *last >= row.key) {
                found.problems.push(format!("table {}: keys that do not rise", self.id()));
            }
            if row.is_stub() {
                check_stub(self.store(), &row.value, &mut found)?;
            }
            last = Some(row.key);
        }
        Ok(found)
    }

    /// Checks the large values of the rows in memory that `view` shows.
    ///
    /// # Errors
    /// `Io`; what is broken is a problem, not an error.
    pub fn check_values(&self, view: &ReadView, found: &mut IndexCheck) -> Result<()> {
        let mut cursor = ResidentCursor::new(self.clone());
        while let Some(row) = cursor.next_row(view)? {
            if row.is_stub() {
                check_stub(self.store(), &row.value, found)?;
            }
        }
        Ok(())
    }

    /// Hands over all rows; where a large value is damaged, its key.
    pub(super) fn salvage_all(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        let mut cursor = ResidentCursor::new(self.clone());
        while let Some(row) = cursor.next_row(view)? {
            let mut value = Vec::new();
            let read = if row.is_stub() {
                read_extents(self.store(), &row.value, &mut value)
            } else {
                value.extend_from_slice(&row.value);
                Ok(())
            };
            match read {
                Ok(()) => sink(Salvaged::Row(&row.key, &value))?,
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    let to = [&row.key[..], &[0]].concat();
                    let (from, what) = (Some(row.key), error.to_string());
                    let page = error.place().page;
                    sink(Salvaged::Lost(crate::LostRange { page, from, to: Some(to), what }))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Removes all rows, each with its large value, then frees the image's pages but its root. What is removed is logged, and durable before the
    /// image goes; so after a crash it stays removed, and an image without slices says that there are no rows.
    pub(super) fn clear_all(&self) -> Result<()> {
        let rows = &self.0.rows;
        self.0.tables.detach(rows);
        let mut next = Some(Vec::new());
        while let Some(from) = next {
            next = self.next_key(&from);
            if let Some(key) = &next {
                self.remove(key)?;
            }
        }
        wait_for_all_streams(self.store())?;
        self.image().clear()?;
        rows.drop_removed(self.manager());
        Ok(())
    }

    /// The first key from `from` on that has a row.
    fn next_key(&self, from: &[u8]) -> Option<Vec<u8>> {
        let pin = self.0.rows.map.pin();
        let mut cursor = pin.cursor();
        let mut found = cursor.seek(from);
        while found {
            let entry = cursor.entry()?;
            if Cell::in_entry(&pin, &entry).is_some_and(|cell| !cell.is_removed()) {
                return Some(entry.key());
            }
            found = cursor.next();
        }
        None
    }

    /// Removes a row for everybody, and frees its large value: the first extents in the same group.
    fn remove(&self, key: &[u8]) -> Result<()> {
        let (rows, store) = (&*self.0.rows, self.store());
        let mut extents = Vec::new();
        {
            let (pin, mut ready);
            let mut mtr = store.mtr(store.pick_stream(), mtr_bytes(store))?;
            pin = rows.map.pin();
            let stripe = rows.latch(key);
            let row = rows.find(&pin, key).and_then(Cell::to_row);
            if let Some(row) = row.filter(|row| row.overflow && !row.ghost) {
                extents = Extents::of(store, &Stub::decode(&row.value)?)?.sorted();
                let floor = highest_psn(store, &extents, Psn::new(0))?;
                free_some(&mut mtr, &mut extents, floor)?;
            }
            let wanted = Wanted { key, row: None, need: Need::Urgent };
            ready = rows.prepare(&pin, stripe, store.incarnation(), wanted)?;
            mtr.change_row(&mut ready);
            mtr.commit();
        }
        free_extents(store, extents)
    }
}

/// Checks the large value behind a stub.
fn check_stub(store: &Arc<Store>, stub: &[u8], found: &mut IndexCheck) -> Result<()> {
    let mut read = || {
        let extents = Extents::of(store, &Stub::decode(stub)?)?.sorted();
        for (first, pages) in extents {
            found.value_pages.extend((0..pages).map(|index| first.offset(index)));
        }
        read_extents(store, stub, &mut Vec::new())
    };
    match read() {
        Err(error) if error.kind() == ErrorKind::Corruption => found.problems.push(error.to_string()),
        read => read?,
    }
    Ok(())
}

impl Index for Resident {
    fn anchor(&self) -> Anchor {
        self.0.anchor
    }

    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        Resident::get_into(self, view, key, out)
    }

    fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        Resident::get_settled(self, key, out)
    }

    fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<crate::ValueReader>> {
        Resident::get_stream(self, view, key)
    }

    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        Resident::put(self, txn, key, value)
    }

    fn put_from(&self, txn: &mut Txn, key: &[u8], length: u64, from: &mut dyn std::io::Read) -> Result<()> {
        Resident::put_from(self, txn, key, length, from)
    }

    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        Resident::delete(self, txn, key)
    }

    fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: aether_txn::LockMode) -> Result<()> {
        Resident::lock_key(self, txn, key, mode)
    }

    fn lock_range(
        &self,
        txn: &mut Txn,
        from: core::ops::Bound<&[u8]>,
        to: core::ops::Bound<&[u8]>,
        mode: aether_txn::LockMode,
    ) -> Result<()> {
        Resident::lock_range(self, txn, from, to, mode)
    }

    fn shape(&self) -> Result<Shape> {
        // Of the image: the rows themselves are in no pages.
        self.image().shape()
    }

    fn check(&self, view: &ReadView) -> Result<IndexCheck> {
        self.check_all(view)
    }

    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        self.salvage_all(view, sink)
    }

    fn clear(&self) -> Result<()> {
        self.clear_all()?;
        self.0.rows.attach(Home::Image(Arc::downgrade(self.manager()), self.0.anchor.root));
        Ok(())
    }

    fn free_below(&self) -> Result<()> {
        self.clear_all()
    }

    fn free_root(&self, mtr: &mut Mtr<'_, '_>) -> Result<()> {
        self.image().free_root(mtr)
    }
}

impl OrderedIndex for Resident {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        Box::new(ResidentCursor::new(self.clone()))
    }
}
