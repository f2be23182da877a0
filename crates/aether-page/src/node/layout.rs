//! Where things lie in a B+tree node, and the slot word.

/// Offset of the count of entries.
pub const COUNT_AT: usize = 32;
/// Offset of the level.
pub const LEVEL_AT: usize = 34;
/// Offset of the fence flags.
pub const FLAGS_AT: usize = 35;
/// Offset of the heap's start.
pub const HEAP_AT: usize = 36;
/// Offset of the garbage inside the heap.
pub const GARBAGE_AT: usize = 38;
/// Offset of the prefix's length.
pub const PREFIX_AT: usize = 40;
/// Offset of the count of live entries.
pub const LIVE_AT: usize = 42;
/// Offset of the lower fence's place; its length follows.
pub const LOWER_AT: usize = 44;
/// Offset of the upper fence's place; its length follows.
pub const UPPER_AT: usize = 48;
/// Offset of the tree id.
pub const TREE_AT: usize = 52;
/// Offset of the upper child.
pub const UPPER_CHILD_AT: usize = 56;
/// Offset of the hints.
pub const HINTS_AT: usize = 64;
/// Offset of the slots.
pub const SLOTS_AT: usize = 128;

/// How many hints there are.
pub const HINTS: usize = 16;
/// Hints are kept from this count of entries on.
pub const HINTED_COUNT_MIN: usize = 32;

/// Fence flag: no lower bound.
pub const NO_LOWER: u8 = 1;
/// Fence flag: no upper bound.
pub const NO_UPPER: u8 = 2;

/// Bytes of a version in front of a leaf entry.
pub const VERSION_BYTES: usize = 16;
/// Bytes of a leaf entry's lengths.
pub const LENGTHS_BYTES: usize = 4;
/// Bytes of an inner entry's swip.
pub const SWIP_BYTES: usize = 8;

/// Where the hint `index` was taken.
#[inline]
pub const fn hint_position(index: usize, count: usize) -> usize {
    (index + 1) * count / (HINTS + 1)
}

/// The flags of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub struct Flags(u8);

impl Flags {
    /// The row is deleted; it stands here because a snapshot or an undo may need it.
    pub const GHOST: Flags = Flags(1);
    /// Writer and undo pointer stand in front of the row.
    pub const VERSIONED: Flags = Flags(2);
    /// The value is an overflow stub.
    pub const OVERFLOW: Flags = Flags(4);

    /// From the bits as stored, if all are known.
    pub const fn from_bits(bits: u8) -> Option<Flags> {
        if bits < 8 { Some(Flags(bits)) } else { None }
    }

    /// The bits as stored.
    #[inline]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// True if all bits of `other` are set.
    #[inline]
    pub const fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[inline]
    pub const fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// These without those.
    #[inline]
    pub const fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }

    /// The row is deleted.
    #[inline]
    pub const fn is_ghost(self) -> bool {
        self.contains(Flags::GHOST)
    }

    /// Writer and undo pointer stand in front of the row.
    #[inline]
    pub const fn is_versioned(self) -> bool {
        self.contains(Flags::VERSIONED)
    }

    /// The value is an overflow stub.
    #[inline]
    pub const fn is_overflow(self) -> bool {
        self.contains(Flags::OVERFLOW)
    }
}

/// A slot word: bits 63..32 key head, 31..19 offset in units of 8, 18..4 length of the stored key, 3..0 flags.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Slot(pub(crate) u64);

impl Slot {
    #[inline]
    pub(crate) fn new(key: &[u8], offset: usize, flags: Flags) -> Self {
        let place = ((offset as u64 / 8) & 0x1fff) << 19;
        let len = (key.len() as u64 & 0x7fff) << 4;
        Self(u64::from(head_of(key)) << 32 | place | len | u64::from(flags.bits()))
    }

    #[inline(always)]
    pub(crate) fn head(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Offset of the entry in bytes.
    #[inline(always)]
    pub(crate) fn offset(self) -> usize {
        heap_offset(self.0)
    }

    #[inline(always)]
    pub(crate) fn key_len(self) -> usize {
        (self.0 >> 4 & 0x7fff) as usize
    }

    #[inline(always)]
    pub(crate) fn flags(self) -> Flags {
        Flags((self.0 & 0xf) as u8)
    }

    #[inline]
    pub(crate) fn with_offset(self, offset: usize) -> Self {
        Self(self.0 & !(0x1fff << 19) | ((offset as u64 / 8) & 0x1fff) << 19)
    }

    #[inline]
    pub(crate) fn with_flags(self, flags: Flags) -> Self {
        Self(self.0 & !0xf | u64::from(flags.bits()))
    }
}

/// The offset of the entry that a slot word names, in bytes.
#[inline(always)]
pub(crate) fn heap_offset(slot_word: u64) -> usize {
    (slot_word >> 19 & 0x1fff) as usize * 8
}

/// The first four bytes of a key as a number that sorts like the key; padded with 0.
#[inline(always)]
pub fn head_of(key: &[u8]) -> u32 {
    match *key {
        [a, b, c, d, ..] => u32::from_be_bytes([a, b, c, d]),
        [a, b, c] => u32::from_be_bytes([a, b, c, 0]),
        [a, b] => u32::from_be_bytes([a, b, 0, 0]),
        [a] => u32::from_be_bytes([a, 0, 0, 0]),
        [] => 0,
    }
}

/// Rounded up to whole words.
#[inline]
pub(crate) const fn round8(bytes: usize) -> usize {
    bytes.next_multiple_of(8)
}

/// Bytes that a leaf entry takes in the heap.
#[inline]
pub const fn leaf_entry_bytes(stored_key_len: usize, value_len: usize, versioned: bool) -> usize {
    let version = if versioned { VERSION_BYTES } else { 0 };
    version + round8(LENGTHS_BYTES + stored_key_len + value_len)
}

/// Bytes that an inner entry takes in the heap.
#[inline]
pub const fn inner_entry_bytes(stored_key_len: usize) -> usize {
    SWIP_BYTES + round8(stored_key_len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_word_is_that_of_the_format() {
        let slot = Slot::new(b"abcdef", 65528, Flags::GHOST.with(Flags::OVERFLOW));
        assert_eq!(slot.0, 0x6162_6364 << 32 | 8191 << 19 | 6 << 4 | 5);
        assert_eq!(
            (slot.head(), slot.offset(), slot.key_len(), slot.flags().bits()),
            (0x6162_6364, 65528, 6, 5)
        );
        assert_eq!(slot.with_offset(136).offset(), 136);
        assert_eq!(slot.with_flags(Flags::VERSIONED).flags(), Flags::VERSIONED);
        assert_eq!(head_of(b"a"), 0x6100_0000);
        assert_eq!(
            (leaf_entry_bytes(3, 1, false), leaf_entry_bytes(3, 2, true), inner_entry_bytes(0)),
            (8, 32, 8)
        );
        assert_eq!((hint_position(0, 34), hint_position(15, 34)), (2, 32));
    }
}
