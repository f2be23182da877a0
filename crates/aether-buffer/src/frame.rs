//! Frame headers: one cache line each, dense, apart from the pages they describe.
//!
//! A frame is exactly one of free, HOT, COOL, loading, writing (P5). Who may change the state:
//!
//! | from | to | who, holding what |
//! |---|---|---|
//! | free | loading | the loader, latch exclusive |
//! | loading | HOT or COOL | the loader, before it releases the latch |
//! | loading | free | the loader, after a failed read; the evictor |
//! | HOT | COOL | the clock hand, nothing |
//! | COOL | HOT | whoever fixes the page, nothing |
//! | HOT, COOL | writing | write-back, latch shared |
//! | writing | COOL | write-back, after a sync that began after the write returned |
//! | COOL, clean | loading | the evictor, latch exclusive |

use crate::trace;
use aether_sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::*};
use aether_sync::{HybridLatch, Version};
use aether_trace::planted;
use aether_types::{FileId, Lsn, Lv, PageNo, StreamId};

/// What a frame is at the moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum FrameState {
    /// Holds no page.
    Free = 0,
    /// Being filled from its file.
    Loading = 1,
    /// Resident, used since the clock hand last passed.
    Hot = 2,
    /// Resident, next to go.
    Cool = 3,
    /// Resident, a copy is on its way to the file.
    Writing = 4,
}

impl FrameState {
    fn from_raw(raw: u32) -> Self {
        match raw {
            0 => Self::Free,
            1 => Self::Loading,
            2 => Self::Hot,
            3 => Self::Cool,
            _ => Self::Writing,
        }
    }
}

/// File and page in one word; 0 is no page, since no file has id 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resident(u64);

impl Resident {
    /// No page.
    pub const NONE: Resident = Resident(0);

    /// The page `page` of `file`.
    #[inline]
    pub fn new(file: FileId, page: PageNo) -> Self {
        Self(u64::from(file.get()) << PageNo::BITS | page.get())
    }

    /// The file.
    pub fn file(self) -> FileId {
        FileId::new((self.0 >> PageNo::BITS) as u32)
    }

    /// The page.
    pub fn page(self) -> PageNo {
        PageNo::new(self.0 & (PageNo::END - 1))
    }
}

/// The header of a frame.
#[repr(align(64))]
pub struct Frame {
    /// Protects the page's words and what this header says of the page.
    pub latch: HybridLatch,
    resident: AtomicU64,
    state: AtomicU32,
    /// Clock passes that an inner page has survived while COOL was due.
    lives: AtomicU8,
}

impl Frame {
    /// A free frame.
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        Self {
            latch: HybridLatch::new(),
            resident: AtomicU64::new(0),
            state: AtomicU32::new(FrameState::Free as u32),
            lives: AtomicU8::new(0),
        }
    }

    /// Which page lies here. Changes only under the exclusive latch, so a latch version validates it.
    #[inline]
    pub fn resident(&self) -> Resident {
        Resident(self.resident.load(Relaxed))
    }

    /// The version to read `wanted` under, if it lies here: version first, then the page number. The caller
    /// validates the version after reading, which covers the number too.
    #[inline]
    pub fn resolve(&self, wanted: Resident) -> Option<Version> {
        let version = trace::peek(|| self.latch.version())?;
        trace::compare(|| self.resident() == wanted || planted("trust-the-hint")).then_some(version)
    }

    /// Enters another page; under the exclusive latch.
    pub fn set_resident(&self, resident: Resident) {
        self.resident.store(resident.0, Relaxed);
    }

    /// What the frame is at the moment.
    #[inline]
    pub fn state(&self) -> FrameState {
        FrameState::from_raw(self.state.load(Acquire))
    }

    /// For the holder of the exclusive latch, and for write-back ending its own `writing`.
    pub(crate) fn set_state(&self, state: FrameState) {
        self.state.store(state as u32, Release);
    }

    fn transit(&self, from: FrameState, to: FrameState) -> bool {
        self.state.compare_exchange(from as u32, to as u32, AcqRel, Relaxed).is_ok()
    }

    /// Marks the page of the frame called `index` as used; stores only if the clock hand has passed since.
    #[inline]
    pub(crate) fn touch(&self, index: u32) {
        if self.state.load(Relaxed) == FrameState::Cool as u32 {
            trace::touch(index, || self.transit(FrameState::Cool, FrameState::Hot));
        }
    }

    /// HOT to COOL; an inner page gets a second life.
    pub(crate) fn try_cool(&self, is_inner: bool) -> bool {
        if self.state() != FrameState::Hot {
            return false;
        }
        if is_inner && self.lives.load(Relaxed) == 0 {
            self.lives.store(1, Relaxed);
            return false;
        }
        self.lives.store(0, Relaxed);
        self.transit(FrameState::Hot, FrameState::Cool)
    }

    /// COOL to loading; the caller holds the latch exclusively.
    pub(crate) fn try_leave(&self) -> bool {
        self.transit(FrameState::Cool, FrameState::Loading)
    }

    /// HOT or COOL to writing; the caller holds the latch shared.
    pub(crate) fn try_start_writing(&self) -> bool {
        self.transit(FrameState::Cool, FrameState::Writing)
            || self.transit(FrameState::Hot, FrameState::Writing)
    }
}

const UNSET: u64 = u64::MAX;

