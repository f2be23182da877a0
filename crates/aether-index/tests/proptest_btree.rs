//! The B+tree against a `BTreeMap`, with its checker after every transaction.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "shared/scripts.rs"]
mod scripts;

use aether_index::txn::recovery::wal::buffer::BufferConfig;
use aether_index::txn::recovery::{FIRST_TREE_ROOT, Store, StoreConfig};
use aether_index::txn::{Durability, Txn, TxnConfig, TxnManager, TxnOptions};
use aether_index::{BTree, Cursor, OrderedCursor, TreeUndo};
use aether_sync::Arc;
use aether_types::{PageSize, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use scripts::{Stage, script};
use std::time::Duration;

fn tree(frames: usize, page_size: PageSize) -> BTree {
    let buffer = BufferConfig {
        num_frames: frames,
        page_size,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let store = Store::volatile(StoreConfig { buffer, ..StoreConfig::default() }).unwrap();
    let config = TxnConfig::new(Durability::None);
    let txns = TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, Box::new(TreeUndo)).unwrap();
    BTree::open(txns, FIRST_TREE_ROOT, 1)
}

fn stage(tree: &BTree) -> Stage<'_> {
    Stage { txns: tree.manager(), index: tree }
}

/// Keys that come again and again: enough for a few leaves.
const USUAL: u32 = 3000;

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_a_sorted_map(scripts in vec(script(USUAL), 1..12)) {
        stage(&tree(64, PageSize::MIN)).is_a_sorted_map(&scripts);
    }

    #[test]
    fn so_it_is_with_large_pages(scripts in vec(script(USUAL), 1..6)) {
        stage(&tree(64, PageSize::MAX)).is_a_sorted_map(&scripts);
    }

    #[test]
    fn snapshots_do_not_move(scripts in vec(script(USUAL), 2..8)) {
        stage(&tree(64, PageSize::MIN)).has_snapshots_that_do_not_move(&scripts);
    }
}

#[test]
fn many_rows_in_order_at_random_and_backward_then_none() {
    let count = 20_000u64;
    let orders: [fn(u64) -> u64; 3] = [|n| n, |n| n * 7919 % 20_000, |n| 19_999 - n];
    for order in orders {
        let tree = tree(4096, PageSize::MIN);
        let rows = (0..count).map(|n| format!("{:012}", order(n)).into_bytes());
        for (at, key) in rows.enumerate() {
            let mut txn = tree.manager().begin();
            tree.put(&mut txn, &key, &[at as u8; 100]).unwrap();
            txn.commit().unwrap();
        }
        let full = tree.check(&tree.manager().view()).unwrap();
        assert_eq!((full.problems.as_slice(), full.entries), (&[][..], count));
        for n in 0..count {
            let mut txn = tree.manager().begin();
            assert!(tree.delete(&mut txn, format!("{:012}", order(n)).as_bytes()).unwrap());
            txn.commit().unwrap();
        }
        let empty = tree.check(&tree.manager().view()).unwrap();
        assert_eq!((empty.problems.as_slice(), empty.entries), (&[][..], 0));
        assert!(empty.nodes * 5 < full.nodes, "merges give pages back: {} of {}", empty.nodes, full.nodes);
    }
}

#[test]
fn deleting_while_iterating_visits_every_row_once() {
    let tree = tree(256, PageSize::MIN);
    let mut txn = tree.manager().begin();
    (0..2000).for_each(|n| tree.put(&mut txn, format!("{n:05}").as_bytes(), &[7; 50]).unwrap());
    let mut cursor = Cursor::new(tree.clone());
    let mut seen = 0;
    while let Some(key) = cursor.next(txn.view()).unwrap().map(|(key, _)| key.to_vec()) {
        assert_eq!(key, format!("{seen:05}").into_bytes());
        assert!(tree.delete(&mut txn, &key).unwrap());
        seen += 1;
    }
    assert_eq!(seen, 2000);
    txn.commit().unwrap();
    assert_eq!(tree.check(&tree.manager().view()).unwrap().entries, 0);
}

#[test]
fn a_large_value_streams_in_and_out() {
    stage(&tree(64, PageSize::MIN)).streams_a_large_value();
}

#[test]
fn the_first_updater_wins_and_the_second_is_told() {
    let tree = tree(64, PageSize::MIN);
    let conflict = |txn: &mut Txn, other: &[u8]| {
        for value in [&b"2"[..], &[2; 9000]] {
            let error = tree.put(txn, b"key", value).unwrap_err();
            assert_eq!(error.kind(), aether_types::ErrorKind::Conflict);
            assert_eq!(error.place().key.as_deref(), Some(&b"key"[..]));
        }
        tree.put(txn, other, b"2").expect("nothing was half done: it goes on");
    };
    let impatient = TxnOptions { lock_timeout: Some(Duration::ZERO), ..TxnOptions::default() };
    let mut first = tree.manager().begin();
    let (mut second, mut third) = (tree.manager().begin_with(impatient), tree.manager().begin());
    tree.put(&mut first, b"key", b"1").unwrap();
    conflict(&mut second, b"second");
    first.commit().unwrap();
    conflict(&mut third, b"third");
    let free_before = tree.manager().store().space_stats().unwrap().free_pages;
    second.commit().unwrap();
    third.commit().unwrap();
    let free_after = tree.manager().store().space_stats().unwrap().free_pages;
    assert!(free_after >= free_before, "a refused value leaves no extents");
    let mut fourth = tree.manager().begin();
    tree.put(&mut fourth, b"key", b"3").unwrap();
    fourth.commit().unwrap();
}

