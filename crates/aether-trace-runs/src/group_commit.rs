//! Runs of transactions that commit and wait, for `tla/group_commit`: on two log streams, each resting on what it has read, and
//! sometimes on a disk that fails.
//!
//! The whole way from a transaction to the log is the code under test. In the spec, that a timestamp is drawn and the record
//! claimed is one step, and a stream has no records but commits: so one thread runs all transactions here, on rows that only
//! its stream changes, and the others wait meanwhile.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::BTree;
use aether_index::txn::{CommitHandle, Durability, Txn, TxnConfig, TxnManager};
use aether_sim::{Errno, Fault, OpKind, Sim};
use aether_sync::Arc;
use aether_sync::thread;
use aether_trace::{act, act_if, take};
use aether_types::{Result, StreamId};

const STREAMS: usize = 2;
/// Half of the spec's, since all may be of one stream.
const COMMITS_MAX: u64 = 12;
/// Of each tree.
const ROWS: u64 = 2;
const FIRST_TREE: u32 = 30;

struct World {
    manager: Arc<TxnManager>,
    /// One for each stream.
    trees: Vec<BTree>,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let mut dice = Dice::new(seed, 0);
    let sim = Sim::new(seed);
    let world = World::open(&sim).expect("a store on a sound disk opens");
    // What has led here is the spec's initial state.
    drop(take());
    if dice.once_in(2) {
        let nth = dice.below(6);
        sim.inject(Fault::FailOp { nth, kind: OpKind::Write, error: Errno::Eio, sticky: false });
    }
    let (mut handles, mut waiters) = (Vec::new(), Vec::new());
    for tag in 1..=2 + dice.below(COMMITS_MAX - 1) {
        // A failing disk ends it.
        let Ok(handle) = world.commit(tag, &mut dice) else { break };
        if !dice.once_in(8) {
            handles.push((handle, tag));
        }
        if handles.len() as u64 > 1 + dice.below(4) {
            // Those that wait begin together, and go on while others commit.
            let waiting =
                handles.drain(..).map(|(handle, tag)| thread::spawn("waiter", move || wait(handle, tag)));
            waiters.extend(waiting);
        }
    }
    handles.into_iter().for_each(|(handle, tag)| wait(handle, tag));
    stage::join(waiters);
    told::translate(&take())
}

/// The commit is told by the engine, that it is durable here.
fn wait(handle: CommitHandle, tag: u64) {
    act("Update", || (), |()| [tag]);
    if handle.wait().is_ok() {
        act("Acknowledge", || (), |()| []);
    }
}

impl World {
    fn open(sim: &Sim) -> Result<Self> {
        let config = TxnConfig::new(Durability::Sync);
        let manager = stage::manager(sim, stage::config(64, STREAMS), config)?;
        let trees = (0..STREAMS as u32).map(|number| {
            let mut txn = manager.begin();
            let tree = BTree::create(&mut txn, FIRST_TREE + number)?;
            (0..ROWS).try_for_each(|row| tree.put(&mut txn, &[row as u8], &0u64.to_le_bytes()))?;
            txn.commit().map(|()| tree)
        });
        let trees = trees.collect::<Result<_>>()?;
        let world = Self { manager, trees };
        // Each stream's writers find undo pages later.
        let mut dice = Dice::new(0, 0);
        (0..2 * STREAMS).try_for_each(|_| world.commit(0, &mut dice)?.wait())?;
        Ok(world)
    }

    /// Reads some rows of any stream, and replaces some of its own.
    fn commit(&self, tag: u64, dice: &mut Dice) -> Result<CommitHandle> {
        let mut txn = self.manager.begin();
        txn.begin_write()?;
        let stream = usize::from(txn.stream().map_or(0, StreamId::get));
        if dice.once_in(2) {
            self.read(&txn, 1 - stream, dice.below(ROWS))?;
        }
        let row = dice.below(ROWS);
        self.read(&txn, stream, row)?;
        self.trees[stream].put(&mut txn, &[row as u8], &tag.to_le_bytes())?;
        act("Update", || (), |()| [tag]);
        txn.commit_with(Durability::Sync)
    }

    fn read(&self, txn: &Txn, tree: usize, row: u64) -> Result<()> {
        let get = || {
            let mut value = Vec::new();
            self.trees[tree].get_into(txn.read(), &[row as u8], &mut value)?;
            Ok(value.try_into().map_or(u64::MAX, u64::from_le_bytes))
        };
        act_if("Read", get, |tag: &Result<u64>| tag.as_ref().ok().map(|tag| [row, *tag])).map(drop)
    }
}
