//! The pool: frames, files, and how a page is fixed.
//!
//! A page reference is a swip: page number and frame hint. Fixing loads the latch version of the hinted
//! frame first, then compares the frame's (file, page); the caller re-validates the page that held the swip. On
//! a match no table is touched. Otherwise the file's flat translation array says where the page is, or the page
//! is loaded. Version before page number: the other order accepts a frame that was reused in between (loom:
//! `tests/loom_swip.rs`).

use crate::budget::{Budget, Charge};
use crate::clock::FreeLists;
use crate::files::{Files, OpenFile};
use crate::frame::{DirtyTable, Frame, FrameState, Resident};
use crate::gate::FlushGate;
use crate::guard::{Exclusive, Optimistic, Shared};
use crate::memory::FrameMemory;
use crate::provider::Provider;
use crate::psn_table::PsnTable;
use crate::rank;
use crate::repair::PageSource;
use crate::scan::Prefetcher;
use crate::stats::{PoolStats, Statistics};
use crate::torn::{Batch, DoubleWrite, check_page_no};
use crate::trace;
use crate::translation::Entry;
use crate::write_back::WriteBack;
use aether_page::{Swip, header};
use aether_sync::atomic::{AtomicBool, Ordering::*};
use aether_sync::word::Word;
use aether_sync::{Arc, Mutex, Version};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, FileId, PageNo, PageSize, Result, StoreId, limits};
use core::cell::Cell;

/// How a pool is built. `num_frames` times the page size is the pool's share of the memory budget.
#[derive(Clone, Debug)]
pub struct BufferConfig {
    /// Frames, each holding one page; at least 16.
    pub num_frames: usize,
    /// The size of a page in bytes.
    pub page_size: PageSize,
    /// Runs a thread that frees frames and writes pages back ahead of need. Without it whoever needs a frame
    /// does a bounded part of that work.
    pub enable_page_provider: bool,
    /// Share of frames that the page provider keeps free, in percent.
    pub free_percent: usize,
    /// Parts of the pool with a free list and clock hand of their own; 0: one per four cores.
    pub partitions: usize,
    /// Threads that load pages ahead of scans; 0: none.
    pub prefetch_threads: usize,
    /// Log streams.
    pub streams: usize,
}

impl Default for BufferConfig {
    fn default() -> Self {
        Self {
            num_frames: 16384,
            page_size: PageSize::default(),
            enable_page_provider: true,
            free_percent: 2,
            partitions: 0,
            prefetch_threads: 4,
            streams: 1,
        }
    }
}

/// The log and the protection against torn pages that a pool works with.
pub struct PoolParts {
    /// Log before data.
    pub gate: Arc<dyn FlushGate>,
    /// Protects page writes; none for a volatile pool.
    pub double_write: Option<DoubleWrite>,
    /// Where damaged pages may be had again.
    pub source: Arc<dyn PageSource>,
    /// The store whose pages these are; its id seeds their checksums.
    pub store: StoreId,
    /// Where the pool's memory is counted.
    pub budget: Budget,
}

/// How a fix treats the page's standing in the pool.
pub enum Access<'r> {
    /// The page is likely to be used again.
    Normal,
    /// A scan passes by: the page is not marked as used, and loading reuses the scan's own frames.
    Scan(&'r Arc<ScanRing>),
}

/// The frames a scan has loaded, oldest first: it reuses them instead of pushing out what others need.
pub struct ScanRing {
    pub(crate) frames: Mutex<std::collections::VecDeque<(u32, Version)>>,
    pub(crate) frames_max: usize,
    pub(crate) _memory: Charge,
}

