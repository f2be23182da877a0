//! Redo: each page's changes, in the order of its sequence numbers.
//!
//! A change applies at exactly the next PSN; one at or below the page's own is there already; one further ahead
//! waits for those between, which another stream holds. An init operation needs nothing of the old bytes: it
//! applies above any lower PSN, and to a page whose bytes are damaged. What still waits at the end is a hole:
//! corruption, reported, never skipped (P2).

use crate::group::{self, PagePart};
use crate::open::RecoveryReport;
use crate::store::Store;
use aether_page::{PageMut, PageOp, Swip, View};
use aether_sync::word::Word;
use aether_types::{Error, ErrorKind, FileId, Lsn, Lv, PageNo, Psn, Reader, Result, StreamId};
use aether_wal::Record;
use aether_wal::buffer::Exclusive;
use aether_wal::buffer::page as aether_page;
use std::collections::BTreeMap;

/// Changes of one page that wait for earlier ones, by sequence number.
type Waiting = BTreeMap<Psn, Change<'static>>;

struct Change<'l> {
    ops: Vec<PageOp<'l>>,
    stream: StreamId,
    lsn: Lsn,
    lv: Lv,
}

impl Change<'_> {
    fn into_owned(self) -> Change<'static> {
        let ops = self.ops.into_iter().map(PageOp::into_owned).collect();
        Change { ops, stream: self.stream, lsn: self.lsn, lv: self.lv }
    }

    fn begins_life(&self) -> bool {
        self.ops.first().is_some_and(PageOp::is_init)
    }
}

/// Redo under way.
pub(crate) struct Redo<'s> {
    store: &'s Store,
    waiting: BTreeMap<(FileId, PageNo), Waiting>,
    groups: u64,
    redone: u64,
    skipped: u64,
}

impl<'s> Redo<'s> {
    pub(crate) fn new(store: &'s Store) -> Self {
        Self { store, waiting: BTreeMap::new(), groups: 0, redone: 0, skipped: 0 }
    }

    /// Applies what can be applied of a group; the rest waits.
    pub(crate) fn group(&mut self, record: &Record<'_>) -> Result<()> {
        let mut reader = Reader::new(record.body);
        let (_, pages) = group::read_head(&mut reader)?;
        for _ in 0..pages {
            let PagePart { file, page, psn, ops } = group::read_page(&mut reader, self.store.page_size())?;
            let change = Change { ops, stream: record.stream, lsn: record.lsn, lv: record.lv };
            self.change(file, page, psn, change)?;
        }
        self.groups += 1;
        reader.finish()
    }

    fn change(&mut self, file: FileId, page: PageNo, psn: Psn, change: Change<'_>) -> Result<()> {
        let waiting = self.waiting.entry((file, page)).or_default();
        let Some(mut guard) = fix(self.store, file, page, change.begins_life())? else {
            waiting.insert(psn, change.into_owned());
            return Ok(());
        };
        // Also if the file has the change already: that may be in the system's cache alone, unsynced when the process
        // died, or after a failed sync. What the log still tells of is written again.
        guard.mark_dirty(change.stream, change.lsn);
        // Nearly always the change is the next one, or there already, and nothing waits.
        match psn {
            psn if psn <= guard.psn() => self.skipped += 1,
            psn if psn == guard.psn().next() || change.begins_life() => {
                apply(&mut guard, psn, &change)?;
                self.redone += 1;
            }
            psn => drop(waiting.insert(psn, change.into_owned())),
        }
        while let Some((psn, change)) = next(waiting, guard.psn(), &mut self.skipped) {
            apply(&mut guard, psn, &change)?;
            self.redone += 1;
        }
        if waiting.is_empty() {
            self.waiting.remove(&(file, page));
        }
        Ok(())
    }

    /// Fails if a change still waits.
    pub(crate) fn finish(self, report: &mut RecoveryReport) -> Result<()> {
        report.groups = self.groups;
        report.pages_redone = self.redone;
        report.pages_skipped = self.skipped;
        let Some(((file, page), waiting)) = self.waiting.into_iter().next() else { return Ok(()) };
        let first = waiting.first_key_value().map_or(Psn::default(), |(psn, _)| *psn);
        let found = self.store.pool().exclusive(file, Swip::new(page)).map(|guard| guard.psn());
        Err(match found {
            Ok(psn) => Error::corruption(format!(
                "the page stands at {psn}, the log goes on at {first}: a change is missing"
            )),
            Err(error) => error,
        }
        .at_file(file)
        .at_page(page))
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
    check(guard, change).map_err(|error| error.at_file(file).at_page(page))?;
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
