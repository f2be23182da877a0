//! The pool as its users see it.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

mod blocks;

use aether_buffer::page::{PageFile, PageMut, PageType, Swip, View, header};
use aether_buffer::{
    Access, Budget, BufferConfig, DoubleWrite, FlushGate, FrameState, NoGate, NoSource, PageSource, Pool,
    PoolParts, PsnTable,
};
use aether_sim::{CrashPolicy, Fault, Sim};
use aether_sync::{Arc, Mutex, Rank, thread};
use aether_types::{ErrorKind, FileId, Lsn, Lv, PageNo, PageSize, Psn, Result, StoreId, StreamId};
use aether_vfs::{Create, Env, OpenOptions};
use std::path::Path;

const STORE: StoreId = StoreId::new([5; 16]);
const FILE: FileId = FileId::new(1);
const S0: StreamId = StreamId::new(0);

struct Fixture {
    env: Env,
    file: Arc<PageFile>,
    pool: Arc<Pool>,
}

fn config(frames: usize) -> BufferConfig {
    BufferConfig {
        num_frames: frames,
        enable_page_provider: false,
        prefetch_threads: 0,
        ..BufferConfig::default()
    }
}

fn parts(env: &Env, gate: Arc<dyn FlushGate>) -> PoolParts {
    let double_write = DoubleWrite::open(env, Path::new("home"), STORE, PageSize::MIN).unwrap();
    let source = Arc::new(NoSource);
    PoolParts { gate, double_write: Some(double_write), source, store: STORE, budget: Budget::unlimited() }
}

fn fixture_with(config: BufferConfig, gate: Arc<dyn FlushGate>) -> Fixture {
    fixture_in(Env::memory(), config, gate)
}

fn fixture_in(env: Env, config: BufferConfig, gate: Arc<dyn FlushGate>) -> Fixture {
    env.vfs.create_dir(Path::new("home")).unwrap();
    let path = Path::new("home/pages");
    let file = Arc::new(PageFile::create(&*env.vfs, path, STORE, FILE, PageSize::MIN).unwrap());
    let pool = Pool::new(config, parts(&env, gate)).unwrap();
    pool.add_file(file.clone(), None).unwrap();
    Fixture { env, file, pool }
}

fn fixture(frames: usize) -> Fixture {
    fixture_with(config(frames), Arc::new(NoGate))
}

fn swip(page: u64) -> Swip {
    Swip::new(PageNo::new(page))
}

/// Makes page `page` hold `value`, as a logged change at `lsn` would.
fn write(pool: &Pool, page: u64, value: u64, lsn: u64) {
    let mut guard = match pool.residence(FILE, PageNo::new(page)) {
        Some(_) => pool.exclusive(FILE, swip(page)).unwrap(),
        None => match pool.exclusive(FILE, swip(page)) {
            Ok(guard) => guard,
            Err(_) => pool.create(FILE, PageNo::new(page)).unwrap(),
        },
    };
    guard.mark_dirty(S0, Lsn::new(lsn));
    let psn = guard.psn().next();
    header::init(guard.page_mut(), PageType::Slotted, FILE, PageNo::new(page), psn);
    fill(guard.page_mut(), value);
    guard.stamp(psn, &Lv::at(S0, Lsn::new(lsn)));
}

fn fill(page: PageMut<'_>, value: u64) {
    (4..512).for_each(|word| page.put_word(word, value));
}

fn value(view: View<'_>) -> u64 {
    assert_eq!(view.word(4), view.word(511), "a torn page was shown");
    view.word(4)
}

fn read(pool: &Pool, page: u64) -> u64 {
    value(pool.shared(FILE, swip(page)).unwrap().view())
}

#[test]
fn pages_survive_eviction_and_come_back_as_they_were() {
    let Fixture { pool, .. } = fixture(32);
    (1..400).for_each(|page| write(&pool, page, page * 7, page));
    assert!(pool.stats().evictions > 300);
    (1..400).rev().for_each(|page| assert_eq!(read(&pool, page), page * 7));
}

