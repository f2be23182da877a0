//! Applying the changes of pages: what one redo thread does.
//!
//! A change applies at exactly the next PSN; one at or below the page's own is there already; one further ahead
//! waits for those between, which another stream holds. An init operation needs nothing of the old bytes: it
//! applies above any lower PSN, and to a page whose bytes are damaged. What still waits at the end is a hole:
//! corruption, reported, never skipped (P2); but a page whose bytes are damaged is fenced, and the rest of the store opens.

use super::batch::{Batch, Entry, OfPage};
use crate::rows::{ROWS_FILE, RowPart, StripePlace};
use crate::store::Store;
use aether_page::{PageMut, PageOp, Swip, View};
use aether_sync::{Arc, Mutex, Work};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, FileId, Lsn, Lv, PageNo, Psn, Result, StreamId};
use aether_wal::buffer::Exclusive;
use aether_wal::buffer::page as aether_page;
use std::collections::BTreeMap;

/// Pages loaded before the first of them is changed.
const LOADED_TOGETHER: usize = 16;

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
        Change { ops: self.ops.into_iter().map(PageOp::into_owned).collect(), ..self }
    }

    fn begins_life(&self) -> bool {
        self.ops.first().is_some_and(PageOp::is_init)
    }
}

/// What was done, and what could not be.
#[derive(Default)]
pub(super) struct Redone {
    pub(super) redone: u64,
    pub(super) skipped: u64,
    pub(super) waited: u64,
    /// Changes of rows in memory that were handed over.
    pub(super) rows: u64,
    waiting: BTreeMap<(FileId, PageNo), Waiting>,
}

/// Batches that were applied, for their memory.
pub(super) type Spares = Arc<Mutex<Vec<Batch>>>;

/// The pages of one thread.
pub(super) struct Pages {
    store: Arc<Store>,
    spares: Spares,
    done: Redone,
}

impl Pages {
    pub(super) fn new(store: Arc<Store>, spares: Spares) -> Self {
        Self { store, spares, done: Redone::default() }
    }
}

impl Work for Pages {
    type Job = Batch;
    type Outcome = Redone;

    /// Applies what can be applied of a batch. The rest waits.
    fn work(&mut self, mut batch: Batch) -> Result<()> {
        batch.sort();
        let mut room = Vec::new();
        for together in batch.pages().chunks(LOADED_TOGETHER) {
            load(&self.store, together);
            together.iter().try_for_each(|page| self.done.page(&self.store, *page, &mut room))?;
        }
        drop(room);
        batch.clear();
        self.spares.lock().push(batch);
        Ok(())
    }

    fn finish(self) -> Result<Redone> {
        Ok(self.done)
    }
}

