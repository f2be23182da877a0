//! Runs of transactions, for `tla/publication`: some change two rows, some only read, old versions are collected.
//!
//! The whole way from a transaction to the log is the code under test; only who begins what when is decided here.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::BTree;
use aether_index::txn::recovery::FIRST_TREE_ROOT;
use aether_index::txn::{Durability, ReadView, Txn, TxnConfig, TxnManager};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_trace::{act, act_if, take};
use aether_types::Result;
use std::time::Duration;

const ROWS: u64 = 2;
const STREAMS: usize = 2;
const WORKERS_MAX: u64 = 4;
/// At most, of one worker. The spec's numbers have room for them all, whatever streams they use.
const TXNS_EACH: u64 = 2;
const READERS_EACH: u64 = 2;

struct World {
    manager: Arc<TxnManager>,
    tree: BTree,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let mut dice = Dice::new(seed, 0);
    let world = Arc::new(World::open(seed).expect("a store on a sound disk opens"));
    let clock = world.manager.stats().clock.get();
    // What has led here is the spec's initial state.
    drop(take());
    let workers = (1..=2 + dice.below(WORKERS_MAX - 1)).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            // A conflict ends a transaction, nothing ends the store.
            world.work(number, &mut dice).expect("the store is sound");
        })
    });
    stage::join(workers);
    told::translate(take(), clock)
}

impl World {
    /// A store with both rows, which nobody remembers the writer of.
    fn open(seed: u64) -> Result<Self> {
        let mut store = stage::config(64, STREAMS);
        store.wal.flusher = seed.is_multiple_of(2);
        let config = TxnConfig { lock_timeout: Duration::from_secs(1), ..TxnConfig::new(Durability::Sync) };
        let manager = stage::manager(&Sim::new(seed), store, config)?;
        let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
        let mut txn = manager.begin();
        (0..ROWS).try_for_each(|row| tree.put(&mut txn, &key(row), &0u64.to_le_bytes()))?;
        txn.commit()?;
        manager.collect()?;
        Ok(Self { manager, tree })
    }

    fn work(self: &Arc<Self>, number: u64, dice: &mut Dice) -> Result<()> {
        let (mut writers, mut readers) = (TXNS_EACH, READERS_EACH);
        while writers + readers > 0 {
            if writers > 0 && (readers == 0 || dice.once_in(2)) {
                // Tells what this transaction writes from what others do.
                self.write(number * 100 + writers, dice)?;
                writers -= 1;
            } else {
                self.read_only(dice)?;
                readers -= 1;
            }
            if dice.once_in(2) {
                self.manager.collect()?;
            }
        }
        Ok(())
    }

    fn read_only(&self, dice: &mut Dice) -> Result<()> {
        let view = self.manager.view();
        for row in 0..ROWS {
            if !dice.once_in(4) {
                self.read(&view, row)?;
            }
        }
        act("Leave", || drop(view), |()| []);
        Ok(())
    }

    fn read(&self, view: &ReadView, row: u64) -> Result<()> {
        let get = || {
            let mut value = Vec::new();
            self.tree.get_into(view, &key(row), &mut value)?;
            Ok(value.try_into().map_or(u64::MAX, u64::from_le_bytes))
        };
        act_if("Read", get, |read: &Result<u64>| read.as_ref().ok().map(|tag| [row + 1, *tag])).map(drop)
    }

    fn write(&self, tag: u64, dice: &mut Dice) -> Result<()> {
        let mut txn = self.manager.begin();
        let mut wrote = false;
        for row in 0..ROWS {
            match dice.below(4) {
                0 => self.read(txn.read(), row)?,
                1 | 2 => {
                    let put = || self.tree.put(&mut txn, &key(row), &tag.to_le_bytes());
                    let put = act_if("Update", put, |put| put.is_ok().then_some([row + 1, tag]));
                    if put.is_err() {
                        return abort(txn);
                    }
                    wrote = true;
                }
                _ => {}
            }
        }
        if dice.once_in(5) {
            return abort(txn);
        }
        commit(txn, wrote, dice)
    }
}

fn abort(txn: Txn) -> Result<()> {
    act("Abort", || txn.abort(), |_| [])
}

/// Commits, and waits for it or not. What only read is over when it is told.
fn commit(txn: Txn, wrote: bool, dice: &mut Dice) -> Result<()> {
    if !wrote {
        return act("Ack", || txn.commit(), |_| []);
    }
    let handle = txn.commit_with(Durability::Sync)?;
    if dice.once_in(3) {
        return Ok(());
    }
    act_if("Ack", || handle.wait(), |waited| waited.is_ok().then_some([]))
}

fn key(row: u64) -> [u8; 1] {
    [b'a' + row as u8]
}
