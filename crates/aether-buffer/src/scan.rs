//! Access strategies and reading ahead.
//!
//! A scan that passes through more pages than fit must not push out what others use: it loads into a small ring
//! of frames and reuses its own. It also names the leaves it will need next, and a few threads load them
//! while the scan is busy with the current one.

use crate::frame::Resident;
use crate::pool::{Access, Pool, ScanRing};
use crate::rank;
use aether_page::Swip;
use aether_sync::{Arc, Condvar, Mutex, Version, Weak, thread};
use aether_types::{FileId, PageNo};
use std::collections::VecDeque;

/// How a fix treats the page's standing in the pool.
#[derive(Clone)]
pub(crate) struct Wish {
    resident: Resident,
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

    pub(crate) fn start(self: &Arc<Self>, pool: &Arc<Pool>, threads: usize) {
        for _ in 0..threads {
            let (this, pool) = (self.clone(), Arc::downgrade(pool));
            thread::spawn("aether-prefetch", move || this.run(&pool));
        }
    }

    fn run(&self, pool: &Weak<Pool>) {
        while let Some(wish) = self.next() {
            let Some(pool) = pool.upgrade() else { return };
            // A page that cannot be loaded is reported to whoever reads it.
            let swip = Swip::new(wish.resident.page());
            let _ = pool.optimistic(wish.resident.file(), swip, &Access::Scan(&wish.ring));
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
    pub const FRAMES_MAX: usize = 32;

    /// An empty ring.
    #[allow(clippy::new_ret_no_self)]
    pub fn new() -> Arc<Self> {
        Arc::new(Self { frames: Mutex::new(rank::RING, VecDeque::new()) })
    }

    /// Remembers a frame that was just loaded; `version` is what its latch has from then on.
    pub(crate) fn remember(&self, index: u32, version: Version) {
        self.frames.lock().push_back((index, version));
    }

    pub(crate) fn pop_if_full(&self) -> Option<(u32, Version)> {
        let mut frames = self.frames.lock();
        if frames.len() < Self::FRAMES_MAX { None } else { frames.pop_front() }
    }
}

impl Pool {
    /// Asks for pages to be loaded in the background, as far as threads and room for wishes allow. Never blocks.
    pub fn prefetch(&self, file: FileId, pages: impl IntoIterator<Item = PageNo>, ring: &Arc<ScanRing>) {
        if self.config.prefetch_threads == 0 {
            return;
        }
        let Ok(open) = self.open_file(file) else { return };
        let absent = pages
            .into_iter()
            .filter(|page| page.get() < PageNo::END && open.translation.get(*page).frame().is_none());
        absent.for_each(|page| {
            self.prefetcher.push(Wish { resident: Resident::new(file, page), ring: ring.clone() })
        });
    }
}
