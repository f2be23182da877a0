//! The word by which a node refers to the next one of a level, and what it tells of that one's key.
//!
//! | bits | what |
//! |---|---|
//! | 0 to 31 | the next node, 0 at the end |
//! | 32 | the mark: the node that holds this link is being removed |
//! | 33 to 43 | how many bytes both nodes' keys have in common, 2,047 for as many and more |
//! | 44 to 63 | the 20 bits that follow in the next node's key |
//!
//! Keys count as followed by endless zeros here. A link is a function of its two ends, whose keys never change.

use super::key;

/// From here on a link does not tell how much its ends have in common.
pub(super) const COMMON_MAX: usize = (1 << 11) - 1;

const MARK: u64 = 1 << 32;
const COMMON_SHIFT: u32 = 33;
const HEAD_SHIFT: u32 = 64 - key::HEAD_BITS;

/// A link in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link(pub(super) u64);

impl Link {
    /// Behind it comes nothing.
    pub(super) const END: Self = Self(0);

    /// A link to `to`, whose key has `common` bytes in common with that of the link's holder; `head` gives what follows.
    pub(super) fn new(to: u32, common: usize, head: impl FnOnce(usize) -> u32) -> Self {
        let (common, head) = if common < COMMON_MAX { (common, head(common)) } else { (COMMON_MAX, 0) };
        Self(u64::from(to) | (common as u64) << COMMON_SHIFT | u64::from(head) << HEAD_SHIFT)
    }

    #[inline(always)]
    pub(super) fn to(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    pub(super) fn common(self) -> usize {
        (self.0 >> COMMON_SHIFT) as usize & COMMON_MAX
    }

    #[inline(always)]
    pub(super) fn head(self) -> u32 {
        (self.0 >> HEAD_SHIFT) as u32
    }

    #[inline(always)]
    pub(super) fn is_marked(self) -> bool {
        self.0 & MARK != 0
    }

    pub(super) fn marked(self) -> Self {
        Self(self.0 | MARK)
    }

    pub(super) fn unmarked(self) -> Self {
        Self(self.0 & !MARK)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_its_parts() {
        let link = Link::new(u32::MAX, 2046, |_| (1 << 20) - 1);
        assert_eq!((link.to(), link.common(), link.head()), (u32::MAX, 2046, (1 << 20) - 1));
        assert!(!link.is_marked() && link.marked().is_marked() && link.marked().unmarked() == link);
        assert_eq!((link.marked().to(), link.marked().head()), (link.to(), link.head()));
        let far = Link::new(7, usize::MAX, |_| unreachable!("nothing is told"));
        assert_eq!((far.to(), far.common(), far.head()), (7, COMMON_MAX, 0));
    }
}
