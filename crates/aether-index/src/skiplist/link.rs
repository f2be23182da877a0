//! The word by which a node refers to the next one of a level, and what it tells of that one's key.
//!
//! | bits | what |
//! |---|---|
//! | 0 to 31 | the next node, 0 at the end |
//! | 32 | the mark: the node that holds this link is being removed |
//! | 33 to 52 | the 20 bits that follow in the next node's key |
//! | 53 to 63 | 2,047 less the bytes that both nodes' keys have in common; 0 for as many and more |
//!
//! Keys count as followed by endless zeros here. A link is a function of its two ends, whose keys never change. Its upper
//! bits are a *rank*: a key that lies above the link's holder and has a rank from there too lies below the next node if its
//! rank is higher, and above if it is lower (`search.rs`). At the end of a level the rank is the highest.

use super::key;

/// From here on a link does not tell how much its ends have in common.
pub(super) const COMMON_MAX: usize = (1 << 11) - 1;

const RANK_SHIFT: u32 = 33;
const NO_RANK: u64 = (1 << RANK_SHIFT) - 1;

/// The rank of what has `common` bytes in common with the holder of a link, and `head` behind them.
#[inline(always)]
pub(super) fn rank(common: usize, head: impl FnOnce(usize) -> u32) -> u32 {
    if common >= COMMON_MAX {
        return 0;
    }
    ((COMMON_MAX - common) as u32) << key::HEAD_BITS | head(common)
}

/// How many bytes what has the ranks `one` and `other` has in common, given that both lie above the same key and that the
/// ranks differ; `common` is that of the higher rank.
#[inline(always)]
pub(super) fn common_of_ranks(common: usize, one: u32, other: u32) -> usize {
    match one ^ other {
        // The first byte behind, or how much both have in common with that key.
        first if first >> (key::HEAD_BITS - 8) != 0 => common,
        later => common + key::common_of_heads(later),
    }
}

/// A link in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Link(pub(super) u64);

impl Link {
    /// Behind it comes nothing.
    pub(super) const END: Self = Self(!NO_RANK);
    /// Set in each link of a node that is being removed.
    pub(super) const MARK: u64 = 1 << 32;

    /// A link to `to`, whose key has `common` bytes in common with that of the link's holder; `head` gives what follows.
    pub(super) fn new(to: u32, common: usize, head: impl FnOnce(usize) -> u32) -> Self {
        Self(u64::from(to) | u64::from(rank(common, head)) << RANK_SHIFT)
    }

    #[inline(always)]
    pub(super) fn to(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    pub(super) fn rank(self) -> u32 {
        (self.0 >> RANK_SHIFT) as u32
    }

    /// Bytes that both ends have in common; `COMMON_MAX` for as many and more.
    pub(super) fn common(self) -> usize {
        COMMON_MAX - (self.rank() >> key::HEAD_BITS) as usize
    }

    #[inline(always)]
    pub(super) fn is_marked(self) -> bool {
        self.0 & Self::MARK != 0
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_link_keeps_its_parts() {
        let link = Link::new(u32::MAX, 2046, |_| (1 << 20) - 1);
        assert_eq!((link.to(), link.common(), link.rank()), (u32::MAX, 2046, 1 << 20 | ((1 << 20) - 1)));
        let marked = Link(link.0 | Link::MARK);
        assert!(!link.is_marked() && marked.is_marked());
        assert_eq!((marked.to(), marked.rank()), (link.to(), link.rank()));
        let far = Link::new(7, usize::MAX, |_| unreachable!("nothing is told"));
        assert_eq!((far.to(), far.common(), far.rank()), (7, COMMON_MAX, 0));
        assert_eq!((Link::END.to(), Link::END.rank()), (0, rank(0, |_| (1 << 20) - 1)));
    }

    #[test]
    fn ranks_tell_order_and_what_is_in_common() {
        let holder = b"abcd";
        let keys: [&[u8]; 6] = [b"abce", b"abcf", b"abd", b"abda", b"ac", b"b"];
        let of = |key: &[u8]| {
            let common = holder.iter().zip(key).take_while(|(a, b)| a == b).count();
            (common, rank(common, |from| key::head(key, from)))
        };
        for (index, low) in keys.iter().enumerate() {
            for high in &keys[index + 1..] {
                let ((_, below), (common, above)) = (of(low), of(high));
                assert!(below < above, "{low:?} {high:?}");
                let real = low.iter().zip(*high).take_while(|(a, b)| a == b).count();
                assert_eq!(common_of_ranks(common, below, above), real, "{low:?} {high:?}");
            }
        }
    }
}
