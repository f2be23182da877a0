//! Replacement: CLOCK over dense frame headers, HOT to COOL to EVICTED, in bounded steps.
//!
//! A frame is COOL once the hand has passed it unused; a use in between makes it HOT again (second chance). Inner
//! pages get one pass more. Only clean COOL frames are evicted; dirty ones are written back first, ahead of
//! need by the page provider, or in bounded batches by whoever needs a frame.

use crate::frame::{FrameState, Resident};
use crate::pool::{Access, Pool, ScanRing};
use crate::rank;
use crate::trace;
use crate::translation::Entry;
use aether_page::{PageType, View, header};
use aether_sync::atomic::{AtomicUsize, Ordering::Relaxed};
use aether_sync::{Arc, Mutex};
use aether_trace::planted;
use aether_types::{Error, ErrorKind, Result};

/// Fewer clean victims than this in a step call for write-back.
const CLEAN_MIN: usize = 8;
/// Frames looked at in one step.
pub(crate) const STEP: usize = 64;

struct Partition {
    free: Mutex<Vec<u32>>,
    hand: AtomicUsize,
    frames: core::ops::Range<usize>,
}

/// Free frames and clock hands, by partition.
pub(crate) struct FreeLists {
    partitions: Vec<Partition>,
    next: AtomicUsize,
    free_count: AtomicUsize,
}

impl FreeLists {
    pub(crate) fn new(frames: usize, partitions: usize) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        let count = if partitions == 0 { cores.div_ceil(4) } else { partitions }.clamp(1, frames / 16);
        let share = frames.div_ceil(count);
        let partition = |at: usize| {
            let range = at * share..((at + 1) * share).min(frames);
            let free = range.clone().rev().map(|frame| frame as u32).collect();
            Partition { free: Mutex::new(rank::FREE_LIST, free), hand: AtomicUsize::new(0), frames: range }
        };
        Self {
            partitions: (0..count).map(partition).collect(),
            next: AtomicUsize::new(0),
            free_count: AtomicUsize::new(frames),
        }
    }

    fn pick(&self) -> &Partition {
        match &self.partitions[..] {
            [only] => only,
            many => &many[self.next.fetch_add(1, Relaxed) % many.len()],
        }
    }

    fn home(&self, frame: u32) -> &Partition {
        let found = self.partitions.iter().find(|partition| partition.frames.contains(&(frame as usize)));
        found.expect("every frame lies in a partition")
    }

    fn pop(&self) -> Option<u32> {
        let first = self.pick().free.lock().pop();
        let frame =
            first.or_else(|| self.partitions.iter().find_map(|partition| partition.free.lock().pop()))?;
        self.free_count.fetch_sub(1, Relaxed);
        Some(frame)
    }

    pub(crate) fn push(&self, frame: u32) {
        self.home(frame).free.lock().push(frame);
        self.free_count.fetch_add(1, Relaxed);
    }

    pub(crate) fn count(&self) -> usize {
        self.free_count.load(Relaxed)
    }

    /// The next frames under a clock hand.
    fn advance(&self, count: usize) -> impl Iterator<Item = u32> + '_ {
        let partition = self.pick();
        let span = partition.frames.len();
        let start = partition.hand.fetch_add(count, Relaxed);
        (start..start + count.min(span)).map(move |at| (partition.frames.start + at % span) as u32)
    }
}

/// What one clock step met.
#[derive(Default, Debug)]
pub(crate) struct Step {
    pub(crate) evicted: usize,
    pub(crate) cooled: usize,
    pub(crate) dirty: usize,
}

