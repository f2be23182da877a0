//! The parts of a value file. Layout: `docs/formats.md`, "Value files".

use crate::run::{FileKind, HEADER_BYTES, Seed, check_footer, footer, footer_at};
use aether_types::{Error, Result, checksum};

/// What the header of a value file says of it.
pub(super) const KIND: FileKind = FileKind {
    magic: b"AETHSVAL",
    end_magic: b"AETHVEND",
    version: 1,
    what: "value file",
    unit: "piece length",
};

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
        footer(&KIND, seed, [self.values, self.value_bytes, self.end], self.file_bytes)
    }

    /// Reads the footer of a file of `file_bytes`, the end of `bytes`.
    ///
    /// # Errors
    /// `Corruption`: most often the file was cut.
    pub(super) fn decode(seed: Seed, bytes: &[u8], file_bytes: u64) -> Result<Self> {
        let [values, value_bytes, end] = check_footer(&KIND, seed, bytes, file_bytes)?;
        let at = footer_at(file_bytes);
        if !(HEADER_BYTES as u64..=at).contains(&end) {
            let what = "the footer of a value file names places outside the file";
            return Err(Error::corruption(what).at_offset(at));
        }
        Ok(Self { values, value_bytes, end, file_bytes })
    }
}
