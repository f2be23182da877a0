//! Pages, their file, and who has committed, as small as the spec has them.

use super::{nothing, parts, stream_of};
use aether_sync::{Arc, Mutex, MutexGuard, Rank};
use aether_trace::{act, act_if};
use aether_types::{Lsn, Lv, Result, StreamId};
use aether_wal::{Appended, FIRST_KIND, Scan, Wal};
use std::collections::BTreeMap;

const PAGES: usize = 2;
/// Of pages, in the order of their numbers; under no lock of the log.
const LATCHES: [Rank; PAGES] = [Rank::new(10, "first page"), Rank::new(11, "second page")];
const COMMITS: Rank = Rank::new(20, "commits");
const CHANGE: u8 = FIRST_KIND;
const COMMIT: u8 = FIRST_KIND + 1;
const UNDO: u8 = FIRST_KIND + 2;
/// A transaction, a row, who has it then, the page's number: eight bytes each.
const BODY_BYTES: usize = 32;

/// A page in the file: its number and the writers of its rows.
#[derive(Clone, Copy, Default)]
pub(crate) struct FilePage {
    psn: u64,
    rows: [u64; 2],
}

/// The page file.
pub(crate) type Files = [FilePage; PAGES];

struct Page {
    now: FilePage,
    lv: Lv,
    file: FilePage,
}

/// A transaction that runs.
pub(crate) struct Txn {
    id: u64,
    /// Rows changed and their writers before, oldest first.
    undo: Vec<(u64, u64)>,
    read: Lv,
}

impl Txn {
    pub(crate) fn new(id: u64) -> Self {
        Self { id, undo: Vec::new(), read: nothing() }
    }

    /// Has changed nothing.
    pub(crate) fn is_new(&self) -> bool {
        self.undo.is_empty()
    }
}

/// The store of a run.
pub(crate) struct Book {
    wal: Arc<Wal>,
    pages: [Mutex<Page>; PAGES],
    /// The vectors of transactions that have committed.
    commits: Mutex<BTreeMap<u64, Lv>>,
    losers: Mutex<Vec<Txn>>,
}

/// A record as found: kind, transaction, row, who has the row, number of the page.
type Found = (u8, [u64; 4]);

impl Book {
    /// What the log and the page file tell after a crash.
    pub(crate) fn read(scan: &Scan, wal: Arc<Wal>, files: &Files) -> Result<Self> {
        let found = found(scan)?;
        let page = |index: usize| Page {
            now: redone(files[index], index, &found),
            lv: nothing(),
            file: files[index],
        };
        let pages = core::array::from_fn(|index| Mutex::new(LATCHES[index], page(index)));
        let committed =
            found.iter().filter(|(kind, _)| *kind == COMMIT).map(|(_, body)| (body[0], nothing()));
        let commits: BTreeMap<_, _> = committed.chain([(0, nothing())]).collect();
        let losers = losers(&found, &commits);
        let (commits, losers) = (Mutex::new(COMMITS, commits), Mutex::new(COMMITS, losers));
        Ok(Self { wal, pages, commits, losers })
    }

    pub(crate) fn wal(&self) -> &Wal {
        &self.wal
    }

    /// The page file as it is now.
    pub(crate) fn files(&self) -> Files {
        core::array::from_fn(|index| self.pages[index].lock().file)
    }

    /// Rolls back whoever had not committed.
    pub(crate) fn undo_losers(&self) -> Result<()> {
        let losers = std::mem::take(&mut *self.losers.lock());
        losers.into_iter().try_for_each(|mut loser| self.undo(&mut loser))
    }

    /// Changes a row, having read another one; does nothing if either is not committed.
    pub(crate) fn change(&self, txn: &mut Txn, row: u64, read: Option<u64>) -> Result<()> {
        let stream = stream_of(txn.id);
        let credit = self.wal.reserve(stream, BODY_BYTES)?;
        let mut pages = self.latched(row, read);
        let (index, slot) = place(row);
        let reads = read.map(|read| pages.writer(read));
        let page = pages.page(index);
        let before = page.now.rows[slot];
        let (Some(replaced), Some(seen)) =
            (self.commit_of(before), reads.map_or(Some(nothing()), |w| self.commit_of(w)))
        else {
            return Ok(());
        };
        let mut needs = page.lv;
        needs.join(&replaced);
        let psn = page.now.psn + 1;
        let body = body([txn.id, row, txn.id, psn]);
        let append = || self.wal.append(credit, CHANGE, &needs, &body);
        let seen_row = read.unwrap_or(0);
        let appended = act("Change", append, |at| told([txn.id, row, seen_row, before, psn], stream, at));
        page.now.rows[slot] = txn.id;
        (page.now.psn, page.lv) = (psn, appended.lv);
        txn.read.join(&seen);
        txn.undo.push((row, before));
        Ok(())
    }

    /// Commits; returns the commit's vector.
    pub(crate) fn commit(&self, txn: &Txn) -> Result<Lv> {
        let stream = stream_of(txn.id);
        let credit = self.wal.reserve(stream, BODY_BYTES)?;
        let body = body([txn.id, 0, 0, 0]);
        let append = || self.wal.append(credit, COMMIT, &txn.read, &body);
        let appended = act("Commit", append, |at| told([txn.id, 0, 0, 0, 0], stream, at));
        self.commits.lock().insert(txn.id, appended.lv);
        Ok(appended.lv)
    }

