//! Runs of several log streams, for `tla/stream_cut`: transactions change rows on shared pages, commit, roll back, and wait for
//! some commits, through crashes.
//!
//! The log is the code under test. Its users are played here, as small as the spec has them: `book.rs` has pages under
//! latches, with numbers and vectors, a page file, redo, and who has committed.

mod book;
mod told;

use crate::home::{Home, Segments};
use crate::{Dice, Trace, stage};
use aether_sim::{Errno, Fault, OpKind};
use aether_sync::Arc;
use aether_trace::{act_if, take};
use aether_types::{Lsn, Lv, Result, StreamId};
use aether_wal::{Scan, Wal};
use book::{Book, Files, Txn};

pub(crate) const STREAMS: usize = 3;
const ROWS: u64 = 4;
const WORKERS_MAX: u64 = 6;
/// Of one worker, over all lives; with the workers, the spec's `NumTxns`.
const TXNS_EACH: u64 = 6;
/// What an opening does on the disk, more or less.
const OPENING: u64 = 80;

/// A run and what it told.
pub fn trace(seed: u64) -> Trace {
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let mut home = Home::create(seed);
    let (workers, lives) = (2 + dice.below(WORKERS_MAX - 1), 1 + dice.below(5));
    let (mut files, mut segments) = (Files::default(), Segments::new());
    let mut used = 0;
    for number in 0..lives {
        let txns = 1 + dice.below(3);
        let life = Life { home: &home, seed: dice.next(), workers, first: used, txns };
        if life.live(number == 0, &mut files).is_ok() {
            used = (used + txns).min(TXNS_EACH);
        }
        segments.extend(home.segments());
        home.crash(&mut dice);
    }
    told::translate(take(), &segments)
}

struct Life<'a> {
    home: &'a Home,
    seed: u64,
    workers: u64,
    /// How many transactions each worker had in earlier lives, and has in this one.
    first: u64,
    txns: u64,
}

impl Life<'_> {
    /// An error is one of the opening: what comes after it counts as lived.
    fn live(&self, is_first: bool, files: &mut Files) -> Result<()> {
        let mut dice = Dice::new(self.seed, 1);
        let sim = &self.home.sim;
        let operations = self.workers * self.txns * 3 + 12;
        if !is_first && !dice.once_in(3) {
            sim.cut_power_at(sim.op_count() + dice.below(OPENING + operations));
        }
        let (scan, wal) = self.home.open(STREAMS, self.seed.is_multiple_of(2))?;
        let book = Book::read(&scan, wal.clone(), files)?;
        open(&scan, &wal)?;
        if is_first && !dice.once_in(3) {
            sim.cut_power_at(sim.op_count() + dice.below(operations));
        }
        if dice.once_in(4) {
            let nth = dice.below(operations / 2);
            sim.inject(Fault::FailOp { nth, kind: OpKind::Write, error: Errno::Eio, sticky: false });
        }
        let book = Arc::new(book);
        // What is undone only in part is undone in the next life.
        if book.undo_losers().is_ok() {
            self.work(&book);
        }
        *files = book.files();
        Ok(())
    }

    fn work(&self, book: &Arc<Book>) {
        let workers = (1..=self.workers).map(|number| {
            let (book, mut dice) = (book.clone(), Dice::new(self.seed, 10 + number));
            let range = self.first..(self.first + self.txns).min(TXNS_EACH);
            stage::worker(number, move || {
                for index in range {
                    // The power cut ends it.
                    let txn = Txn::new(number + index * WORKERS_MAX);
                    if run(&book, txn, &mut dice).is_err() {
                        break;
                    }
                }
            })
        });
        stage::join(workers);
    }
}

fn open(scan: &Scan, wal: &Wal) -> Result<()> {
    let (ends, cut) = (parts(&scan.ends()), parts(&scan.cut()));
    let both = [ends[0], ends[1], ends[2], cut[0], cut[1], cut[2]];
    act_if("Open", || wal.start(), |started| started.is_ok().then_some(both))
}

/// One transaction.
fn run(book: &Book, mut txn: Txn, dice: &mut Dice) -> Result<()> {
    for _ in 0..1 + dice.below(3) {
        let (row, other) = (1 + dice.below(ROWS), 1 + dice.below(ROWS));
        let read = (dice.once_in(2) && other != row).then_some(other);
        book.change(&mut txn, row, read)?;
        if dice.once_in(4) {
            book.write_page(dice.below(ROWS / 2) as usize);
        }
    }
    if txn.is_new() {
        return Ok(());
    }
    if dice.once_in(4) {
        return book.roll_back(&mut txn);
    }
    let lv = book.commit(&txn)?;
    if !dice.once_in(3) {
        book.wal().wait_durable(&lv)?;
        (0..ROWS / 2).for_each(|page| book.write_page(page as usize));
    }
    Ok(())
}

/// The components of the streams in use.
pub(crate) fn parts(lv: &Lv) -> [u64; STREAMS] {
    core::array::from_fn(|stream| lv.get(StreamId::new(stream as u8)).get())
}

/// The stream of a transaction.
pub(crate) fn stream_of(txn: u64) -> StreamId {
    StreamId::new(((txn - 1) % STREAMS as u64) as u8)
}

/// The vector of a transaction that was recovered: everything is durable.
pub(crate) fn nothing() -> Lv {
    Lv::at(StreamId::new(0), Lsn::new(0))
}
