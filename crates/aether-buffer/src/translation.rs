//! The flat translation array of a file: page number to frame, or what is known of the evicted page.
//!
//! Four levels (9, 9, 10, 10 bits), allocated on demand, never freed while the file is open: 4 bytes for
//! each page that was ever resident, in leaves of 4 KiB. Of a file that does not grow the leaves alone, under one list of them.
//! All are charged to the memory budget; a look allocates nothing.
//!
//! Entry: bit 31 set: resident, bits 25..0 the frame. Clear, and bit 30 set: not loaded since the file was opened, bits
//! 15..0 what the PSN table says of its PSN. Both clear: evicted, bits 29..0 the low bits of the PSN it was
//! evicted with (0: unknown). A load compares them, which finds a lost write (P3).

use crate::budget::{Account, Charge};
use crate::psn_table::mark;
use aether_sync::OnceLock;
use aether_sync::atomic::{AtomicU32, Ordering::*};
use aether_types::{Error, PageNo, Psn, Result};

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

const LEAF_ENTRIES: u64 = 1 << 10;
type Leaf = [AtomicU32; LEAF_ENTRIES as usize];
type Branch<T, const N: usize> = [OnceLock<Box<T>>; N];
type Third = Branch<Leaf, { 1 << 10 }>;
type Second = Branch<Third, { 1 << 9 }>;

type Top = Branch<Second, { 1 << 9 }>;

/// What stands above the leaves.
enum Levels {
    Growing(Box<Top>),
    Fixed(Box<[OnceLock<Box<Leaf>>]>),
}

/// The array of one file.
pub(crate) struct Translation {
    levels: Levels,
    charge: Charge,
}

fn branch<T, const N: usize>() -> Box<Branch<T, N>> {
    Box::new([const { OnceLock::new() }; N])
}

fn leaf() -> Box<Leaf> {
    Box::new(core::array::from_fn(|_| AtomicU32::new(0)))
}

#[cold]
fn beyond(page: PageNo) -> Error {
    Error::corruption(format!("a reference to {page}, beyond the end of the file"))
}

impl Translation {
    /// An empty array, whose memory is counted in `account`.
    pub(crate) fn new(account: Account) -> Result<Self> {
        let charge = Charge::new(account, size_of::<Top>() as u64)?;
        Ok(Self { levels: Levels::Growing(branch()), charge })
    }

    /// An empty array of a file whose page numbers are below `end`.
    pub(crate) fn up_to(end: u64, account: Account) -> Result<Self> {
        let leaves = end.min(PageNo::END).div_ceil(LEAF_ENTRIES) as usize;
        let charge = Charge::new(account, (leaves * size_of::<OnceLock<Box<Leaf>>>()) as u64)?;
        Ok(Self { levels: Levels::Fixed((0..leaves).map(|_| OnceLock::new()).collect()), charge })
    }

    /// The cell of `page`, if its leaf is there.
    #[inline]
    fn find(&self, page: PageNo) -> Option<&AtomicU32> {
        let at = page.get() as usize;
        let leaf = match &self.levels {
            Levels::Growing(top) => {
                let third = top[at >> 29].get()?[at >> 20 & 511].get()?;
                &third[at >> 10 & 1023]
            }
            Levels::Fixed(leaves) => leaves.get(at >> 10)?,
        };
        Some(&leaf.get()?[at & 1023])
    }

    /// The cell of `page`, allocating its leaf on first use.
    fn cell(&self, page: PageNo) -> Result<&AtomicU32> {
        let at = page.get() as usize;
        let place = match &self.levels {
            Levels::Growing(top) => {
                let second = self.part(&top[at >> 29], branch)?;
                let third = self.part(&second[at >> 20 & 511], branch)?;
                &third[at >> 10 & 1023]
            }
            Levels::Fixed(leaves) => leaves.get(at >> 10).ok_or_else(|| beyond(page))?,
        };
        Ok(&self.part(place, leaf)?[at & 1023])
    }

    /// Calls `each` with every page of a fixed array that has a frame, and the frame.
    pub(crate) fn for_each_resident(&self, mut each: impl FnMut(PageNo, u32)) {
        let Levels::Fixed(leaves) = &self.levels else { return };
        for (number, leaf) in (0..).zip(leaves) {
            let cells = leaf.get().into_iter().flat_map(|leaf| leaf.iter());
            for (at, cell) in (0..).zip(cells) {
                if let Some(frame) = Entry(cell.load(Acquire)).frame() {
                    each(PageNo::new(number * LEAF_ENTRIES + at), frame);
                }
            }
        }
    }