    /// Takes back what was changed.
    pub(crate) fn roll_back(&self, txn: &mut Txn) -> Result<()> {
        act("RollBack", || (), |()| [txn.id]);
        self.undo(txn)
    }

    fn undo(&self, txn: &mut Txn) -> Result<()> {
        let stream = stream_of(txn.id);
        while let Some((row, before)) = txn.undo.pop() {
            let credit = self.wal.reserve_urgent(stream, BODY_BYTES)?;
            let (index, slot) = place(row);
            let mut page = self.pages[index].lock();
            let psn = page.now.psn + 1;
            let body = body([txn.id, row, before, psn]);
            let needs = page.lv;
            let append = || self.wal.append(credit, UNDO, &needs, &body);
            let appended = act("Compensate", append, |at| told([txn.id, row, 0, before, psn], stream, at));
            page.now.rows[slot] = before;
            (page.now.psn, page.lv) = (psn, appended.lv);
        }
        Ok(())
    }

    /// Writes a page, if its log is durable (P1).
    pub(crate) fn write_page(&self, index: usize) {
        let mut page = self.pages[index].lock();
        let write = || {
            let may = page.file.psn != page.now.psn && self.wal.is_durable(&page.lv);
            if may {
                page.file = page.now;
            }
            may
        };
        act_if("WritePage", write, |written| written.then_some([index as u64]));
    }

    fn commit_of(&self, writer: u64) -> Option<Lv> {
        self.commits.lock().get(&writer).copied()
    }

    /// The pages of one or two rows, latched in the order of their numbers.
    fn latched(&self, row: u64, read: Option<u64>) -> Latched<'_> {
        let wanted = |index: usize| place(row).0 == index || read.is_some_and(|read| place(read).0 == index);
        Latched(core::array::from_fn(|index| wanted(index).then(|| self.pages[index].lock())))
    }
}

struct Latched<'a>([Option<MutexGuard<'a, Page>>; PAGES]);

impl Latched<'_> {
    #[allow(clippy::expect_used)]
    fn page(&mut self, index: usize) -> &mut Page {
        self.0[index].as_mut().expect("the pages of the rows are latched")
    }

    fn writer(&mut self, row: u64) -> u64 {
        let (index, slot) = place(row);
        self.page(index).now.rows[slot]
    }
}

/// Page and slot of a row; rows count from 1.
fn place(row: u64) -> (usize, usize) {
    (((row - 1) / 2) as usize, ((row - 1) % 2) as usize)
}

fn body(words: [u64; 4]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// What an append tells: the given numbers, its stream, its end, its vector.
fn told(numbers: [u64; 5], stream: StreamId, at: &Appended) -> [u64; 10] {
    let [a, b, c, d, e] = numbers;
    let [first, second, third] = parts(&at.lv);
    [a, b, c, d, e, u64::from(stream.get()), at.end.get(), first, second, third]
}

fn found(scan: &Scan) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for stream in scan.streams() {
        scan.for_each(stream, Lsn::new(0), &mut |record| {
            let words = record.body.chunks_exact(8).map(|word| word.try_into().map_or(0, u64::from_le_bytes));
            let words: Vec<u64> = words.collect();
            found.extend(words.try_into().ok().map(|words: [u64; 4]| (record.kind, words)));
            Ok(())
        })?;
    }
    Ok(found)
}

/// P2: exactly the next number.
fn redone(mut page: FilePage, index: usize, found: &[Found]) -> FilePage {
    let of_page = |kind: u8, body: &[u64; 4]| kind != COMMIT && place(body[1]).0 == index;
    let next = |psn: u64| found.iter().find(|(kind, body)| of_page(*kind, body) && body[3] == psn + 1);
    while let Some((_, [_, row, writer, psn])) = next(page.psn) {
        page.rows[place(*row).1] = *writer;
        page.psn = *psn;
    }
    page
}

/// Those with changes that are neither committed nor taken back. Who had a row before a change is what the changes of
/// the page before it say.
fn losers(found: &[Found], commits: &BTreeMap<u64, Lv>) -> Vec<Txn> {
    let mut losers: BTreeMap<u64, Txn> = BTreeMap::new();
    for (kind, [id, row, _, psn]) in found.iter().filter(|(_, body)| !commits.contains_key(&body[0])) {
        let txn = losers.entry(*id).or_insert_with(|| Txn::new(*id));
        match *kind {
            CHANGE => txn.undo.push((*row, writer_before(found, *row, *psn))),
            _ => drop(txn.undo.pop()),
        }
    }
    losers.into_values().filter(|txn| !txn.is_new()).collect()
}

fn writer_before(found: &[Found], row: u64, psn: u64) -> u64 {
    let earlier = found.iter().filter(|(kind, body)| *kind != COMMIT && body[1] == row && body[3] < psn);
    earlier.max_by_key(|(_, body)| body[3]).map_or(0, |(_, body)| body[2])
}
