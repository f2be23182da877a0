//! Runs of checkpoints, for `tla/checkpoint`: workers change, compensate and commit beside checkpoints, which they take
//! themselves when they are due, or a thread of its own does.
//!
//! Pool, log, mini-transactions, the table of active transactions and the checkpoint are the code under test. Transactions
//! are played: each worker has a page of its own, and an undo head is a number that nobody follows.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::txn::recovery::wal::buffer::page::{PageOp, Swip, UndoPtr};
use aether_index::txn::recovery::{ActiveTxn, PAGES_FILE, Store};
use aether_sim::Sim;
use aether_sync::{Arc, thread};
use aether_trace::{name_thread, take};
use aether_types::{Lv, PageNo, Result, StreamId, Timestamp};

const STREAMS: u64 = 2;
/// The spec's transactions: those of one worker are one there.
const WORKERS: u64 = 3;
const TXNS_EACH: u64 = 3;
const CHANGES_EACH: u64 = 3;
/// Of a change, at the most.
const GROUP_BYTES: usize = 256;

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let mut dice = Dice::new(seed, 0);
    let store = open(seed, &mut dice).expect("a store on a sound disk opens");
    let workers: Vec<_> =
        (1..=WORKERS).map(|number| Worker::new(&store, seed, number).expect("the store is sound")).collect();
    store.checkpoint().expect("the store is sound");
    let pages = workers.iter().map(|worker| (worker.page.get(), worker.psn)).collect();
    // What has led here is the spec's initial state.
    drop(take());
    let mut threads: Vec<_> = workers
        .into_iter()
        .map(|worker| {
            thread::spawn("worker", move || {
                name_thread(worker.number);
                worker.work().expect("the store is sound");
            })
        })
        .collect();
    for _ in 0..1 + dice.below(3) {
        let store = store.clone();
        let times = 1 + dice.below(3);
        let checkpoints = move || (0..times).for_each(|_| store.checkpoint().expect("the store is sound"));
        threads.push(thread::spawn("checkpointer", checkpoints));
    }
    stage::join(threads);
    told::translate(take(), &pages)
}

fn open(seed: u64, dice: &mut Dice) -> Result<Arc<Store>> {
    let mut config = stage::config(16, STREAMS as usize);
    config.wal.flusher = seed.is_multiple_of(2);
    // Workers take checkpoints after a few flushes, or hardly ever.
    config.max_recovery_bytes = (32 << 10) << dice.below(4);
    Ok(stage::redone(&Sim::new(seed), config)?.into_parts().0)
}

struct Worker {
    store: Arc<Store>,
    number: u64,
    page: PageNo,
    /// Of the page before the run.
    psn: u64,
    dice: Dice,
    /// How many changes it has made.
    changes: u16,
}

impl Worker {
    /// Makes its page.
    fn new(store: &Arc<Store>, seed: u64, number: u64) -> Result<Self> {
        let mut mtr = store.mtr(stream_of(number), GROUP_BYTES)?;
        let slot = mtr.allocate()?;
        mtr.op(slot, PageOp::FixedInit { record_size: 8, owner: number, link: 0 })?;
        let (page, psn) = (mtr.page_no(slot), mtr.next_psn(slot).get());
        mtr.commit();
        Ok(Self { store: store.clone(), number, page, psn, dice: Dice::new(seed, number), changes: 0 })
    }

    fn work(mut self) -> Result<()> {
        for _ in 0..1 + self.dice.below(TXNS_EACH) {
            self.transact()?;
        }
        Ok(())
    }

    fn transact(&mut self) -> Result<()> {
        let active = self.store.begin_active(stream_of(self.number))?;
        let mut heads = vec![UndoPtr::none()];
        for _ in 0..1 + self.dice.below(CHANGES_EACH) {
            if heads.len() > 1 && self.dice.once_in(4) {
                self.compensate(&active, &mut heads)?;
            } else {
                self.changes += 1;
                heads.push(UndoPtr::new(self.page, self.changes));
                self.group(&active, heads[heads.len() - 1])?;
            }
        }
        if self.dice.once_in(4) {
            while heads.len() > 1 {
                self.compensate(&active, &mut heads)?;
            }
        }
        self.end(&active, heads.len() > 1)
    }

    fn compensate(&mut self, active: &ActiveTxn, heads: &mut Vec<UndoPtr>) -> Result<()> {
        heads.pop();
        self.group(active, heads[heads.len() - 1])
    }

    fn group(&mut self, active: &ActiveTxn, head: UndoPtr) -> Result<()> {
        let mut mtr = self.store.mtr(active.stream(), GROUP_BYTES)?;
        let page = self.store.pool().exclusive(PAGES_FILE, Swip::new(self.page))?;
        let slot = mtr.add(page);
        mtr.op(slot, PageOp::FixedSet { index: 0, bytes: head.word().to_le_bytes().to_vec().into() })?;
        mtr.in_txn(active, head);
        mtr.commit();
        Ok(())
    }

    /// Commits, or ends a rollback.
    fn end(&mut self, active: &ActiveTxn, is_commit: bool) -> Result<()> {
        let credit = self.store.last_credit(active)?;
        let lv = if is_commit {
            self.store.append_commit(active, Timestamp::new(1), &Lv::ZERO, credit)
        } else {
            self.store.append_end(active, credit)
        };
        match self.store.log() {
            Some(log) if self.dice.once_in(2) => log.wait_durable(&lv),
            _ => Ok(()),
        }
    }
}

fn stream_of(worker: u64) -> StreamId {
    StreamId::new(((worker - 1) % STREAMS) as u8)
}
