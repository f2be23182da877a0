//! An LSM tree as an index among the others, and what goes over all of one.

use super::runs::Sight;
use super::working::Working;
use super::{Alone, Found, Live, Lsm, LsmCursor, OnBehalf};
use crate::run::{Kind, RunCursor};
use crate::values::ValueAt;
use crate::version::Edit;
use aether_index::rows::{Seen, ValueReader};
use aether_index::txn::recovery::Mtr;
use aether_index::txn::{LockMode, ReadView, Txn};
use aether_index::{
    Anchor, BulkLoad, Index, IndexCheck, OrderedCursor, OrderedIndex, RowSource, Shape, Sink,
};
use aether_types::{ErrorKind, Result, Timestamp};
use core::ops::Bound;
use std::io::Read;

impl Lsm {
    fn get_settled_row(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        self.0.gets.add(1);
        match self.0.rows.get_newest(key, out)? {
            None | Some(Seen::Stub) => return Ok(None),
            Some(Seen::Value) => return Ok(Some(true)),
            Some(Seen::Absent) => return Ok(Some(false)),
            Some(Seen::Missing) => {}
        }
        let version = self.0.runs.read();
        if version.candidates(key).any(|run| !run.file().is_open()) {
            return Ok(None);
        }
        // All that lies below is durable.
        let sight = Sight { at: Timestamp::new(u64::MAX), of: None };
        match self.0.find_below(&version, key, sight, out)? {
            Found::Nothing => Ok(Some(false)),
            Found::Value => Ok(Some(true)),
            Found::Extents | Found::File(..) => Ok(None),
        }
    }

    /// Checks the manifest, all runs, and that the rows that `view` shows rise and can be read.
    fn check_all(&self, view: &ReadView) -> Result<IndexCheck> {
        let inner = &self.0;
        let mut found = inner.runs.manifest.tree().check(view)?;
        found.entries = 0;
        for run in inner.runs.current().runs() {
            let walked = Self::walk_run(run.file());
            match walked {
                Err(error) if error.kind() == ErrorKind::Corruption => found.problems.push(error.to_string()),
                walked => walked?,
            }
        }
        inner.rows.check_values(view, &mut found)?;
        let mut cursor = LsmCursor::new(self.clone());
        let mut last: Option<Vec<u8>> = None;
        loop {
            match cursor.next(view) {
                Ok(None) => return Ok(found),
                Ok(Some((key, _))) => {
                    found.entries += 1;
                    if last.as_deref().is_some_and(|last| last >= key) {
                        found.problems.push(format!("tree {}: keys that do not rise", self.id()));
                    }
                    last = Some(key.to_vec());
                }
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    found.problems.push(error.to_string());
                    return Ok(found);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads all of a run, and the values that it names.
    fn walk_run(live: &Live) -> Result<()> {
        let (mut cursor, mut value) = (RunCursor::scan(live.run.clone()), Vec::new());
        cursor.first()?;
        while let Some(entry) = cursor.entry() {
            if entry.kind == Kind::Stub {
                let at = ValueAt::decode(entry.value).map_err(|error| error.at_key(entry.key))?;
                value.clear();
                // As the run says, not as the list that a merge may have made since.
                live.values_in(at.file)?.read_into(at, &mut value)?;
            }
            cursor.forward()?;
        }
        Ok(())
    }

    /// Lets all runs go and takes all rows out of memory; nobody flushes or merges as long as what it returns lives.
    fn clear_all(&self) -> Result<Alone<'_>> {
        let inner = &self.0;
        let _now = Working::begin();
        let alone = inner.be_alone();
        inner.runs.edit(&Edit::clear(&inner.runs.current()), |manifest, txn| {
            alone.stubs.iter().try_for_each(|stub| txn.retire(stub.clone()))?;
            let known = inner.rows.clear_rows(txn)?;
            manifest.put_known(txn, &known)
        })?;
        inner.rows.cleared();
        inner.txns.collect()?;
        inner.pacer.holds(0);
        inner.reckon();
        Ok(alone)
    }
}

impl Index for Lsm {
    fn anchor(&self) -> Anchor {
        Index::anchor(&self.0.rows)
    }

    fn get_into(&self, view: &ReadView, key: &[u8], out: &mut Vec<u8>) -> Result<bool> {
        Lsm::get_into(self, view, key, out)
    }

    fn get_settled(&self, key: &[u8], out: &mut Vec<u8>) -> Result<Option<bool>> {
        self.get_settled_row(key, out)
    }

    fn get_stream(&self, view: &ReadView, key: &[u8]) -> Result<Option<ValueReader>> {
        self.0.gets.add(1);
        let mut out = Vec::new();
        Ok(match self.0.find(view, key, &mut out)? {
            Found::Nothing => None,
            Found::Value => Some(ValueReader::of_bytes(out)),
            Found::Extents => Some(ValueReader::of_stub(self.0.txns.store(), &out)?),
            Found::File(held, at) => {
                let length = at.length;
                Some(ValueReader::of_reader(held.reader(at), length))
            }
        })
    }

    fn put(&self, txn: &mut Txn, key: &[u8], value: &[u8]) -> Result<()> {
        Lsm::put(self, txn, key, value)
    }

    fn put_from(&self, txn: &mut Txn, key: &[u8], length: u64, from: &mut dyn Read) -> Result<()> {
        self.0.pay(key, length)?;
        let mut make_room = || self.0.flush_all(OnBehalf::Worker).map(|()| true);
        self.0.rows.put_from_with_room(txn, key, length, from, &mut make_room)
    }

    fn delete(&self, txn: &mut Txn, key: &[u8]) -> Result<bool> {
        Lsm::delete(self, txn, key)
    }

    fn lock_key(&self, txn: &mut Txn, key: &[u8], mode: LockMode) -> Result<()> {
        self.0.rows.lock_key(txn, key, mode)
    }

    fn lock_range(&self, txn: &mut Txn, from: Bound<&[u8]>, to: Bound<&[u8]>, mode: LockMode) -> Result<()> {
        self.0.rows.lock_range(txn, from, to, mode)
    }

    fn shape(&self) -> Result<Shape> {
        // Of the manifest: runs are in no pages.
        self.0.runs.manifest.tree().shape()
    }

    fn check(&self, view: &ReadView) -> Result<IndexCheck> {
        self.check_all(view)
    }

    fn salvage(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        self.salvage_all(view, sink)
    }

    fn clear(&self) -> Result<()> {
        self.clear_all().map(drop)
    }

    fn free_below(&self) -> Result<()> {
        let runs = &self.0.runs;
        if !runs.is_over() {
            let alone = self.clear_all()?;
            runs.end();
            drop(alone);
        }
        runs.manifest.tree().clear()
    }

    fn free_root(&self, mtr: &mut Mtr<'_, '_>) -> Result<()> {
        self.0.runs.manifest.tree().free_root(mtr)
    }
}

impl OrderedIndex for Lsm {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        Box::new(LsmCursor::new(self.clone()))
    }

    fn delete_range(&self, txn: &mut Txn, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<Option<u64>> {
        self.delete_all_between(txn, from, to)
    }

    fn as_bulk_load(&self) -> Option<&dyn BulkLoad> {
        Some(self)
    }
}

impl BulkLoad for Lsm {
    fn load(&self, txn: &mut Txn, rows: &mut RowSource<'_>) -> Result<u64> {
        self.ingest(txn, rows)
    }
}