    /// A part of the array, made and charged if it is not there.
    fn part<'a, T>(&self, place: &'a OnceLock<Box<T>>, make: fn() -> Box<T>) -> Result<&'a T> {
        if let Some(part) = place.get() {
            return Ok(part);
        }
        let bytes = size_of::<T>() as u64;
        self.charge.grow(bytes)?;
        let mut is_mine = false;
        let part = place.get_or_init(|| {
            is_mine = true;
            make()
        });
        if !is_mine {
            self.charge.shrink(bytes);
        }
        Ok(part)
    }

    #[inline]
    pub(crate) fn get(&self, page: PageNo) -> Entry {
        self.find(page).map_or(Entry(0), |cell| Entry(cell.load(Acquire)))
    }

    /// Enters what the PSN table knows of a page, unless this open knows better.
    pub(crate) fn record(&self, page: PageNo, mark: u16) -> Result<()> {
        self.replace(page, Entry(0), Entry::recorded(mark)).map(drop)
    }

    /// Expects a PSN of a page that was never loaded with success.
    pub(crate) fn fence(&self, page: PageNo, psn: Psn) -> Result<()> {
        self.replace(page, Entry(0), Entry::evicted(psn)).map(drop)
    }

    /// Replaces `from` by `to` if it still stands there; whether it did.
    ///
    /// # Errors
    /// `OverLimit` if there is no memory for the entry.
    pub(crate) fn replace(&self, page: PageNo, from: Entry, to: Entry) -> Result<bool> {
        Ok(self.cell(page)?.compare_exchange(from.0, to.0, AcqRel, Relaxed).is_ok())
    }

    /// For the one who holds the resident frame exclusively.
    pub(crate) fn set(&self, page: PageNo, to: Entry) {
        self.find(page).expect("a resident page has an entry").store(to.0, Release);
    }
}

#[cfg(all(test, not(loom)))]
#[allow(clippy::unwrap_used, reason = "the helpers of tests may")]
mod tests {
    use super::*;
    use crate::budget::Budget;

    fn array(budget: &Budget) -> Translation {
        Translation::new(budget.account("translation arrays")).expect("the budget has no limit")
    }

    #[test]
    fn looks_take_no_memory_and_entries_take_what_is_charged() {
        let budget = Budget::new(40 << 10);
        let array = array(&budget);
        let empty = budget.used_bytes();
        assert!(array.get(PageNo::new(77)).is_unknown());
        assert_eq!(budget.used_bytes(), empty);
        array.record(PageNo::new(77), 1).unwrap();
        let with_a_leaf = budget.used_bytes();
        assert!(with_a_leaf > empty + 4096);
        array.record(PageNo::new(78), 1).unwrap();
        assert_eq!(budget.used_bytes(), with_a_leaf);
        let error = array.record(PageNo::new(PageNo::END - 1), 1).unwrap_err();
        assert!(error.to_string().contains("translation arrays needs"), "{error}");
        assert_eq!(array.get(PageNo::new(77)), Entry::recorded(1));
        drop(array);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn entries_round_trip_at_both_ends() {
        let array = array(&Budget::unlimited());
        for page in [PageNo::new(0), PageNo::new(PageNo::END - 1)] {
            let evicted = array.get(page);
            assert!(evicted.frame().is_none() && evicted.accepts(Psn::new(77)));
            assert!(array.replace(page, evicted, Entry::resident(5)).unwrap());
            assert_eq!(array.get(page).frame(), Some(5));
            array.set(page, Entry::evicted(Psn::new(9)));
            assert!(array.get(page).accepts(Psn::new(9)) && !array.get(page).accepts(Psn::new(8)));
            array.record(page, mark(Psn::new(8))).unwrap();
            assert_eq!(array.get(page), Entry::evicted(Psn::new(9)), "this open knows better");
        }
    }

    #[test]
    fn a_recorded_entry_accepts_the_psn_that_was_written_last() {
        let (array, page) = (array(&Budget::unlimited()), PageNo::new(3));
        array.record(page, mark(Psn::new(70_000))).unwrap();
        let entry = array.get(page);
        assert!(entry.frame().is_none() && !entry.is_unknown());
        assert!(entry.accepts(Psn::new(70_000)) && !entry.accepts(Psn::new(69_999)));
        assert!(!entry.accepts(Psn::new(u64::from(mark(Psn::new(70_000))))));
    }
}
