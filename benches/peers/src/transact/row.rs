//! Rows: a key of a table and up to four numbers; a value of three numbers and padding that does not compress.

use crate::draw::Rng;
use crate::engine::{Access, Failure, Intent, Result};

/// A table byte and four numbers, which sort by table, then by number.
pub(super) type Key = [u8; 17];

const FIELDS: usize = 3;

/// The key of a row; numbers that a table has no use for are 0.
pub(super) fn key(table: u8, numbers: [u32; 4]) -> Key {
    let mut key = [table; 17];
    for (part, number) in key[1..].chunks_mut(4).zip(numbers) {
        part.copy_from_slice(&number.to_be_bytes());
    }
    key
}

/// The table and the numbers of a key.
pub(super) fn parts(key: &[u8]) -> Result<(u8, [u32; 4])> {
    let key = Key::try_from(key).map_err(|_| Failure::from("a key of another length"))?;
    let mut numbers = [0; 4];
    for (number, part) in numbers.iter_mut().zip(key[1..].chunks(4)) {
        *number = part.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    }
    Ok((key[0], numbers))
}

/// Replaces what `out` holds by a value of `length` bytes.
pub(super) fn encode(fields: [i64; FIELDS], length: usize, out: &mut Vec<u8>) {
    out.clear();
    fields.iter().for_each(|field| out.extend_from_slice(&field.to_le_bytes()));
    let mut rng = Rng::new(length as u64);
    while out.len() < length {
        let rest = length - out.len();
        out.extend_from_slice(&rng.next().to_le_bytes()[..rest.min(8)]);
    }
}

/// The numbers of a value.
pub(super) fn fields(value: &[u8]) -> Result<[i64; FIELDS]> {
    let mut fields = [0; FIELDS];
    let words = value.get(..FIELDS * 8).ok_or_else(|| Failure::from("a value is too short"))?;
    for (field, word) in fields.iter_mut().zip(words.chunks(8)) {
        *field = word.iter().rev().fold(0, |field, byte| field << 8 | i64::from(*byte));
    }
    Ok(fields)
}

/// Reads a row that must be there, leaving its value in `value`.
pub(super) fn read(
    txn: &mut dyn Access,
    key: &Key,
    intent: Intent,
    value: &mut Vec<u8>,
) -> Result<[i64; FIELDS]> {
    value.clear();
    if !txn.get(key, intent, value)? {
        return Err(Failure::from(format!("the row {key:?} is missing")));
    }
    fields(value)
}

/// Replaces the numbers of a row, and nothing else of it; the numbers from before.
pub(super) fn update(
    txn: &mut dyn Access,
    key: &Key,
    value: &mut Vec<u8>,
    change: impl FnOnce([i64; FIELDS]) -> [i64; FIELDS],
) -> Result<[i64; FIELDS]> {
    let before = read(txn, key, Intent::Update, value)?;
    for (word, field) in value.chunks_mut(8).zip(change(before)) {
        word.copy_from_slice(&field.to_le_bytes());
    }
    txn.put(key, value)?;
    Ok(before)
}
