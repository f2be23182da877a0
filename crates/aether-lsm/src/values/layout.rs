//! The parts of a value file. Layout: `docs/formats.md`, "Value files".

use crate::run::{FOOTER_BYTES, FileKind, HEADER_BYTES, Seed};
use aether_types::{Error, Reader, Result, Writer, checksum};

/// What the header of a value file says of it.
pub(super) const KIND: FileKind =
    FileKind { magic: b"AETHSVAL", version: 1, what: "value file", unit: "piece length" };

const END_MAGIC: &[u8; 8] = b"AETHVEND";
/// The number of the footer's checksum.
const FOOTER: u64 = u64::MAX - 2;

/// Bytes of a value in a piece, but for the last one, which has what is left. With its checksum a piece takes 64 KiB.
pub(super) const PIECE_BYTES: usize = (64 << 10) - SUM_BYTES;
/// The checksum before each piece.
pub(super) const SUM_BYTES: usize = 8;

/// Bytes of the next piece of a value of which so much is left.
pub(super) fn piece_bytes(left: u64) -> usize {
    left.min(PIECE_BYTES as u64) as usize
}

/// Bytes that a value takes in the file: an empty one has a piece, too. None if no file is so long.
pub(super) fn stored_bytes(length: u64) -> Option<u64> {
    let pieces = length.div_ceil(PIECE_BYTES as u64).max(1);
    length.checked_add(pieces * SUM_BYTES as u64)
}

/// The checksum of a piece at `offset`, from which on so much of its value is left.
pub(super) fn piece_sum(seed: Seed, offset: u64, left: u64, piece: &[u8]) -> u64 {
    checksum(seed.of(offset) ^ left.wrapping_mul(0xa076_1d64_78bd_642f).rotate_left(23), piece)
}

/// What is in the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Footer {
    /// How many values, and their bytes.
    pub(super) values: u64,
    pub(super) value_bytes: u64,
    /// Where the last piece ends.
    pub(super) end: u64,
    pub(super) file_bytes: u64,
}

impl Footer {
    pub(super) fn encode(&self, seed: Seed) -> Vec<u8> {
        let mut out = END_MAGIC.to_vec();
        let numbers = [self.values, self.value_bytes, self.end, self.file_bytes, 0, 0];
        numbers.into_iter().for_each(|number| out.put_u64(number));
        let sum = checksum(seed.of(FOOTER), &out);
        out.put_u64(sum);
        out
    }

    /// Reads the footer of a file of `file_bytes`.
    ///
    /// # Errors
    /// `Corruption`: most often the file was cut.
    pub(super) fn decode(seed: Seed, bytes: &[u8], file_bytes: u64) -> Result<Self> {
        let at = file_bytes.saturating_sub(FOOTER_BYTES as u64);
        let bad = |what: &str| Err(Error::corruption(what).at_offset(at));
        let mut reader = Reader::new(bytes);
        if reader.bytes(8)? != END_MAGIC {
            return bad("the value file has no footer: it was cut, or never finished");
        }
        let (values, value_bytes, end) = (reader.u64()?, reader.u64()?, reader.u64()?);
        let (stated, _, _, sum) = (reader.u64()?, reader.u64()?, reader.u64()?, reader.u64()?);
        if sum != checksum(seed.of(FOOTER), &bytes[..FOOTER_BYTES - 8]) {
            return bad("the checksum of a value file's footer differs");
        }
        if stated != file_bytes || !(HEADER_BYTES as u64..=at).contains(&end) {
            return bad("the footer of a value file names places outside the file");
        }
        Ok(Self { values, value_bytes, end, file_bytes })
    }
}
