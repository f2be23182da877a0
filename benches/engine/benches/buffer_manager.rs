//! Fixing pages (hot, cool, evicted), eviction, and the speed gate: point gets on the real tree beside a tree of the same
//! node layout without latches, pool or transactions.
//!
//! `cargo bench -p engine-benches --bench buffer_manager`; `AETHER_BENCH_ROWS` sets the rows (1,000,000).

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::buffer::page::node::Node;
use aether_kv::buffer::page::{PageFile, PageMut, PageType, Swip, View, header};
use aether_kv::buffer::{Access, Budget, BufferConfig, DoubleWrite, NoGate, NoSource, Pool, PoolParts};
use aether_kv::lsm::index::txn::recovery::{FIRST_TREE_ROOT, PAGES_FILE, Store, StoreConfig};
use aether_kv::lsm::index::txn::{Durability, TxnConfig, TxnManager};
use aether_kv::lsm::index::{BTree, TreeUndo};
use aether_sync::Arc;
use aether_sync::word::Word;
use aether_types::{Error, Lsn, Lv, PageNo, PageSize, Psn, Result, StoreId, StreamId, Timestamp};
use aether_vfs::Env;
use engine_benches::{Rng, is_full, key, line, median, per_step, rows};
use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;

const ROUNDS: u64 = 9;
const PAGE_WORDS: usize = 512;

fn main() -> Result<()> {
    speed_gate()?;
    residency()
}

fn speed_gate() -> Result<()> {
    let rows = rows(1_000_000, 5_000);
    let tree = load(rows)?;
    let control = Control::copy(&tree)?;
    println!(
        "{rows} rows of 20 B keys and 100 B values, resident, one thread, volatile store; medians of {ROUNDS}"
    );
    let fix = median((0..ROUNDS).map(|_| hot_fix(tree.manager().store().pool())).collect());
    line("hot fix and validation (aim: under 10 ns)", fix);
    let (mut real, mut raw) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        real.push(gets(rows, round, |key, value| {
            tree.get_settled(key, value).is_ok_and(|found| found == Some(true))
        }));
        raw.push(gets(rows, round, |key, value| control.get(key, value)));
    }
    let (real, raw) = (median(real), median(raw));
    line("get, the real tree", real);
    line("get, the control", raw);
    println!("speed gate: get {:.2}x of the control (aim: at most 1.3x)", real / raw);
    Ok(())
}

/// Cool and evicted pages and eviction, on a file that is read and written past the page cache.
fn residency() -> Result<()> {
    let dir = tempfile::TempDir::new().map_err(|error| Error::invalid(error.to_string()))?;
    let pages = if is_full() { 8_000 } else { 200 };
    let pool = pool_on_disk(dir.path(), pages)?;
    println!("{pages} pages of 4 KiB on disk; medians of {ROUNDS}");
    let all = || (1..=pages).map(PageNo::new);
    let (mut cool, mut evict, mut evicted) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        all().try_for_each(|page| change(&pool, page, round + 1))?;
        pool.flush_all()?;
        cool.push(per_step(pages, || all().for_each(|page| touch(&pool, page))));
        evict.push(per_step(pages, || all().for_each(|page| assert!(pool.evict_page(PAGES_FILE, page)))));
        evicted.push(per_step(pages, || all().for_each(|page| touch(&pool, page))));
    }
    line("cool fix without a hint, and heating", median(cool));
    line("eviction of a clean page", median(evict));
    line("evicted fix: one direct read, checked", median(evicted));
    Ok(())
}

fn pool_on_disk(home: &Path, pages: u64) -> Result<Arc<Pool>> {
    let (env, store, page_size) = (Env::real(), StoreId::new([7; 16]), PageSize::default());
    let file = PageFile::create(&*env.vfs, &home.join("pages"), store, PAGES_FILE, page_size)?;
    let double_write = Some(DoubleWrite::open(&env, home, store, page_size)?);
    let (gate, source) = (Arc::new(NoGate), Arc::new(NoSource));
    let parts = PoolParts { gate, double_write, source, store, budget: Budget::unlimited() };
    let num_frames = 2 * pages as usize;
    let config = BufferConfig {
        num_frames,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    };
    let pool = Pool::new(config, parts)?;
    pool.add_file(Arc::new(file), None).expect("the budget has no limit");
    (1..=pages).map(PageNo::new).try_for_each(|page| pool.create(PAGES_FILE, page).map(drop))?;
    Ok(pool)
}

fn change(pool: &Pool, page: PageNo, psn: u64) -> Result<()> {
    let mut guard = pool.exclusive(PAGES_FILE, Swip::new(page))?;
    guard.mark_dirty(StreamId::new(0), Lsn::new(psn));
    header::init(guard.page_mut(), PageType::Slotted, PAGES_FILE, page, Psn::new(psn));
    guard.stamp(Psn::new(psn), &Lv::ZERO);
    Ok(())
}

fn touch(pool: &Pool, page: PageNo) {
    let fixed = pool.optimistic(PAGES_FILE, Swip::new(page), &Access::Normal);
    assert!(fixed.is_ok_and(|guard| guard.validate().is_ok()));
}

fn load(rows: u64) -> Result<BTree> {
    let num_frames = (rows / 12 + 512) as usize;
    let buffer = BufferConfig {
        num_frames,
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
        (start..(start + 20).min(rows))
            .try_for_each(|number| tree.put(&mut txn, &key(number), &[number as u8; 100]).map(drop))?;
        txn.commit()?;
        txns.collect()?;
    }
    Ok(tree)
}

/// Nanoseconds per get of `get` over random keys.
fn gets(rows: u64, round: u64, get: impl Fn(&[u8], &mut Vec<u8>) -> bool) -> f64 {
    let (mut rng, mut value) = (Rng::new(round + 1), Vec::with_capacity(128));
    let count = rows.min(300_000);
    per_step(count, || {
        for _ in 0..count {
            value.clear();
            assert!(get(&key(rng.below(rows)), &mut value));
            black_box(&value);
        }
    })
}

/// Nanoseconds per fix and validation of a resident page through a right hint.
fn hot_fix(pool: &Pool) -> f64 {
    let Ok(root) = pool.optimistic(PAGES_FILE, Swip::new(FIRST_TREE_ROOT), &Access::Normal) else {
        return f64::NAN;
    };
    let swip = Swip::new(FIRST_TREE_ROOT).with_hint(root.frame());
    let count = 2_000_000;
    per_step(count, || {
        for _ in 0..count {
            let fixed = pool.optimistic(PAGES_FILE, black_box(swip), &Access::Normal);
            assert!(fixed.is_ok_and(|guard| guard.validate().is_ok()));
        }
    })
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