/// Per frame and stream: first-dirty position, the position being written back, and the page's vector.
///
/// First-dirty is set under the exclusive latch and moved to `writing` under the shared latch: `writing` is
/// set before first-dirty is cleared, and a checkpoint reads them in the other order (P5).
pub(crate) struct DirtyTable {
    streams: usize,
    first_dirty: Vec<AtomicU64>,
    writing: Vec<AtomicU64>,
    page_lv: Vec<AtomicU64>,
}

impl DirtyTable {
    pub(crate) fn new(frames: usize, streams: usize) -> Self {
        let array = |value| (0..frames * streams).map(|_| AtomicU64::new(value)).collect();
        Self { streams, first_dirty: array(UNSET), writing: array(UNSET), page_lv: array(0) }
    }

    pub(crate) fn bytes(frames: usize, streams: usize) -> u64 {
        (frames * streams * 24) as u64
    }

    fn row(&self, frame: u32) -> core::ops::Range<usize> {
        let start = frame as usize * self.streams;
        start..start + self.streams
    }

    /// Sets the component of `stream` unless it is set; under the exclusive latch, before the log claim.
    pub(crate) fn mark(&self, frame: u32, stream: StreamId, position: Lsn) {
        let cell = &self.first_dirty[self.row(frame)][stream.get() as usize];
        let is_late = planted("one-first-dirty-for-all") && self.is_dirty(frame);
        if cell.load(Relaxed) == UNSET && !is_late {
            cell.store(position.get(), Release);
        }
    }

    pub(crate) fn is_dirty(&self, frame: u32) -> bool {
        self.first_dirty[self.row(frame)].iter().any(|cell| cell.load(Acquire) != UNSET)
    }

    /// Sets `writing` to first-dirty; under the shared latch, by the one who made the state `writing`.
    pub(crate) fn start_writing(&self, frame: u32) {
        let row = self.row(frame);
        for (first, writing) in self.first_dirty[row.clone()].iter().zip(&self.writing[row]) {
            writing.store(first.load(Relaxed), Release);
        }
    }

    /// Clears first-dirty, which stands in `writing`; under the same hold of the shared latch.
    pub(crate) fn clear_first_dirty(&self, frame: u32) {
        self.first_dirty[self.row(frame)].iter().for_each(|first| first.store(UNSET, Release));
    }

    pub(crate) fn end_writing(&self, frame: u32) {
        self.writing[self.row(frame)].iter().for_each(|cell| cell.store(UNSET, Release));
    }

    /// Lowers `to` to this frame's first-dirty and then to its `writing`, in this order.
    pub(crate) fn lower(&self, frame: u32, to: &mut Lv) {
        trace::read_first_dirty(frame, || lower_by(&self.first_dirty[self.row(frame)], to));
        trace::read_writing(frame, || {
            if !planted("ignore-writing") {
                lower_by(&self.writing[self.row(frame)], to);
            }
        });
    }

    /// True if some component lies below `bound`: the frame holds back a checkpoint there.
    pub(crate) fn is_below(&self, frame: u32, bound: &Lv) -> bool {
        self.first_dirty[self.row(frame)].iter().zip(0u8..).any(|(cell, stream)| {
            let position = cell.load(Acquire);
            position != UNSET && position < bound.get(StreamId::new(stream)).get()
        })
    }

    /// The page's vector; under a latch.
    pub(crate) fn page_lv(&self, frame: u32) -> Lv {
        let mut lv = Lv::ZERO;
        for (cell, stream) in self.page_lv[self.row(frame)].iter().zip(0u8..) {
            lv.set(StreamId::new(stream), Lsn::new(cell.load(Relaxed)));
        }
        lv
    }

    /// Replaces the page's vector; under the exclusive latch.
    pub(crate) fn set_page_lv(&self, frame: u32, lv: &Lv) {
        for (cell, (_, lsn)) in self.page_lv[self.row(frame)].iter().zip(lv.iter(self.streams)) {
            cell.store(lsn.get(), Relaxed);
        }
    }
}

/// Lowers each component of `to` to its cell.
fn lower_by(cells: &[AtomicU64], to: &mut Lv) {
    for (cell, stream) in cells.iter().zip(0u8..) {
        let (position, stream) = (cell.load(Acquire), StreamId::new(stream));
        if position < to.get(stream).get() {
            to.set(stream, Lsn::new(position));
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_one_cache_line() {
        assert_eq!(size_of::<Frame>(), 64);
        let id = Resident::new(FileId::new(3), PageNo::new(PageNo::END - 1));
        assert_eq!((id.file().get(), id.page().get()), (3, PageNo::END - 1));
    }

    #[test]
    fn each_stream_has_its_own_first_dirty_and_writing_keeps_it() {
        let table = DirtyTable::new(2, 2);
        let (a, b) = (StreamId::new(0), StreamId::new(1));
        table.mark(1, b, Lsn::new(40));
        table.mark(1, a, Lsn::new(7));
        table.mark(1, b, Lsn::new(90));
        let low = |table: &DirtyTable| {
            let mut lv = Lv::at(a, Lsn::new(100));
            lv.set(b, Lsn::new(100));
            table.lower(1, &mut lv);
            (lv.get(a).get(), lv.get(b).get())
        };
        assert_eq!(low(&table), (7, 40));
        table.start_writing(1);
        assert_eq!(low(&table), (7, 40));
        table.clear_first_dirty(1);
        assert!(!table.is_dirty(1));
        assert_eq!(low(&table), (7, 40), "what is being written still holds the checkpoint back");
        table.end_writing(1);
        assert_eq!(low(&table), (100, 100));
    }
}
