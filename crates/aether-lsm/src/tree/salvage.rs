//! Salvage: all rows that can be read, past what cannot.
//!
//! Where blocks of a run are damaged, their keys are named as lost, and the run is left out up to the next key that it tells. Which keys
//! there are between, the other runs tell. Each of them is looked up by itself, in all runs: it is handed over if a newer run has it, or if
//! the damaged one's filter knows that it has no version of it. So nothing old is given out for what may have been replaced.

use super::{Lsm, LsmCursor};
use crate::run::{Run, Unread};
use aether_index::txn::ReadView;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::{LostRange, OrderedCursor, Salvaged, Sink};
use aether_types::{Error, ErrorKind, FileId, Result};
use std::collections::BTreeMap;

/// A row: key and value.
type Row = (Vec<u8>, Vec<u8>);

/// A walk over all rows.
struct Walk<'a> {
    tree: &'a Lsm,
    view: &'a ReadView,
    cursor: LsmCursor,
    /// No key below this is still to come.
    from: Vec<u8>,
    /// The runs that are left out, each with what is lost of it.
    out: BTreeMap<FileId, Unread>,
}

impl Lsm {
    /// Hands over the rows that `view` shows, and the ranges of keys that cannot be read.
    ///
    /// # Errors
    /// Those of `sink`, and other ones than `Corruption`.
    pub(super) fn salvage_all(&self, view: &ReadView, sink: &mut Sink<'_>) -> Result<()> {
        let (cursor, out) = (LsmCursor::new(self.clone()), BTreeMap::new());
        let mut walk = Walk { tree: self, view, cursor, from: Vec::new(), out };
        loop {
            match walk.next() {
                Ok(None) => return Ok(()),
                Ok(Some((key, value))) => sink(Salvaged::Row(&key, &value))?,
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    let Unread { from, to } = walk.pass(&error)?;
                    let (page, what, is_end) = (walk.page(&error), error.to_string(), to.is_none());
                    sink(Salvaged::Lost(LostRange { page, from: Some(from), to, what }))?;
                    if is_end && walk.out.is_empty() {
                        return Ok(());
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// The key right behind another.
fn behind(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

impl Walk<'_> {
    fn next(&mut self) -> Result<Option<Row>> {
        loop {
            let row = self.cursor.next(self.view)?.map(|(key, value)| (key.to_vec(), value.to_vec()));
            let end = self.out.values().filter_map(|lost| lost.to.clone()).min();
            if let Some(end) = end.filter(|end| row.as_ref().is_none_or(|(key, _)| key >= end)) {
                // The run that was left out up to here tells again.
                self.out.retain(|_, lost| lost.to.as_ref() != Some(&end));
                self.go_on_from(end);
                continue;
            }
            let Some((key, value)) = row else { return Ok(None) };
            let known = if self.out.is_empty() { Some(value) } else { self.look_up(&key)? };
            self.from = behind(&key);
            if let Some(value) = known {
                return Ok(Some((key, value)));
            }
        }
    }

    /// The value of a key while runs are left out; none if there is none, or if it may be one that is named as lost.
    fn look_up(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut value = Vec::new();
        match self.tree.0.get_any(self.view, key, &mut value) {
            Ok(is_there) => Ok(is_there.then_some(value)),
            Err(error) => {
                let lost = error.place().file.and_then(|file| self.out.get(&file));
                if error.kind() == ErrorKind::Corruption && lost.is_some_and(|lost| *lost.from <= *key) {
                    return Ok(None);
                }
                Err(error.at_key(key))
            }
        }
    }

    /// Goes past what an error tells of: which keys are lost by that. Blocks for reads.
    fn pass(&mut self, error: &Error) -> Result<Unread> {
        let run = self.run_of(error).filter(|run| !self.out.contains_key(&run.info().file));
        if let Some(run) = run
            && let Some(lost) = run.unread_from(&self.from)?
        {
            let lost = Unread { from: lost.from.max(self.from.clone()), to: lost.to };
            self.out.insert(run.info().file, lost.clone());
            self.go_on_from(self.from.clone());
            return Ok(lost);
        }
        if let Some(key) = error.place().key.clone().filter(|key| *key >= self.from) {
            let next = behind(&key);
            self.go_on_from(next.clone());
            return Ok(Unread { from: key, to: Some(next) });
        }
        // Nobody knows what comes behind.
        self.out.clear();
        Ok(Unread { from: self.from.clone(), to: None })
    }

    fn go_on_from(&mut self, key: Vec<u8>) {
        self.cursor.leave_out(self.out.keys().copied().collect());
        self.cursor.seek(&key);
        self.from = key;
    }

    fn run_of(&self, error: &Error) -> Option<Arc<Run>> {
        let (file, version) = (error.place().file?, self.tree.0.runs.current());
        version.runs().find(|run| run.id() == file).map(|run| run.file().run.clone())
    }

    /// The page of the page file that an error names.
    fn page(&self, error: &Error) -> Option<aether_types::PageNo> {
        let place = error.place();
        let is_other = place.file.is_some_and(|file| self.tree.files().contains(&file));
        place.page.filter(|_| !is_other)
    }
}
