//! Between page memory (words) and storage (bytes). Frame hints are known in memory only.

use crate::header::{PageType, TYPE_AT};
use crate::node::layout::{COUNT_AT, SLOTS_AT, UPPER_CHILD_AT, heap_offset};
use crate::seal::u64_at;
use crate::{Swip, View, radix};
use aether_sync::word::{Word, store};

/// Copies a page out for writing, with its frame hints masked. Bytes beyond the page become 0.
pub fn copy_for_write(view: View, out: &mut [u8]) {
    view.copy_to(0, out);
    mask_hints(out);
}

/// Clears the frame hints in the bytes of a page.
pub fn mask_hints(bytes: &mut [u8]) {
    let is = |page_type: PageType| bytes.get(TYPE_AT) == Some(&page_type.code());
    if is(PageType::Radix) {
        return mask_radix(bytes);
    }
    if !is(PageType::Inner) {
        return;
    }
    mask_at(bytes, UPPER_CHILD_AT);
    let slots_end = SLOTS_AT + 8 * usize::from(u64_at(bytes, COUNT_AT) as u16);
    for slot_at in (SLOTS_AT..slots_end.min(bytes.len())).step_by(8) {
        let entry = heap_offset(u64_at(bytes, slot_at));
        if entry >= slots_end {
            mask_at(bytes, entry);
        }
    }
}

fn mask_radix(bytes: &mut [u8]) {
    let shape = u64_at(bytes, radix::COUNT_AT);
    let (count, path_len) = (usize::from(shape as u16), usize::from((shape >> 16) as u16));
    let end = radix::children_at(path_len) + 8 * (count + 1);
    (radix::children_at(path_len)..end.min(bytes.len())).step_by(8).for_each(|at| mask_at(bytes, at));
}

fn mask_at(bytes: &mut [u8], offset: usize) {
    let Some(word) = bytes.get_mut(offset..).and_then(|rest| rest.first_chunk_mut::<8>()) else { return };
    *word = Swip::from_word(u64::from_le_bytes(*word)).without_hint().word().to_le_bytes();
}

/// True if the page was never written: all its bytes are 0.
pub fn is_never_written(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words.iter().all(|word| u64::from_le_bytes(*word) == 0) && rest.iter().all(|byte| *byte == 0)
}

/// Fills page memory from bytes read; words beyond the bytes become 0.
pub fn load_words(bytes: &[u8], words: &[Word]) {
    let (pieces, _) = bytes.as_chunks::<8>();
    let pieces = pieces.iter().map(|piece| u64::from_le_bytes(*piece)).chain(core::iter::repeat(0));
    for (word, value) in words.iter().zip(pieces) {
        store(word, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_bytes_are_the_same_page() {
        let bytes: Vec<u8> = (0..64).collect();
        let words: Vec<Word> = (0..10).map(|_| Word::new(9)).collect();
        load_words(&bytes, &words);
        let mut out = vec![1; 80];
        copy_for_write(View::new(&words), &mut out);
        assert_eq!(out[..64], bytes[..]);
        assert!(is_never_written(&out[64..]) && !is_never_written(&out));
    }

    #[test]
    fn hostile_inner_pages_are_masked_without_panic() {
        let mut bytes = vec![0xff; 4096];
        for page_type in [PageType::Inner, PageType::Radix] {
            bytes[TYPE_AT] = page_type.code();
            mask_hints(&mut bytes);
            mask_hints(&mut bytes[..20]);
            mask_hints(&mut bytes[..0]);
        }
    }
}
