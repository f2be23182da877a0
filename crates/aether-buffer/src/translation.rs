//! The flat translation array of a file: page number to frame, or what is known of the evicted page.
//!
//! Four levels (9, 9, 10, 10 bits), allocated on demand, never freed while the file is open: 4 bytes for
//! each page that was ever resident, in leaves of 4 KiB.
//!
//! Entry: bit 31 set: resident, bits 25..0 the frame. Clear, and bit 30 set: not loaded since the file was opened, bits
//! 15..0 what the PSN table says of its PSN. Both clear: evicted, bits 29..0 the low bits of the PSN it was
//! evicted with (0: unknown). A load compares them, which finds a lost write (P3).

use crate::psn_table::mark;
use aether_sync::OnceLock;
use aether_sync::atomic::{AtomicU32, Ordering::*};
use aether_types::{PageNo, Psn};

const RESIDENT: u32 = 1 << 31;
const RECORDED: u32 = 1 << 30;

/// An entry of the array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(u32);

impl Entry {
    pub(crate) fn resident(frame: u32) -> Self {
        Self(RESIDENT | frame)
    }

    pub(crate) fn evicted(psn: Psn) -> Self {
        Self(psn.get() as u32 & !(RESIDENT | RECORDED))
    }

    /// A page that the PSN table knows, by its mark.
    pub(crate) fn recorded(mark: u16) -> Self {
        Self(RECORDED | u32::from(mark))
    }

    pub(crate) fn is_unknown(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn frame(self) -> Option<u32> {
        (self.0 & RESIDENT != 0).then_some(self.0 & !RESIDENT)
    }

    /// False if the page was written with another PSN: its file has lost a write.
    pub(crate) fn accepts(self, psn: Psn) -> bool {
        self.is_unknown() || self == Self::evicted(psn) || self == Self::recorded(mark(psn))
    }
}

type Leaf = [AtomicU32; 1 << 10];
type Branch<T, const N: usize> = [OnceLock<Box<T>>; N];
type Third = Branch<Leaf, { 1 << 10 }>;
type Second = Branch<Third, { 1 << 9 }>;

/// The array of one file.
pub(crate) struct Translation {
    top: Box<Branch<Second, { 1 << 9 }>>,
}

fn branch<T, const N: usize>() -> Box<Branch<T, N>> {
    Box::new([const { OnceLock::new() }; N])
}

fn leaf() -> Box<Leaf> {
    Box::new(core::array::from_fn(|_| AtomicU32::new(0)))
}

impl Translation {
    pub(crate) fn new() -> Self {
        Self { top: branch() }
    }

    /// The cell of `page`, allocating its leaf on first use.
    fn cell(&self, page: PageNo) -> &AtomicU32 {
        let at = page.get() as usize;
        let second = self.top[at >> 29].get_or_init(branch);
        let third = second[at >> 20 & 511].get_or_init(branch);
        &third[at >> 10 & 1023].get_or_init(leaf)[at & 1023]
    }

    #[inline]
    pub(crate) fn get(&self, page: PageNo) -> Entry {
        Entry(self.cell(page).load(Acquire))
    }

    /// Enters what the PSN table knows of a page, unless this open knows better.
    pub(crate) fn record(&self, page: PageNo, mark: u16) {
        self.replace(page, Entry(0), Entry::recorded(mark));
    }

    /// Expects a PSN of a page that was never loaded with success.
    pub(crate) fn fence(&self, page: PageNo, psn: Psn) {
        self.replace(page, Entry(0), Entry::evicted(psn));
    }

    /// Replaces `from` by `to` if it still stands there.
    pub(crate) fn replace(&self, page: PageNo, from: Entry, to: Entry) -> bool {
        self.cell(page).compare_exchange(from.0, to.0, AcqRel, Relaxed).is_ok()
    }

    /// For the one who holds the resident frame exclusively.
    pub(crate) fn set(&self, page: PageNo, to: Entry) {
        self.cell(page).store(to.0, Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn entries_round_trip_at_both_ends() {
        let array = Translation::new();
        for page in [PageNo::new(0), PageNo::new(PageNo::END - 1)] {
            let evicted = array.get(page);
            assert!(evicted.frame().is_none() && evicted.accepts(Psn::new(77)));
            assert!(array.replace(page, evicted, Entry::resident(5)));
            assert_eq!(array.get(page).frame(), Some(5));
            array.set(page, Entry::evicted(Psn::new(9)));
            assert!(array.get(page).accepts(Psn::new(9)) && !array.get(page).accepts(Psn::new(8)));
            array.record(page, mark(Psn::new(8)));
            assert_eq!(array.get(page), Entry::evicted(Psn::new(9)), "this open knows better");
        }
    }

    #[test]
    fn a_recorded_entry_accepts_the_psn_that_was_written_last() {
        let (array, page) = (Translation::new(), PageNo::new(3));
        array.record(page, mark(Psn::new(70_000)));
        let entry = array.get(page);
        assert!(entry.frame().is_none() && !entry.is_unknown());
        assert!(entry.accepts(Psn::new(70_000)) && !entry.accepts(Psn::new(69_999)));
        assert!(!entry.accepts(Psn::new(u64::from(mark(Psn::new(70_000))))));
    }
}
