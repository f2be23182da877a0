//! shuttle: snapshots and single reads against commits, rollbacks and the collection of old versions, under random
//! schedules. Run by `cargo xtask shuttle -p aether-index`.
//!
//! Each writer changes two rows by one transaction; whoever reads must find both as one commit left them.
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "shared/pair.rs"]
mod pair;

use aether_index::txn::recovery::{FIRST_TREE_ROOT, Store, StoreConfig};
use aether_index::txn::{Isolation, Txn};
use aether_index::{BTree, TreeUndo};
use aether_sync::Arc;
use aether_types::{ErrorKind, Result};
use pair::{Pair, buffer, check, transactions};
use shuttle::thread;

fn pair_in_a_tree() -> Arc<Pair> {
    let store = Store::volatile(StoreConfig { buffer: buffer(), ..StoreConfig::default() }).unwrap();
    let manager = transactions(store, TreeUndo);
    Pair::new(manager.clone(), Arc::new(BTree::open(manager, FIRST_TREE_ROOT, 1)))
}

#[test]
fn a_snapshot_shows_whole_transactions_and_repeats_itself() {
    check(|| pair::a_snapshot_shows_whole_transactions_and_repeats_itself(&pair_in_a_tree()));
}

/// A serializable transaction that has read `other` and changed `own`.
fn pass(pair: &Pair, own: &[u8], other: &[u8]) -> Result<Txn> {
    let mut txn = pair.manager.begin_with(Isolation::Serializable.into());
    txn.note_key(1, other);
    let seen = pair.read(txn.read(), other);
    pair.index.put(&mut txn, own, &[seen + 1])?;
    Ok(txn)
}

/// What two of them have come to, who read what the other changed: a serial order, or one was refused.
fn judge(pair: &Pair, ended: [Result<()>; 2]) {
    let refused = ended.iter().filter(|end| end.is_err()).count();
    let view = pair.manager.view();
    let rows = (pair.read(&view, b"a"), pair.read(&view, b"b"));
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
        let pair = pair_in_a_tree();
        let run = |own: &'static [u8], other: &'static [u8]| {
            let pair = pair.clone();
            thread::spawn(move || pass(&pair, own, other)?.commit())
        };
        let threads = [run(b"a", b"b"), run(b"b", b"a")];
        judge(&pair, threads.map(|thread| thread.join().unwrap()));
    });
}

/// The same, with nothing but the commits at once: the one before has them seldom meet in the moment that counts.
#[test]
fn validation_and_draw_are_one_step() {
    check(|| {
        let pair = pair_in_a_tree();
        let txns = [pass(&pair, b"a", b"b").unwrap(), pass(&pair, b"b", b"a").unwrap()];
        let threads = txns.map(|txn| thread::spawn(move || txn.commit()));
        judge(&pair, threads.map(|thread| thread.join().unwrap()));
    });
}
