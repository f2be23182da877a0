//! Writing a page: whole-word stores; the words at the edges of a piece are read, changed and stored.

use crate::View;
use aether_sync::word::{Word, load, store};

const ZEROS: [u8; 8] = [0; 8];

/// A page to write. Whoever holds the page's latch exclusively, or owns the memory alone, makes one. Writes beyond
/// the end are dropped, so that a damaged page cannot make a change fail halfway.
#[derive(Clone, Copy)]
pub struct PageMut<'a> {
    words: &'a [Word],
}

impl<'a> PageMut<'a> {
    /// The page made of `words`.
    #[inline]
    pub fn new(words: &'a [Word]) -> Self {
        Self { words }
    }

    /// The same page to read.
    #[inline]
    pub fn view(self) -> View<'a> {
        View::new(self.words)
    }

    /// Stores a word.
    #[inline]
    pub fn put_word(self, index: usize, value: u64) {
        if let Some(word) = self.words.get(index) {
            store(word, value);
        }
    }

    /// Writes a 16-bit number at byte `offset`.
    #[inline]
    pub fn put_u16(self, offset: usize, value: u16) {
        self.put_bits(offset, u64::from(value), 16);
    }

    /// Writes a 32-bit number at byte `offset`.
    #[inline]
    pub fn put_u32(self, offset: usize, value: u32) {
        self.put_bits(offset, u64::from(value), 32);
    }

    /// Writes a 64-bit number at byte `offset`.
    #[inline]
    pub fn put_u64(self, offset: usize, value: u64) {
        self.put_bits(offset, value, 64);
    }

    /// Writes bytes at byte `offset`.
    pub fn put_bytes(self, offset: usize, bytes: &[u8]) {
        if offset >= self.words.len() * 8 {
            return;
        }
        let head = (offset.wrapping_neg() % 8).min(bytes.len());
        let (head, rest) = bytes.split_at(head);
        self.put_few(offset, head);
        let mut index = (offset + head.len()) / 8;
        let mut pieces = rest.chunks_exact(8);
        for piece in &mut pieces {
            self.put_word(index, little_endian(piece));
            index += 1;
        }
        self.put_few(index * 8, pieces.remainder());
    }

    /// Writes `len` zeros at byte `offset`.
    pub fn fill_zero(self, offset: usize, len: usize) {
        let end = offset.saturating_add(len).min(self.words.len() * 8);
        if offset >= end {
            return;
        }
        let (first, last) = (offset.div_ceil(8), end / 8);
        if first > last {
            return self.put_few(offset, &ZEROS[..end - offset]);
        }
        self.put_few(offset, &ZEROS[..first * 8 - offset]);
        self.words[first..last].iter().for_each(|word| store(word, 0));
        self.put_few(last * 8, &ZEROS[..end % 8]);
    }

    /// Moves `count` words from index `from` to index `to`; the two ranges may overlap.
    pub(crate) fn move_words(self, from: usize, to: usize, count: usize) {
        let count = count.min(self.words.len().saturating_sub(from.max(to)));
        if from < to {
            (0..count).rev().for_each(|i| store(&self.words[to + i], load(&self.words[from + i])));
        } else {
            (0..count).for_each(|i| store(&self.words[to + i], load(&self.words[from + i])));
        }
    }

    /// Copies `len` bytes from byte `from` to byte `to` of the page, in ascending order.
    pub(crate) fn copy_bytes(self, from: usize, to: usize, len: usize) {
        let len = len.min(self.words.len() * 8);
        let mut at = 0;
        while at < len {
            let step = (len - at).min(8);
            let piece = self.view().u64_at(from.saturating_add(at));
            self.put_bits(to.saturating_add(at), piece, step as u32 * 8);
            at += step;
        }
    }

    /// Fewer than eight bytes inside one word or two.
    #[inline]
    fn put_few(self, offset: usize, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.put_bits(offset, little_endian(bytes), bytes.len() as u32 * 8);
        }
    }

    /// The lowest `bits` (8 to 64) of `value` at byte `offset`.
    #[inline]
    fn put_bits(self, offset: usize, value: u64, bits: u32) {
        let mask = u64::MAX >> (64 - bits);
        let (index, shift) = (offset / 8, (offset % 8 * 8) as u32);
        self.merge(index, mask << shift, value << shift);
        if shift + bits > 64 {
            self.merge(index + 1, mask >> (64 - shift), value >> (64 - shift));
        }
    }

    #[inline]
    fn merge(self, index: usize, mask: u64, value: u64) {
        if let Some(word) = self.words.get(index) {
            let kept = if mask == u64::MAX { 0 } else { load(word) & !mask };
            store(word, kept | value & mask);
        }
    }
}

/// Up to eight bytes as a little-endian number.
#[inline]
fn little_endian(bytes: &[u8]) -> u64 {
    if let Ok(whole) = <[u8; 8]>::try_from(bytes) {
        return u64::from_le_bytes(whole);
    }
    bytes.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load_words;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 8 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn writes_equal_those_to_a_slice(at in 0usize..70, bytes in proptest::collection::vec(any::<u8>(), 0..40), number in any::<u64>(), from in 0usize..70) {
            let words: Vec<Word> = (0..8).map(|_| Word::new(0)).collect();
            let mut model: Vec<u8> = (1..=64).collect();
            load_words(&model, &words);
            let page = PageMut::new(&words);
            model.resize(256, 0);
            let same = |model: &mut Vec<u8>| {
                model[64..].fill(0);
                let mut all = vec![0; 64];
                page.view().copy_to(0, &mut all);
                all == model[..64]
            };
            page.put_bytes(at, &bytes);
            model[at..at + bytes.len()].copy_from_slice(&bytes);
            prop_assert!(same(&mut model));
            page.put_u16(from, number as u16);
            model[from..from + 2].copy_from_slice(&(number as u16).to_le_bytes());
            prop_assert!(same(&mut model));
            page.put_u32(at, number as u32);
            model[at..at + 4].copy_from_slice(&(number as u32).to_le_bytes());
            prop_assert!(same(&mut model));
            page.put_u64(from, number);
            model[from..from + 8].copy_from_slice(&number.to_le_bytes());
            prop_assert!(same(&mut model));
            page.fill_zero(at, bytes.len());
            model[at..at + bytes.len()].fill(0);
            prop_assert!(same(&mut model));
        }

        #[test]
        fn words_move_like_memmove(from in 0usize..10, to in 0usize..10, count in 0usize..10) {
            let words: Vec<Word> = (0..8).map(Word::new).collect();
            let mut model: Vec<u64> = (0..8).collect();
            PageMut::new(&words).move_words(from, to, count);
            let count = count.min(8usize.saturating_sub(from.max(to)));
            if count > 0 {
                model.copy_within(from..from + count, to);
            }
            let moved: Vec<u64> = words.iter().map(load).collect();
            prop_assert_eq!(moved, model);
        }
    }

    #[test]
    fn hostile_offsets_write_nothing() {
        let words: Vec<Word> = (0..2).map(|_| Word::new(5)).collect();
        let page = PageMut::new(&words);
        page.put_u64(usize::MAX, 1);
        page.put_bytes(usize::MAX, &[1; 20]);
        page.fill_zero(usize::MAX, usize::MAX);
        page.move_words(usize::MAX, 0, 3);
        page.copy_bytes(usize::MAX, usize::MAX, usize::MAX);
        assert!(words.iter().all(|word| load(word) == 5));
    }
}
