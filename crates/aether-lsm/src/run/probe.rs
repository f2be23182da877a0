//! Asking a filter that lies in a frame.

use crate::filter::{Bloom, Filter, FilterKind, HEADER_BYTES, KeyHash, PROBES_MAX};
use aether_index::txn::recovery::wal::buffer::page::{View, header};
use core::ops::Bound;

const START: usize = header::HEADER_BYTES;
const WORDS_AT: usize = (START + HEADER_BYTES) / 8;
const VERSION: u8 = 1;

/// False if the filter's run does not have `key` in this part; none for what is no filter.
#[inline]
pub(super) fn may_contain(view: View<'_>, key: &[u8], hash: KeyHash) -> Option<bool> {
    let word = view.word(START / 8);
    if word as u8 != FilterKind::Bloom as u8 {
        return other(view, key, hash);
    }
    let (version, probes) = ((word >> 8) as u8, (word >> 16) as u8);
    let blocks = view.word(START / 8 + 2);
    let room = (view.len_bytes() - START - HEADER_BYTES) as u64 / 64;
    if version != VERSION || !(1..=PROBES_MAX).contains(&probes) || !(1..=room).contains(&blocks) {
        return None;
    }
    Some(Bloom::may_contain_in(hash, probes, blocks as usize, |at| view.word(WORDS_AT + at)))
}

/// False if the filter's run has no key between the bounds in this part; none for what is no filter.
pub(super) fn may_contain_range(view: View<'_>, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Option<bool> {
    Some(Filter::open(&copy(view)).ok()?.may_contain_range(from, to))
}

/// Of the other kinds a copy is made.
fn other(view: View<'_>, key: &[u8], hash: KeyHash) -> Option<bool> {
    Some(Filter::open(&copy(view)).ok()?.may_contain_hashed(key, hash))
}

fn copy(view: View<'_>) -> Vec<u8> {
    let len = view.word(view.len_bytes() / 8 - 1) as usize;
    let mut bytes = Vec::new();
    view.append_to(START, len, &mut bytes);
    bytes
}
