//! Indexes that are no keyspace's any more: dropped, left behind by a conversion, or of one that was broken off. Each is listed in the catalog until its
//! last page is free; it is freed once no snapshot can read it, or by the next open.

#[cfg(test)]
mod damaged;
#[cfg(test)]
pub(crate) mod tests;

use crate::catalog::Entry;
use crate::env::Inner;
use crate::lsm::index::resident::wait_for_all_streams;
use aether_types::{Error, Result, Timestamp};

/// The indexes that are to be freed.
#[derive(Default)]
pub(crate) struct Garbage {
    /// Each with the commit that dropped it.
    waiting: Vec<(Timestamp, Entry)>,
    /// Those that could not be freed, and why. They stay listed, and the next open tries again.
    failed: Vec<(Entry, Error)>,
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

    /// Frees the pages of dropped keyspaces that no snapshot can read. One that cannot be freed is in nobody's way: see
    /// [`Inner::garbage_problems`].
    pub(crate) fn free_garbage(&self) {
        if !self.garbage.lock().waiting.is_empty() {
            self.free_due();
        }
    }

    #[cold]
    fn free_due(&self) {
        for entry in self.take_due() {
            if let Err(error) = self.free_keyspace(&entry) {
                self.garbage.lock().failed.push((entry, error));
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

    /// What could not be freed since the home was opened.
    pub(crate) fn garbage_problems(&self) -> Vec<String> {
        let failed = core::mem::take(&mut self.garbage.lock().failed);
        let problem = |(entry, error): &(Entry, Error)| {
            let log = self.keeps_log(entry);
            format!("the dropped keyspace {}{log}, cannot be freed before the next open: {error}", entry.id)
        };
        let problems = failed.iter().map(problem).collect();
        self.garbage.lock().failed.extend(failed);
        problems
    }
}
