//! Two rows, each transaction changing both: whoever reads must find both as one commit left them. For shuttle.

use aether_index::OrderedIndex;
use aether_index::txn::recovery::Store;
use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::{Durability, Isolation, ReadView, TxnConfig, TxnManager, UndoHandler};
use aether_sync::Arc;
use aether_types::{Result, Timestamp};
use shuttle::thread;
use std::time::Duration;

pub(crate) const SCHEDULES: usize = 400;

/// The whole way from a transaction to a page needs more stack than a model of its own would.
pub(crate) fn config() -> shuttle::Config {
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    config
}

pub(crate) fn check(model: impl Fn() + Sync + Send + 'static) {
    let scheduler = shuttle::scheduler::RandomScheduler::new(SCHEDULES);
    shuttle::Runner::new(scheduler, config()).run(model);
}

/// Frames enough for all, and nobody who takes any back.
pub(crate) fn buffer() -> BufferConfig {
    BufferConfig { num_frames: 64, enable_page_provider: false, ..BufferConfig::default() }
}

/// Transactions of a store that has just been made.
pub(crate) fn transactions(store: Arc<Store>, undo: impl UndoHandler) -> Arc<TxnManager> {
    let config = TxnConfig { lock_timeout: Duration::from_secs(1), ..TxnConfig::new(Durability::None) };
    TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, Box::new(undo)).unwrap()
}

/// The rows `a` and `b` of an index, with one value.
pub(crate) struct Pair {
    pub(crate) manager: Arc<TxnManager>,
    pub(crate) index: Arc<dyn OrderedIndex>,
}

impl Pair {
    /// Both rows are 0.
    pub(crate) fn new(manager: Arc<TxnManager>, index: Arc<dyn OrderedIndex>) -> Arc<Self> {
        let pair = Self { manager, index };
        pair.write(0, true).unwrap();
        Arc::new(pair)
    }

    /// Both rows get one value; then commit or abort.
    pub(crate) fn write(&self, value: u8, commits: bool) -> Result<()> {
        let mut txn = self.manager.begin_with(Isolation::ReadCommitted.into());
        self.index.put(&mut txn, b"a", &[value])?;
        self.index.put(&mut txn, b"b", &[value])?;
        if commits { txn.commit() } else { txn.abort() }
    }

    pub(crate) fn read(&self, view: &ReadView, key: &[u8]) -> u8 {
        let mut value = Vec::new();
        assert!(self.index.get_into(view, key, &mut value).unwrap(), "the row is always there");
        value[0]
    }

    pub(crate) fn scan(&self, view: &ReadView) -> Vec<u8> {
        let mut cursor = self.index.cursor();
        let mut values = Vec::new();
        while let Some((_, value)) = cursor.next(view).unwrap() {
            values.push(value[0]);
        }
        values
    }

    fn collect(&self) {
        self.manager.collect().unwrap();
    }
}

/// A reader of a snapshot, beside a commit, a rollback and the collection of old versions.
pub(crate) fn a_snapshot_shows_whole_transactions_and_repeats_itself(pair: &Arc<Pair>) {
    let writers = [(1, true), (2, false)].map(|(value, commits)| {
        let pair = pair.clone();
        thread::spawn(move || {
            pair.write(value, commits).unwrap();
            pair.collect();
        })
    });
    let view = pair.manager.view();
    let first = pair.read(&view, b"a");
    assert_eq!(pair.read(&view, b"b"), first, "half of a transaction");
    assert_eq!(pair.scan(&view), [first, first], "a cursor");
    pair.collect();
    assert_eq!(pair.read(&view, b"a"), first, "the snapshot has moved");
    assert!(first < 2, "a change that was rolled back");
    drop(view);
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let newest = pair.manager.begin();
    assert_eq!((pair.read(newest.view(), b"a"), pair.read(newest.view(), b"b")), (1, 1));
    assert_eq!(pair.scan(newest.view()), [1, 1]);
}
