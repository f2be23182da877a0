//! Runs of rollbacks, for `tla/undo`: transactions change rows, go back to a savepoint, roll back or commit; the power goes, or
//! the process dies, also while losers are rolled back, and the store is opened again.
//!
//! The whole way from a transaction to the log, and back to what it has undone, is the code under test. Some
//! transactions create a tree and fill it until it splits: undoing that takes several groups.

mod told;

use crate::home::after_crash;
use crate::{Dice, Trace, stage};
use aether_index::txn::recovery::FIRST_TREE_ROOT;
use aether_index::txn::{Durability, Savepoint, Txn, TxnConfig, TxnManager};
use aether_index::{BTree, TreeUndo};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_trace::{act, act_if, name_thread, take};
use aether_types::{Error, ErrorKind, Result};
use std::time::Duration;

const ROWS: u64 = 2;
const WORKERS: u64 = 3;
/// Of a worker, in one life.
const TXNS_EACH: u64 = 2;
const LIVES: u64 = 3;
/// So many fill a tree's root.
const FILLING: u64 = 5;
const FILLING_BYTES: usize = 900;
/// The thread that opens stores and ends them.
const OPENER: u64 = 9;
/// No log is so long: a store on a sound disk did not open.
const LEFT_NOWHERE: u64 = 999;
/// What an opening does on the disk, more or less.
const OPENING: u64 = 24;

struct World {
    manager: Arc<TxnManager>,
    tree: BTree,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let mut dice = Dice::new(seed, 0);
    let mut sim = Sim::new(seed);
    let mut opened = World::open(&sim);
    assert!(opened.is_ok(), "a store on a sound disk opens");
    // What has led here is the spec's initial state.
    drop(take());
    name_thread(OPENER);
    for life in 1..2 + dice.below(LIVES) {
        if let Ok(world) = opened {
            if !dice.once_in(3) {
                sim.cut_power_at(sim.op_count() + dice.below(12));
            }
            live(Arc::new(world), seed, life);
        }
        sim = after_crash(&sim, &mut dice);
        if dice.once_in(3) {
            sim.cut_power_at(dice.below(OPENING));
        }
        opened = World::open(&sim);
        if opened.is_err() && !sim.is_off() {
            // The spec has no such crash.
            act("Crash", || (), |()| [LEFT_NOWHERE]);
            break;
        }
    }
    told::translate(take())
}

fn live(world: Arc<World>, seed: u64, life: u64) {
    let workers = (1..=WORKERS).map(|number| {
        let (world, dice) = (world.clone(), Dice::new(seed, 10 * life + number));
        let tag = (10 * life + number) * 100;
        stage::worker(number, move || {
            // The power cut ends it.
            let _ = Worker { world, number, dice, tag }.work();
        })
    });
    stage::join(workers);
}

impl World {
    fn open(sim: &Sim) -> Result<Self> {
        let redone = stage::redone(sim, stage::config(32, 1))?;
        let floor = redone.timestamp_floor();
        let (store, losers, _) = redone.into_parts();
        // So that it is not closed cleanly.
        store.log().map_or(Ok(()), |log| log.start())?;
        let config = TxnConfig { lock_timeout: Duration::ZERO, ..TxnConfig::new(Durability::Sync) };
        let manager = TxnManager::resume(store, losers, floor, config, Box::new(TreeUndo))?;
        let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
        Ok(Self { manager, tree })
    }
}

struct Worker {
    world: Arc<World>,
    number: u64,
    dice: Dice,
    /// What it wrote last; no two changes write the same.
    tag: u64,
}

impl Worker {
    fn work(mut self) -> Result<()> {
        for _ in 0..1 + self.dice.below(TXNS_EACH) {
            let txn = self.world.manager.begin();
            if self.dice.once_in(6) {
                self.create_tree(txn)?;
            } else {
                self.change_rows(txn)?;
            }
        }
        Ok(())
    }

    fn change_rows(&mut self, mut txn: Txn) -> Result<()> {
        let mut mark = None;
        for _ in 0..1 + self.dice.below(4) {
            let row = 1 + self.dice.below(ROWS);
            match self.change(&mut txn, row) {
                Err(error) if is_refusal(&error) => return abort(txn),
                changed => changed?,
            }
            mark = self.mark_or_go_back(&mut txn, mark)?;
        }
        if self.dice.once_in(3) {
            return abort(txn);
        }
        let handle = txn.commit_with(Durability::Sync)?;
        if self.dice.once_in(2) {
            return Ok(());
        }
        act_if("Ack", || handle.wait(), |waited| waited.is_ok().then_some([]))
    }

    /// Once in a transaction there, and then perhaps back; both after a change.
    fn mark_or_go_back(
        &mut self,
        txn: &mut Txn,
        mark: Option<(Savepoint, bool)>,
    ) -> Result<Option<(Savepoint, bool)>> {
        match mark {
            None if self.dice.once_in(2) => Ok(Some((act("Savepoint", || txn.savepoint(), |_| []), true))),
            Some((mark, true)) if self.dice.once_in(2) => {
                act("RollBackTo", || (), |()| []);
                txn.rollback_to(&mark)?;
                act("GoOn", || (), |()| []);
                Ok(Some((mark, false)))
            }
            mark => Ok(mark),
        }
    }

    /// Tells the row, what stood there and what stands there now.
    fn change(&mut self, txn: &mut Txn, row: u64) -> Result<()> {
        let (tree, key) = (&self.world.tree, [b'a' + row as u8]);
        let mut value = Vec::new();
        tree.get_into(txn.read(), &key, &mut value)?;
        let before = value.try_into().map_or(0, u64::from_le_bytes);
        self.tag += 1;
        let tag = self.tag;
        let put = || tree.put(txn, &key, &tag.to_le_bytes());
        act_if("Change", put, |put| put.is_ok().then_some([row, before, tag]))
    }

    /// Nobody else sees the tree: its rows are this worker's.
    fn create_tree(&mut self, mut txn: Txn) -> Result<()> {
        let first = ROWS + (self.number - 1) * (FILLING + 1) + 1;
        let create = || BTree::create(&mut txn, 1 + self.number as u32);
        let tree = act_if("Change", create, |tree| tree.is_ok().then_some([first, 0, 0]))?;
        for nth in 1..=FILLING {
            let put = || tree.put(&mut txn, &[nth as u8], &[0; FILLING_BYTES]);
            act_if("Change", put, |put| put.is_ok().then_some([first + nth, 0, 0]))?;
        }
        abort(txn)
    }
}

fn abort(txn: Txn) -> Result<()> {
    act_if("Abort", || (), |()| (!txn.undo_head().is_none()).then_some([]));
    txn.abort()
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::TimedOut | ErrorKind::Deadlock)
}
