//! Redo: each page's changes, in the order of its sequence numbers.
//!
//! Groups are gathered, some MiB at a time, and sorted by page: each page is fixed once for all its changes, neighbours are
//! loaded in one read, and what is dirty lies together for write-back. Pages owe each other nothing, so their
//! order is free.
//!
//! A change applies at exactly the next PSN; one at or below the page's own is there already; one further ahead
//! waits for those between, which another stream holds. An init operation needs nothing of the old bytes: it
//! applies above any lower PSN, and to a page whose bytes are damaged. What still waits at the end is a hole:
//! corruption, reported, never skipped (P2); but a page whose bytes are damaged is fenced, and the rest of the store opens.

use crate::group::{self, PagePart};
use crate::open::RecoveryReport;
use crate::store::Store;
use aether_page::{PageMut, PageOp, Swip, View};
use aether_sync::word::Word;
use aether_types::{Error, ErrorKind, FileId, Lsn, Lv, PageNo, Psn, Reader, Result, StreamId};
use aether_wal::Record;
use aether_wal::buffer::page as aether_page;
use aether_wal::buffer::{Charge, Exclusive};
use core::ops::Range;
use std::collections::BTreeMap;

/// Bytes of log gathered before they are applied, at most; a pool smaller than this gathers what it could hold.
const GATHERED_BYTES_MAX: usize = 8 << 20;
/// Pages loaded before the first of them is changed.
const LOADED_TOGETHER: usize = 16;

/// Changes of one page that wait for earlier ones, by sequence number.
type Waiting = BTreeMap<Psn, Change<'static>>;

#[derive(Clone)]
struct Change<'l> {
    ops: Vec<PageOp<'l>>,
    stream: StreamId,
    lsn: Lsn,
    lv: Lv,
}

impl Change<'_> {
    fn to_owned(&self) -> Change<'static> {
        let ops = self.ops.iter().cloned().map(PageOp::into_owned).collect();
        Change { ops, ..*self }
    }

    fn begins_life(&self) -> bool {
        self.ops.first().is_some_and(PageOp::is_init)
    }
}

/// Groups of the log, not yet applied.
#[derive(Default)]
struct Gathered {
    bodies: Vec<u8>,
    groups: Vec<(Range<usize>, StreamId, Lsn, Lv)>,
}

/// A page's part of a group.
struct Part<'l> {
    file: FileId,
    page: PageNo,
    psn: Psn,
    change: Change<'l>,
}

impl Gathered {
    fn push(&mut self, record: &Record<'_>) {
        let start = self.bodies.len();
        self.bodies.extend_from_slice(record.body);
        self.groups.push((start..self.bodies.len(), record.stream, record.lsn, record.lv));
    }

    /// Every part of every group, by page; those of one page in the order of the log.
    fn parts(&self, store: &Store) -> Result<Vec<Part<'_>>> {
        let mut parts = Vec::with_capacity(2 * self.groups.len());
        for (body, stream, lsn, lv) in &self.groups {
            let mut reader = Reader::new(&self.bodies[body.clone()]);
            let mut read = || {
                let (_, pages) = group::read_head(&mut reader)?;
                for _ in 0..pages {
                    let PagePart { file, page, psn, ops } = group::read_page(&mut reader, store.page_size())?;
                    let change = Change { ops, stream: *stream, lsn: *lsn, lv: *lv };
                    parts.push(Part { file, page, psn, change });
                }
                reader.finish()
            };
            read().map_err(|error| error.at_offset(lsn.get()))?;
        }
        parts.sort_by_key(|part| (part.file, part.page));
        Ok(parts)
    }
}

/// Redo under way.
pub(crate) struct Redo<'s> {
    store: &'s Store,
    gathered: Gathered,
    gathered_bytes_max: usize,
    _memory: Charge,
    waiting: BTreeMap<(FileId, PageNo), Waiting>,
    groups: u64,
    redone: u64,
    skipped: u64,
}

