//! Files of blocks beside a page file.

use crate::{FILE, Fixture, S0, fixture, fixture_with, read, swip, write};
use aether_buffer::page::{PageType, header};
use aether_buffer::{Access, BLOCK_OVERHEAD_BYTES, BlockSource, BufferConfig, NoGate, Pool};
use aether_sync::{Arc, Mutex, Rank, thread};
use aether_types::{Error, ErrorKind, FileId, Lsn, PageNo, Result};

const RUN: FileId = FileId::new(9);
const END: u64 = 3000;

/// Blocks of known bytes and different lengths; some pages have none.
struct Source {
    damaged: Vec<u64>,
    calls: Mutex<Vec<usize>>,
}

impl Source {
    fn new(damaged: &[u64]) -> Arc<Self> {
        let calls = Mutex::new(Rank::new(890, "calls of a test"), Vec::new());
        Arc::new(Self { damaged: damaged.to_vec(), calls })
    }
}

fn block(page: u64) -> Vec<u8> {
    let len = if page.is_multiple_of(7) { 4096 - BLOCK_OVERHEAD_BYTES } else { (page * 31 % 4000) as usize };
    (0..len).map(|at| (page as usize + at) as u8).collect()
}

impl BlockSource for Source {
    fn read(&self, pages: &[PageNo], each: &mut dyn FnMut(Result<&[u8]>)) {
        self.calls.lock().push(pages.len());
        for page in pages {
            if self.damaged.contains(&page.get()) {
                each(Err(Error::corruption("damaged").at_file(RUN).at_page(*page)));
            } else {
                each(Ok(&block(page.get())));
            }
        }
    }
}

fn check(pool: &Pool, page: u64) -> u32 {
    let guard = pool.optimistic(RUN, swip(page), &Access::Normal).unwrap();
    let view = guard.view();
    let len = view.u64_at(4088) as usize;
    let mut found = vec![0; len];
    view.copy_to(header::HEADER_BYTES, &mut found);
    assert!(header::is_type(view, PageType::Block) && header::page_no(view).get() == page);
    guard.validate().unwrap();
    assert_eq!(found, block(page));
    guard.frame()
}

#[test]
fn blocks_share_the_frames_with_pages_and_come_back() {
    let Fixture { pool, .. } = fixture(32);
    pool.add_blocks(RUN, END, Source::new(&[])).unwrap();
    for page in 1..200 {
        write(&pool, page, page * 7, page);
        check(&pool, page * 3 % END);
    }
    (1..200).for_each(|page| assert_eq!(read(&pool, page), page * 7));
    (0..200).for_each(|page| assert!(check(&pool, page) < 32));
    assert!(pool.resident_pages(RUN) > 0);
    let frame = check(&pool, 7);
    let hinted = pool.hinted(RUN, swip(7).with_hint(frame), &Access::Normal).unwrap();
    assert_eq!(hinted.frame(), frame);
}

#[test]
fn a_damaged_block_is_an_error_and_its_neighbours_are_loaded_in_one_read() {
    let Fixture { pool, .. } = fixture(32);
    let source = Source::new(&[5, 12]);
    pool.add_blocks(RUN, END, source.clone()).unwrap();
    pool.load_together(RUN, &(3..9).map(PageNo::new).collect::<Vec<_>>());
    assert_eq!(*source.calls.lock(), [6]);
    for page in 3..9 {
        assert_eq!(pool.is_resident(RUN, PageNo::new(page)), page != 5, "{page}");
    }
    for page in [5, 12] {
        let error = pool.shared(RUN, swip(page)).err().unwrap();
        assert_eq!((error.kind(), error.place().file), (ErrorKind::Corruption, Some(RUN)));
        assert_eq!(pool.scrub(RUN, PageNo::new(page)).unwrap_err().kind(), ErrorKind::Corruption);
    }
    pool.scrub(RUN, PageNo::new(4)).unwrap();
    let beyond = pool.shared(RUN, swip(1 << 30)).err().unwrap();
    assert_eq!(beyond.kind(), ErrorKind::Corruption);
    assert_eq!(pool.stats().free + pool.stats().hot + pool.stats().cool, 32, "no frame is lost");
}