/// The buffer pool. Shared by reference; used by any number of threads.
pub struct Pool {
    pub(crate) config: BufferConfig,
    memory: FrameMemory,
    frames: Vec<Frame>,
    pub(crate) dirty: DirtyTable,
    pub(crate) free: FreeLists,
    pub(crate) files: Files,
    pub(crate) gate: Arc<dyn FlushGate>,
    pub(crate) source: Arc<dyn PageSource>,
    pub(crate) write_back: Mutex<WriteBack>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) prefetcher: Arc<Prefetcher>,
    pub(crate) store_seed: u64,
    /// Loads are compared with the PSN tables, and damaged pages repaired.
    pub(crate) redo_is_done: AtomicBool,
    failed: AtomicBool,
    failure: Mutex<Option<Error>>,
    pub(crate) stats: Statistics,
    pub(crate) budget: Budget,
    _charges: Vec<Charge>,
}

impl Pool {
    /// Builds a pool and starts its threads.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration out of bounds, `OverLimit` if the budget has not enough memory, or the
    /// system not enough memory or threads.
    pub fn new(config: BufferConfig, parts: PoolParts) -> Result<Arc<Self>> {
        check_config(&config)?;
        let PoolParts { gate, double_write, source, store, budget } = parts;
        let charges = charges(&config, &budget)?;
        let pool = Arc::new(Self {
            memory: FrameMemory::new(config.num_frames, config.page_size)?,
            frames: (0..config.num_frames).map(|_| Frame::new()).collect(),
            dirty: DirtyTable::new(config.num_frames, config.streams),
            free: FreeLists::new(config.num_frames, config.partitions),
            files: Files::new(),
            gate,
            source,
            write_back: Mutex::new(rank::WRITE_BACK, WriteBack::new(config.page_size, double_write)),
            provider: Provider::new(),
            prefetcher: Prefetcher::new(),
            store_seed: store.seed(),
            redo_is_done: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            failure: Mutex::new(rank::POISON, None),
            stats: Statistics::default(),
            budget,
            _charges: charges,
            config,
        });
        pool.provider.start(&pool)?;
        pool.prefetcher.start(&pool, pool.config.prefetch_threads)?;
        Ok(pool)
    }

    /// Says that redo is done, so that every page on disk is as the PSN tables say: from now on loads are compared with them.
    pub fn end_redo(&self) {
        self.redo_is_done.store(true, Release);
    }

    /// Makes the PSN tables durable for every page write that was synced by now; blocks. Comes before the redo start
    /// moves.
    ///
    /// # Errors
    /// As any write-back: once one has failed, all later ones do.
    pub fn settle_psns(&self) -> Result<()> {
        self.check_healthy()?;
        let files = self.files.paged();
        let settled = files.iter().filter_map(|open| open.psns()).try_for_each(PsnTable::settle);
        settled.inspect_err(|error| self.fail(error))
    }

    /// What the translation array has of a page, after a look into the PSN table if that is nothing.
    pub(crate) fn entry(&self, open: &OpenFile, page: PageNo) -> Result<Entry> {
        let entry = open.translation.get(page);
        let Some(psns) = open.psns().filter(|_| entry.is_unknown() && self.redo_is_done.load(Acquire)) else {
            return Ok(entry);
        };
        psns.learn(page, |page, mark| open.translation.record(page, mark))?;
        Ok(open.translation.get(page))
    }

    /// The configuration.
    pub fn config(&self) -> &BufferConfig {
        &self.config
    }

    #[inline]
    pub(crate) fn frame(&self, frame: u32) -> &Frame {
        &self.frames[frame as usize]
    }

    #[inline]
    pub(crate) fn words(&self, frame: u32) -> &[Word] {
        self.memory.page(frame)
    }

