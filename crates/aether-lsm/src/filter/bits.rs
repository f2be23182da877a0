//! Sequences of bits in words of 64, with rank and select, and sequences of numbers of a few bits each.
//!
//! Rank is answered from a directory: for every eight words, the number of ones before them, in four bytes (6 % on top). Select
//! searches the directory, then at most eight words. Both stay within the bytes whatever these say.

use aether_types::{Error, ErrorKind, Reader, Result, Writer};

const WORD_BITS: usize = 64;
/// Words to an entry of the directory.
const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: usize = BLOCK_WORDS * WORD_BITS;

/// Bits while they are collected.
#[derive(Clone, Debug, Default)]
pub(super) struct BitVec {
    words: Vec<u64>,
    len: usize,
}

impl BitVec {
    /// `len` zeros.
    pub(super) fn zeros(len: usize) -> Self {
        Self { words: vec![0; len.div_ceil(WORD_BITS)], len }
    }

    pub(super) fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(WORD_BITS) {
            self.words.push(0);
        }
        self.len += 1;
        if bit {
            self.set(self.len - 1);
        }
    }

    pub(super) fn set(&mut self, at: usize) {
        self.words[at / WORD_BITS] |= 1 << (at % WORD_BITS);
    }

    pub(super) fn get(&self, at: usize) -> bool {
        self.words[at / WORD_BITS] >> (at % WORD_BITS) & 1 == 1
    }

    /// The first one at `from` or behind it; the length if there is none.
    pub(super) fn next_one(&self, from: usize) -> usize {
        next_one(from, self.len, |at| self.words[at])
    }

    /// Appends `other`.
    pub(super) fn append(&mut self, other: &Self) {
        for (at, &word) in other.words.iter().enumerate() {
            self.push_number(word, (other.len - at * WORD_BITS).min(WORD_BITS) as u32);
        }
    }

    /// Appends the lowest `width` bits of `number`, lowest first.
    pub(super) fn push_number(&mut self, number: u64, width: u32) {
        let (number, shift) = (number & ones_below(width), self.len % WORD_BITS);
        self.len += width as usize;
        self.words.resize(self.len.div_ceil(WORD_BITS), 0);
        let last = self.words.len().saturating_sub(1);
        if shift + width as usize > WORD_BITS {
            self.words[last - 1] |= number << shift;
            self.words[last] |= number >> (WORD_BITS - shift);
        } else if width > 0 {
            self.words[last] |= number << shift;
        }
    }

    /// The words.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        self.words.iter().for_each(|&word| out.put_u64(word));
    }

    /// The words and the directory.
    ///
    /// # Errors
    /// `OverLimit` from 2^32 bits on.
    pub(super) fn write_ranked(&self, out: &mut Vec<u8>) -> Result<()> {
        if u32::try_from(self.len).is_err() {
            return Err(Error::new(ErrorKind::OverLimit, "a filter of more than 512 MiB; part the keys"));
        }
        self.write(out);
        let mut ones = 0;
        for block in self.words.chunks(BLOCK_WORDS) {
            out.put_u32(ones);
            ones += block.iter().map(|word| word.count_ones()).sum::<u32>();
        }
        Ok(())
    }
}

fn next_one(from: usize, len: usize, word: impl Fn(usize) -> u64) -> usize {
    let mut at = from;
    while at < len {
        let rest = word(at / WORD_BITS) >> (at % WORD_BITS);
        if rest != 0 {
            return (at + rest.trailing_zeros() as usize).min(len);
        }
        at = (at / WORD_BITS + 1) * WORD_BITS;
    }
    len
}

/// Bits in bytes, without a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bits<'a> {
    words: &'a [[u8; 8]],
    len: usize,
}

impl<'a> Bits<'a> {
    /// Reads `len` bits; those behind them in the last word must be zeros.
    pub(super) fn read(reader: &mut Reader<'a>, len: usize) -> Result<Self> {
        let words = reader.bytes(len.div_ceil(WORD_BITS) * 8)?.as_chunks().0;
        let bits = Self { words, len };
        let spare = len.div_ceil(WORD_BITS) * WORD_BITS - len;
        if spare > 0 && bits.word(len / WORD_BITS) >> (WORD_BITS - spare) != 0 {
            return Err(reader.bad("bits behind the last one"));
        }
        Ok(bits)
    }