#[test]
fn what_is_flushed_is_in_the_file_and_clean() {
    let Fixture { pool, file, .. } = fixture(64);
    (1..50).for_each(|page| write(&pool, page, page, page));
    pool.flush_all().unwrap();
    assert_eq!(pool.stats().dirty, 0);
    assert_eq!(pool.redo_start(Lv::at(S0, Lsn::new(99))), Lv::at(S0, Lsn::new(99)));
    let mut bytes = vec![0; 4096];
    for page in 1..50 {
        file.read(PageNo::new(page), &mut bytes).unwrap();
        aether_buffer::page::verify(&bytes, STORE.seed(), FILE, PageNo::new(page)).unwrap();
    }
}

#[test]
fn an_optimistic_guard_is_void_after_a_write_and_the_hint_finds_the_frame() {
    let Fixture { pool, .. } = fixture(16);
    write(&pool, 1, 10, 1);
    let first = pool.optimistic(FILE, swip(1), &Access::Normal).unwrap();
    assert_eq!(value(first.view()), 10);
    first.validate().unwrap();
    let hinted = pool.optimistic(FILE, swip(1).with_hint(first.frame()), &Access::Normal).unwrap();
    assert_eq!(hinted.frame(), first.frame());
    write(&pool, 1, 11, 2);
    assert!(first.validate().is_err() && first.upgrade().is_err());
    let stale = pool.optimistic(FILE, swip(1).with_hint(15), &Access::Normal).unwrap();
    assert_eq!(stale.frame(), first.frame(), "a wrong hint is only slower");
}

#[test]
fn hot_cools_is_evicted_and_a_use_heats_it() {
    let Fixture { pool, .. } = fixture(16);
    write(&pool, 1, 1, 1);
    let state = || pool.residence(FILE, PageNo::new(1));
    assert_eq!(state(), Some(FrameState::Hot));
    pool.flush_all().unwrap();
    assert_eq!(state(), Some(FrameState::Cool));
    read(&pool, 1);
    assert_eq!(state(), Some(FrameState::Hot));
    assert!(pool.evict_page(FILE, PageNo::new(1)));
    assert_eq!(state(), None);
    assert_eq!(read(&pool, 1), 1);
}

#[test]
fn a_dirty_page_is_never_evicted_unwritten() {
    let Fixture { pool, .. } = fixture(16);
    write(&pool, 1, 1, 1);
    assert!(!pool.evict_page(FILE, PageNo::new(1)));
}

#[test]
fn a_damaged_page_is_reported_with_its_place() {
    let Fixture { pool, env, .. } = fixture(16);
    write(&pool, 3, 1, 1);
    pool.flush_all().unwrap();
    assert!(pool.evict_page(FILE, PageNo::new(3)));
    let raw =
        env.vfs.open(Path::new("home/pages"), OpenOptions { write: true, ..OpenOptions::default() }).unwrap();
    raw.write_at(3 * 4096 + 100, &[0xff]).unwrap();
    let error = pool.shared(FILE, swip(3)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert_eq!((error.place().file, error.place().page), (Some(FILE), Some(PageNo::new(3))));
    assert_eq!(pool.stats().free + pool.stats().hot + pool.stats().cool, 16, "the frame was given back");
}

#[test]
fn a_lost_write_is_found() {
    let Fixture { pool, env, .. } = fixture(16);
    write(&pool, 3, 1, 1);
    pool.flush_all().unwrap();
    let raw =
        env.vfs.open(Path::new("home/pages"), OpenOptions { write: true, ..OpenOptions::default() }).unwrap();
    let mut older = vec![0; 4096];
    raw.read_at(3 * 4096, &mut older).unwrap();
    write(&pool, 3, 2, 2);
    pool.flush_all().unwrap();
    assert!(pool.evict_page(FILE, PageNo::new(3)));
    raw.write_at(3 * 4096, &older).unwrap();
    let error = pool.shared(FILE, swip(3)).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("a write was lost"), "{error}");
}

/// The pool of another open, with the PSN table that an earlier one has left.
fn reopened(env: &Env, file: &Arc<PageFile>) -> Arc<Pool> {
    let pool = Pool::new(config(16), parts(env, Arc::new(NoGate))).unwrap();
    pool.add_file(file.clone(), Some(PsnTable::open(env, Path::new("home"), STORE, FILE).unwrap())).unwrap();
    pool
}

