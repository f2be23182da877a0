//! A door for fuzz targets, which no program needs: what they make up is sealed here, so that a checksum does not stop
//! every mutation before the code behind it.

use crate::record::{
    BLOCK_BYTES, FIRST_KIND, HEADER_BYTES, Head, Parsed, Seed, Vector, framed_bytes, parse, read_vector, sum,
};
use crate::segment::{NEXT_AT, SUMMED_BYTES};
use aether_types::{Reader, Result, StoreId, StreamId, checksum, limits::STREAMS_MAX};

/// The offset of the store's id in the header of a segment.
pub const STORE_AT: usize = 24;

/// Stamps the checksums of a segment's file, as its own header tells store, epoch and stream: of the header, of the
/// note that another segment follows, and of whatever can be a record.
pub fn seal_segment(bytes: &mut [u8]) {
    let Some(header) = bytes.first_chunk::<{ BLOCK_BYTES as usize }>() else { return };
    let mut id = [0; 16];
    id.copy_from_slice(&header[STORE_AT..STORE_AT + 16]);
    let (store, stream) = (StoreId::new(id), StreamId::new(header[20] % STREAMS_MAX as u8));
    let (epoch, sequence, first) = (word(bytes, 40), word(bytes, 48), word(bytes, 56));
    stamp(bytes, 0, SUMMED_BYTES, store.seed());
    stamp(bytes, NEXT_AT as usize, 16, store.seed() ^ sequence);
    seal_records(bytes, Seed::new(store, epoch, stream), first);
}

/// Records lie one behind another; behind what can be none, another flush may start at the next block.
fn seal_records(bytes: &mut [u8], seed: Seed, first: u64) {
    let mut at = BLOCK_BYTES as usize;
    while let Some(rest) = bytes.get_mut(at..).filter(|rest| rest.len() >= HEADER_BYTES as usize) {
        let lsn = first.wrapping_add((at as u64).wrapping_sub(BLOCK_BYTES));
        at = match seal_record(rest, seed, lsn) {
            Some(size) => at + size,
            None => (at / BLOCK_BYTES as usize + 1) * BLOCK_BYTES as usize,
        };
    }
}

/// Seals the record at the start of `bytes`, if there can be one, and returns its size.
fn seal_record(bytes: &mut [u8], seed: Seed, lsn: u64) -> Option<usize> {
    let (header, rest) = bytes.split_at_mut_checked(HEADER_BYTES as usize)?;
    let head = Head::parse(word(header, 0))?;
    let body = rest.get(..head.body_bytes() as usize)?;
    header[8..].copy_from_slice(&sum(seed, lsn, head, &[], body).to_le_bytes());
    Some(framed_bytes(head.body_bytes()) as usize)
}

/// Writes the checksum of the `count` bytes at `at` behind them.
fn stamp(bytes: &mut [u8], at: usize, count: usize, seed: u64) {
    let sum = checksum(seed, &bytes[at..at + count]);
    bytes[at + count..at + count + 8].copy_from_slice(&sum.to_le_bytes());
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let piece = bytes.get(at..).and_then(|rest| rest.first_chunk());
    piece.map_or(0, |piece| u64::from_le_bytes(*piece))
}

/// Reads a vector as records carry it, and writes it again.
///
/// # Errors
/// `Corruption`.
pub fn vector_again(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut reader = Reader::new(bytes);
    let lv = read_vector(&mut reader)?;
    reader.finish()?;
    Ok(Vector::of(&lv).as_bytes().to_vec())
}

/// Kind and body, without its vector, of every record in a segment's file, up to the first that is none.
pub fn bodies(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut id = [0; 16];
    let Some(header) = bytes.get(STORE_AT..STORE_AT + 16) else { return Vec::new() };
    id.copy_from_slice(header);
    let seed = Seed::new(StoreId::new(id), word(bytes, 40), StreamId::new(bytes[20] % STREAMS_MAX as u8));
    let (mut at, mut found) = (BLOCK_BYTES, Vec::new());
    while let Some(Parsed::Record(frame)) =
        bytes.get(at as usize..).map(|rest| parse(seed, word(bytes, 56) + at - BLOCK_BYTES, rest))
    {
        if let Some((_, body)) = frame.split().ok().filter(|_| frame.kind >= FIRST_KIND) {
            found.push((frame.kind, body.to_vec()));
        }
        at += frame.bytes();
    }
    found
}
