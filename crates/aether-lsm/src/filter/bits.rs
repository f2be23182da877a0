//! Sequences of bits in words of 64, with rank and select, and sequences of numbers of a few bits each.
//!
//! Rank is answered from a directory: for every eight words, a block, the number of ones before them, in four bytes (6 % on top).
//! Select is answered from samples, the block of each 512th one or zero: between two of them the directory is searched, then at most eight
//! words. Both stay within the bytes whatever these say.

use aether_types::{Error, ErrorKind, Reader, Result, Writer};

const WORD_BITS: usize = 64;
/// Words to an entry of the directory.
const BLOCK_WORDS: usize = 8;
const BLOCK_BITS: usize = BLOCK_WORDS * WORD_BITS;

/// Ones or zeros from one sample to the next.
const SAMPLE: usize = 512;

/// What is to be selected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Select {
    Nothing,
    Ones,
    Zeros,
}

impl Select {
    /// Turns what is selected into ones.
    #[inline]
    fn shown(self, word: u64) -> u64 {
        if self == Self::Zeros { !word } else { word }
    }

    /// How many are selected of `bits`, of which `ones` are set.
    #[inline]
    fn count(self, bits: usize, ones: usize) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Ones => ones,
            Self::Zeros => bits.saturating_sub(ones),
        }
    }
}

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

    /// The words, the directory and the samples.
    ///
    /// # Errors
    /// `OverLimit` from 2^32 bits on.
    pub(super) fn write_ranked(&self, select: Select, out: &mut Vec<u8>) -> Result<()> {
        if u32::try_from(self.len).is_err() {
            return Err(Error::new(ErrorKind::OverLimit, "a filter of more than 512 MiB; part the keys"));
        }
        self.write(out);
        let mut ones = 0;
        let mut samples = Vec::new();
        for (block, words) in self.words.chunks(BLOCK_WORDS).enumerate() {
            out.put_u32(ones as u32);
            ones += words.iter().map(|word| word.count_ones() as usize).sum::<usize>();
            let end = self.len.min((block + 1) * BLOCK_BITS);
            samples.resize(select.count(end, ones).div_ceil(SAMPLE), block as u32);
        }
        samples.into_iter().for_each(|block| out.put_u32(block));
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

/// Bits in bytes, with a directory and samples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ranked<'a> {
    bits: Bits<'a>,
    select: Select,
    directory: &'a [[u8; 4]],
    samples: &'a [[u8; 4]],
    ones: usize,
}

impl<'a> Ranked<'a> {
    /// Reads `len` bits, their directory and samples, which must agree.
    pub(super) fn read(reader: &mut Reader<'a>, len: usize, select: Select) -> Result<Self> {
        let bits = Bits::read(reader, len)?;
        let directory = reader.bytes(bits.count_words().div_ceil(BLOCK_WORDS) * 4)?.as_chunks().0;
        let mut ranked = Self { bits, select, directory, samples: &[], ones: 0 };
        for block in 0..directory.len() {
            if ranked.before_block(block) != ranked.ones {
                return Err(reader.bad("a directory of ranks that its bits contradict"));
            }
            let words = block * BLOCK_WORDS..(block + 1) * BLOCK_WORDS;
            ranked.ones += words.map(|at| ranked.bits.word(at).count_ones() as usize).sum::<usize>();
        }
        let samples = select.count(len, ranked.ones).div_ceil(SAMPLE);
        ranked.samples = reader.bytes(samples * 4)?.as_chunks().0;
        if (0..samples).all(|sample| ranked.is_right(sample)) {
            return Ok(ranked);
        }
        Err(reader.bad("a sample that its bits contradict"))
    }

    /// Whether a sample names the block in which it is.
    fn is_right(&self, sample: usize) -> bool {
        let (index, block) = (sample * SAMPLE, self.sample(sample));
        block < self.directory.len()
            && self.selected_before(block) <= index
            && index < self.selected_before(block + 1)
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

    /// Where number `index` of what is to be selected stands; the length if there are not so many.
    #[inline]
    pub(super) fn select(&self, index: usize) -> usize {
        let sample = index / SAMPLE;
        if sample >= self.samples.len() {
            return self.bits.len;
        }
        let (mut low, mut high) = (self.sample(sample), self.sample(sample + 1) + 1);
        while low + 1 < high {
            let middle = low.midpoint(high);
            if self.selected_before(middle) <= index { low = middle } else { high = middle }
        }
        let mut left = index.saturating_sub(self.selected_before(low));
        for at in low * BLOCK_WORDS..((low + 1) * BLOCK_WORDS).min(self.bits.count_words()) {
            let word = self.select.shown(self.bits.word(at));
            let ones = word.count_ones() as usize;
            if left < ones {
                return (at * WORD_BITS + select_in_word(word, left)).min(self.bits.len);
            }
            left -= ones;
        }
        self.bits.len
    }

    /// The block of a sample; of one behind the last, the last block.
    #[inline]
    fn sample(&self, sample: usize) -> usize {
        self.samples.get(sample).map_or(self.directory.len() - 1, |block| u32::from_le_bytes(*block) as usize)
    }

    /// How many of what is to be selected stand before a block.
    #[inline]
    fn selected_before(&self, block: usize) -> usize {
        self.select.count((block * BLOCK_BITS).min(self.bits.len), self.before_block(block))
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

    fn bytes(bits: &[bool], select: Select) -> Vec<u8> {
        let mut vec = BitVec::default();
        bits.iter().for_each(|&bit| vec.push(bit));
        let mut out = Vec::new();
        vec.write_ranked(select, &mut out).unwrap();
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
            let ones = places(&bits, true);
            for select in [Select::Ones, Select::Zeros, Select::Nothing] {
                let bytes = bytes(&bits, select);
                let mut reader = Reader::new(&bytes);
                let ranked = Ranked::read(&mut reader, bits.len(), select).unwrap();
                prop_assert!(reader.finish().is_ok());
                prop_assert_eq!(ranked.ones(), ones.len());
                let selected = if select == Select::Nothing { vec![] } else { places(&bits, select == Select::Ones) };
                let found: Vec<_> = (0..selected.len()).map(|index| ranked.select(index)).collect();
                prop_assert_eq!(&found, &selected);
                prop_assert_eq!(ranked.select(selected.len()), bits.len());
                for at in 0..=bits.len() {
                    prop_assert_eq!(ranked.rank(at), ones.partition_point(|&one| one < at));
                    let next = ones.iter().find(|&&one| one >= at).copied().unwrap_or(bits.len());
                    prop_assert_eq!(ranked.bits().next_one(at), next);
                }
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
            at in prop_oneof![0..72 * 8_usize, 79 * 8..79 * 8 + 80_usize],
            bit in 0_u32..8,
        ) {
            let mut bytes = bytes(&[true; 5000], Select::Ones);
            prop_assert_eq!(bytes.len(), 79 * 8 + 80);
            bytes[at] ^= 1 << bit;
            prop_assert!(Ranked::read(&mut Reader::new(&bytes), 5000, Select::Ones).is_err());
        }
    }
}