#[test]
fn a_write_lost_before_the_open_is_found_once_redo_is_done() {
    let Fixture { env, file, .. } = fixture(16);
    let first = reopened(&env, &file);
    write(&first, 3, 1, 1);
    first.flush_all().unwrap();
    let mut older = vec![0; 4096];
    file.read(PageNo::new(3), &mut older).unwrap();
    write(&first, 3, 2, 2);
    first.flush_all().unwrap();
    write(&first, 4, 9, 3);
    first.flush_all().unwrap();
    first.settle_psns().unwrap();
    drop(first);
    file.write(PageNo::new(3), &older).unwrap();
    let redo = reopened(&env, &file);
    assert_eq!(read(&redo, 3), 1, "redo takes what it finds: the log goes on from there");
    drop(redo);
    let running = reopened(&env, &file);
    running.end_redo();
    let error = running.shared(FILE, swip(3)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
    assert!(error.to_string().contains("a write was lost"), "{error}");
    assert_eq!(read(&running, 4), 9);
    // A new life needs nothing of the old bytes.
    drop(running.create(FILE, PageNo::new(3)).unwrap());
}

/// A source that has one page, as of one PSN.
struct Attic(Vec<u8>);

impl PageSource for Attic {
    fn rebuild(&self, _: FileId, page: PageNo, into: &mut [u8]) -> bool {
        into.copy_from_slice(&self.0);
        page.get() == 3
    }
}

/// Three pages, written, the first of them changed once more by a batch of its own; then another open whose source
/// has page 3 as it was in the end, or before.
fn damaged(env: Env, stale_source: bool) -> (Arc<PageFile>, Arc<Pool>) {
    let Fixture { env, file, .. } = fixture_in(env, config(16), Arc::new(NoGate));
    let first = reopened(&env, &file);
    (3..6).for_each(|page| write(&first, page, page, page));
    first.flush_all().unwrap();
    let mut older = vec![0; 4096];
    file.read(PageNo::new(3), &mut older).unwrap();
    write(&first, 3, 33, 7);
    first.flush_all().unwrap();
    let mut newer = vec![0; 4096];
    file.read(PageNo::new(3), &mut newer).unwrap();
    write(&first, 4, 44, 8);
    first.flush_all().unwrap();
    first.settle_psns().unwrap();
    drop(first);
    (3..6).for_each(|page| file.write(PageNo::new(page), &[0x77; 4096]).unwrap());
    let source = Arc::new(Attic(if stale_source { older } else { newer }));
    let pool = Pool::new(config(16), PoolParts { source, ..parts(&env, Arc::new(NoGate)) }).unwrap();
    pool.add_file(file.clone(), Some(PsnTable::open(&env, Path::new("home"), STORE, FILE).unwrap())).unwrap();
    (file, pool)
}

#[test]
fn a_damaged_page_comes_back_from_the_last_batch_or_the_source() {
    let (file, pool) = damaged(Env::memory(), false);
    assert!(pool.shared(FILE, swip(4)).is_err(), "not before redo is done");
    pool.end_redo();
    assert_eq!((read(&pool, 3), read(&pool, 4)), (33, 44));
    let error = pool.shared(FILE, swip(5)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption, "nobody has it");
    assert_eq!(pool.stats().repaired, 2);
    for page in [3, 4] {
        let mut bytes = vec![0; 4096];
        file.read(PageNo::new(page), &mut bytes).unwrap();
        aether_buffer::page::verify(&bytes, STORE.seed(), FILE, PageNo::new(page)).unwrap();
    }
}

#[test]
fn an_older_page_is_no_repair() {
    let (_, pool) = damaged(Env::memory(), true);
    pool.end_redo();
    assert_eq!(pool.shared(FILE, swip(3)).map(|_| ()).unwrap_err().kind(), ErrorKind::Corruption);
    assert_eq!(pool.stats().repaired, 0);
}

/// The outcome of loading a damaged page while each of the first reads fails in turn.
fn with_failing_reads(page: u64) -> Vec<std::result::Result<u64, ErrorKind>> {
    let load = |nth| {
        let sim = Sim::new(1);
        let (_, pool) = damaged(sim.env(), false);
        pool.end_redo();
        sim.inject(Fault::FailRead { nth });
        let loaded = pool.shared(FILE, swip(page)).map(|guard| value(guard.view()));
        loaded.map_err(|error| error.kind())
    };
    (0..4).map(load).collect()
}

/// An error met on the way to the copy ended the repair, though the log had the page; and it hid what was wrong.
#[test]
fn a_copy_that_cannot_be_read_does_not_end_the_repair() {
    // The first reads are those of the PSN table and of the page.
    let (io, damage) = (Err(ErrorKind::Io), Err(ErrorKind::Corruption));
    assert_eq!(with_failing_reads(3), [io, io, Ok(33), Ok(33)], "page 3 is in the log");
    assert_eq!(with_failing_reads(4), [io, io, damage, damage], "page 4 is in the last batch alone");
    assert_eq!(with_failing_reads(5), [io, io, damage, damage], "nobody has page 5");
}

#[test]
fn a_fenced_page_stays_unreadable_until_a_new_life() {
    let Fixture { env, file, .. } = fixture(16);
    let first = reopened(&env, &file);
    write(&first, 3, 3, 3);
    first.flush_all().unwrap();
    let mut old = vec![0; 4096];
    file.read(PageNo::new(3), &mut old).unwrap();
    file.write(PageNo::new(3), &[0x77; 4096]).unwrap();
    drop(first);
    let redo = reopened(&env, &file);
    redo.fence(FILE, PageNo::new(3), Psn::new(9)).unwrap();
    redo.settle_psns().unwrap();
    drop(redo);
    // Somebody puts back the page from a backup: it lacks changes that the log had then.
    file.write(PageNo::new(3), &old).unwrap();
    let running = reopened(&env, &file);
    running.end_redo();
    assert!(running.shared(FILE, swip(3)).is_err());
    drop(running.create(FILE, PageNo::new(3)).unwrap());
    assert!(running.shared(FILE, swip(3)).is_ok());
}

#[test]
fn a_torn_page_is_restored_from_the_double_write_area() {
    let Fixture { pool, env, file } = fixture(64);
    (1..20).for_each(|page| write(&pool, page, page, page));
    pool.flush_all().unwrap();
    let raw =
        env.vfs.open(Path::new("home/pages"), OpenOptions { write: true, ..OpenOptions::default() }).unwrap();
    raw.write_at(7 * 4096 + 512, &[0; 512]).unwrap();
    let area = DoubleWrite::open(&env, Path::new("home"), STORE, PageSize::MIN).unwrap();
    let find = |id| (id == FILE).then(|| file.clone());
    assert_eq!(area.repair(&find).unwrap(), 1);
    assert_eq!(area.repair(&find).unwrap(), 0);
    let again = Pool::new(config(16), parts(&env, Arc::new(NoGate))).unwrap();
    again.add_file(file, None).unwrap();
    assert_eq!(read(&again, 7), 7);
}

/// A header with the right checksum may name a page so far out that its offset overflows.
#[test]
fn an_area_that_names_an_impossible_page_is_refused() {
    let Fixture { pool, env, file } = fixture(64);
    write(&pool, 7, 7, 7);
    pool.flush_all().unwrap();
    let options = OpenOptions { write: true, create: Create::No, ..OpenOptions::default() };
    let raw = env.vfs.open(Path::new("home/double-write"), options).unwrap();
    let mut header = vec![0; 4096];
    raw.read_at(0, &mut header).unwrap();
    header[56..64].fill(0xff);
    let sum = aether_types::checksum(STORE.seed(), &header[..4088]);
    header[4088..].copy_from_slice(&sum.to_le_bytes());
    raw.write_at(0, &header).unwrap();
    let area = DoubleWrite::open(&env, Path::new("home"), STORE, PageSize::MIN).unwrap();
    let error = area.repair(&|_| Some(file.clone())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corruption);
}

#[test]
fn a_torn_double_write_area_restores_nothing() {
    let Fixture { pool, env, file } = fixture(64);
    (1..20).for_each(|page| write(&pool, page, page, page));
    pool.flush_all().unwrap();
    let options = OpenOptions { write: true, create: Create::No, ..OpenOptions::default() };
    let raw = env.vfs.open(Path::new("home/double-write"), options).unwrap();
    (0..40).for_each(|byte| {
        raw.write_at(byte * 100, &[0xab]).unwrap();
        let area = DoubleWrite::open(&env, Path::new("home"), STORE, PageSize::MIN).unwrap();
        assert_eq!(area.repair(&|_| Some(file.clone())).unwrap(), 0);
    });
}

fn open_on(sim: &Sim) -> (Arc<Pool>, Arc<PageFile>) {
    let env = sim.env();
    let path = Path::new("home/pages");
    let file = Arc::new(PageFile::open(&*env.vfs, path, STORE, FILE, PageSize::MIN).unwrap());
    let area = DoubleWrite::open(&env, Path::new("home"), STORE, PageSize::MIN).unwrap();
    area.repair(&|_| Some(file.clone())).unwrap();
    let pool = Pool::new(config(16), parts(&env, Arc::new(NoGate))).unwrap();
    pool.add_file(file.clone(), None).unwrap();
    (pool, file)
}

/// A process died between writing pages to their places and their sync. The next one found them whole, in the system's
/// cache, and overwrote the copies; a power cut then tore the pages. Found by the fault sweep: a close that failed, a
/// reopening, a power cut.
#[test]
fn pages_in_the_cache_of_a_dead_process_are_durable_before_their_copies_go() {
    let sim = Sim::new(1);
    let env = sim.env();
    env.vfs.create_dir(Path::new("home")).unwrap();
    PageFile::create(&*env.vfs, Path::new("home/pages"), STORE, FILE, PageSize::MIN).unwrap();
    let (pool, _) = open_on(&sim);
    (1..5).for_each(|page| write(&pool, page, 1, page));
    pool.flush_all().unwrap();
    ["home", "/"].iter().for_each(|dir| env.vfs.sync_dir(Path::new(dir)).unwrap());
    (1..5).for_each(|page| write(&pool, page, 2, 10 + page));
    sim.cut_power_at(sim.op_count() + 2);
    pool.flush_all().unwrap_err();
    let after = sim.kill_image();
    let (pool, _) = open_on(&after);
    write(&pool, 9, 3, 20);
    after.cut_power_at(after.op_count() + 1);
    pool.flush_all().unwrap_err();
    for seed in 0..20 {
        let (pool, _) = open_on(&after.crash_image(CrashPolicy::Torn { seed }));
        (1..5).for_each(|page| assert_eq!(read(&pool, page), 2, "page {page}, seed {seed}"));
    }
}

/// A log whose durable end moves only when asked; notes what was asked.
struct SlowLog {
    durable: Mutex<Lv>,
}

impl FlushGate for SlowLog {
    fn durable(&self) -> Lv {
        *self.durable.lock()
    }

    fn wait_durable(&self, lv: &Lv) -> Result<()> {
        self.durable.lock().join(lv);
        Ok(())
    }
}

#[test]
fn the_log_is_durable_before_the_page() {
    let gate = Arc::new(SlowLog { durable: Mutex::new(Rank::new(999, "test"), Lv::ZERO) });
    let Fixture { pool, .. } = fixture_with(config(16), gate.clone());
    write(&pool, 1, 1, 500);
    write(&pool, 2, 1, 900);
    assert!(pool.write_back_below(&Lv::at(S0, Lsn::new(600))).unwrap() == 1);
    assert_eq!(gate.durable().get(S0), Lsn::new(500), "exactly as far as the page needs");
}

struct BrokenLog;

impl FlushGate for BrokenLog {
    fn durable(&self) -> Lv {
        Lv::ZERO
    }

    fn wait_durable(&self, _: &Lv) -> Result<()> {
        Err(aether_types::Error::new(ErrorKind::Poisoned, "the log is gone"))
    }
}

#[test]
fn after_a_failed_log_nothing_is_written_and_reads_go_on() {
    let Fixture { pool, file, .. } = fixture_with(config(16), Arc::new(BrokenLog));
    write(&pool, 1, 1, 1);
    assert!(pool.flush_all().is_err());
    assert_eq!(pool.flush_all().unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(file.size_pages().unwrap(), 1);
    assert_eq!(read(&pool, 1), 1);
}

#[test]
fn a_checkpoint_waits_for_the_oldest_dirty_page() {
    let Fixture { pool, .. } = fixture(16);
    write(&pool, 1, 1, 70);
    write(&pool, 2, 1, 50);
    write(&pool, 2, 2, 90);
    let end = Lv::at(S0, Lsn::new(100));
    assert_eq!(pool.redo_start(end).get(S0), Lsn::new(50));
    pool.write_back_below(&Lv::at(S0, Lsn::new(60))).unwrap();
    assert_eq!(pool.redo_start(end).get(S0), Lsn::new(70));
}

#[test]
fn a_scan_reuses_its_own_frames() {
    let Fixture { pool, .. } = fixture(128);
    (1..600).for_each(|page| write(&pool, page, page, page));
    pool.flush_all().unwrap();
    (1..600).for_each(|page| {
        pool.evict_page(FILE, PageNo::new(page));
    });
    (1..60).for_each(|page| assert_eq!(read(&pool, page), page));
    let ring = pool.scan_ring();
    for page in 60..600 {
        let guard = pool.optimistic(FILE, swip(page), &Access::Scan(&ring)).unwrap();
        assert_eq!(value(guard.view()), page);
    }
    let resident = (1..60).filter(|page| pool.residence(FILE, PageNo::new(*page)).is_some()).count();
    assert_eq!(resident, 59, "the scan pushed out what others use");
}

#[test]
fn reading_ahead_loads_pages() {
    let prefetching = BufferConfig { prefetch_threads: 1, ..config(64) };
    let Fixture { pool, .. } = fixture_with(prefetching, Arc::new(NoGate));
    (1..10).for_each(|page| write(&pool, page, page, page));
    pool.flush_all().unwrap();
    (1..10).for_each(|page| assert!(pool.evict_page(FILE, PageNo::new(page))));
    pool.prefetch(FILE, (1..10).map(PageNo::new), &pool.scan_ring());
    while (1..10).any(|page| pool.residence(FILE, PageNo::new(page)).is_none()) {
        thread::yield_now();
    }
    (1..10).for_each(|page| assert_eq!(read(&pool, page), page));
}

#[test]
fn a_pool_with_every_frame_latched_says_so() {
    let Fixture { pool, .. } = fixture(16);
    let guards: Vec<_> = (1..17).map(|page| pool.create(FILE, PageNo::new(page)).unwrap()).collect();
    let error = pool.create(FILE, PageNo::new(99)).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OverLimit);
    drop(guards);
    pool.create(FILE, PageNo::new(99)).unwrap();
}

#[test]
fn the_budget_bounds_the_pool() {
    let env = Env::memory();
    env.vfs.create_dir(Path::new("home")).unwrap();
    let parts = PoolParts { budget: Budget::new(64 * 4096), ..parts(&env, Arc::new(NoGate)) };
    assert_eq!(Pool::new(config(64), parts).map(|_| ()).unwrap_err().kind(), ErrorKind::OverLimit);
}

/// Threads raise counters on many pages while a small pool evicts and a provider writes back.
#[test]
fn threads_lose_no_update() {
    let busy = BufferConfig { enable_page_provider: true, ..config(24) };
    let Fixture { pool, .. } = fixture_with(busy, Arc::new(NoGate));
    let (pages, rounds) = if cfg!(miri) { (40, 20) } else { (200, 5_000) };
    (1..=pages).for_each(|page| write(&pool, page, 0, 1));
    let workers: Vec<_> = (0..4u64)
        .map(|id| {
            let pool = pool.clone();
            thread::spawn("worker", move || {
                (0..rounds).for_each(|round| bump(&pool, 1 + (id * 37 + round * 13) % pages))
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    let sum: u64 = (1..=pages).map(|page| read(&pool, page)).sum();
    assert_eq!(sum, 4 * rounds);
    assert!(pool.stats().evictions > 0);
}

fn bump(pool: &Pool, page: u64) {
    loop {
        let seen = pool.optimistic(FILE, swip(page), &Access::Normal).unwrap();
        let before = seen.view().word(4);
        let Ok(mut guard) = seen.upgrade() else { continue };
        if guard.page_no() != PageNo::new(page) {
            continue;
        }
        guard.mark_dirty(S0, Lsn::new(1));
        fill(guard.page_mut(), before + 1);
        let psn = Psn::new(guard.psn().get() + 1);
        guard.stamp(psn, &Lv::ZERO);
        return;
    }
}
