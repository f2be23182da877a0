//! Runs of transactions that lock the database, keyspaces and keys, for `tla/lock_manager`.
//!
//! They lock as users do, through transactions of the whole engine, and change nothing: what a writer has locks on without
//! an entry of the table is not in the spec.

mod told;

use crate::{Dice, Trace, stage};
use aether_index::txn::{Durability, LockMode, Resource, Txn, TxnConfig, TxnManager, TxnOptions};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_trace::take;
use aether_types::Result;
use std::time::Duration;

/// The spec looks for cycles of two and three.
const WORKERS: u64 = 3;
/// At most, of one worker.
const TXNS_EACH: u64 = 4;
const LOCKS_EACH: u64 = 4;
/// A keyspace with a key that is locked, and one without.
const KEYSPACES: [u32; 2] = [30, 31];
const LONG: Duration = Duration::from_millis(500);
const SHORT: Duration = Duration::from_micros(100);

/// A run and what it told.
#[allow(clippy::expect_used, reason = "a store on a disk that is sound opens")]
pub fn trace(seed: u64) -> Trace {
    let manager = open(seed).expect("a store on a sound disk opens");
    // What has led here is the spec's initial state.
    drop(take());
    let workers = (1..=WORKERS).map(|number| {
        let (manager, mut dice) = (manager.clone(), Dice::new(seed, number));
        stage::worker(number, move || {
            let count = 1 + dice.below(TXNS_EACH);
            // A refusal ends a transaction, nothing ends the store.
            (0..count).try_for_each(|_| transaction(&manager, &mut dice)).expect("the store is sound");
        })
    });
    stage::join(workers);
    told::translate(&take())
}

fn open(seed: u64) -> Result<Arc<TxnManager>> {
    stage::manager(&Sim::new(seed), stage::config(64, 1), TxnConfig::new(Durability::None))
}

/// Takes a few locks; who is refused goes on or ends.
fn transaction(manager: &Arc<TxnManager>, dice: &mut Dice) -> Result<()> {
    let patience = [LONG, LONG, SHORT, SHORT, Duration::ZERO][dice.below(5) as usize];
    let options = TxnOptions { lock_timeout: Some(patience), ..TxnOptions::default() };
    let mut txn = manager.begin_with(options);
    for _ in 0..1 + dice.below(LOCKS_EACH) {
        if lock(&mut txn, dice).is_err() && dice.once_in(2) {
            break;
        }
    }
    if dice.once_in(2) { txn.commit() } else { txn.abort() }
}

fn lock(txn: &mut Txn, dice: &mut Dice) -> Result<()> {
    // Strong modes and few resources, so that they meet.
    let mode = LockMode::ALL[dice.below(5) as usize];
    match dice.below(6) {
        0 => txn.lock(&Resource::Database, mode),
        1 => {
            let mode = if dice.once_in(2) { LockMode::S } else { LockMode::X };
            txn.lock_rows(&Resource::key(KEYSPACES[0], b"k"), mode, &mut || Ok(Vec::new()))
        }
        _ => txn.lock(&Resource::Keyspace(KEYSPACES[dice.below(2) as usize]), mode),
    }
}
