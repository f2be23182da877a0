//! Access strategies and reading ahead.
//!
//! A scan that passes through more pages than fit must not push out what others use: it loads into a small ring
//! of frames and reuses its own. It also names the leaves it will need next, and a few threads load them
//! while the scan is busy with the current one.

use crate::budget::Charge;
use crate::load::{RUN_PAGES, runs};
use crate::pool::{Access, BufferConfig, Pool, ScanRing};
use crate::rank;
use aether_sync::{Arc, Condvar, Mutex, Version, Weak, thread};
use aether_types::{FileId, PageNo, Result};
use std::collections::VecDeque;

/// A run of pages to be loaded for a scan.
pub(crate) struct Wish {
    file: FileId,
    pages: Vec<PageNo>,
    ring: Arc<ScanRing>,
}

const QUEUE_MAX: usize = 64;

/// Pages that scans will need soon.
pub(crate) struct Prefetcher {
    queue: Mutex<Option<VecDeque<Wish>>>,
    wish: Condvar,
}

impl Prefetcher {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { queue: Mutex::new(rank::PREFETCH, Some(VecDeque::new())), wish: Condvar::new() })
    }

    /// Memory that the threads and the wishes may take, in bytes.
    pub(crate) fn memory_bytes(config: &BufferConfig) -> u64 {
        let run_bytes = RUN_PAGES * config.page_size.bytes() as u64;
        let wish_bytes = size_of::<Wish>() as u64 + RUN_PAGES * size_of::<PageNo>() as u64;
        let wishes = if config.prefetch_threads == 0 { 0 } else { QUEUE_MAX as u64 };
        config.prefetch_threads as u64 * run_bytes + wishes * wish_bytes
    }

    /// Starts so many threads.
    pub(crate) fn start(self: &Arc<Self>, pool: &Arc<Pool>, threads: usize) -> Result<()> {
        for _ in 0..threads {
            let (this, pool) = (self.clone(), Arc::downgrade(pool));
            thread::try_spawn_batch("aether-prefetch", move || this.run(&pool))?;
        }
        Ok(())
    }

    fn run(&self, pool: &Weak<Pool>) {
        while let Some(wish) = self.next() {
            let Some(pool) = pool.upgrade() else { return };
            // A page that cannot be loaded is reported to whoever reads it.
            let _ = pool.load_run(wish.file, &wish.pages, &Access::Scan(&wish.ring));
        }
    }

    fn next(&self) -> Option<Wish> {
        let mut queue = self.queue.lock();
        loop {
            match queue.as_mut()?.pop_front() {
                Some(wish) => return Some(wish),
                None => queue = self.wish.wait(queue),
            }
        }
    }

    fn push(&self, wish: Wish) {
        let mut queue = self.queue.lock();
        if let Some(queue) = queue.as_mut().filter(|queue| queue.len() < QUEUE_MAX) {
            queue.push_back(wish);
            self.wish.notify_one();
        }
    }

    pub(crate) fn stop(&self) {
        *self.queue.lock() = None;
        self.wish.notify_all();
    }
}

impl ScanRing {
    /// Frames in a ring at the most.
    const FRAMES_MAX: usize = 64;

    /// Remembers a frame that was just loaded; `version` is what its latch has from then on.
    pub(crate) fn remember(&self, index: u32, version: Version) {
        let mut frames = self.frames.lock();
        if frames.len() == self.frames_max {
            // Left to the clock: there were frames enough.
            frames.pop_front();
        }
        frames.push_back((index, version));
    }

    pub(crate) fn pop_if_full(&self) -> Option<(u32, Version)> {
        let mut frames = self.frames.lock();
        if frames.len() < self.frames_max { None } else { frames.pop_front() }
    }

    /// Pages that may be loaded ahead without pushing out those that the scan has not come to yet.
    pub fn ahead_max(&self) -> usize {
        self.frames_max / 2
    }
}

impl Pool {
    /// An empty ring: at most 64 frames, and at most a quarter of the pool.
    pub fn scan_ring(&self) -> Arc<ScanRing> {
        let frames_max = (self.config.num_frames / 4).clamp(2, ScanRing::FRAMES_MAX);
        let memory = (frames_max * size_of::<(u32, Version)>()) as u64;
        let memory = Charge::counted(self.budget.account("scan rings"), memory);
        Arc::new(ScanRing { frames: Mutex::new(rank::RING, VecDeque::new()), frames_max, _memory: memory })
    }

    /// True if the page has a frame or is being loaded.
    pub fn is_resident(&self, file: FileId, page: PageNo) -> bool {
        page.get() < PageNo::END
            && self.open_file(file).is_ok_and(|open| open.translation.get(page).frame().is_some())
    }

    /// Asks for pages to be loaded in the background, neighbours in one read, as far as threads and room for wishes allow.
    /// Never blocks.
    pub fn prefetch(&self, file: FileId, pages: impl IntoIterator<Item = PageNo>, ring: &Arc<ScanRing>) {
        if self.config.prefetch_threads == 0 {
            return;
        }
        let mut absent: Vec<PageNo> = pages
            .into_iter()
            .filter(|page| page.get() < PageNo::END && !self.is_resident(file, *page))
            .collect();
        absent.sort_unstable();
        runs(&absent)
            .for_each(|run| self.prefetcher.push(Wish { file, pages: run.to_vec(), ring: ring.clone() }));
    }
}
