//! The flat translation array of a file: page number to frame, or what is known of the evicted page.
//!
//! Four levels (9, 9, 10, 10 bits), allocated on demand, never freed while the file is open: 4 bytes for
//! each page that was ever resident, in leaves of 4 KiB.
//!
//! Entry: bit 31 set: resident, bits 25..0 the frame. Clear: evicted, bits 30..0 the low bits of the PSN it
//! was evicted with (0: unknown). A load compares them, which finds a lost write (P3).

use aether_sync::OnceLock;
use aether_sync::atomic::{AtomicU32, Ordering::*};
use aether_types::{PageNo, Psn};

const RESIDENT: u32 = 1 << 31;

/// An entry of the array.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Entry(u32);

impl Entry {
    pub(crate) fn resident(frame: u32) -> Self {
        Self(RESIDENT | frame)
    }

    pub(crate) fn evicted(psn: Psn) -> Self {
        Self(psn.get() as u32 & !RESIDENT)
    }

    pub(crate) fn frame(self) -> Option<u32> {
        (self.0 & RESIDENT != 0).then_some(self.0 & !RESIDENT)
    }

    /// False if the page was evicted with another PSN: its file has lost a write.
    pub(crate) fn accepts(self, psn: Psn) -> bool {
        self.0 == 0 || self == Self::evicted(psn)
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
        }
    }
}
