//! A reference to a before-image: a slot of an undo page.

use aether_types::PageNo;

/// Bits 0..37 the page number, 38..53 the slot, 54..63 reserved; 0: none. Page 0 is a file's header, so no real
/// pointer is 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
#[repr(transparent)]
pub struct UndoPtr(u64);

impl UndoPtr {
    /// No before-image: the row did not exist.
    #[inline]
    pub const fn none() -> Self {
        Self(0)
    }

    /// The slot `slot` of `page`.
    #[inline]
    pub const fn new(page: PageNo, slot: u16) -> Self {
        Self(page.get() & (PageNo::END - 1) | (slot as u64) << PageNo::BITS)
    }

    /// From the word as stored; reserved bits are dropped.
    #[inline]
    pub const fn from_word(word: u64) -> Self {
        Self(word & ((1 << 54) - 1))
    }

    /// The word as stored.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// The undo page.
    #[inline]
    pub const fn page(self) -> PageNo {
        PageNo::new(self.0 & (PageNo::END - 1))
    }

    /// The slot in the undo page.
    #[inline]
    pub const fn slot(self) -> u16 {
        (self.0 >> PageNo::BITS) as u16
    }

    /// True for [`UndoPtr::none`].
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_and_slot_share_a_word() {
        let pointer = UndoPtr::new(PageNo::new(PageNo::END - 1), u16::MAX);
        assert_eq!((pointer.page().get(), pointer.slot()), (PageNo::END - 1, u16::MAX));
        assert_eq!(UndoPtr::from_word(u64::MAX), pointer);
        assert!(UndoPtr::none().is_none() && !pointer.is_none());
    }
}
