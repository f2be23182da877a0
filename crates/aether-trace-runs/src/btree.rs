//! Runs of a tree, for `tla/btree`: threads look rows up, put and delete them, in leaves that have room for two.
//!
//! Tree, transactions, pool and log are the code under test; only which thread does what is decided here. Each thread
//! changes rows of its own, so that nobody waits for a row, and reads those of all.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::BTree;
use aether_index::txn::recovery::FIRST_TREE_ROOT;
use aether_index::txn::{Durability, TxnConfig, TxnManager};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_trace::{act, take};
use aether_types::Result;
use std::time::Duration;

/// Keys, and the largest number of threads, as in `trace.cfg`.
const KEYS: u64 = 9;
const THREADS_MAX: u64 = 3;
/// Two rows with such keys and values fill a leaf; what one and a ghost leave is sparse.
const KEY_BYTES: usize = 600;
const VALUE: [u8; 900] = [7; 900];

struct World {
    manager: Arc<TxnManager>,
    tree: BTree,
}

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let world = Arc::new(World::open(seed).expect("a store on a sound disk opens"));
    // What has led here is the spec's initial state.
    drop(take());
    let mut dice = Dice::new(seed, 0);
    let count = 2 + dice.below(THREADS_MAX - 1);
    let threads = (1..=count).map(|number| {
        let (world, mut dice) = (world.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            world.work(number, count, &mut dice).expect("the store is sound");
        })
    });
    stage::join(threads);
    told::translate(take(), THREADS_MAX)
}

impl World {
    /// A store with an empty tree.
    fn open(seed: u64) -> Result<Self> {
        let mut store = stage::config(64, 1);
        store.wal.flusher = seed.is_multiple_of(2);
        let config = TxnConfig { lock_timeout: Duration::from_secs(1), ..TxnConfig::new(Durability::None) };
        let manager = stage::manager(&Sim::new(seed), store, config)?;
        let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
        Ok(Self { manager, tree })
    }

    /// Fills the tree, so that its leaves split, and empties it, so that they merge.
    fn work(&self, number: u64, count: u64, dice: &mut Dice) -> Result<()> {
        let own = KEYS / count;
        for is_put in [true, false] {
            for at in 0..own {
                match dice.below(8) {
                    0..=3 => self.get(1 + dice.below(KEYS))?,
                    4 => drop(self.manager.collect()?),
                    5 => self.change(number + count * dice.below(own), !is_put)?,
                    _ => {}
                }
                self.change(number + count * at, is_put)?;
            }
        }
        Ok(())
    }

    fn get(&self, key: u64) -> Result<()> {
        begin("get", key);
        self.tree.get_into(&self.manager.view(), &bytes(key), &mut Vec::new()).map(drop)
    }

    fn change(&self, key: u64, is_put: bool) -> Result<()> {
        let mut txn = self.manager.begin();
        if is_put {
            begin("put", key);
            self.tree.put(&mut txn, &bytes(key), &VALUE)?;
        } else {
            begin("delete", key);
            self.tree.delete(&mut txn, &bytes(key))?;
        }
        txn.commit()
    }
}

/// Says what comes next: 1 a look, 2 a put, 3 a delete.
fn begin(what: &str, key: u64) {
    let what = 1 + ["get", "put", "delete"].iter().position(|known| *known == what).map_or(0, |at| at as u64);
    act("Begin", || (), |()| [what, key]);
}

fn bytes(key: u64) -> [u8; KEY_BYTES] {
    [key as u8; KEY_BYTES]
}