/// More extents than a stub names: they stand in a list.
#[test]
fn a_very_large_value_has_its_extents_in_a_list() {
    const BYTES: u64 = 45 << 20;
    let tree = tree(256, PageSize::MIN);
    let pattern = |length: u64| std::io::Read::take(std::io::repeat(0xa5), length);
    let put = |txn: &mut Txn| tree.put_from(txn, b"huge", BYTES, &mut pattern(BYTES)).unwrap();
    let mut txn = tree.manager().begin();
    put(&mut txn);
    txn.commit().unwrap();
    let view = tree.manager().view();
    let mut reader = tree.get_stream(&view, b"huge").unwrap().unwrap();
    assert_eq!(reader.len(), BYTES);
    assert_eq!(std::io::copy(&mut reader, &mut std::io::sink()).unwrap(), BYTES);
    let mut whole = Vec::new();
    assert!(tree.get_into(&view, b"huge", &mut whole).unwrap());
    assert!(whole.len() as u64 == BYTES && whole.iter().all(|byte| *byte == 0xa5));
    drop(view);
    let found = tree.check(&tree.manager().view()).unwrap();
    assert_eq!(found.problems, [""; 0]);
    assert_eq!(found.value_pages.len() as u64, BYTES.div_ceil(4032) + 1, "one page more, for the list");
    let free = || tree.manager().store().space_stats().unwrap().free_pages;
    let before = free();
    let mut aborted = tree.manager().begin();
    put(&mut aborted);
    aborted.abort().unwrap();
    assert!(free() >= before, "a rollback frees the list too");
    let mut txn = tree.manager().begin();
    assert!(tree.delete(&mut txn, b"huge").unwrap());
    txn.commit().unwrap();
    tree.manager().collect().unwrap();
    assert!(free() >= before + found.value_pages.len() as u64, "so does the collection of what nobody sees");
}

#[test]
fn keys_and_values_beyond_the_limits_are_refused() {
    let tree = tree(64, PageSize::MIN);
    let mut txn = tree.manager().begin();
    tree.put(&mut txn, &[1; 960], &[2; 960]).unwrap();
    let error = tree.put(&mut txn, &[1; 961], b"").unwrap_err();
    assert!(error.to_string().contains("961 bytes; at most 960"), "{error}");
    let error = tree.put_from(&mut txn, b"k", 1 << 32, &mut std::io::empty()).unwrap_err();
    assert!(error.to_string().contains("4294967295"), "{error}");
    let error = tree.put_from(&mut txn, b"k", 5000, &mut &[0u8; 10][..]).unwrap_err();
    assert!(error.to_string().contains("ended"), "{error}");
    assert_eq!(txn.commit().unwrap_err().kind(), aether_types::ErrorKind::TxnOver);
}

/// Writers on keys of their own, readers and scans in between, on a pool that evicts.
#[test]
fn threads_do_not_disturb_each_other() {
    let tree = tree(96, PageSize::MIN);
    let writers: Vec<_> = (0..3u32)
        .map(|id| {
            let tree = tree.clone();
            aether_sync::thread::spawn("writer", move || write_own_keys(&tree, id))
        })
        .collect();
    for _ in 0..30 {
        let view = tree.manager().view();
        let mut cursor = Cursor::new(tree.clone());
        let mut last = Vec::new();
        while let Some((key, _)) = cursor.next(&view).unwrap() {
            assert!(key > &last[..]);
            last = key.to_vec();
        }
    }
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    let found = tree.check(&tree.manager().view()).unwrap();
    assert_eq!((found.problems.as_slice(), found.entries), (&[][..], 3 * 1500));
}

fn write_own_keys(tree: &BTree, id: u32) {
    let key = |n: u32| format!("{:05}/{id}", n * 7919 % 3000).into_bytes();
    for n in 0..3000 {
        let mut txn = tree.manager().begin();
        tree.put(&mut txn, &key(n), &[id as u8; 120]).unwrap();
        txn.commit().unwrap();
    }
    for n in (0..3000).step_by(2) {
        let mut txn = tree.manager().begin();
        assert!(tree.delete(&mut txn, &key(n)).unwrap());
        txn.commit().unwrap();
    }
    let txn = tree.manager().begin();
    for n in 0..3000 {
        assert_eq!(tree.get_into(txn.view(), &key(n), &mut Vec::new()).unwrap(), n % 2 == 1);
    }
}

/// Many writers find the same leaf full at once: it is split once, not once for each.
#[test]
fn threads_append_to_the_same_leaf() {
    const EACH: u64 = 4000;
    let tree = tree(16_384, PageSize::MIN);
    let next = Arc::new(aether_sync::atomic::AtomicU64::new(0));
    let append = |(tree, next): (BTree, Arc<aether_sync::atomic::AtomicU64>)| {
        for _ in 0..EACH {
            let number = next.fetch_add(1, aether_sync::atomic::Ordering::Relaxed);
            let mut txn = tree.manager().begin();
            tree.put(&mut txn, &number.to_be_bytes(), &[7; 900]).unwrap();
            txn.commit().unwrap();
        }
    };
    let start = |_| {
        let shared = (tree.clone(), next.clone());
        aether_sync::thread::spawn("appender", move || append(shared))
    };
    let appenders: Vec<_> = (0..8).map(start).collect();
    appenders.into_iter().for_each(|appender| appender.join().unwrap());
    let found = tree.check(&tree.manager().view()).unwrap();
    assert_eq!((found.problems.as_slice(), found.entries), (&[][..], 8 * EACH));
}

#[allow(dead_code)]
fn a_tree_is_shared(tree: BTree) -> Arc<dyn Send + Sync> {
    Arc::new(tree)
}
