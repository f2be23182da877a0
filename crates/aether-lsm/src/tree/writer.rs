//! Writing what a flush or a merge leaves: runs cut to size, and a file for large values.

use super::runs::{Runs, Written};
use crate::run::{Codec, Entry, Kind, RangeTombstone, RunBuilder, RunInfo};
use crate::values::{ValueAt, ValueFile, ValueWriter};
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_types::{FileId, Result, limits};
use std::collections::BTreeMap;
use std::io::Read;

/// What runs are written with.
#[derive(Clone, Copy)]
pub(super) struct Recipe {
    pub(super) codec: Codec,
    pub(super) separate_bytes: usize,
    /// A run is ended at the next key once it has so many bytes.
    pub(super) run_bytes_max: u64,
    /// About how many entries there will be.
    pub(super) entries: u64,
    /// Nothing lies below them.
    pub(super) is_last: bool,
}

/// Writes runs. Dropped before [`RunWriter::finish`] it leaves no files.
pub(super) struct RunWriter {
    runs: Arc<Runs>,
    recipe: Recipe,
    builder: Option<RunBuilder>,
    last: Vec<u8>,
    /// What is gone in all runs to come, and from where on the next run has it.
    ranges: Vec<RangeTombstone>,
    from: Vec<u8>,
    values: Option<ValueWriter>,
    /// Bytes that entries of the run under way name, by file.
    named: BTreeMap<FileId, u64>,
    /// The files of older values that are named.
    held: BTreeMap<FileId, Arc<ValueFile>>,
    done: Vec<(RunInfo, BTreeMap<FileId, u64>)>,
    /// The file of values that was written, once it is whole.
    own: Option<Arc<ValueFile>>,
}

impl RunWriter {
    /// Nothing yet. `held`: the files that stubs of [`RunWriter::add`] may name.
    pub(super) fn new(
        runs: &Arc<Runs>,
        recipe: Recipe,
        ranges: Vec<RangeTombstone>,
        held: BTreeMap<FileId, Arc<ValueFile>>,
    ) -> Self {
        // What no page of a run holds is separated in any case.
        let too_long = limits::inline_value_bytes_max(runs.home.page_size()) + 1;
        let recipe = Recipe { separate_bytes: recipe.separate_bytes.min(too_long), ..recipe };
        Self {
            runs: runs.clone(),
            recipe,
            builder: None,
            last: Vec::new(),
            ranges,
            from: Vec::new(),
            values: None,
            named: BTreeMap::new(),
            held,
            done: Vec::new(),
            own: None,
        }
    }

    /// True if the run under way must be ended before `key`, which takes a sync.
    pub(super) fn is_full_at(&self, key: &[u8]) -> bool {
        let is_full = |builder: &RunBuilder| builder.bytes() >= self.recipe.run_bytes_max;
        self.builder.as_ref().is_some_and(is_full) && key != self.last
    }

    /// Adds a version, by rising key and of a key the newest first; ends the run before, should it be full. Blocks.
    ///
    /// # Errors
    /// Those of the disk; `OverLimit`; of a stub that cannot be.
    pub(super) fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        if self.is_full_at(entry.key) {
            self.cut(Some(entry.key))?;
        }
        if entry.kind == Kind::Stub {
            // Of the run that the entry comes to stand in.
            let at = ValueAt::decode(entry.value)?;
            *self.named.entry(at.file).or_default() += at.length;
        }
        if self.last != entry.key {
            self.last.clear();
            self.last.extend_from_slice(entry.key);
        }
        self.builder()?.add(entry)
    }

    /// Adds a value, in a file of its own if it is large.
    ///
    /// # Errors
    /// As [`RunWriter::add`].
    pub(super) fn add_value(&mut self, entry: &Entry<'_>) -> Result<()> {
        if entry.kind == Kind::Value && entry.value.len() >= self.recipe.separate_bytes {
            let length = entry.value.len() as u64;
            return self.add_large(entry, length, &mut &*entry.value);
        }
        self.add(entry)
    }

    /// Adds a value of `length` bytes that is read from `from`, in a file of its own. The entry's value counts for nothing.
    ///
    /// # Errors
    /// As [`RunWriter::add`]; those of reading.
    pub(super) fn add_large(&mut self, entry: &Entry<'_>, length: u64, from: &mut dyn Read) -> Result<()> {
        let at = self.values()?.append(from, length).map_err(|error| error.at_key(entry.key))?;
        self.add(&Entry { kind: Kind::Stub, value: &at.encode(), ..*entry })
    }

    fn values(&mut self) -> Result<&mut ValueWriter> {
        if self.values.is_none() {
            self.values = Some(ValueWriter::new(&self.runs.home, self.runs.new_file()?)?);
        }
        Ok(self.values.as_mut().expect("it was just made"))
    }

    fn builder(&mut self) -> Result<&mut RunBuilder> {
        if self.builder.is_none() {
            self.builder =
                Some(self.runs.builder(self.recipe.codec, self.recipe.entries, self.recipe.is_last)?);
        }
        Ok(self.builder.as_mut().expect("it was just made"))
    }

    /// Ends the run under way before `to`. Blocks for a sync.
    fn cut(&mut self, to: Option<&[u8]>) -> Result<()> {
        let ranges: Vec<_> = self.ranges.iter().filter_map(|range| range.clip(&self.from, to)).collect();
        if !ranges.is_empty() || self.builder.is_some() {
            let builder = self.builder()?;
            ranges.into_iter().try_for_each(|range| builder.add_range(range))?;
        }
        if let Some(builder) = self.builder.take()
            && let Some(info) = builder.finish()?
        {
            self.done.push((info, core::mem::take(&mut self.named)));
        }
        self.from = to.unwrap_or_default().to_vec();
        Ok(())
    }

    /// Ends all, and makes it durable. Blocks for syncs.
    ///
    /// # Errors
    /// Those of the disk; then no file is left.
    pub(super) fn finish(mut self) -> Result<Vec<Written>> {
        let finished = self.finish_all();
        if finished.is_err() {
            self.own.iter().for_each(|held| held.retire());
            self.done.drain(..).for_each(|(info, _)| drop(self.runs.home.remove(info.file)));
        }
        finished
    }

    fn finish_all(&mut self) -> Result<Vec<Written>> {
        self.cut(None)?;
        if let Some(values) = self.values.take() {
            let info = values.finish()?;
            let held = ValueFile::open(&self.runs.home, info.file)?;
            self.own = Some(held.clone());
            self.held.insert(info.file, held);
        }
        let written = self.done.iter().map(|(info, named)| {
            let held = |(file, bytes): (&FileId, &u64)| {
                let missing = || {
                    aether_types::Error::corruption(format!(
                        "a stub names values in {file}, which nobody holds"
                    ))
                };
                self.held.get(file).map(|held| (held.clone(), *bytes)).ok_or_else(missing)
            };
            Ok(Written { info: info.clone(), values: named.iter().map(held).collect::<Result<_>>()? })
        });
        let written = written.collect::<Result<Vec<_>>>()?;
        self.done.clear();
        Ok(written)
    }
}

impl Drop for RunWriter {
    fn drop(&mut self) {
        // Runs that were ended, of a flush or merge that was not; what cannot be removed now is a leftover for the next open.
        self.done.drain(..).for_each(|(info, _)| drop(self.runs.home.remove(info.file)));
    }
}
