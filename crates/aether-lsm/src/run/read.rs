//! A run, open: what it says of a key.

use super::block::{Data, Found, Index};
use super::file::{self, RunFile};
use super::home::RunHome;
use super::info::RunInfo;
use super::layout::Tail;
use super::probe;
use super::ranges::Ranges;
use super::top::{Reference, Top};
use super::version::{Kind, RangeTombstone};
use crate::filter::KeyHash;
use aether_index::txn::recovery::wal::buffer::page::sync::Arc;
use aether_index::txn::recovery::wal::buffer::page::sync::atomic::{AtomicBool, Ordering::Relaxed};
use aether_index::txn::recovery::wal::buffer::page::{Swip, View};
use aether_index::txn::recovery::wal::buffer::{Access, Charge, Optimistic, ScanRing};
use aether_types::{Error, FileId, PageNo, Result, Timestamp};
use core::ops::Bound;

/// Filters that are asked about a range, at most.
const FILTERS_ASKED: usize = 4;

/// An open run. Readers share it; its blocks are in the pool, its upper index, its range tombstones and the places of its
/// blocks in memory of its own.
pub struct Run {
    pub(super) home: RunHome,
    pub(super) file: Arc<RunFile>,
    pub(super) top: Top,
    info: RunInfo,
    ranges: Ranges,
    is_retired: AtomicBool,
    _memory: Charge,
}

/// What a layer says of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// When that was committed; 0: before every snapshot.
    pub timestamp: Timestamp,
    /// What it says; also that a range tombstone has taken the key away.
    pub kind: Kind,
}

/// What an index block says of a key: the first block to look into.
struct Place<'p> {
    /// The index block, and the word of it with the reference.
    index: Optimistic<'p>,
    word: usize,
    swip: Swip,
    /// How many blocks go on where the first one ends.
    following: u64,
}

/// What a block says of a key.
enum Looked {
    Version(Answer),
    Absent,
    GoesOn,
}

impl Run {
    /// Opens the run in `file`; blocks. It must not be open already.
    ///
    /// # Errors
    /// `Corruption` for a missing, cut, damaged or foreign file; `Unsupported` for a later version; `OverLimit` if the budget
    /// has no memory for its tables.
    pub fn open(home: &RunHome, file: FileId) -> Result<Arc<Self>> {
        let (opened, tail) = file::open(home, file)?;
        let Tail { info, top, ranges, .. } = tail;
        let bytes = top.bytes() + ranges.bytes() + opened.places().bytes();
        let memory = Charge::new(home.pool.budget().account("run tables"), bytes)?;
        let opened = Arc::new(opened);
        home.pool.add_blocks(file, opened.places().end(), opened.clone())?;
        let is_retired = AtomicBool::new(false);
        Ok(Arc::new(Self {
            home: home.clone(),
            file: opened,
            top,
            info,
            ranges,
            is_retired,
            _memory: memory,
        }))
    }

