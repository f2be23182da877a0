//! Redo: each page's changes, in the order of its sequence numbers.
//!
//! One thread reads the log and parts each group by its pages; a page belongs to one of the redo threads, which gets
//! its parts in batches, in the order of the log. A batch is sorted by page: each page is fixed once for all its changes,
//! neighbours are loaded in one read, and what is dirty lies together for write-back.
//!
//! Why threads need no order among them: a part is a change of one page and says all that the page needs, its next
//! sequence number included. Space-map pages, undo pages and the roots page are pages like any other, and so is what the
//! catalog says, so whole groups need not be seen whole: what one holds for several pages was checked when it was logged. Nothing is read
//! of one page to change another, nobody else uses the store before all threads have ended, and the parts of one
//! page are all with one thread. So any interleaving leaves each page as one thread would.
//!
//! Stripes of rows in memory are parted among the threads as if they were pages of a file. A change of a row says what the row is
//! from then on and needs nothing of what it was, so these come in any order, and whoever has the table compares numbers.
//!
//! What a page writes back early, because the pool is full, obeys P1 as ever: the log is durable up to the cut before
//! redo begins. A crash in the middle leaves pages older or newer than others, which is what redo starts from anyway.
//!
//! The first thread that fails takes no more; all are waited for, then redo fails.

mod batch;
mod pages;
mod streams;

use crate::open::RecoveryReport;
use crate::store::Store;
use crate::{group, rank};
use aether_sync::{Arc, Crew, Mutex, Work, thread};
use aether_types::{Error, ErrorKind, FileId, Lv, PageNo, Result};
use aether_wal::buffer::Charge;
use aether_wal::{Record, Scan};
use batch::{Batch, parts_of};
use pages::{Pages, Redone, Spares};

/// Threads that [`crate::StoreConfig::redo_threads`] may ask for.
const THREADS_MAX: usize = 64;
/// Threads when nobody says how many: more would wait for the one that reads the log.
const THREADS_DEFAULT_MAX: usize = 4;
/// Bytes of a batch at the most.
const BATCH_BYTES_MAX: usize = 8 << 20;
/// Batches that wait for a thread at the most.
const QUEUED_MAX: usize = 1;
/// Batches of each thread: one is filled, some wait, one is applied.
const BATCHES_EACH: usize = QUEUED_MAX + 2;
/// Batches take at most this part of the memory that the budget has left.
const BUDGET_SHARE: usize = 4;
/// Frames of the pool for each thread at the least: it latches 16 while it loads pages, and others need some.
const FRAMES_EACH: usize = 24;
/// Pages that lie so near to each other belong to one thread, which loads them in one read.
const NEIGHBOURS: u64 = 16;

/// Who applies the parts.
enum Hands {
    /// The thread that reads the log.
    Own(Pages),
    Crew(Crew<Pages>),
}

/// Brings the pages of `store` from the redo start `from` to the cut. Blocks.
///
/// # Errors
/// `Corruption` naming the page if a change is missing or is none of its page, or the log is damaged; of the files;
/// `Poisoned` if a thread panicked.
pub(crate) fn run(scan: &Scan, from: &Lv, store: &Arc<Store>, report: &mut RecoveryReport) -> Result<()> {
    let mut redo = Redo::start(store)?;
    streams::for_each(scan, from, &mut |record| match record.kind {
        kind if group::is_group(kind) => redo.group(record),
        _ => Ok(()),
    })?;
    redo.finish(report)
}

/// Redo under way.
struct Redo {
    store: Arc<Store>,
    hands: Hands,
    /// The batch being filled for each thread.
    filling: Vec<Batch>,
    spares: Spares,
    batch_bytes_max: usize,
    groups: u64,
    _memory: Charge,
}

impl Redo {
    /// Starts the redo threads, unless one is enough.
    fn start(store: &Arc<Store>) -> Result<Self> {
        let threads = threads(store);
        let batches = if threads == 1 { 1 } else { threads * BATCHES_EACH };
        let batch_bytes_max = batch_bytes_max(store, batches);
        let memory = Charge::counted(store.budget().account("redo"), (batches * batch_bytes_max) as u64);
        let spares: Spares = Arc::new(Mutex::new(rank::REDO_SPARES, Vec::new()));
        let worker = |_| Pages::new(store.clone(), spares.clone());
        let mut workers: Vec<Pages> = (0..threads).map(worker).collect();
        let hands = match workers.pop() {
            Some(own) if workers.is_empty() => Hands::Own(own),
            last => {
                workers.extend(last);
                Hands::Crew(Crew::start("aether-redo", rank::REDO_BATCHES, QUEUED_MAX, workers)?)
            }
        };
        let filling = (0..threads).map(|_| Batch::default()).collect();
        let store = store.clone();
        Ok(Self { store, hands, filling, spares, batch_bytes_max, groups: 0, _memory: memory })
    }

