//! Keys as words: big-endian and filled up with zeros, so that words compare as bytes do.

use core::cmp::Ordering;

/// Bits of a key that a link tells.
pub(super) const HEAD_BITS: u32 = 20;

/// The words that a key of `bytes` takes.
pub(super) fn words(bytes: usize) -> usize {
    bytes.div_ceil(8)
}

/// Word `index` of `key`; 0 behind its end.
#[inline]
pub(super) fn word(key: &[u8], index: usize) -> u64 {
    let Some(rest) = key.get(index * 8..) else { return 0 };
    match rest.first_chunk::<8>() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => rest
            .iter()
            .zip([56, 48, 40, 32, 24, 16, 8])
            .fold(0, |word, (byte, shift)| word | u64::from(*byte) << shift),
    }
}

/// The bits of `key` from byte `from` on.
#[inline(always)]
pub(super) fn head(key: &[u8], from: usize) -> u32 {
    let Some(rest) = key.get(from..) else { return 0 };
    let [a, b, c] = match *rest {
        [a, b, c, ..] => [a, b, c],
        [a, b] => [a, b, 0],
        [a] => [a, 0, 0],
        [] => [0; 3],
    };
    u32::from_be_bytes([0, a, b, c]) >> 4
}

/// The bits of a key from byte `from` on, given its words.
pub(super) fn head_of_words(word: impl Fn(usize) -> u64, from: usize) -> u32 {
    let (index, shift) = (from / 8, from % 8 * 8);
    let pair = u128::from(word(index)) << 64 | u128::from(word(index + 1));
    ((pair << shift) >> (128 - HEAD_BITS)) as u32
}

/// How many whole bytes two heads have in common, given the bits in which they differ (not 0).
#[inline(always)]
pub(super) fn common_of_heads(difference: u32) -> usize {
    ((difference.leading_zeros() - (32 - HEAD_BITS)) / 8) as usize
}

/// Where a stored key of `bytes` lies as seen from `key`, and how many bytes both have in common, endless zeros behind
/// them included: `usize::MAX` if they differ in nothing else. They do not differ before byte `from`.
pub(super) fn compare(
    word_of: impl Fn(usize) -> u64,
    bytes: usize,
    key: &[u8],
    from: usize,
) -> (Ordering, usize) {
    for index in from / 8..words(bytes.max(key.len())) {
        let stored = if index < words(bytes) { word_of(index) } else { 0 };
        let wanted = word(key, index);
        if stored != wanted {
            return (stored.cmp(&wanted), index * 8 + (stored ^ wanted).leading_zeros() as usize / 8);
        }
    }
    (bytes.cmp(&key.len()), usize::MAX)
}

/// A number that looks random to who does not know `seed`; the same for the same key.
pub(super) fn hash(key: &[u8], seed: u64) -> u64 {
    let start = finish(seed ^ key.len() as u64);
    finish((0..words(key.len())).fold(start, |hash, index| mix(hash ^ word(key, index))) ^ seed)
}

/// Both halves of a product (as in wyhash), so that each bit depends on all. The factor is no seed: with one close to 2^64 the halves of
/// neighbours differ in step, and their lowest bits cancel.
fn mix(value: u64) -> u64 {
    let product = u128::from(value) * 0xd6e8_feb8_6659_fd93;
    (product >> 64) as u64 ^ product as u64
}

/// The last steps of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn finish(mut value: u64) -> u64 {
    value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    /// Neighbours, near and far, differ in each of the lowest bits, whatever the seed: a list in which a stretch of keys has no level above the
    /// lowest is walked key by key there.
    #[test]
    fn neighbours_differ_in_their_lowest_bits_under_any_seed() {
        let ones = |shift: u32| (0..64).step_by(shift as usize).fold(0u64, |seed, bit| seed | 1 << bit);
        let mut seeds: Vec<u64> = (0..400u64).map(|seed| seed.wrapping_mul(0x2545_f491_4f6c_dd1d)).collect();
        seeds.extend([u64::MAX, u64::MAX - 1, 1 << 63, !(1 << 63), ones(2), ones(3), !ones(2), !0xffff]);
        for seed in seeds {
            for (step, bytes) in [(1u64, 8), (2, 8), (1000, 8), (1 << 40, 8), (1, 16)] {
                for stretch in 0..4u64 {
                    let key = |at: u64| {
                        let number = (stretch * 1_000_003).wrapping_add(at.wrapping_mul(step)).to_be_bytes();
                        [&[7; 8][..bytes - 8], &number].concat()
                    };
                    let mut set = [0; 4];
                    for hash in (0..256).map(|at| hash(&key(at), seed)) {
                        (0..4).for_each(|bit| set[bit] += hash >> bit & 1);
                    }
                    assert!(set.iter().all(|set| (70..186).contains(set)), "{seed:#x}, {step}: {set:?}");
                }
            }
        }
    }

    fn compared(stored: &[u8], key: &[u8]) -> (Ordering, usize) {
        compare(|index| word(stored, index), stored.len(), key, 0)
    }

    #[test]
    fn words_compare_as_bytes_do() {
        let keys: [&[u8]; 7] = [b"", b"\0", b"\0\0", b"a", b"a\0", b"abcdefgh", b"abcdefghi"];
        for stored in keys {
            for key in keys {
                assert_eq!(compared(stored, key).0, stored.cmp(key), "{stored:?} {key:?}");
            }
        }
        assert_eq!(compared(b"abcdefghij", b"abcdefghix"), (Ordering::Less, 9));
        assert_eq!(compared(b"a", b"a\0"), (Ordering::Less, usize::MAX));
    }

    #[test]
    fn heads_of_bytes_and_of_words_are_the_same() {
        let key = b"0123456789abcdef\xff\x01";
        for from in 0..20 {
            assert_eq!(head(key, from), head_of_words(|index| word(key, index), from), "from {from}");
        }
        assert_eq!(common_of_heads(head(b"abc", 0) ^ head(b"abz", 0)), 2);
        assert_eq!(common_of_heads(head(b"abc", 0) ^ head(b"z", 0)), 0);
    }
}
