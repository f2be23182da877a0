//! Where the blocks of a run are in its file: they lie one behind the other, so their lengths say it.

use super::head::HEADER_BYTES;
use aether_types::PageNo;
use core::ops::Range;

/// Every so many blocks the place is kept, not only the length.
const STRIDE: usize = 16;

/// Places of blocks; two and a half bytes for each.
#[derive(Debug)]
pub(super) struct Places {
    starts: Vec<u64>,
    lengths: Vec<u16>,
}

impl Places {
    pub(super) fn new(lengths: Vec<u16>) -> Self {
        let (mut at, mut starts) = (HEADER_BYTES as u64, Vec::new());
        for (number, length) in lengths.iter().enumerate() {
            if number.is_multiple_of(STRIDE) {
                starts.push(at);
            }
            at += u64::from(*length);
        }
        Self { starts, lengths }
    }

    /// One above the number of the last block; the first is 1.
    pub(super) fn end(&self) -> u64 {
        self.lengths.len() as u64 + 1
    }

    /// The bytes of a block in the file; none if there is no such block.
    pub(super) fn of(&self, page: PageNo) -> Option<Range<u64>> {
        let at = usize::try_from(page.get()).ok()?.checked_sub(1)?;
        let length = u64::from(*self.lengths.get(at)?);
        let base = at / STRIDE;
        let before = &self.lengths[base * STRIDE..at];
        let start = self.starts[base] + before.iter().map(|length| u64::from(*length)).sum::<u64>();
        Some(start..start + length)
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> u64 {
        (self.starts.len() * 8 + self.lengths.len() * 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_lie_one_behind_the_other() {
        let places = Places::new((0..100).map(|number| 20 + number * 7).collect());
        let mut at = 4096;
        for page in 1..places.end() {
            let place = places.of(PageNo::new(page)).unwrap();
            assert_eq!(place, at..at + 20 + (page - 1) * 7);
            at = place.end;
        }
        assert!(places.of(PageNo::new(0)).is_none() && places.of(PageNo::new(101)).is_none());
        assert!(places.bytes() < 300);
    }
}
