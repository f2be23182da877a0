//! Runs of rows in memory that go into slices, for `tla/carry_over`: workers put or delete rows, commit or roll back, and other threads
//! write the rows out, with and without checkpoints. Then the power goes, and a restart reads the rows.
//!
//! Transactions, rows in memory, their image, checkpoints and the restart are the code under test. A worker's transaction changes a row once.

mod told;

use crate::home::{HOME, after_crash};
use crate::{Dice, Trace, stage};
use aether_index::txn::recovery::{Opening, Participant, StoreConfig, stripe_of};
use aether_index::txn::{Durability, Txn, TxnConfig, TxnManager};
use aether_index::{Anchor, Index, IndexFactory, KindsUndo, Resident, ResidentFactory, TablesConfig};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_trace::{act_if, take};
use aether_types::{Error, ErrorKind, IndexKind, PageNo, Result};
use std::path::Path;
use std::time::Duration;

const STREAMS: usize = 2;
/// Each in a stripe of its own.
const ROWS: u64 = 2;
const WORKERS: u64 = 3;
const TXNS_EACH: u64 = 2;
/// Those who write rows out.
const WRITERS: u64 = 2;
/// What the rows have at first.
const FIRST: u64 = 1;

struct World {
    manager: Arc<TxnManager>,
    factory: Arc<ResidentFactory>,
    table: Resident,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let sim = Sim::new(seed);
    let world = Arc::new(World::create(&sim).expect("a store on a sound disk opens"));
    let root = world.table.anchor().root;
    // What has led here is the spec's initial state.
    drop(take());
    let workers = (1..=WORKERS).map(|number| {
        let (world, dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || Worker { world, number, dice }.work().expect("the store is sound"))
    });
    let mut threads: Vec<_> = workers.collect();
    for number in 1..=WRITERS {
        let (writer, mut dice) = (world.clone(), Dice::new(seed, WORKERS + number));
        threads.push(stage::worker(WORKERS + number, move || {
            (0..1 + dice.below(3))
                .for_each(|_| writer.write_out(dice.once_in(2)).expect("the store is sound"));
        }));
    }
    stage::join(threads);
    let sim = after_crash(&sim, &mut Dice::new(seed, 0));
    restart(&sim, root).expect("a store on a sound disk opens");
    drop(world);
    told::translate(take(), &stripes())
}

fn key(row: u64) -> [u8; 1] {
    [b'a' + row as u8]
}

fn stripes() -> Vec<u64> {
    (1..=ROWS).map(|row| u64::from(stripe_of(&key(row)))).collect()
}

/// What a restart finds in each row; 0 is nothing.
fn restart(sim: &Sim, root: PageNo) -> Result<()> {
    let found = || {
        let world = World::open(sim, Some(root))?;
        let mut found = [0; ROWS as usize];
        for row in 1..=ROWS {
            found[row as usize - 1] = world.read(row)?;
        }
        Ok(found)
    };
    act_if("Restart", found, |found: &Result<_>| found.as_ref().ok().copied()).map(drop)
}

impl World {
    /// With rows that are settled and in the image.
    fn create(sim: &Sim) -> Result<Self> {
        let world = Self::open(sim, None)?;
        let mut txn = world.manager.begin();
        (1..=ROWS).try_for_each(|row| world.table.put(&mut txn, &key(row), &FIRST.to_le_bytes()))?;
        txn.commit()?;
        world.manager.store().checkpoint()?;
        world.manager.collect()?;
        Ok(world)
    }

    fn open(sim: &Sim, root: Option<PageNo>) -> Result<Self> {
        let factory = Arc::new(ResidentFactory::new(TablesConfig::new(5)));
        let config = StoreConfig { redo_threads: 2, ..stage::config(32, STREAMS) };
        let scanned = Opening::begin(sim.env(), Path::new(HOME), config, true)?.scan()?;
        let redone = scanned.redo_with(|budget| factory.participant(budget).into_iter().collect())?;
        let floor = redone.timestamp_floor();
        let (store, losers, _) = redone.into_parts();
        let config = TxnConfig { lock_timeout: Duration::ZERO, ..TxnConfig::new(Durability::Sync) };
        let undo = Box::new(KindsUndo::of(factory.clone()));
        let manager = TxnManager::resume(store, losers, floor, config, undo)?;
        let root = root.map_or_else(|| create_table(&manager, &factory), Ok)?;
        let table = factory.open_table(&manager, Anchor { kind: IndexKind::SKIPLIST, id: 7, root })?;
        Ok(Self { manager, factory, table })
    }

    fn read(&self, row: u64) -> Result<u64> {
        let mut value = Vec::new();
        let is_there = self.table.get_into(&self.manager.view(), &key(row), &mut value)?;
        let value = value.try_into().map_or(0, u64::from_le_bytes);
        Ok(if is_there { value } else { 0 })
    }

    /// Writes rows out, with or without a checkpoint.
    fn write_out(&self, with_checkpoint: bool) -> Result<()> {
        let store = self.manager.store();
        match store.log().filter(|_| !with_checkpoint) {
            Some(log) => self.factory.tables()?.advance(&log.positions()).map(drop),
            None => store.checkpoint(),
        }
    }
}

fn create_table(manager: &Arc<TxnManager>, factory: &ResidentFactory) -> Result<PageNo> {
    let mut txn = manager.begin();
    let at = factory.create(&mut txn, IndexKind::SKIPLIST, 7)?;
    txn.commit()?;
    Ok(at.root)
}

struct Worker {
    world: Arc<World>,
    number: u64,
    dice: Dice,
}

impl Worker {
    fn work(mut self) -> Result<()> {
        for nth in 1..2 + self.dice.below(TXNS_EACH) {
            let tag = 10 * self.number + nth;
            let txn = self.world.manager.begin();
            self.transact(txn, tag)?;
            if self.dice.once_in(2) {
                self.world.manager.collect()?;
            }
        }
        Ok(())
    }

    fn transact(&mut self, mut txn: Txn, tag: u64) -> Result<()> {
        let (first, deletes) = (1 + self.dice.below(ROWS), self.dice.once_in(2));
        for nth in 0..1 + self.dice.below(ROWS) {
            let row = 1 + (first + nth) % ROWS;
            match self.change(&mut txn, row, tag, deletes) {
                Err(error) if is_refusal(&error) => return txn.abort(),
                changed => changed?,
            }
        }
        if self.dice.once_in(4) {
            return txn.abort();
        }
        let durability = if self.dice.once_in(2) { Durability::None } else { Durability::Sync };
        txn.commit_with(durability)?.wait_as(durability)
    }

    /// Tells the row, what stands there now, and whether it is deleted.
    fn change(&mut self, txn: &mut Txn, row: u64, tag: u64, deletes: bool) -> Result<()> {
        let table = &self.world.table;
        if deletes {
            let delete = || table.delete(txn, &key(row));
            let told = |done: &Result<bool>| matches!(done, Ok(true)).then_some([row, tag, 1]);
            return act_if("Change", delete, told).map(drop);
        }
        let put = || table.put(txn, &key(row), &tag.to_le_bytes());
        act_if("Change", put, |put| put.is_ok().then_some([row, tag, 0]))
    }
}

fn is_refusal(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Conflict | ErrorKind::TimedOut | ErrorKind::Deadlock)
}