    /// Fixes a page for optimistic reading; blocks if the page must be loaded or is being written.
    ///
    /// # Errors
    /// `Corruption` naming file and page, or `Io`.
    #[inline]
    pub fn optimistic(&self, file: FileId, swip: Swip, access: &Access<'_>) -> Result<Optimistic<'_>> {
        match self.hinted(file, swip, access) {
            Some(guard) => Ok(guard),
            None => self.optimistic_slow(Resident::new(file, swip.page()), access),
        }
    }

    /// Fixes a page for optimistic reading if the reference's hint leads to it; never blocks, touches no table. The
    /// reference itself may be unvalidated: a wrong one finds nothing or another resident page.
    #[inline]
    pub fn hinted(&self, file: FileId, swip: Swip, access: &Access<'_>) -> Option<Optimistic<'_>> {
        let hint = swip.hint()?;
        let frame = self.frames.get(hint as usize)?;
        let version = frame.resolve(Resident::new(file, swip.page()))?;
        if matches!(access, Access::Normal) {
            frame.touch(hint);
        }
        Some(Optimistic { pool: self, frame: hint, version })
    }

    #[cold]
    fn optimistic_slow(&self, wanted: Resident, access: &Access<'_>) -> Result<Optimistic<'_>> {
        loop {
            let index = self.locate(wanted, access)?;
            let frame = self.frame(index);
            // The frame may have another page by now, whose holder waits for what this thread has.
            let wait = || frame.latch.wait_version_while(|| frame.resident() == wanted);
            let Some(version) = trace::peek(wait) else {
                continue;
            };
            if trace::compare(|| frame.resident() == wanted) {
                if matches!(access, Access::Normal) {
                    frame.touch(index);
                }
                return Ok(Optimistic { pool: self, frame: index, version });
            }
        }
    }

    /// Fixes a page with a shared latch; blocks.
    ///
    /// # Errors
    /// As [`Pool::optimistic`].
    pub fn shared(&self, file: FileId, swip: Swip) -> Result<Shared<'_>> {
        loop {
            let seen = self.optimistic(file, swip, &Access::Normal)?;
            if let Ok(shared) = seen.share() {
                return Ok(shared);
            }
        }
    }

    /// Fixes a page with an exclusive latch; blocks.
    ///
    /// # Errors
    /// As [`Pool::optimistic`].
    pub fn exclusive(&self, file: FileId, swip: Swip) -> Result<Exclusive<'_>> {
        let wanted = Resident::new(file, swip.page());
        loop {
            let index = self.locate(wanted, &Access::Normal)?;
            if let Some(guard) = self.exclusive_frame(index, wanted) {
                return Ok(guard);
            }
        }
    }

    fn exclusive_frame(&self, index: u32, wanted: Resident) -> Option<Exclusive<'_>> {
        let frame = self.frame(index);
        let is_wanted = || frame.resident() == wanted || planted("latch-the-wrong-page");
        if !trace::latch(index, || frame.latch.exclusive_while(is_wanted)) {
            return None;
        }
        let guard = Exclusive { pool: self, frame: index, changed: Cell::new(false) };
        frame.touch(index);
        trace::check(is_wanted).then_some(guard)
    }