    /// Takes a group; now and then hands over what was gathered for a thread. Blocks while that has enough to do.
    fn group(&mut self, record: &Record<'_>) -> Result<()> {
        self.groups += 1;
        let (count, filling) = (self.filling.len(), &mut self.filling);
        parts_of(record, self.store.page_size(), &mut |part| {
            filling[owner(part.file, part.page, count)].push(record, &part);
        })?;
        (0..count).try_for_each(|thread| match self.filling[thread].bytes() < self.batch_bytes_max {
            true => Ok(()),
            false => self.hand_over(thread),
        })
    }

    fn hand_over(&mut self, thread: usize) -> Result<()> {
        let spare = self.spares.lock().pop().unwrap_or_default();
        let batch = core::mem::replace(&mut self.filling[thread], spare);
        match &mut self.hands {
            Hands::Own(pages) => pages.work(batch),
            Hands::Crew(crew) if crew.give(thread, batch) => Ok(()),
            Hands::Crew(crew) => {
                crew.finish()?;
                Err(Error::new(ErrorKind::Poisoned, "a redo thread ended before its work was done"))
            }
        }
    }

    /// Applies what is left. Fails if a change still waits for one that is missing; a page that is damaged is fenced.
    fn finish(mut self, report: &mut RecoveryReport) -> Result<()> {
        (0..self.filling.len()).try_for_each(|thread| self.hand_over(thread))?;
        report.groups = self.groups;
        report.redo_threads = self.filling.len();
        let ended = match self.hands {
            Hands::Own(pages) => vec![pages.finish()?],
            Hands::Crew(mut crew) => crew.finish()?,
        };
        let mut all = Redone::default();
        ended.into_iter().for_each(|redone| all.add(redone));
        (report.pages_redone, report.pages_skipped) = (all.redone, all.skipped);
        report.rows_redone = all.rows;
        report.pages_waited = all.waited;
        report.fenced = all.give_up(&self.store)?;
        Ok(())
    }
}

/// How many threads redo has.
fn threads(store: &Store) -> usize {
    let wanted = match store.config().redo_threads {
        0 => thread::parallelism().min(THREADS_DEFAULT_MAX),
        wanted => wanted.min(THREADS_MAX),
    };
    wanted.min(store.pool().config().num_frames / FRAMES_EACH).max(1)
}

/// Bytes of each of so many batches: a small pool gathers what it could hold, a small budget a part of what is left, for
/// the pages that redo meets need tables.
fn batch_bytes_max(store: &Store, batches: usize) -> usize {
    let pool_bytes = store.pool().config().num_frames * store.page_size().bytes();
    let left_bytes = usize::try_from(store.budget().left_bytes()).unwrap_or(usize::MAX);
    BATCH_BYTES_MAX.min(pool_bytes.min(left_bytes / BUDGET_SHARE) / batches)
}

/// Whose page it is, of so many threads.
fn owner(file: FileId, page: PageNo, threads: usize) -> usize {
    let place = (u64::from(file.get()) << PageNo::BITS) | (page.get() / NEIGHBOURS);
    let mixed = place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    ((mixed * threads as u64) >> 32) as usize
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::StoreConfig;
    use crate::store::PAGES_FILE;

    fn volatile(redo_threads: usize, num_frames: usize) -> Arc<Store> {
        let mut config = StoreConfig { redo_threads, ..StoreConfig::default() };
        config.buffer.num_frames = num_frames;
        Store::volatile(config).unwrap()
    }

    #[test]
    fn neighbours_have_one_owner_and_each_owner_its_share() {
        for threads in [1, 2, 3, 4, 64] {
            let mut shares = vec![0; threads];
            for group in 0..4096 {
                let mut owners = (0..NEIGHBOURS)
                    .map(|at| owner(PAGES_FILE, PageNo::new(group * NEIGHBOURS + at), threads));
                let first = owners.next().unwrap();
                assert!(owners.all(|other| other == first));
                shares[first] += 1;
            }
            let fair = 4096 / threads;
            assert!(shares.iter().all(|share| (fair / 2..=fair * 2).contains(share)), "{shares:?}");
        }
    }

    #[test]
    fn threads_and_their_batches_fit_into_the_pool() {
        assert_eq!(threads(&volatile(4, 4 * FRAMES_EACH)), 4);
        assert_eq!(threads(&volatile(4, 4 * FRAMES_EACH - 1)), 3);
        assert_eq!(threads(&volatile(4, FRAMES_EACH - 1)), 1);
        assert_eq!(threads(&volatile(1000, 1 << 14)), THREADS_MAX);
        for (wanted, batches) in [(1, 1), (4, 12)] {
            let store = volatile(wanted, 4 * FRAMES_EACH);
            let redo = Redo::start(&store).unwrap();
            let pool_bytes = 4 * FRAMES_EACH * store.page_size().bytes();
            assert_eq!(redo.batch_bytes_max, pool_bytes / batches);
            let counted = store.budget().usage().into_iter().find(|(name, _)| *name == "redo");
            assert_eq!(counted.unwrap().1, (redo.batch_bytes_max * batches) as u64);
        }
    }
}
