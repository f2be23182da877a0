//! The speed gate: a hot fix, and point gets on the real tree beside a tree of the same node layout without latches,
//! pool or transactions.
//!
//! `cargo bench -p engine-benches --bench buffer_manager`; `AETHER_BENCH_ROWS` sets the rows (1,000,000). Both sides run in
//! one process in alternating rounds; medians are printed. Without `--bench` a small run shows that it works.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::page::node::Node;
use aether_kv::buffer::page::{PageMut, Swip, View};
use aether_kv::buffer::{Access, BufferConfig};
use aether_kv::lsm::index::txn::recovery::{FIRST_TREE_ROOT, PAGES_FILE, Store, StoreConfig};
use aether_kv::lsm::index::txn::{Durability, TxnConfig, TxnManager};
use aether_kv::lsm::index::{BTree, TreeUndo};
use aether_sync::word::Word;
use aether_types::{PageNo, Result, Timestamp};
use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

const ROUNDS: usize = 9;
const PAGE_WORDS: usize = 512;

fn main() -> Result<()> {
    let full = std::env::args().any(|argument| argument == "--bench");
    let wished = std::env::var("AETHER_BENCH_ROWS").ok().and_then(|rows| rows.parse().ok());
    let rows = wished.unwrap_or(if full { 1_000_000 } else { 5_000 });
    let tree = load(rows)?;
    let control = Control::copy(&tree)?;
    let fix = median(|| hot_fix(&tree));
    let (mut real, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS as u64 {
        real.push(gets(rows, round, |key, value| {
            tree.get_settled(key, value).is_ok_and(|found| found == Some(true))
        }));
        raw.push(gets(rows, round, |key, value| control.get(key, value)));
    }
    let (real, raw) = (middle(real), middle(raw));
    println!(
        "{rows} rows of 20 B keys and 100 B values, resident, one thread, volatile store, medians of {ROUNDS} rounds"
    );
    println!("hot fix                {fix:8.2} ns  (aim: under 10)");
    println!("get, the real tree     {real:8.1} ns");
    println!("get, the control       {raw:8.1} ns");
    println!("speed gate: get {:.2}x of the control (aim: at most 1.3x)", real / raw);
    Ok(())
}

fn key(number: u64) -> [u8; 20] {
    let mut key = *b"user0000000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

fn load(rows: u64) -> Result<BTree> {
    let frames = (rows / 12 + 512) as usize;
    let buffer = BufferConfig {
        num_frames: frames,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let store = Store::volatile(StoreConfig { buffer, ..StoreConfig::default() })?;
    let config = TxnConfig::new(Durability::None);
    let txns = TxnManager::resume(store, Vec::new(), Timestamp::new(1), config, Box::new(TreeUndo))?;
    let tree = BTree::open(txns.clone(), FIRST_TREE_ROOT, 1);
    for start in (0..rows).step_by(20) {
        let mut txn = txns.begin();
        for number in start..(start + 20).min(rows) {
            tree.put(&mut txn, &key(number), &[number as u8; 100])?;
        }
        txn.commit()?;
        txns.collect()?;
    }
    Ok(tree)
}

/// Nanoseconds per get of `get` over random keys.
fn gets(rows: u64, round: u64, get: impl Fn(&[u8], &mut Vec<u8>) -> bool) -> f64 {
    let count = rows.min(300_000);
    let mut value = Vec::with_capacity(128);
    let mut state = round * 7919 + 1;
    let start = Instant::now();
    for _ in 0..count {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        value.clear();
        assert!(get(&key((state >> 20) % rows), &mut value));
        black_box(&value);
    }
    start.elapsed().as_nanos() as f64 / count as f64
}

/// Nanoseconds per fix and validation of a resident page through a right hint.
fn hot_fix(tree: &BTree) -> f64 {
    let pool = tree.manager().store().pool();
    let Ok(root) = pool.optimistic(PAGES_FILE, Swip::new(FIRST_TREE_ROOT), &Access::Normal) else {
        return f64::NAN;
    };
    let swip = Swip::new(FIRST_TREE_ROOT).with_hint(root.frame());
    let count = 2_000_000;
    let start = Instant::now();
    for _ in 0..count {
        let fixed = pool.optimistic(PAGES_FILE, black_box(swip), &Access::Normal);
        assert!(fixed.is_ok_and(|guard| guard.validate().is_ok()));
    }
    start.elapsed().as_nanos() as f64 / f64::from(count)
}

fn median(measure: impl Fn() -> f64) -> f64 {
    middle((0..ROUNDS).map(|_| measure()).collect())
}

fn middle(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The same nodes in one block of memory, children by position: no latch, no version, no pool.
struct Control(Vec<Word>);

impl Control {
    fn copy(tree: &BTree) -> Result<Self> {
        let pool = tree.manager().store().pool();
        let (mut words, mut places, mut todo) = (Vec::new(), HashMap::new(), vec![tree.root()]);
        while let Some(page) = todo.pop() {
            let guard = pool.shared(PAGES_FILE, Swip::new(page))?;
            let node = Node::new(guard.view());
            places.insert(page, words.len() / PAGE_WORDS);
            words.extend((0..PAGE_WORDS).map(|at| Word::new(guard.view().word(at))));
            if !node.is_leaf() {
                todo.extend((0..=node.count()).map(|index| node.child(index).page()));
            }
        }
        let this = Self(words);
        places.values().for_each(|&place| this.relink(place, &places));
        Ok(this)
    }

    fn page(&self, place: usize) -> &[Word] {
        &self.0[place * PAGE_WORDS..(place + 1) * PAGE_WORDS]
    }

    fn relink(&self, place: usize, places: &HashMap<PageNo, usize>) {
        let node = Node::new(View::new(self.page(place)));
        if node.is_leaf() {
            return;
        }
        for index in 0..=node.count() {
            let (at, to) = (node.child_word_offset(index), places[&node.child(index).page()]);
            PageMut::new(self.page(place)).put_word(at, to as u64);
        }
    }

    fn get(&self, key: &[u8], value: &mut Vec<u8>) -> bool {
        let mut node = Node::new(View::new(self.page(0)));
        while !node.is_leaf() {
            let place = node.child(node.child_index(key)).word() as usize;
            node = Node::new(View::new(self.page(place)));
        }
        let Ok(slot) = node.search(key) else { return false };
        node.value_into(slot, value);
        true
    }
}
