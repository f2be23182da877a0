//! shuttle: snapshots and single reads against commits, rollbacks and the collection of old versions, under random
//! schedules. Run by `cargo xtask shuttle -p aether-index`.
//!
//! Each writer changes two rows by one transaction; whoever reads must find both as one commit left them.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::recovery::{FIRST_TREE_ROOT, Store, StoreConfig};
use aether_index::txn::{Durability, Isolation, ReadView, Txn, TxnConfig, TxnManager};
use aether_index::{BTree, TreeUndo};
use aether_sync::Arc;
use aether_types::{ErrorKind, Result, Timestamp};
use shuttle::thread;
use std::time::Duration;

const SCHEDULES: usize = 400;

fn check(model: impl Fn() + Sync + Send + 'static) {
    // The whole way from a transaction to a page needs more stack than a model of its own would.
    let mut config = shuttle::Config::new();
    config.stack_size = 1 << 20;
    shuttle::Runner::new(shuttle::scheduler::RandomScheduler::new(SCHEDULES), config).run(model);
}

struct World {
    manager: Arc<TxnManager>,
    tree: BTree,
}

fn world() -> Arc<World> {
    let buffer = BufferConfig { num_frames: 64, enable_page_provider: false, ..BufferConfig::default() };
    let store = Store::volatile(StoreConfig { buffer, ..StoreConfig::default() }).unwrap();
    let config = TxnConfig { lock_timeout: Duration::from_secs(1), ..TxnConfig::new(Durability::None) };
    let manager =
        TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, Box::new(TreeUndo)).unwrap();
    let tree = BTree::open(manager.clone(), FIRST_TREE_ROOT, 1);
    let world = Arc::new(World { manager, tree });
    world.write(0, true).unwrap();
    world
}

impl World {
    /// Both rows get one value; then commit or abort.
    fn write(&self, value: u8, commits: bool) -> Result<()> {
        let mut txn = self.manager.begin_with(Isolation::ReadCommitted.into());
        self.tree.put(&mut txn, b"a", &[value])?;
        self.tree.put(&mut txn, b"b", &[value])?;
        if commits { txn.commit() } else { txn.abort() }
    }

    fn read(&self, view: &ReadView, key: &[u8]) -> u8 {
        let mut value = Vec::new();
        assert!(self.tree.get_into(view, key, &mut value).unwrap(), "the row is always there");
        value[0]
    }

    fn collect(&self) {
        self.manager.collect().unwrap();
    }
}

#[test]
fn a_snapshot_shows_whole_transactions_and_repeats_itself() {
    check(|| {
        let world = world();
        let writers = [(1, true), (2, false)].map(|(value, commits)| {
            let world = world.clone();
            thread::spawn(move || {
                world.write(value, commits).unwrap();
                world.collect();
            })
        });
        let view = world.manager.view();
        let first = world.read(&view, b"a");
        assert_eq!(world.read(&view, b"b"), first, "half of a transaction");
        world.collect();
        assert_eq!(world.read(&view, b"a"), first, "the snapshot has moved");
        assert!(first < 2, "a change that was rolled back");
        drop(view);
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        let newest = world.manager.begin();
        assert_eq!((world.read(newest.view(), b"a"), world.read(newest.view(), b"b")), (1, 1));
    });
}

/// A serializable transaction that has read `other` and changed `own`.
fn pass(world: &World, own: &[u8], other: &[u8]) -> Result<Txn> {
    let mut txn = world.manager.begin_with(Isolation::Serializable.into());
    txn.note_key(1, other);
    let seen = world.read(txn.read(), other);
    world.tree.put(&mut txn, own, &[seen + 1])?;
    Ok(txn)
}

/// What two of them have come to, who read what the other changed: a serial order, or one was refused.
fn judge(world: &World, ended: [Result<()>; 2]) {
    let refused = ended.iter().filter(|end| end.is_err()).count();
    let view = world.manager.view();
    let rows = (world.read(&view, b"a"), world.read(&view, b"b"));
    match refused {
        0 => assert!(matches!(rows, (1, 2) | (2, 1)), "{rows:?} is no serial outcome"),
        1 => assert!(matches!(rows, (1, 0) | (0, 1)), "{rows:?}"),
        _ => panic!("both were refused"),
    }
    for error in ended.into_iter().filter_map(Result::err) {
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    }
}

#[test]
fn serializable_transactions_cannot_both_pass_each_other() {
    check(|| {
        let world = world();
        let run = |own: &'static [u8], other: &'static [u8]| {
            let world = world.clone();
            thread::spawn(move || pass(&world, own, other)?.commit())
        };
        let threads = [run(b"a", b"b"), run(b"b", b"a")];
        judge(&world, threads.map(|thread| thread.join().unwrap()));
    });
}

/// The same, with nothing but the commits at once: the one before has them seldom meet in the moment that counts.
#[test]
fn validation_and_draw_are_one_step() {
    check(|| {
        let world = world();
        let txns = [pass(&world, b"a", b"b").unwrap(), pass(&world, b"b", b"a").unwrap()];
        let threads = txns.map(|txn| thread::spawn(move || txn.commit()));
        judge(&world, threads.map(|thread| thread.join().unwrap()));
    });
}