    /// A frame for a page whose old bytes do not matter: a page just allocated. Its words are zero, or those of
    /// an earlier life. Blocks as [`Pool::exclusive`], but never reads the file.
    pub fn create(&self, file: FileId, page: PageNo) -> Result<Exclusive<'_>> {
        let wanted = Resident::new(file, page);
        check_page_no(page)?;
        let open = self.open_file(file)?;
        open.pages()?;
        loop {
            let entry = open.translation.get(page);
            if let Some(index) = entry.frame() {
                if let Some(guard) = self.exclusive_frame(index, wanted) {
                    return Ok(guard);
                }
                continue;
            }
            let index = self.take_frame(&Access::Normal)?;
            let frame = self.frame(index);
            frame.set_resident(wanted);
            let entered = open.translation.replace(page, entry, Entry::resident(index));
            if !matches!(entered, Ok(true)) {
                self.give_back(index);
                entered?;
                continue;
            }
            header::init(
                aether_page::PageMut::new(self.words(index)),
                aether_page::PageType::Unwritten,
                file,
                page,
                aether_types::Psn::new(0),
            );
            self.dirty.set_page_lv(index, &aether_types::Lv::ZERO);
            frame.set_state(FrameState::Hot);
            return Ok(Exclusive { pool: self, frame: index, changed: Cell::new(true) });
        }
    }

    /// The frame of a page at this moment, loading the page if need be.
    fn locate(&self, wanted: Resident, access: &Access<'_>) -> Result<u32> {
        check_page_no(wanted.page())?;
        let open = self.open_file(wanted.file())?;
        loop {
            let entry = trace::translate(wanted, || self.entry(&open, wanted.page()), |entry| entry.frame())?;
            if let Some(index) = entry.frame() {
                return Ok(index);
            }
            if let Some(claim) = self.claim(&open, wanted.page(), entry, access)? {
                let index = claim.frame;
                return self.load(&open, &[claim], access).map(|()| index);
            }
        }
    }

    /// Puts a frame taken by [`Pool::take_frame`] back on the free list.
    pub(crate) fn give_back(&self, index: u32) {
        let frame = self.frame(index);
        frame.set_resident(Resident::NONE);
        frame.set_state(FrameState::Free);
        frame.latch.release_exclusive();
        self.free.push(index);
    }

    /// Ends writing for good after a failed write or sync (R2); reads of resident and clean pages go on.
    pub fn fail(&self, error: &Error) {
        let mut failure = self.failure.lock();
        if failure.is_none() {
            *failure = Some(error.duplicate());
        }
        self.failed.store(true, Release);
    }

    /// Fails once a write or sync of a page has failed.
    pub fn check_healthy(&self) -> Result<()> {
        if !self.failed.load(Acquire) {
            return Ok(());
        }
        let failure = self.failure.lock();
        let cause = failure.as_ref().map_or_else(String::new, |error| error.to_string());
        Err(Error::new(ErrorKind::Poisoned, format!("an earlier page write failed: {cause}")))
    }

    /// What the pool has done so far, and how its frames stand.
    pub fn stats(&self) -> PoolStats {
        let mut stats = self.stats.read();
        stats.frames = self.config.num_frames;
        for (index, frame) in self.frames.iter().enumerate() {
            match frame.state() {
                FrameState::Free => stats.free += 1,
                FrameState::Loading => {}
                FrameState::Hot => stats.hot += 1,
                FrameState::Cool => stats.cool += 1,
                FrameState::Writing => stats.writing += 1,
            }
            stats.dirty += usize::from(self.dirty.is_dirty(index as u32));
        }
        stats
    }

    /// The state of a page's frame, or none if the page is EVICTED. For tests and tools.
    pub fn residence(&self, file: FileId, page: PageNo) -> Option<FrameState> {
        let open = self.open_file(file).ok()?;
        let index = open.translation.get(page).frame()?;
        Some(self.frame(index).state())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.provider.stop();
        self.prefetcher.stop();
    }
}

/// What a pool takes when it is built.
fn charges(config: &BufferConfig, budget: &Budget) -> Result<Vec<Charge>> {
    let per_frame = config.page_size.bytes() + size_of::<Frame>();
    let frames =
        (config.num_frames * per_frame) as u64 + DirtyTable::bytes(config.num_frames, config.streams);
    let shares = [
        ("frames", frames),
        ("double-write batch", Batch::memory_bytes(config.page_size)),
        ("read-ahead", Prefetcher::memory_bytes(config)),
    ];
    shares.into_iter().map(|(name, bytes)| Charge::new(budget.account(name), bytes)).collect()
}

fn check_config(config: &BufferConfig) -> Result<()> {
    if !(16..=limits::FRAMES_MAX).contains(&config.num_frames) {
        return Err(Error::invalid(format!(
            "{} frames: a pool has 16 to {} frames",
            config.num_frames,
            limits::FRAMES_MAX
        )));
    }
    if !(1..=limits::STREAMS_MAX).contains(&config.streams) {
        return Err(Error::invalid(format!("{} log streams: 1 to {}", config.streams, limits::STREAMS_MAX)));
    }
    Ok(())
}