    #[inline]
    pub(super) fn word(&self, at: usize) -> u64 {
        self.words.get(at).map_or(0, |word| u64::from_le_bytes(*word))
    }

    #[inline]
    pub(super) fn get(&self, at: usize) -> bool {
        self.word(at / WORD_BITS) >> (at % WORD_BITS) & 1 == 1
    }

    /// The first one at `from` or behind it; the length if there is none.
    #[inline]
    pub(super) fn next_one(&self, from: usize) -> usize {
        next_one(from, self.len, |at| self.word(at))
    }

    /// Number `index` of those of `width` bits each.
    #[inline]
    pub(super) fn number(&self, index: usize, width: u32) -> u64 {
        let start = index * width as usize;
        let (at, shift) = (start / WORD_BITS, start % WORD_BITS);
        let pair = u128::from(self.word(at)) | u128::from(self.word(at + 1)) << WORD_BITS;
        (pair >> shift) as u64 & ones_below(width)
    }

    fn count_words(&self) -> usize {
        self.words.len()
    }
}

/// `width` ones.
#[inline]
pub(super) fn ones_below(width: u32) -> u64 {
    1_u64.checked_shl(width).map_or(u64::MAX, |end| end - 1)
}

/// Bits in bytes, with a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<'a> {
    bits: Bits<'a>,
    directory: &'a [[u8; 4]],
    ones: usize,
}

impl<'a> Ranked<'a> {
    /// Reads `len` bits and their directory, which must agree.
    pub(super) fn read(reader: &mut Reader<'a>, len: usize) -> Result<Self> {
        let bits = Bits::read(reader, len)?;
        let directory = reader.bytes(bits.count_words().div_ceil(BLOCK_WORDS) * 4)?.as_chunks().0;
        let mut ranked = Self { bits, directory, ones: 0 };
        for block in 0..directory.len() {
            if ranked.before_block(block) != ranked.ones {
                return Err(reader.bad("a directory of ranks that its bits contradict"));
            }
            let words = block * BLOCK_WORDS..(block + 1) * BLOCK_WORDS;
            ranked.ones += words.map(|at| ranked.bits.word(at).count_ones() as usize).sum::<usize>();
        }
        Ok(ranked)
    }

    pub(super) fn bits(&self) -> &Bits<'a> {
        &self.bits
    }

    /// How many ones there are.
    pub(super) fn ones(&self) -> usize {
        self.ones
    }

    /// How many ones stand before `at`.
    #[inline]
    pub(super) fn rank(&self, at: usize) -> usize {
        let (block, word) = (at / BLOCK_BITS, at / WORD_BITS);
        let whole = (block * BLOCK_WORDS..word).map(|at| self.bits.word(at).count_ones()).sum::<u32>();
        let part = self.bits.word(word) & ones_below((at % WORD_BITS) as u32);
        self.before_block(block) + (whole + part.count_ones()) as usize
    }

    /// Where one number `index` stands; the length if there are not so many.
    #[inline]
    pub(super) fn select_one(&self, index: usize) -> usize {
        self.select(index, |block| self.before_block(block), |word| word)
    }

    /// Where zero number `index` stands; the length if there are not so many.
    #[inline]
    pub(super) fn select_zero(&self, index: usize) -> usize {
        self.select(index, |block| block * BLOCK_BITS - self.before_block(block), |word| !word)
    }

    /// `before` counts what stands before a block, `shown` turns what is looked for into ones.
    #[inline]
    fn select(&self, index: usize, before: impl Fn(usize) -> usize, shown: impl Fn(u64) -> u64) -> usize {
        let (mut low, mut high) = (0, self.directory.len());
        while low + 1 < high {
            let middle = low.midpoint(high);
            if before(middle) <= index { low = middle } else { high = middle }
        }
        let mut left = index - before(low).min(index);
        for at in low * BLOCK_WORDS..((low + 1) * BLOCK_WORDS).min(self.bits.count_words()) {
            let word = shown(self.bits.word(at));
            let ones = word.count_ones() as usize;
            if left < ones {
                return (at * WORD_BITS + select_in_word(word, left)).min(self.bits.len);
            }
            left -= ones;
        }
        self.bits.len
    }

    #[inline]
    fn before_block(&self, block: usize) -> usize {
        self.directory.get(block).map_or(self.ones, |count| u32::from_le_bytes(*count) as usize)
    }
}