    /// What is known of it.
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// Its range tombstones, by key.
    pub fn range_tombstones(&self) -> impl Iterator<Item = RangeTombstone> + '_ {
        self.ranges.iter()
    }

    pub(crate) fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// A ring of frames for a scan of its blocks.
    pub(crate) fn scan_ring(&self) -> Arc<ScanRing> {
        self.home.pool.scan_ring()
    }

    /// Names the run's file as the place of an error.
    pub(crate) fn at(&self, error: Error) -> Error {
        error.at_file(self.info.file).at_path(&self.home.path(self.info.file))
    }

    /// Nothing durable refers to it any more: its file goes with the last reference.
    pub fn retire(&self) {
        self.is_retired.store(true, Relaxed);
    }

    /// What the run says of `key` to a reader at `snapshot`; a value is appended to `into`. None: nothing, ask an older layer.
    /// `hash` is the key's. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption` naming file and place, or `Io`; then `into` is as before.
    pub fn get(
        &self,
        key: &[u8],
        hash: KeyHash,
        snapshot: Timestamp,
        into: &mut Vec<u8>,
    ) -> Result<Option<Answer>> {
        let gone = self.ranges.newest(key, snapshot);
        let start = into.len();
        let found = self.find(key, hash, snapshot, into)?;
        match (found, gone) {
            (Some(answer), Some(gone)) if gone > answer.timestamp => {
                into.truncate(start);
                Ok(Some(Answer { timestamp: gone, kind: Kind::Tombstone }))
            }
            (None, Some(gone)) => Ok(Some(Answer { timestamp: gone, kind: Kind::Tombstone })),
            (found, _) => Ok(found),
        }
    }

    /// The newest version of `key` that `snapshot` sees, range tombstones left aside.
    fn find(
        &self,
        key: &[u8],
        hash: KeyHash,
        snapshot: Timestamp,
        into: &mut Vec<u8>,
    ) -> Result<Option<Answer>> {
        let Some(partition) = self.top.find(key) else { return Ok(None) };
        if let Some(filter) = self.top.filter(partition)
            && !self.may_contain(filter, key, hash)?
        {
            return Ok(None);
        }
        let place = self.seek(self.top.leaf_of(partition), key)?;
        let first = place.swip.page();
        let mut looked = self.look(first, || self.fix_from(&place), key, snapshot, into)?;
        for number in 1..=place.following {
            let Looked::GoesOn = looked else { break };
            let page = first.offset(number);
            looked = self.look(page, || self.fix(Swip::new(page), &Access::Normal), key, snapshot, into)?;
        }
        match looked {
            Looked::Version(answer) => Ok(Some(answer)),
            Looked::Absent | Looked::GoesOn => Ok(None),
        }
    }

    fn may_contain(&self, filter: &Reference, key: &[u8], hash: KeyHash) -> Result<bool> {
        let page = filter.swip().page();
        self.read(page, || self.fix_known(filter), |_, view| probe::may_contain(view, key, hash))
    }

    /// False if the run's filters know of no key between the bounds, and no range tombstone is there to be asked. Looks at a few filters
    /// only: of longer ranges they know little. Blocks for reads.
    ///
    /// # Errors
    /// `Corruption` naming file and place, or `Io`.
    pub fn may_contain_range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Result<bool> {
        let key = |bound: Bound<&[u8]>, without: Option<usize>| match bound {
            Bound::Included(key) | Bound::Excluded(key) => self.top.find(key),
            Bound::Unbounded => without,
        };
        if self.info.range_tombstones > 0 {
            return Ok(true);
        }
        let ends = (key(from, Some(0)), key(to, self.top.partitions().len().checked_sub(1)));
        let (Some(first), Some(last)) = ends else { return Ok(false) };
        if last.saturating_sub(first) >= FILTERS_ASKED {
            return Ok(true);
        }
        for partition in first..=last {
            let Some(filter) = self.top.filter(partition) else { return Ok(true) };
            let page = filter.swip().page();
            let ask = |_: &Optimistic<'_>, view: View<'_>| probe::may_contain_range(view, from, to);
            if self.read(page, || self.fix_known(filter), ask)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Where the block is in which `key` must be, if it is anywhere.
    fn seek(&self, leaf: usize, key: &[u8]) -> Result<Place<'_>> {
        let reference = self.top.leaf(leaf).expect("a partition's index block is one of the run");
        self.read(
            reference.swip().page(),
            || self.fix_known(reference),
            |guard, view| {
                let index = Index::open(view)?;
                let entry = index.find(key);
                let (word, swip, following) =
                    (index.word_of(entry), index.swip(entry), index.following(entry));
                Some(Place { index: *guard, word, swip, following })
            },
        )
    }

    /// Looks for `key` in one block.
    #[inline]
    fn look<'p>(
        &'p self,
        page: PageNo,
        fix: impl Fn() -> Result<Optimistic<'p>>,
        key: &[u8],
        snapshot: Timestamp,
        into: &mut Vec<u8>,
    ) -> Result<Looked> {
        let start = into.len();
        let looked = self.read(page, fix, |_, view| {
            into.truncate(start);
            Some(match Data::open(view)?.find(key, snapshot)? {
                Found::Version { timestamp, kind, value } => {
                    view.append_to(value.start, value.len(), into);
                    Looked::Version(Answer { timestamp, kind })
                }
                Found::Absent => Looked::Absent,
                Found::GoesOn => Looked::GoesOn,
            })
        });
        looked.inspect_err(|_| into.truncate(start))
    }

    /// Reads a page until nobody has written to its frame meanwhile. `work` returns none for a block that cannot be.
    #[inline]
    pub(super) fn read<'p, T>(
        &'p self,
        page: PageNo,
        fix: impl Fn() -> Result<Optimistic<'p>>,
        mut work: impl FnMut(&Optimistic<'p>, View<'p>) -> Option<T>,
    ) -> Result<T> {
        loop {
            let guard = fix()?;
            let done = work(&guard, guard.view());
            if guard.validate().is_ok() {
                return done.ok_or_else(|| self.malformed(page));
            }
        }
    }

    pub(super) fn fix(&self, swip: Swip, access: &Access<'_>) -> Result<Optimistic<'_>> {
        self.home.pool.optimistic(self.info.file, swip, access)
    }

    /// Fixes a page that the upper index names.
    #[inline]
    pub(super) fn fix_known(&self, reference: &Reference) -> Result<Optimistic<'_>> {
        let swip = reference.swip();
        let guard = self.fix(swip, &Access::Normal)?;
        if swip.hint() != Some(guard.frame()) {
            reference.remember(swip.with_hint(guard.frame()));
        }
        Ok(guard)
    }

    /// Fixes the block that an index block names.
    #[inline]
    fn fix_from(&self, place: &Place<'_>) -> Result<Optimistic<'_>> {
        let guard = self.fix(place.swip, &Access::Normal)?;
        if place.swip.hint() != Some(guard.frame()) {
            place.index.repair_hint(place.word, place.swip, guard.frame());
        }
        Ok(guard)
    }

    /// A block whose checksum is right and that nobody can have written.
    #[cold]
    fn malformed(&self, page: PageNo) -> Error {
        self.file
            .at(page, Error::corruption("a block of a run that cannot be, or of another kind than expected"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.home.pool.remove_blocks(self.info.file);
        if self.is_retired.load(Relaxed) {
            // What cannot be removed now is a leftover for the next open.
            let _ = self.home.remove(self.info.file);
        }
    }
}

impl core::fmt::Debug for Run {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Run").field(&self.info).finish()
    }
}