#[test]
fn a_block_too_long_for_a_page_is_refused() {
    struct TooLong;
    impl BlockSource for TooLong {
        fn read(&self, pages: &[PageNo], each: &mut dyn FnMut(Result<&[u8]>)) {
            pages.iter().for_each(|_| each(Ok(&[1; 4096 - BLOCK_OVERHEAD_BYTES + 1])));
        }
    }
    let Fixture { pool, .. } = fixture(16);
    pool.add_blocks(RUN, END, Arc::new(TooLong)).unwrap();
    assert_eq!(pool.shared(RUN, swip(1)).err().unwrap().kind(), ErrorKind::Corruption);
}

#[test]
fn blocks_are_read_ahead_for_scans() {
    let config = BufferConfig {
        num_frames: 64,
        enable_page_provider: false,
        prefetch_threads: 1,
        ..BufferConfig::default()
    };
    let Fixture { pool, .. } = fixture_with(config, Arc::new(NoGate));
    pool.add_blocks(RUN, END, Source::new(&[])).unwrap();
    let ring = pool.scan_ring();
    pool.prefetch(RUN, (40..48).map(PageNo::new), &ring);
    while (40..48).any(|page| !pool.is_resident(RUN, PageNo::new(page))) {
        thread::yield_now();
    }
    (40..48).for_each(|page| _ = check(&pool, page));
}

#[test]
fn a_file_that_is_taken_away_leaves_its_frames_and_readers_keep_theirs() {
    let Fixture { pool, .. } = fixture(64);
    let budget = pool.budget().used_bytes();
    pool.add_blocks(RUN, END, Source::new(&[])).unwrap();
    assert_eq!(pool.add_blocks(RUN, END, Source::new(&[])).unwrap_err().kind(), ErrorKind::AlreadyExists);
    (0..20).for_each(|page| _ = check(&pool, page));
    let held = pool.shared(RUN, swip(7)).unwrap();
    let seen = pool.optimistic(RUN, swip(8), &Access::Normal).unwrap();
    pool.remove_blocks(RUN);
    assert_eq!(pool.stats().free, 63, "all but the one that is held");
    assert!(seen.validate().is_err(), "an optimistic reader notices");
    assert_eq!(held.view().u64_at(4088) as usize, block(7).len());
    assert_eq!(pool.shared(RUN, swip(3)).err().unwrap().kind(), ErrorKind::Corruption);
    assert_eq!(pool.budget().used_bytes(), budget);
    drop(held);
    // The frame that was held goes with the others when frames are needed.
    (1..300).for_each(|page| write(&pool, page, page, page));
    pool.remove_blocks(RUN);
    pool.remove_blocks(FILE);
    assert_eq!(read(&pool, 299), 299, "a page file is not taken away");
}

/// Reads blocks of `file` until it is gone; whatever is read is right.
fn read_until_gone(pool: &Pool, file: FileId, step: u64) {
    for number in 0.. {
        let page = number * step % 100;
        match pool.optimistic(file, swip(page), &Access::Normal) {
            Ok(guard) => {
                let len = guard.view().u64_at(4088) as usize;
                assert!(guard.validate().is_err() || len == block(page).len());
            }
            Err(error) => return assert_eq!(error.kind(), ErrorKind::Corruption, "{error}"),
        }
    }
}

#[test]
fn files_come_and_go_under_readers() {
    let Fixture { pool, .. } = fixture(32);
    for round in 0..60 {
        let file = FileId::new(100 + round);
        pool.add_blocks(file, END, Source::new(&[])).unwrap();
        let reader = |step| {
            let pool = pool.clone();
            thread::spawn("reader", move || read_until_gone(&pool, file, step))
        };
        let readers = [reader(1), reader(7)];
        (0..40).for_each(|page| write(&pool, 1 + page, page, page));
        pool.remove_blocks(file);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    }
    (1..300).for_each(|page| write(&pool, page, page, page));
    let stats = pool.stats();
    assert_eq!(stats.free + stats.hot + stats.cool, 32, "no frame is lost: {stats:?}");
}

#[test]
fn a_block_is_never_made_nor_dirtied() {
    let Fixture { pool, .. } = fixture(16);
    pool.add_blocks(RUN, END, Source::new(&[])).unwrap();
    assert!(pool.create(RUN, PageNo::new(3)).is_err() && pool.file(RUN).is_err());
    let dirtied = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        pool.exclusive(RUN, swip(3)).unwrap().mark_dirty(S0, Lsn::new(9));
    }));
    assert_eq!(dirtied.is_err(), cfg!(debug_assertions));
}
