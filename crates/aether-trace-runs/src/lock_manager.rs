//! Runs of transactions that lock the database, keyspaces and keys, for `tla/lock_manager`.
//!
//! They lock as users do, through transactions of the whole engine, and change nothing: what a writer has locks on without
//! an entry of the table is not in the spec.

mod told;

use crate::{Dice, Trace};
use aether_index::TreeUndo;
use aether_index::txn::recovery::wal::WalConfig;
use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::recovery::{Opening, StoreConfig};
use aether_index::txn::{Durability, LockMode, Resource, Txn, TxnConfig, TxnManager, TxnOptions};
use aether_sim::Sim;
use aether_sync::{Arc, thread};
use aether_trace::{name_thread, take};
use aether_types::Result;
use std::path::Path;
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
        thread::spawn("worker", move || {
            name_thread(number);
            let count = 1 + dice.below(TXNS_EACH);
            // A refusal ends a transaction, nothing ends the store.
            (0..count).try_for_each(|_| transaction(&manager, &mut dice)).expect("the store is sound");
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        // A panic was reported by the thread.
        let _ = worker.join();
    }
    told::translate(&take())
}

fn open(seed: u64) -> Result<Arc<TxnManager>> {
    let buffer = BufferConfig {
        num_frames: 64,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let (segment_bytes, ring_bytes) = (256 << 10, 128 << 10);
    let wal = WalConfig { streams: 1, segment_bytes, ring_bytes, flusher: false, recycle: 1 };
    let config = StoreConfig { buffer, wal, ..StoreConfig::default() };
    let redone = Opening::begin(Sim::new(seed).env(), Path::new("/home"), config, true)?.scan()?.redo()?;
    let floor = redone.timestamp_floor();
    let (store, losers, _) = redone.into_parts();
    let config = TxnConfig::new(Durability::None);
    TxnManager::resume(store, losers, floor, config, Box::new(TreeUndo))
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
