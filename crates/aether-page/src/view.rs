//! Reading a page: whole words, shifted into place, every offset clamped.

use aether_sync::word::{Word, load};
use core::cmp::Ordering;

/// A page to read. Reads beyond the end give 0, so that torn or hostile offsets give garbage and nothing worse.
#[derive(Clone, Copy)]
pub struct View<'a> {
    words: &'a [Word],
}

impl<'a> View<'a> {
    /// The page made of `words`.
    #[inline]
    pub fn new(words: &'a [Word]) -> Self {
        Self { words }
    }

    /// Bytes in the page.
    #[inline]
    pub fn len_bytes(self) -> usize {
        self.words.len() * 8
    }

    /// The word at `index`.
    #[inline(always)]
    pub fn word(self, index: usize) -> u64 {
        match self.words.get(index) {
            Some(word) => load(word),
            None => 0,
        }
    }

    /// A copy of the page that nobody else sees.
    pub fn to_words(self) -> Vec<Word> {
        self.words.iter().map(|word| Word::new(load(word))).collect()
    }

    /// `count` words from `index` on, fewer at the end of the page.
    #[inline]
    pub(crate) fn words(self, index: usize, count: usize) -> &'a [Word] {
        let start = index.min(self.words.len());
        let end = start.saturating_add(count).min(self.words.len());
        &self.words[start..end]
    }

    /// The 16-bit number at byte `offset`.
    #[inline]
    pub fn u16_at(self, offset: usize) -> u16 {
        if offset % 8 <= 6 {
            (self.word(offset / 8) >> (offset % 8 * 8)) as u16
        } else {
            self.u64_at(offset) as u16
        }
    }

    /// The 32-bit number at byte `offset`.
    #[inline]
    pub fn u32_at(self, offset: usize) -> u32 {
        if offset % 8 <= 4 {
            (self.word(offset / 8) >> (offset % 8 * 8)) as u32
        } else {
            self.u64_at(offset) as u32
        }
    }

    /// The 64-bit number at byte `offset`.
    #[inline]
    pub fn u64_at(self, offset: usize) -> u64 {
        let (index, shift) = (offset / 8, (offset % 8 * 8) as u32);
        let low = self.word(index) >> shift;
        if shift == 0 { low } else { low | self.word(index + 1) << (64 - shift) }
    }

    /// Copies the bytes from `offset` on into `out`; zeros beyond the end.
    pub fn copy_to(self, offset: usize, out: &mut [u8]) {
        let offset = offset.min(self.len_bytes());
        let shift = (offset % 8 * 8) as u32;
        let words = self.words.get(offset / 8..).unwrap_or_default();
        // Two loops, so that each word is loaded once and nothing is asked inside.
        let copied = match words.split_first() {
            None => 0,
            Some(_) if shift == 0 => copy_words(out, words, load),
            Some((first, following)) => {
                let mut low = load(first) >> shift;
                copy_words(out, following, |word| {
                    let word = load(word);
                    let number = low | word << (64 - shift);
                    low = word >> shift;
                    number
                })
            }
        };
        for (at, piece) in out[copied..].chunks_mut(8).enumerate() {
            let number = self.u64_at(offset + copied + 8 * at);
            piece.copy_from_slice(&number.to_le_bytes()[..piece.len()]);
        }
    }

    /// Appends `len` bytes from `offset` on to `out`, fewer at the end of the page.
    #[inline]
    pub fn append_to(self, offset: usize, len: usize, out: &mut Vec<u8>) {
        let (offset, len) = self.clamp(offset, len);
        let start = out.len();
        out.resize(start + len, 0);
        self.copy_to(offset, &mut out[start..]);
    }

    /// Compares the `len` bytes from `offset` on with `other`, as byte strings.
    #[inline]
    pub fn compare(self, offset: usize, len: usize, other: &[u8]) -> Ordering {
        let (offset, len) = self.clamp(offset, len);
        let common = len.min(other.len());
        let mut at = 0;
        while at + 8 <= common {
            let mine = self.u64_at(offset + at).swap_bytes();
            let theirs = other[at..].first_chunk().map_or(0, |piece| u64::from_be_bytes(*piece));
            if mine != theirs {
                return mine.cmp(&theirs);
            }
            at += 8;
        }
        self.compare_rest(offset + at, &other[at..common]).then(len.cmp(&other.len()))
    }

    /// Compares fewer than eight bytes.
    #[inline]
    fn compare_rest(self, offset: usize, other: &[u8]) -> Ordering {
        if other.is_empty() {
            return Ordering::Equal;
        }
        let unused = 64 - 8 * other.len() as u32;
        let mine = self.u64_at(offset).swap_bytes() >> unused;
        mine.cmp(&big_endian(other))
    }

    #[inline]
    fn clamp(self, offset: usize, len: usize) -> (usize, usize) {
        let offset = offset.min(self.len_bytes());
        (offset, len.min(self.len_bytes() - offset))
    }
}

/// Fills the whole pieces of eight bytes of `out`, as far as there are words. Returns how many bytes that were.
#[inline(always)]
fn copy_words(out: &mut [u8], words: &[Word], mut number: impl FnMut(&Word) -> u64) -> usize {
    let pieces = out.chunks_exact_mut(8).zip(words);
    let count = pieces.len();
    pieces.for_each(|(piece, word)| piece.copy_from_slice(&number(word).to_le_bytes()));
    count * 8
}

/// Fewer than eight bytes as a big-endian number. Two reads that overlap, instead of a loop over bytes.
#[inline]
fn big_endian(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let low_bits = 8 * (bytes.len() - 4) as u32;
        return u64::from(u32::from_be_bytes(*first)) << low_bits | u64::from(u32::from_be_bytes(*last));
    }
    bytes.iter().take(3).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_words;
    use proptest::prelude::*;

    fn words_of(bytes: &[u8]) -> Vec<Word> {
        let words: Vec<Word> = (0..bytes.len() / 8).map(|_| Word::new(0)).collect();
        load_words(bytes, &words);
        words
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn reads_equal_those_of_a_slice(bytes in proptest::collection::vec(0u8..3, 64), at in 0usize..70, len in 0usize..70, other in proptest::collection::vec(0u8..3, 0..20)) {
            let words = words_of(&bytes);
            let view = View::new(&words);
            let mut padded = bytes.clone();
            padded.resize(200, 0);
            prop_assert_eq!(&view.u16_at(at).to_le_bytes()[..], &padded[at..at + 2]);
            prop_assert_eq!(&view.u32_at(at).to_le_bytes()[..], &padded[at..at + 4]);
            prop_assert_eq!(&view.u64_at(at).to_le_bytes()[..], &padded[at..at + 8]);
            let mut out = vec![7; len];
            view.copy_to(at, &mut out);
            let from = at.min(64);
            prop_assert_eq!(&out[..], &padded[from..from + len]);
            let piece = &bytes[from..(from + len).min(64)];
            prop_assert_eq!(view.compare(at, len, &other), piece.cmp(&other[..]));
            let mut appended = vec![9];
            view.append_to(at, len, &mut appended);
            prop_assert_eq!(&appended[1..], piece);
        }
    }

    #[test]
    fn hostile_offsets_give_zeros() {
        let words = words_of(&[0xff; 16]);
        let view = View::new(&words);
        assert_eq!(view.u64_at(usize::MAX) | u64::from(view.u16_at(usize::MAX)), 0);
        assert_eq!(view.compare(usize::MAX, usize::MAX, b""), Ordering::Equal);
        let mut out = Vec::new();
        view.append_to(usize::MAX, usize::MAX, &mut out);
        assert!(out.is_empty());
    }
}
