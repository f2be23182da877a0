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
//! bits are an *offset-value code* (Conner, "Offset-Value Coding", IBM Technical Disclosure Bulletin 20(7), 1977): of two keys above
//! the link's holder, the one with the lower code from there is the lower one. At the end of a level the code is the highest.

use super::key;

/// From here on a link does not tell how much its ends have in common.
pub(super) const COMMON_MAX: usize = (1 << 11) - 1;

const CODE_SHIFT: u32 = 33;
const NO_CODE: u64 = (1 << CODE_SHIFT) - 1;

/// The code of what has `common` bytes in common with the holder of a link, and `head` behind them.
#[inline(always)]
pub(super) fn code(common: usize, head: impl FnOnce(usize) -> u32) -> u32 {
    if common >= COMMON_MAX {
        return 0;
    }
    ((COMMON_MAX - common) as u32) << key::HEAD_BITS | head(common)
}

/// How many bytes what has the codes `one` and `other` has in common, given that both lie above the same key and that the
/// codes differ; `common` is that of the higher code.
#[inline(always)]
pub(super) fn common_of_codes(common: usize, one: u32, other: u32) -> usize {
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
    pub(super) const END: Self = Self(!NO_CODE);
    /// Set in each link of a node that is being removed.
    pub(super) const MARK: u64 = 1 << 32;

    /// A link to `to`, whose key has `common` bytes in common with that of the link's holder; `head` gives what follows.
    pub(super) fn new(to: u32, common: usize, head: impl FnOnce(usize) -> u32) -> Self {
        Self(u64::from(to) | u64::from(code(common, head)) << CODE_SHIFT)
    }

    #[inline(always)]
    pub(super) fn to(self) -> u32 {
        self.0 as u32
    }

    #[inline(always)]
    pub(super) fn code(self) -> u32 {
        (self.0 >> CODE_SHIFT) as u32
    }

    /// Bytes that both ends have in common; `COMMON_MAX` for as many and more.
    pub(super) fn common(self) -> usize {
        COMMON_MAX - (self.code() >> key::HEAD_BITS) as usize
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
        assert_eq!((link.to(), link.common(), link.code()), (u32::MAX, 2046, 1 << 20 | ((1 << 20) - 1)));
        let marked = Link(link.0 | Link::MARK);
        assert!(!link.is_marked() && marked.is_marked());
        assert_eq!((marked.to(), marked.code()), (link.to(), link.code()));
        let far = Link::new(7, usize::MAX, |_| unreachable!("nothing is told"));
        assert_eq!((far.to(), far.common(), far.code()), (7, COMMON_MAX, 0));
        assert_eq!((Link::END.to(), Link::END.code()), (0, code(0, |_| (1 << 20) - 1)));
    }

    #[test]
    fn codes_tell_order_and_what_is_in_common() {
        let holder = b"abcd";
        let keys: [&[u8]; 6] = [b"abce", b"abcf", b"abd", b"abda", b"ac", b"b"];
        let of = |key: &[u8]| {
            let common = holder.iter().zip(key).take_while(|(a, b)| a == b).count();
            (common, code(common, |from| key::head(key, from)))
        };
        for (index, low) in keys.iter().enumerate() {
            for high in &keys[index + 1..] {
                let ((_, below), (common, above)) = (of(low), of(high));
                assert!(below < above, "{low:?} {high:?}");
                let real = low.iter().zip(*high).take_while(|(a, b)| a == b).count();
                assert_eq!(common_of_codes(common, below, above), real, "{low:?} {high:?}");
            }
        }
    }
}
