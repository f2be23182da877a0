//! What chance puts into a script.

use super::End;
use crate::model::{Bytes, State};
use crate::rng::Rng;
use crate::shape::KEY_BYTES_MAX;

/// A value that tells from which tag it was made, so that a script can name it in few letters.
pub(crate) fn tagged(tag: u32, length: usize) -> Bytes {
    let mut value = Rng::new(u64::from(tag)).bytes(length);
    value.iter_mut().zip(tag.to_le_bytes()).for_each(|(byte, own)| *byte = own);
    value.into()
}

pub(super) fn new_key(rng: &mut Rng) -> Bytes {
    let mut key = format!("row-{:06}", rng.below(1_000_000)).into_bytes();
    match rng.below(200) {
        0 => key.clear(),
        1 => key.resize(KEY_BYTES_MAX, b'+'),
        2..20 => key.resize(40, b'.'),
        _ => {}
    }
    key.into()
}

pub(super) fn value(rng: &mut Rng) -> Bytes {
    let length = if rng.chance(4) { 0 } else { rng.between(600, 900) };
    tagged(rng.word() as u32, length)
}

pub(super) fn end(rng: &mut Rng) -> End {
    match rng.below(100) {
        0..12 => End::Abort,
        12..20 => End::Weak,
        20..24 => End::Async,
        24..34 => End::Group,
        _ => End::Commit,
    }
}

pub(super) fn old_key(rng: &mut Rng, state: &State, space: &str) -> Option<Bytes> {
    let rows = state.rows(space)?;
    let place = rng.below(rows.len().max(1));
    rows.keys().nth(place).cloned()
}