/// Where one number `index` of `word` stands; `word` has more than `index`.
#[inline]
fn select_in_word(word: u64, index: usize) -> usize {
    let (mut rest, mut left, mut at) = (word, index, 0);
    while left >= (rest & 0xff).count_ones() as usize && at < 56 {
        left -= (rest & 0xff).count_ones() as usize;
        rest >>= 8;
        at += 8;
    }
    (0..left).for_each(|_| rest &= rest.wrapping_sub(1));
    at + rest.trailing_zeros() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(bits: &[bool]) -> Vec<u8> {
        let mut vec = BitVec::default();
        bits.iter().for_each(|&bit| vec.push(bit));
        let mut out = Vec::new();
        vec.write_ranked(&mut out).unwrap();
        out
    }

    fn places(bits: &[bool], wanted: bool) -> Vec<usize> {
        (0..bits.len()).filter(|&at| bits[at] == wanted).collect()
    }

    proptest! {
        #[test]
        fn rank_and_select_are_those_of_a_list(
            runs in proptest::collection::vec((any::<bool>(), 1_usize..700), 0..12),
            noise in proptest::collection::vec(any::<bool>(), 0..1500),
        ) {
            let bits: Vec<bool> =
                runs.iter().flat_map(|&(bit, count)| vec![bit; count]).chain(noise).collect();
            let bytes = bytes(&bits);
            let ranked = Ranked::read(&mut Reader::new(&bytes), bits.len()).unwrap();
            let (ones, zeros) = (places(&bits, true), places(&bits, false));
            prop_assert_eq!(ranked.ones(), ones.len());
            let found: Vec<_> = (0..ones.len()).map(|index| ranked.select_one(index)).collect();
            prop_assert_eq!(&found, &ones);
            let found: Vec<_> = (0..zeros.len()).map(|index| ranked.select_zero(index)).collect();
            prop_assert_eq!(&found, &zeros);
            prop_assert_eq!(ranked.select_one(ones.len()), bits.len());
            for at in 0..=bits.len() {
                prop_assert_eq!(ranked.rank(at), ones.partition_point(|&one| one < at));
                let next = ones.iter().find(|&&one| one >= at).copied().unwrap_or(bits.len());
                prop_assert_eq!(ranked.bits().next_one(at), next);
            }
        }

        #[test]
        fn numbers_come_back(numbers in proptest::collection::vec(any::<u64>(), 0..50), width in 0_u32..=64) {
            let mut vec = BitVec::default();
            numbers.iter().for_each(|&number| vec.push_number(number, width));
            let mut out = Vec::new();
            vec.write(&mut out);
            let bits = Bits::read(&mut Reader::new(&out), vec.len).unwrap();
            for (index, number) in numbers.iter().enumerate() {
                prop_assert_eq!(bits.number(index, width), number & ones_below(width));
            }
        }

        #[test]
        fn a_directory_that_its_bits_contradict_is_refused(
            at in prop_oneof![0..72 * 8_usize, 79 * 8..79 * 8 + 40_usize],
            bit in 0_u32..8,
        ) {
            let mut bytes = bytes(&[true; 5000]);
            prop_assert_eq!(bytes.len(), 79 * 8 + 40);
            bytes[at] ^= 1 << bit;
            prop_assert!(Ranked::read(&mut Reader::new(&bytes), 5000).is_err());
        }
    }
}
