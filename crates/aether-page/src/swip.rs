//! A page reference inside a page: page number and frame hint in one word.

use aether_types::PageNo;

/// Bits 0..37 the page number, bits 38..63 the frame hint plus one (0: no hint). Hints are 0 on disk and in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[repr(transparent)]
pub struct Swip(u64);

const PAGE_MASK: u64 = PageNo::END - 1;

impl Swip {
    /// A reference to `page` without a hint. Bits beyond the 38 of a page number are cut off.
    #[inline]
    pub const fn new(page: PageNo) -> Self {
        Self(page.get() & PAGE_MASK)
    }

    /// From the word as it stands in a page.
    #[inline]
    pub const fn from_word(word: u64) -> Self {
        Self(word)
    }

    /// The word as it stands in a page.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The page referred to.
    #[inline]
    pub const fn page(self) -> PageNo {
        PageNo::new(self.0 & PAGE_MASK)
    }

    /// The frame where the page was last seen.
    #[inline]
    pub const fn hint(self) -> Option<u32> {
        match self.0 >> PageNo::BITS {
            0 => None,
            frame => Some(frame as u32 - 1),
        }
    }

    /// The same page with a hint; a frame number too large for the hint's bits gives none.
    #[inline]
    pub const fn with_hint(self, frame: u32) -> Self {
        let hint = (frame as u64 + 1) << PageNo::BITS;
        if hint >> PageNo::BITS == frame as u64 + 1 {
            Self(self.0 & PAGE_MASK | hint)
        } else {
            self.without_hint()
        }
    }

    /// The same page without a hint.
    #[inline]
    pub const fn without_hint(self) -> Self {
        Self(self.0 & PAGE_MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_types::limits::FRAMES_MAX;

    #[test]
    fn page_and_hint_share_a_word() {
        let page = PageNo::new(PageNo::END - 1);
        let bare = Swip::new(page);
        assert_eq!((bare.hint(), bare.word()), (None, PageNo::END - 1));
        let hinted = bare.with_hint(0);
        assert_eq!((hinted.page(), hinted.hint(), hinted.word() >> 38), (page, Some(0), 1));
        let last = FRAMES_MAX as u32 - 1;
        assert_eq!(hinted.with_hint(last).hint(), Some(last));
        assert_eq!(hinted.with_hint(u32::MAX).hint(), None);
        assert_eq!(Swip::from_word(hinted.word()).without_hint(), bare);
    }
}
