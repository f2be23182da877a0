//! What runs of a store have in common: a small store on a simulated disk, and threads that are waited for.

use crate::home::HOME;
use aether_index::TreeUndo;
use aether_index::txn::recovery::wal::WalConfig;
use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::recovery::{Opening, Redone, StoreConfig};
use aether_index::txn::{TxnConfig, TxnManager};
use aether_sim::Sim;
use aether_sync::Arc;
use aether_sync::thread::{self, JoinHandle};
use aether_trace::name_thread;
use aether_types::Result;
use std::path::Path;

/// A store of a few frames; nothing happens in it but what a run does.
pub(crate) fn config(frames: usize, streams: usize) -> StoreConfig {
    let buffer = BufferConfig {
        num_frames: frames,
        enable_page_provider: false,
        prefetch_threads: 0,
        streams,
        ..BufferConfig::default()
    };
    let (segment_bytes, ring_bytes) = (256 << 10, 128 << 10);
    let wal = WalConfig { streams, segment_bytes, ring_bytes, flusher: false, recycle: 1 };
    StoreConfig { buffer, wal, redo_threads: 1, ..StoreConfig::default() }
}

/// The store at the one place of the disk where runs have theirs, its pages brought up to the log.
pub(crate) fn redone(sim: &Sim, config: StoreConfig) -> Result<Redone> {
    Opening::begin(sim.env(), Path::new(HOME), config, true)?.scan()?.redo()
}

/// The transactions of that store.
pub(crate) fn manager(sim: &Sim, config: StoreConfig, txns: TxnConfig) -> Result<Arc<TxnManager>> {
    let redone = redone(sim, config)?;
    let floor = redone.timestamp_floor();
    let (store, losers, _) = redone.into_parts();
    TxnManager::resume(store, losers, floor, txns, Box::new(TreeUndo))
}

/// A thread that events call `number`.
pub(crate) fn worker(number: u64, work: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    thread::spawn("worker", move || {
        name_thread(number);
        work();
    })
}

/// Waits for all, once all have begun.
pub(crate) fn join(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads.into_iter().collect::<Vec<_>>() {
        // A panic was reported by the thread.
        let _ = thread.join();
    }
}
