//! The checksum of a page (P3): it covers store, file, page number and PSN, so that a torn or misplaced page does
//! not pass. Here are the bytes on their way to storage and back; frame hints are 0 in them.

use crate::header::{FILE_AT, PAGE_NO_AT, PSN_AT};
use aether_types::{Error, FileId, PageNo, Psn, Result, checksum};

/// The odd constant and rotation that spread the place over the seed.
const PLACE_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const PLACE_ROTATION: u32 = 31;
/// The same for the PSN.
const PSN_FACTOR: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PSN_ROTATION: u32 = 27;

/// Stamps the checksum into a page made by [`copy_for_write`](crate::copy_for_write).
pub fn seal(bytes: &mut [u8], store_seed: u64) {
    let sum = sum_of(
        bytes,
        store_seed,
        FileId::new(u32_at(bytes, FILE_AT)),
        PageNo::new(u64_at(bytes, PAGE_NO_AT)),
    );
    if let Some(place) = bytes.first_chunk_mut() {
        *place = sum.to_le_bytes();
    }
}

/// Checks a page as read from `page` of `file`. Whoever expects pages that were never written asks
/// [`is_never_written`](crate::is_never_written) first: zeros do not pass here.
///
/// # Errors
/// `Corruption` naming file and page.
pub fn verify(bytes: &[u8], store_seed: u64, file: FileId, page: PageNo) -> Result<()> {
    let is_whole = u64_at(bytes, 0) == sum_of(bytes, store_seed, file, page);
    if is_whole && stands_at(bytes, file, page) && has_possible_psn(bytes) {
        return Ok(());
    }
    Err(Error::corruption(reason(bytes, file, page)).at_file(file).at_page(page))
}

fn has_possible_psn(bytes: &[u8]) -> bool {
    u64_at(bytes, PSN_AT) < Psn::END
}

fn stands_at(bytes: &[u8], file: FileId, page: PageNo) -> bool {
    u32_at(bytes, FILE_AT) == file.get() && u64_at(bytes, PAGE_NO_AT) == page.get()
}

fn reason(bytes: &[u8], file: FileId, page: PageNo) -> String {
    if crate::is_never_written(bytes) {
        return "a page that should hold data was never written".into();
    }
    if !has_possible_psn(bytes) {
        return "a page has a sequence number that none can have".into();
    }
    if stands_at(bytes, file, page) {
        return "the checksum of a page differs: it is torn, damaged or of another store".into();
    }
    let (file, page) = (u32_at(bytes, FILE_AT), u64_at(bytes, PAGE_NO_AT));
    format!("a page is damaged or misplaced: it calls itself page {page} of file {file}")
}

fn sum_of(bytes: &[u8], store_seed: u64, file: FileId, page: PageNo) -> u64 {
    let place = u64::from(file.get()) << PageNo::BITS | page.get();
    let place = place.wrapping_mul(PLACE_FACTOR).rotate_left(PLACE_ROTATION);
    let psn = u64_at(bytes, PSN_AT).wrapping_mul(PSN_FACTOR).rotate_left(PSN_ROTATION);
    checksum(store_seed ^ place ^ psn, bytes.get(PSN_AT..).unwrap_or_default())
}

pub(crate) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let piece = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    piece.map_or(0, |piece| u64::from_le_bytes(*piece))
}

pub(crate) fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    let piece = bytes.get(offset..).and_then(|rest| rest.first_chunk());
    piece.map_or(0, |piece| u32::from_le_bytes(*piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..4096u32).map(|i| (i * 7) as u8).collect();
        bytes[PSN_AT..PSN_AT + 8].copy_from_slice(&9u64.to_le_bytes());
        bytes[FILE_AT..FILE_AT + 4].copy_from_slice(&3u32.to_le_bytes());
        bytes[PAGE_NO_AT..PAGE_NO_AT + 8].copy_from_slice(&77u64.to_le_bytes());
        seal(&mut bytes, 5);
        bytes
    }

    const FILE: FileId = FileId::new(3);
    const PAGE: PageNo = PageNo::new(77);

    #[test]
    fn every_flipped_bit_is_found() {
        let mut bytes = page();
        assert!(verify(&bytes, 5, FILE, PAGE).is_ok());
        for bit in (0..bytes.len() * 8).step_by(if cfg!(miri) { 4001 } else { 1 }) {
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&bytes, 5, FILE, PAGE).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn the_place_counts() {
        let bytes = page();
        let error = verify(&bytes, 5, FILE, PageNo::new(78)).unwrap_err();
        assert!(error.to_string().contains("page 77 of file 3"), "{error}");
        assert_eq!((error.place().file, error.place().page), (Some(FILE), Some(PageNo::new(78))));
        assert!(verify(&bytes, 5, FileId::new(4), PAGE).is_err());
        assert!(verify(&bytes, 6, FILE, PAGE).is_err());
        let error = verify(&[0; 4096], 5, FILE, PAGE).unwrap_err();
        assert!(error.to_string().contains("never written"));
        assert!(verify(&[], 5, FILE, PAGE).is_err());
    }

    /// Sealed, and such that the next change would overflow.
    #[test]
    fn an_impossible_sequence_number_is_damage() {
        for (psn, is_possible) in [(Psn::END - 1, true), (Psn::END, false), (u64::MAX, false)] {
            let mut bytes = page();
            bytes[PSN_AT..PSN_AT + 8].copy_from_slice(&psn.to_le_bytes());
            seal(&mut bytes, 5);
            assert_eq!(verify(&bytes, 5, FILE, PAGE).is_ok(), is_possible, "{psn}");
        }
    }

    #[test]
    fn a_torn_page_is_found() {
        let (old, mut new) = (page(), page());
        new[PSN_AT] ^= 1;
        new[4000] ^= 1;
        seal(&mut new, 5);
        for sectors in 1..=6usize {
            let mut torn = old.clone();
            torn[..sectors * 512].copy_from_slice(&new[..sectors * 512]);
            assert!(verify(&torn, 5, FILE, PAGE).is_err());
        }
    }
}
