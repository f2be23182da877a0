//! Values that tell whose they are: owner, key, version, and bytes that follow from them and the seed.

use crate::oracle::Verdict;
use crate::rng::{Rng, derive};

/// Owner, key and version, 8 bytes each.
const HEADER_BYTES: usize = 24;

/// Key `number` of a client.
pub fn key(owner: usize, number: usize) -> Vec<u8> {
    format!("{owner:03}/{number:06}").into_bytes()
}

/// The value of a key in one version. A key's values are all of one length, so that the live set keeps its size.
pub fn value(seed: u64, owner: usize, number: usize, version: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [owner as u64, number as u64, version] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    let mut rng = Rng::new(derive(name(seed, owner, number), version));
    bytes.extend(rng.bytes(length(seed, owner, number)));
    bytes
}

/// The version of a value found under a key.
///
/// # Errors
/// If the value is not one of this key, or a byte of it is wrong.
pub fn check(seed: u64, owner: usize, number: usize, found: &[u8]) -> Verdict<u64> {
    let header = found.get(..HEADER_BYTES).ok_or("a value without a header")?;
    let version = u64::from_le_bytes(header[16..].try_into().map_err(|_| "a header has another length")?);
    if value(seed, owner, number, version) == found {
        return Ok(version);
    }
    let place = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
    Err(format!(
        "key {owner}/{number} holds {} bytes of key {}/{}, version {version}, and they are not right",
        found.len(),
        place(0),
        place(8)
    ))
}

fn name(seed: u64, owner: usize, number: usize) -> u64 {
    derive(seed, (owner as u64) << 32 | number as u64)
}

/// Most values are small, some take pages, a few take many.
fn length(seed: u64, owner: usize, number: usize) -> usize {
    let mut rng = Rng::new(name(seed, owner, number));
    match rng.below(1000) {
        0..850 => rng.between(0, 300),
        850..990 => rng.between(300, 8000),
        _ => rng.between(30_000, 300_000),
    }
}
