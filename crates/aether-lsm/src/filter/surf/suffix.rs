//! The bits that a leaf keeps of its key beyond the trie.

use crate::filter::hash::KeyHash;
use crate::filter::header::demand;
use aether_types::Result;

/// What the leaves keep beyond the bytes that set a key apart; at most 32 bits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Suffix {
    /// Nothing.
    None,
    /// Bits of the key's hash: of absent keys that end in the same leaf, one in 2^bits passes. Of no use for ranges.
    Hash(u8),
    /// The bits of the key that follow: also for ranges and prefixes.
    Real(u8),
}

const BITS_MAX: u8 = 32;

impl Suffix {
    pub(super) fn from_format(bits: u8, hashed: bool) -> Result<Self> {
        demand(bits <= BITS_MAX, 2, "more suffix bits than 32")?;
        Ok(match (bits, hashed) {
            (0, _) => Self::None,
            (_, true) => Self::Hash(bits),
            (_, false) => Self::Real(bits),
        })
    }

    /// With no more bits than a leaf can keep.
    pub(super) fn clamped(self) -> Self {
        match self {
            Self::None | Self::Hash(0) | Self::Real(0) => Self::None,
            Self::Hash(bits) => Self::Hash(bits.min(BITS_MAX)),
            Self::Real(bits) => Self::Real(bits.min(BITS_MAX)),
        }
    }

    pub(super) fn bits(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Hash(bits) | Self::Real(bits) => u32::from(bits),
        }
    }

    /// What a leaf keeps of `key`, of which `rest` follows the trie's bytes.
    pub(super) fn of(self, key: &[u8], rest: &[u8]) -> u64 {
        match self {
            Self::None => 0,
            Self::Hash(bits) => of_hash(KeyHash::of(key), bits),
            Self::Real(bits) => first_bits(rest, u32::from(bits)),
        }
    }

    /// Whether a leaf with `kept` may stand for the key with this `rest` and hash.
    #[inline]
    pub(super) fn admits_key(self, kept: u64, rest: &[u8], hash: impl FnOnce() -> KeyHash) -> bool {
        match self {
            Self::None => true,
            Self::Hash(bits) => kept == of_hash(hash(), bits),
            Self::Real(bits) => kept == first_bits(rest, u32::from(bits)),
        }
    }

    /// Whether a leaf with `kept` may stand for a key whose rest begins with `rest`.
    pub(super) fn admits_prefix(self, kept: u64, rest: &[u8]) -> bool {
        let Self::Real(bits) = self else { return true };
        let bits = u32::from(bits);
        let known = bits.min(rest.len().min(8) as u32 * 8);
        kept >> (bits - known) == first_bits(rest, known)
    }

    /// Whether every key that a leaf with `kept` can stand for has a rest below `low`.
    pub(super) fn is_below(self, kept: u64, low: &[u8]) -> bool {
        matches!(self, Self::Real(bits) if kept < first_bits(low, u32::from(bits)))
    }

    /// Whether the least rest that a leaf with `kept` can stand for is below `high`, or is `high` and that counts. The least rest is the
    /// bits kept without zero bytes at the end, for those may stand for nothing.
    pub(super) fn reaches(self, kept: u64, high: &[u8], included: bool) -> bool {
        let Self::Real(bits) = self else { return included || !high.is_empty() };
        let of_high = first_bits(high, u32::from(bits));
        if kept != of_high {
            return kept < of_high;
        }
        let least = (kept << (64 - u32::from(bits))).to_be_bytes();
        let length = least.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        included || high != &least[..length]
    }
}

fn of_hash(hash: KeyHash, bits: u8) -> u64 {
    hash.number() >> (64 - u32::from(bits))
}

/// The first bits of `bytes`, as if zeros followed.
#[inline]
fn first_bits(bytes: &[u8], bits: u32) -> u64 {
    let mut first = [0; 8];
    let length = bytes.len().min(8);
    first[..length].copy_from_slice(&bytes[..length]);
    u64::from_be_bytes(first).checked_shr(64 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_leaf_can_stand_for_is_compared_by_its_bits() {
        let real = Suffix::Real(12);
        let kept = real.of(b"", &[0x41, 0x7f]);
        assert_eq!(kept, 0x417);
        assert!(real.is_below(kept, &[0x41, 0x80]) && !real.is_below(kept, &[0x41, 0x7f]));
        assert!(!real.reaches(kept, &[0x41, 0x6f], true) && real.reaches(kept, &[0x41, 0x80], false));
        assert!(real.reaches(kept, &[0x41, 0x70], true) && !real.reaches(kept, &[0x41, 0x70], false));
        assert!(real.admits_prefix(kept, &[0x41]) && !real.admits_prefix(kept, &[0x42]));
        assert!(real.admits_prefix(kept, &[0x41, 0x7a, 1]) && !real.admits_prefix(kept, &[0x41, 0x8a, 1]));
    }

    #[test]
    fn zeros_may_stand_for_nothing() {
        let real = Suffix::Real(16);
        let kept = real.of(b"", &[0x41]);
        assert_eq!(kept, real.of(b"", &[0x41, 0]));
        assert!(real.reaches(kept, &[0x41], true) && !real.reaches(kept, &[0x41], false));
        assert!(real.reaches(kept, &[0x41, 0], false));
        assert!(real.reaches(0, &[], true) && !real.reaches(0, &[], false));
    }
}
