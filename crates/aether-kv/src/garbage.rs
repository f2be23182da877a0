//! Indexes that are no keyspace's any more: dropped, left behind by a conversion, or of one that was broken off. Each is listed in the catalog until its
//! last page is free; it is freed once no snapshot can read it, or by the next open. And files that are nobody's: what a crash has left.

#[cfg(test)]
mod damaged;
#[cfg(test)]
pub(crate) mod tests;

use crate::catalog::Entry;
use crate::env::Inner;
use crate::lsm::index::resident::wait_for_all_streams;
use crate::lsm::run::RunHome;
use crate::lsm::tree::LsmFactory;
use aether_types::{Error, ErrorKind, FileId, IndexKind, Result, Timestamp};
use std::collections::BTreeSet;

/// The indexes that are to be freed.
#[derive(Default)]
pub(crate) struct Garbage {
    /// Each with the commit that dropped it.
    waiting: Vec<(Timestamp, Entry)>,
    /// Those that are damaged and could not be freed, and why.
    damaged: Vec<(Entry, Error)>,
    /// Files of runs and values that no keyspace named when the home was opened, as long as a prepared transaction may be about to.
    files: Vec<FileId>,
}

impl Inner {
    /// Keyspaces dropped before this open: nobody can read them any more.
    pub(crate) fn find_garbage(&self) -> Result<()> {
        let dropped = self.catalog.dropped(&self.txns.view())?;
        self.throw_away(Timestamp::new(0), dropped);
        Ok(())
    }

    pub(crate) fn throw_away(&self, at: Timestamp, entries: Vec<Entry>) {
        self.garbage.lock().waiting.extend(entries.into_iter().map(|entry| (at, entry)));
    }

    /// Frees the pages of dropped keyspaces that no snapshot can read. One that cannot be freed is in nobody's way: it stays listed, and
    /// the next open tries again. What is damaged is told by [`Inner::garbage_problems`].
    pub(crate) fn free_garbage(&self) {
        if !self.garbage.lock().waiting.is_empty() {
            self.free_due();
        }
    }

    #[cold]
    fn free_due(&self) {
        for entry in self.take_due() {
            match self.free_keyspace(&entry) {
                Err(error) if error.kind() == ErrorKind::Corruption => {
                    self.indexes.give_up(entry.id);
                    self.garbage.lock().damaged.push((entry, error));
                }
                _ => {}
            }
        }
    }

    fn take_due(&self) -> Vec<Entry> {
        let horizon = self.txns.horizon();
        let mut garbage = self.garbage.lock();
        let is_due = |(at, entry): &(Timestamp, Entry)| *at <= horizon && !self.indexes.is_pinned(entry.id);
        let (due, kept) = garbage.waiting.drain(..).partition::<Vec<_>, _>(is_due);
        garbage.waiting = kept;
        due.into_iter().map(|(_, entry)| entry).collect()
    }

    /// The index is emptied first; then its root goes in the group that takes it off the list. So a crash in between repeats the first step,
    /// loses no page and frees none twice. With several log streams the first step is durable before the second: else the list's
    /// change could be kept without that of the index, which nobody would free any more.
    fn free_keyspace(&self, entry: &Entry) -> Result<()> {
        let rows = self.indexes.free_below(&self.txns, entry.anchor())?;
        wait_for_all_streams(&self.store)?;
        self.catalog.remove_dropped(entry.id, rows.index())?;
        self.indexes.end(entry.id)
    }

    /// What could not be freed since the home was opened, for it is damaged.
    pub(crate) fn garbage_problems(&self) -> Vec<String> {
        let garbage = self.garbage.lock();
        let problem = |(entry, error): &(Entry, Error)| {
            format!("the dropped keyspace {}, cannot be freed: {error}", entry.id)
        };
        garbage.damaged.iter().map(problem).collect()
    }

    /// Finds the files of flushes and merges that a crash has cut short, while no tree is open, and removes them. Where a manifest cannot be
    /// read, everything stays.
    pub(crate) fn find_leftovers(&self) -> Result<()> {
        let files = RunHome::of(&self.store).leftovers(&self.listed_files()?)?;
        self.garbage.lock().files = files;
        self.remove_leftovers()
    }

    /// Removes those files that no keyspace names now, once nothing is prepared that was to name them. Blocks.
    pub(crate) fn remove_leftovers(&self) -> Result<()> {
        let mut files = core::mem::take(&mut self.garbage.lock().files);
        if files.is_empty() {
            return Ok(());
        }
        let is_last = self.prepared.is_empty();
        let known = self.listed_files()?;
        files.retain(|file| !known.contains(file));
        if !is_last {
            self.garbage.lock().files = files;
            return Ok(());
        }
        let home = RunHome::of(&self.store);
        files.into_iter().try_for_each(|file| home.remove(file))
    }

    /// The files that the LSM trees name, those among them that are to be freed.
    fn listed_files(&self) -> Result<BTreeSet<FileId>> {
        let view = self.txns.view();
        let listed = self.catalog.list(&view)?.into_iter().map(|(_, entry)| entry);
        let all = listed.chain(self.catalog.dropped(&view)?);
        let mut files = BTreeSet::new();
        for entry in all.filter(|entry| entry.kind() == IndexKind::LSM) {
            files.extend(LsmFactory::listed_files(&self.txns, entry.anchor())?);
        }
        Ok(files)
    }
}
