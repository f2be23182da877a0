//! Runs of old versions, for `tla/version_gc`: writers change a row or roll back, readers hold snapshots and look behind
//! versions, all collect what nobody needs, and snapshots that are held for too long are ended.
//!
//! The whole way from a transaction to the pages is the code under test. Rows beside the one that counts are changed and
//! rolled back again: they fill the leaf, so that it is cleaned, and undo pages, so that there is something to free.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::BTree;
use aether_index::txn::recovery::FIRST_TREE_ROOT;
use aether_index::txn::{Durability, ReadView, TxnConfig, TxnManager};
use aether_sim::Sim;
use aether_sync::{Arc, Mutex, Rank};
use aether_trace::{act_if, take};
use aether_types::{ErrorKind, Result};
use aether_vfs::ManualClock;
use std::time::Duration;

/// With the others, as many snapshots as the spec has readers.
const WRITERS: u64 = 2;
const READERS: u64 = 2;
const TXNS_EACH: u64 = 3;
const VIEWS_EACH: u64 = 2;
const FILLINGS: u64 = 4;
/// Taken under no lock of the store.
const COLLECTING: Rank = Rank::new(1, "collecting");
const KEY: &[u8] = b"m";
/// Four of them and their neighbours fill a page.
const VALUE_BYTES: usize = 900;
/// As many old values as no undo page holds.
const UNDO_PAGE_PUTS: usize = 5;
const SECOND: Duration = Duration::from_secs(1);

struct World {
    manager: Arc<TxnManager>,
    tree: BTree,
    clock: Arc<ManualClock>,
    /// The spec has one collector.
    collecting: Mutex<()>,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let world = Arc::new(World::open(seed).expect("a store on a sound disk opens"));
    let clock = world.manager.stats().clock.get();
    // What has led here is the spec's initial state.
    drop(take());
    let part = |number: u64, work: fn(&World, u64, Dice) -> Result<()>| {
        let world = world.clone();
        stage::worker(number, move || {
            work(&world, number, Dice::new(seed, number)).expect("the store is sound");
        })
    };
    let mut threads: Vec<_> = (1..=WRITERS).map(|number| part(number, World::write)).collect();
    threads.extend((1..=READERS).map(|number| part(WRITERS + number, World::read)));
    threads.push(part(8, World::fill));
    stage::join(threads);
    told::translate(take(), clock)
}

impl World {
    /// A store with the row, which nobody remembers the writer of.
    fn open(seed: u64) -> Result<Self> {
        let sim = Sim::new(seed);
        let config = TxnConfig {
            lock_timeout: Duration::ZERO,
            snapshot_age_max: (!seed.is_multiple_of(3)).then_some(SECOND),
            ..TxnConfig::new(Durability::Sync)
        };
        let manager = stage::manager(&sim, stage::config(64, 1), config)?;
        let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
        let world = Self { manager, tree, clock: sim.clock(), collecting: Mutex::new(COLLECTING, ()) };
        let mut txn = world.manager.begin();
        world.tree.put(&mut txn, KEY, &value(0))?;
        ["l", "n", "o"].iter().try_for_each(|key| world.tree.put(&mut txn, key.as_bytes(), &value(0)))?;
        (1..=WRITERS).try_for_each(|number| world.tree.put(&mut txn, &own_key(number), &value(0)))?;
        txn.commit()?;
        world.manager.collect()?;
        Ok(world)
    }

    fn write(&self, number: u64, mut dice: Dice) -> Result<()> {
        for nth in 1..=TXNS_EACH {
            let mut txn = self.manager.begin();
            let tag = 10 * number + nth;
            let put = || self.tree.put(&mut txn, KEY, &value(tag));
            let put = act_if("Change", put, |put| put.is_ok().then_some([tag]));
            if put.is_err() || dice.once_in(3) {
                txn.abort()?;
            } else {
                txn.commit()?;
                self.leave_behind(number)?;
            }
            self.collect(&mut dice)?;
        }
        Ok(())
    }

    /// Fills another undo page behind that of the commit before, if both take the same segment: so the first could go.
    fn leave_behind(&self, number: u64) -> Result<()> {
        let mut txn = self.manager.begin();
        (0..UNDO_PAGE_PUTS).try_for_each(|_| self.tree.put(&mut txn, &own_key(number), &value(0)))?;
        txn.abort()
    }

    fn read(&self, _: u64, mut dice: Dice) -> Result<()> {
        for _ in 0..VIEWS_EACH {
            if dice.once_in(2) {
                self.hold(&self.manager.view(), &mut dice)?;
            } else {
                self.hold(self.manager.begin().view(), &mut dice)?;
            }
        }
        Ok(())
    }

    /// Reads, and perhaps collects before or after: what the snapshot needs stays.
    fn hold(&self, view: &ReadView, dice: &mut Dice) -> Result<()> {
        let turn = dice.below(4);
        if turn == 0 {
            self.collect(dice)?;
        }
        self.read_at(view)?;
        if turn == 1 {
            self.collect(dice)?;
        }
        Ok(())
    }

    /// Tells what was read, unless the snapshot was held for too long.
    fn read_at(&self, view: &ReadView) -> Result<()> {
        let get = || {
            let mut value = Vec::new();
            let found = self.tree.get_into(view, KEY, &mut value);
            found.map(|_| value.first_chunk().map_or(u64::MAX, |tag| u64::from_le_bytes(*tag)))
        };
        match act_if("Read", get, |read| read.as_ref().ok().map(|tag| [*tag])) {
            Err(error) if error.kind() != ErrorKind::Expired => Err(error),
            _ => Ok(()),
        }
    }

    fn fill(&self, _: u64, mut dice: Dice) -> Result<()> {
        for _ in 0..FILLINGS {
            let mut txn = self.manager.begin();
            for _ in 0..3 + dice.below(4) {
                let key = [b'k' + dice.below(5) as u8, dice.below(3) as u8];
                let key = if dice.once_in(2) || key[0] == KEY[0] { &key[..] } else { &key[..1] };
                match self.tree.put(&mut txn, key, &value(0)) {
                    Err(error) if error.kind() == ErrorKind::Expired => break,
                    put => put?,
                }
            }
            txn.abort()?;
            self.collect(&mut dice)?;
        }
        Ok(())
    }

    fn collect(&self, dice: &mut Dice) -> Result<()> {
        let _alone = self.collecting.lock();
        self.clock.advance(SECOND * dice.below(2) as u32);
        self.manager.collect()
    }
}

/// A row that only this writer changes.
fn own_key(number: u64) -> [u8; 2] {
    [b'w', number as u8]
}

fn value(tag: u64) -> Vec<u8> {
    let mut value = tag.to_le_bytes().to_vec();
    value.resize(VALUE_BYTES, 0);
    value
}