impl Pool {
    /// Takes a frame: exclusively latched, in state loading. Blocks for at most a bounded amount of eviction and
    /// write-back.
    ///
    /// # Errors
    /// `OverLimit` if every frame is latched, `Poisoned` if all are dirty and cannot be written any more.
    pub(crate) fn take_frame(&self, access: &Access<'_>) -> Result<u32> {
        // While frames are free anyway, a scan may fill them: a set that fits stays.
        if let Access::Scan(ring) = access
            && self.free.count() <= self.free_wanted()
            && let Some(frame) = self.reuse_from_ring(ring)
        {
            return Ok(frame);
        }
        // Two full turns cool everything and then evict it, or write it back.
        let turns = 4 * self.config.num_frames.div_ceil(STEP) + 16;
        for _ in 0..turns {
            if let Some(index) = self.free.pop() {
                let frame = self.frame(index);
                frame.latch.exclusive();
                frame.set_state(FrameState::Loading);
                if self.free.count() < self.free_wanted() / 2 {
                    self.provider.wake();
                }
                return Ok(index);
            }
            let step = self.clock_step();
            if step.evicted < CLEAN_MIN && step.dirty > 0 {
                // With nearly every frame dirty, whoever goes down a tree would evict the parent for the child.
                self.write_back_cool()?;
            }
        }
        Err(Error::new(
            ErrorKind::OverLimit,
            format!("all {} frames of the pool are in use at once; give it more", self.config.num_frames),
        ))
    }

    /// Frames that the provider keeps free.
    pub(crate) fn free_wanted(&self) -> usize {
        (self.config.num_frames * self.config.free_percent / 100).max(4)
    }

    /// One step of the clock hand.
    pub(crate) fn clock_step(&self) -> Step {
        let mut step = Step::default();
        for index in self.free.advance(STEP.min(self.config.num_frames)) {
            match self.frame(index).state() {
                FrameState::Hot if self.cool(index, self.is_inner(index)) => step.cooled += 1,
                FrameState::Hot => step.cooled += 1,
                FrameState::Cool if self.dirty.is_dirty(index) => step.dirty += 1,
                FrameState::Cool if self.evict(index) => {
                    self.give_back(index);
                    step.evicted += 1;
                }
                FrameState::Writing => step.dirty += 1,
                _ => {}
            }
        }
        self.stats.cooled.add(step.cooled as u64);
        step
    }

    fn is_inner(&self, index: u32) -> bool {
        let view = View::new(self.words(index));
        header::is_type(view, PageType::Inner) || header::is_type(view, PageType::Radix)
    }

    fn cool(&self, index: u32, is_inner: bool) -> bool {
        trace::cool(index, || self.frame(index).try_cool(is_inner))
    }

    /// Evicts a clean COOL frame; true leaves it exclusively latched, without a page.
    fn evict(&self, index: u32) -> bool {
        let frame = self.frame(index);
        if !trace::seize(index, || frame.latch.try_exclusive()) {
            return false;
        }
        let is_clean = !self.dirty.is_dirty(index) || planted("evict-as-chosen");
        if !is_clean || !trace::evict(index, || self.try_leave(index)) {
            trace::spare(index, || frame.latch.release_exclusive_unchanged());
            return false;
        }
        trace::free(index, || frame.set_resident(Resident::NONE));
        self.stats.evictions.add(1);
        true
    }

    /// Takes the page of a COOL frame out of the translation array; under the exclusive latch.
    fn try_leave(&self, index: u32) -> bool {
        let frame = self.frame(index);
        if !frame.try_leave() {
            return false;
        }
        let resident = frame.resident();
        let open = self.open_file(resident.file()).expect("a resident page belongs to an open file");
        let psn = header::psn(View::new(self.words(index)));
        open.translation.set(resident.page(), Entry::evicted(psn));
        true
    }

    /// The oldest frame of a full scan ring, if nothing has happened there since.
    fn reuse_from_ring(&self, ring: &Arc<ScanRing>) -> Option<u32> {
        let (index, version) = ring.pop_if_full()?;
        (self.frame(index).latch.validate(version) && self.evict(index)).then_some(index)
    }

    /// Evicts a page now if it is COOL or HOT and clean; for tests and benches.
    pub fn evict_page(&self, file: aether_types::FileId, page: aether_types::PageNo) -> bool {
        let Ok(open) = self.open_file(file) else { return false };
        let Some(index) = open.translation.get(page).frame() else { return false };
        self.cool(index, false);
        let evicted = self.evict(index);
        if evicted {
            self.give_back(index);
        }
        evicted
    }
}
