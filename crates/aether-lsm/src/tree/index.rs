//! An LSM tree as an index among the others, and what goes over all of one.

use super::working::Working;
use super::{Found, Live, Lsm, LsmCursor};
use crate::run::{Kind, RunCursor};
use crate::values::ValueAt;
use aether_index::rows::{Seen, ValueReader};
use aether_index::txn::{LockMode, ReadView, Txn};
use aether_index::{
    Anchor, Index, IndexCheck, LostRange, OrderedCursor, OrderedIndex, Salvaged, Shape, Sink,
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
        // All that lies below is durable.
        match self.0.find_below(key, Timestamp::new(u64::MAX), out)? {
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

    /// Hands over the rows that `view` shows, and from where on they cannot be read.
    fn salvage_all(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        let mut cursor = LsmCursor::new(self.clone());
        let mut from: Option<Vec<u8>> = None;
        loop {
            match cursor.next(view) {
                Ok(None) => return Ok(()),
                Ok(Some((key, value))) => {
                    sink(Salvaged::Row(key, value))?;
                    from = Some([key, &[0]].concat());
                }
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    let (page, what) = (error.place().page, error.to_string());
                    return sink(Salvaged::Lost(LostRange { page, from, to: None, what }));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Lets all runs go and takes all rows out of memory.
    fn clear_all(&self) -> Result<()> {
        let inner = &self.0;
        let _now = Working::begin();
        // Nobody else flushes or merges from now on.
        let mut flush = inner.flush.lock();
        if let Some(job) = flush.take() {
            job.give_up(&inner.rows);
        }
        let _closed = inner.merges.close();
        let mut txn = inner.runs.manifest.begin();
        inner.runs.manifest.remove_all(&mut txn)?;
        let known = inner.rows.clear_rows(&mut txn);
        inner.runs.manifest.put_known(&mut txn, &known)?;
        inner.runs.manifest.commit(txn)?;
        inner.rows.cleared();
        inner.txns.collect()?;
        inner.runs.forget_all()?;
        inner.pacer.holds(0);
        inner.reckon();
        Ok(())
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
        self.0.pay(key.len() + usize::try_from(length).unwrap_or(usize::MAX / 2))?;
        self.0.rows.put_from(txn, key, length, from)
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
        self.clear_all()
    }

    fn free_all(&self) -> Result<()> {
        self.clear_all()?;
        self.0.runs.manifest.tree().free_all()?;
        self.0.rows.forget();
        Ok(())
    }
}

impl OrderedIndex for Lsm {
    fn cursor(&self) -> Box<dyn OrderedCursor> {
        Box::new(LsmCursor::new(self.clone()))
    }
}
