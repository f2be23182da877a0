//! Indexes that are no keyspace's any more: dropped, left behind by a conversion, or of one that was broken off. Each is listed in the catalog until its
//! last page is free; it is freed once no snapshot can read it, or by the next open.

#[cfg(test)]
pub(crate) mod tests;

use crate::catalog::Entry;
use crate::env::Inner;
use crate::lsm::index::resident::wait_for_all_streams;
use aether_types::{Result, Timestamp};

impl Inner {
    /// Keyspaces dropped before this open: nobody can read them any more.
    pub(crate) fn find_garbage(&self) -> Result<()> {
        let dropped = self.catalog.dropped(&self.txns.view())?;
        self.garbage.lock().extend(dropped.into_iter().map(|entry| (Timestamp::new(0), entry)));
        Ok(())
    }

    pub(crate) fn throw_away(&self, at: Timestamp, entries: Vec<Entry>) {
        self.garbage.lock().extend(entries.into_iter().map(|entry| (at, entry)));
    }

    /// Frees the pages of dropped keyspaces that no snapshot can read.
    pub(crate) fn free_garbage(&self) -> Result<()> {
        if self.garbage.lock().is_empty() {
            return Ok(());
        }
        self.free_due()
    }

    #[cold]
    fn free_due(&self) -> Result<()> {
        let horizon = self.txns.horizon();
        let due: Vec<Entry> = {
            let mut garbage = self.garbage.lock();
            let is_due =
                |(at, entry): &(Timestamp, Entry)| *at <= horizon && !self.indexes.is_pinned(entry.id);
            let (due, kept) = garbage.drain(..).partition::<Vec<_>, _>(is_due);
            *garbage = kept;
            due.into_iter().map(|(_, entry)| entry).collect()
        };
        due.iter().try_for_each(|entry| self.free_keyspace(entry))
    }

    /// The index is emptied first; then its root goes in the group that takes it off the list. So a crash in between repeats the first step,
    /// loses no page and frees none twice. With several log streams the first step is durable before the second: else the list's
    /// change could be kept without that of the index, which nobody would free any more.
    fn free_keyspace(&self, entry: &Entry) -> Result<()> {
        let rows = entry.open(&self.indexes, &self.txns, "that was dropped")?;
        rows.index().free_below()?;
        wait_for_all_streams(&self.store)?;
        self.catalog.remove_dropped(entry.id, rows.index())?;
        self.indexes.end(entry.id)
    }
}