impl<'s> Redo<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        let pool_bytes = store.pool().config().num_frames * store.page_size().bytes();
        let left_bytes = usize::try_from(store.budget().left_bytes()).unwrap_or(usize::MAX);
        let gathered_bytes_max = GATHERED_BYTES_MAX.min(pool_bytes).min(left_bytes);
        let memory = Charge::counted(store.budget().account("redo"), gathered_bytes_max as u64);
        Self {
            store,
            gathered: Gathered::default(),
            gathered_bytes_max,
            _memory: memory,
            waiting: BTreeMap::new(),
            groups: 0,
            redone: 0,
            skipped: 0,
        }
    }

    /// Takes a group; now and then applies what can be applied of those gathered. The rest waits.
    pub(crate) fn group(&mut self, record: &Record<'_>) -> Result<()> {
        self.gathered.push(record);
        self.groups += 1;
        if self.gathered.bodies.len() < self.gathered_bytes_max { Ok(()) } else { self.apply_gathered() }
    }

    fn apply_gathered(&mut self) -> Result<()> {
        let gathered = core::mem::take(&mut self.gathered);
        let parts = gathered.parts(self.store)?;
        let pages: Vec<&[Part<'_>]> =
            parts.chunk_by(|left, right| (left.file, left.page) == (right.file, right.page)).collect();
        for together in pages.chunks(LOADED_TOGETHER) {
            self.load(together);
            together.iter().try_for_each(|page| self.page(page))?;
        }
        Ok(())
    }

    /// Loads the pages whose bytes are needed; what fails is met again by whoever fixes the page.
    fn load(&self, pages: &[&[Part<'_>]]) {
        let needed = |page: &&&[Part<'_>]| !page[0].change.begins_life();
        for file in pages.chunk_by(|left, right| left[0].file == right[0].file) {
            let wanted: Vec<PageNo> = file.iter().filter(needed).map(|page| page[0].page).collect();
            self.store.pool().load_together(file[0][0].file, &wanted);
        }
    }

    /// Applies the changes of one page.
    fn page(&mut self, parts: &[Part<'_>]) -> Result<()> {
        let place = (parts[0].file, parts[0].page);
        let mut waiting = self.waiting.remove(&place).unwrap_or_default();
        let mut fixed = None;
        for part in parts {
            self.change(&mut fixed, &mut waiting, part).map_err(|error| {
                error.at_file(part.file).at_page(part.page).at_offset(part.change.lsn.get())
            })?;
        }
        if !waiting.is_empty() {
            self.waiting.insert(place, waiting);
        }
        Ok(())
    }

    fn change(
        &mut self,
        fixed: &mut Option<Exclusive<'s>>,
        waiting: &mut Waiting,
        part: &Part<'_>,
    ) -> Result<()> {
        let Part { file, page, psn, change } = part;
        if fixed.is_none() {
            *fixed = fix(self.store, *file, *page, change.begins_life())?;
        }
        let Some(guard) = fixed else {
            waiting.insert(*psn, change.to_owned());
            return Ok(());
        };
        // Also if the file has the change already: that may be in the system's cache alone, unsynced when the process
        // died, or after a failed sync. What the log still tells of is written again.
        guard.mark_dirty(change.stream, change.lsn);
        // Nearly always the change is the next one, or there already, and nothing waits.
        match *psn {
            psn if psn <= guard.psn() => self.skipped += 1,
            psn if psn == guard.psn().next() || change.begins_life() => {
                apply(guard, psn, change)?;
                self.redone += 1;
            }
            psn => drop(waiting.insert(psn, change.to_owned())),
        }
        while !waiting.is_empty()
            && let Some((psn, change)) = next(waiting, guard.psn(), &mut self.skipped)
        {
            apply(guard, psn, &change)?;
            self.redone += 1;
        }
        Ok(())
    }

    /// Applies the last groups. Fails if a change still waits for one that is missing; a page that is damaged is fenced.
    pub(crate) fn finish(mut self, report: &mut RecoveryReport) -> Result<()> {
        self.apply_gathered()?;
        report.groups = self.groups;
        report.pages_redone = self.redone;
        report.pages_skipped = self.skipped;
        for ((file, page), waiting) in &self.waiting {
            self.give_up(*file, *page, waiting).map_err(|error| error.at_file(*file).at_page(*page))?;
            report.fenced.push(*page);
        }
        Ok(())
    }

    /// Fences a damaged page: it should have the changes that wait for it.
    fn give_up(&self, file: FileId, page: PageNo, waiting: &Waiting) -> Result<()> {
        let (Some((first, _)), Some((last, _))) = (waiting.first_key_value(), waiting.last_key_value())
        else {
            return Ok(());
        };
        match self.store.pool().exclusive(file, Swip::new(page)).map(|guard| guard.psn()) {
            Ok(psn) => Err(Error::corruption(format!(
                "the page stands at {psn}, the log goes on at {first}: a change is missing"
            ))),
            Err(error) if error.kind() == ErrorKind::Corruption => self.store.pool().fence(file, page, *last),
            Err(error) => Err(error),
        }
    }
}

/// The page, or none if its bytes are damaged and nothing begins its life anew.
fn fix(store: &Store, file: FileId, page: PageNo, begins_life: bool) -> Result<Option<Exclusive<'_>>> {
    store.check_page(page)?;
    match store.pool().exclusive(file, Swip::new(page)) {
        Ok(guard) => Ok(Some(guard)),
        Err(error) if error.kind() != ErrorKind::Corruption => Err(error),
        Err(_) if begins_life => store.pool().create(file, page).map(Some),
        Err(_) => Ok(None),
    }
}

/// Takes the next applicable change out of those waiting, dropping those that the page already has.
fn next(waiting: &mut Waiting, at: Psn, skipped: &mut u64) -> Option<(Psn, Change<'static>)> {
    // A later life makes everything below its beginning void.
    let life =
        waiting.iter().rev().find(|(psn, change)| **psn > at && change.begins_life()).map(|(psn, _)| *psn);
    let from = life.unwrap_or(at.next());
    let kept = waiting.split_off(&from);
    *skipped += waiting.len() as u64;
    *waiting = kept;
    let first = waiting.first_entry()?;
    (*first.key() == from).then(|| first.remove_entry())
}

fn apply(guard: &mut Exclusive<'_>, psn: Psn, change: &Change<'_>) -> Result<()> {
    let (file, page) = (guard.file(), guard.page_no());
    check(guard, change)?;
    guard.mark_dirty(change.stream, change.lsn);
    change.ops.iter().for_each(|op| op.apply(guard.page_mut(), file, page));
    let mut lv = guard.page_lv();
    lv.join(&change.lv);
    guard.stamp(psn, &lv);
    Ok(())
}

/// Checks every operation before the first is applied.
fn check(guard: &Exclusive<'_>, change: &Change<'_>) -> Result<()> {
    let [op] = &change.ops[..] else { return check_on_copy(guard, change) };
    op.check(guard.view())
}

fn check_on_copy(guard: &Exclusive<'_>, change: &Change<'_>) -> Result<()> {
    let words = guard.view().len_bytes() / 8;
    let copy: Vec<Word> = (0..words).map(|at| Word::new(guard.view().word(at))).collect();
    change.ops.iter().try_for_each(|op| {
        op.check(View::new(&copy))?;
        op.apply(PageMut::new(&copy), guard.file(), guard.page_no());
        Ok(())
    })
}
