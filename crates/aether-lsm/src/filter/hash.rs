//! Hashes of keys.

use aether_types::checksum;

/// Seed of the hash of a key; part of the format.
const SEED: u64 = 0x6669_6c74_6572_7331;

/// The hash of a key: made once for a look into any number of runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct KeyHash(u64);

impl KeyHash {
    /// The hash of `key`.
    #[inline]
    pub fn of(key: &[u8]) -> Self {
        Self(checksum(SEED, key))
    }

    #[inline]
    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// Another hash of the same key, one for each `seed`; different keys' hashes stay different.
    #[inline]
    pub(super) fn again(self, seed: u64) -> u64 {
        mix(self.0 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// The finalizer of SplitMix64 (Steele et al., OOPSLA 2014): one to one, every bit depends on all.
#[inline]
pub(super) fn mix(mut number: u64) -> u64 {
    number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// Spreads `hash` evenly over the numbers below `end`.
#[inline]
pub(super) fn scale(hash: u64, end: u64) -> u64 {
    ((u128::from(hash) * u128::from(end)) >> 64) as u64
}