/// Loads the pages whose bytes are needed; what fails is met again by whoever fixes the page.
fn load(store: &Store, pages: &[OfPage<'_>]) {
    let in_files = |of_file: &&[OfPage<'_>]| of_file[0].place().0 != ROWS_FILE;
    for of_file in pages.chunk_by(|left, right| left.place().0 == right.place().0).filter(in_files) {
        let needed = of_file.iter().filter(|page| !page.begins_life());
        let wanted: Vec<PageNo> = needed.map(|page| page.place().1).collect();
        store.pool().load_together(of_file[0].place().0, &wanted);
    }
}

impl Redone {
    /// Takes in what another thread has done, of other pages.
    pub(super) fn add(&mut self, mut other: Self) {
        self.redone += other.redone;
        self.skipped += other.skipped;
        self.waited += other.waited;
        self.rows += other.rows;
        self.waiting.append(&mut other.waiting);
    }

    /// Applies the changes of one page; operations are decoded in `room`.
    fn page<'b>(&mut self, store: &Store, page: OfPage<'b>, room: &mut Vec<PageOp<'b>>) -> Result<()> {
        let (file, page_no) = page.place();
        if file == ROWS_FILE {
            return self.stripe(store, page);
        }
        let mut waiting = self.waiting.remove(&page.place()).unwrap_or_default();
        let mut fixed = None;
        for entry in page.entries() {
            self.change(store, &mut fixed, &mut waiting, (page, entry), room)
                .map_err(|error| error.at_file(file).at_page(page_no).at_offset(entry.lsn.get()))?;
        }
        if !waiting.is_empty() {
            self.waiting.insert(page.place(), waiting);
        }
        Ok(())
    }

    /// Hands the changes of one stripe over.
    fn stripe(&mut self, store: &Store, stripe: OfPage<'_>) -> Result<()> {
        let (_, page) = stripe.place();
        for entry in stripe.entries() {
            let ops = stripe.decode_rows(entry, store.page_size())?;
            let place = StripePlace::of_page(page, entry.psn);
            let (stream, lsn, lv) = (entry.stream, entry.lsn, stripe.vector(entry));
            store
                .redo_rows(&RowPart { place, stream, lsn, lv, ops })
                .map_err(|error| error.at_offset(lsn.get()))?;
            self.rows += 1;
        }
        Ok(())
    }

    fn change<'s, 'b>(
        &mut self,
        store: &'s Store,
        fixed: &mut Option<Exclusive<'s>>,
        waiting: &mut Waiting,
        (page, entry): (OfPage<'b>, &Entry),
        room: &mut Vec<PageOp<'b>>,
    ) -> Result<()> {
        let mut decode = || {
            let ops = page.decode(entry, store.page_size(), room)?;
            Ok(Change { ops, stream: entry.stream, lsn: entry.lsn, lv: page.vector(entry) })
        };
        if fixed.is_none() {
            *fixed = fix(store, page.place(), entry.begins_life)?;
        }
        let Some(guard) = fixed else {
            self.waited += 1;
            waiting.insert(entry.psn, decode()?.into_owned());
            return Ok(());
        };
        // Also if the file has the change already: that may be in the system's cache alone, unsynced when the process
        // died, or after a failed sync. What the log still tells of is written again.
        if entry.psn > guard.psn() || !planted("clean-after-redo") {
            guard.mark_dirty(entry.stream, entry.lsn);
        }
        // Nearly always the change is the next one, or there already, and nothing waits.
        match entry.psn {
            psn if psn <= guard.psn() => self.skipped += 1,
            psn if psn == guard.psn().next() || entry.begins_life => {
                let change = decode()?;
                apply(guard, psn, &change)?;
                *room = change.ops;
                self.redone += 1;
            }
            psn => {
                self.waited += 1;
                waiting.insert(psn, decode()?.into_owned());
            }
        }
        self.apply_waiting(guard, waiting)
    }

    fn apply_waiting(&mut self, guard: &mut Exclusive<'_>, waiting: &mut Waiting) -> Result<()> {
        while !waiting.is_empty()
            && let Some((psn, change)) = next(waiting, guard.psn(), &mut self.skipped)
        {
            apply(guard, psn, &change)?;
            self.redone += 1;
        }
        Ok(())
    }

    /// Fails if a change still waits for one that is missing; returns the damaged pages that were fenced instead.
    pub(super) fn give_up(&self, store: &Store) -> Result<Vec<PageNo>> {
        let give_up = |((file, page), waiting): (&(FileId, PageNo), &Waiting)| {
            fence(store, *file, *page, waiting).map_err(|error| error.at_file(*file).at_page(*page))?;
            Ok(*page)
        };
        self.waiting.iter().map(give_up).collect()
    }
}

/// Fences a damaged page: it should have the changes that wait for it.
fn fence(store: &Store, file: FileId, page: PageNo, waiting: &Waiting) -> Result<()> {
    let (Some((first, _)), Some((last, _))) = (waiting.first_key_value(), waiting.last_key_value()) else {
        return Ok(());
    };
    match store.pool().exclusive(file, Swip::new(page)).map(|guard| guard.psn()) {
        Ok(psn) => Err(Error::corruption(format!(
            "the page stands at {psn}, the log goes on at {first}: a change is missing"
        ))),
        Err(error) if error.kind() == ErrorKind::Corruption => store.pool().fence(file, page, *last),
        Err(error) => Err(error),
    }
}

/// The page, or none if its bytes are damaged and nothing begins its life anew.
fn fix(store: &Store, (file, page): (FileId, PageNo), begins_life: bool) -> Result<Option<Exclusive<'_>>> {
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
    let copy = guard.view().to_words();
    change.ops.iter().try_for_each(|op| {
        op.check(View::new(&copy))?;
        op.apply(PageMut::new(&copy), guard.file(), guard.page_no());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(begins_life: bool) -> Change<'static> {
        let op = match begins_life {
            true => PageOp::FixedInit { record_size: 8, owner: 1, link: 0 },
            false => PageOp::FixedClear { index: 0 },
        };
        Change { ops: vec![op], stream: StreamId::new(0), lsn: Lsn::new(0), lv: Lv::ZERO }
    }

    /// The number of the change that is next, of changes with these numbers, and how many were dropped.
    fn next_of(waiting: &[(u64, bool)], at: u64) -> (Option<u64>, u64, Vec<u64>) {
        let all = waiting.iter().map(|(psn, begins_life)| (Psn::new(*psn), change(*begins_life)));
        let (mut waiting, mut skipped) = (all.collect::<Waiting>(), 0);
        let found = next(&mut waiting, Psn::new(at), &mut skipped).map(|(psn, _)| psn.get());
        (found, skipped, waiting.keys().map(|psn| psn.get()).collect())
    }

    #[test]
    fn a_change_is_next_by_its_number_alone() {
        assert_eq!(next_of(&[(5, false), (6, false)], 4), (Some(5), 0, vec![6]));
        // Those that the page has already are dropped.
        assert_eq!(next_of(&[(3, false), (4, true), (5, false)], 4), (Some(5), 2, vec![]));
        assert_eq!(next_of(&[(3, false)], 4), (None, 1, vec![]));
    }

    #[test]
    fn a_hole_is_not_passed_over() {
        assert_eq!(next_of(&[(6, false), (7, false)], 4), (None, 0, vec![6, 7]));
    }

    #[test]
    fn a_new_life_needs_nothing_of_what_was_before() {
        assert_eq!(next_of(&[(6, false), (9, true), (10, false)], 4), (Some(9), 1, vec![10]));
        assert_eq!(next_of(&[(6, true), (9, true)], 4), (Some(9), 1, vec![]));
    }
}
