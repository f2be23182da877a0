//! Memory fit for direct I/O.

use core::fmt;
use core::ops::{Deref, DerefMut};

/// The alignment of offset, length and memory that every direct transfer satisfies on the devices of today.
pub const ALIGNMENT: usize = 4096;

/// Zeroed heap memory, aligned to [`ALIGNMENT`], a multiple of it long.
///
/// A vector with room to spare and an offset into it: no unsafe code, at the cost of up to a block of address
/// space. The vector is never resized, so its memory never moves.
pub struct AlignedBuf {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl AlignedBuf {
    /// Zeroed memory of `len` bytes, rounded up to a multiple of [`ALIGNMENT`].
    pub fn new(len: usize) -> Self {
        let len = len.next_multiple_of(ALIGNMENT);
        let memory = vec![0; len + ALIGNMENT - 1];
        let address = memory.as_ptr().addr();
        Self { start: address.next_multiple_of(ALIGNMENT) - address, memory, len }
    }
}

impl Deref for AlignedBuf {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

impl Clone for AlignedBuf {
    fn clone(&self) -> Self {
        let mut copy = Self::new(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl fmt::Debug for AlignedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AlignedBuf({} bytes)", self.len)
    }
}

/// True if `offset` and the memory and length of `bytes` allow a direct transfer.
pub(crate) fn is_aligned(offset: u64, bytes: &[u8]) -> bool {
    let parts = offset | bytes.len() as u64 | bytes.as_ptr().addr() as u64;
    parts.is_multiple_of(ALIGNMENT as u64) && !bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_aligned_rounded_zeroed_and_stays_when_moved() {
        for len in [0, 1, 4096, 4097, 1 << 20] {
            let mut buf = AlignedBuf::new(len);
            assert_eq!(buf.len(), len.next_multiple_of(ALIGNMENT));
            assert!(buf.iter().all(|byte| *byte == 0));
            buf.fill(7);
            let moved = [buf];
            assert!(moved[0].is_empty() || is_aligned(4096, &moved[0]));
            assert!(moved[0].clone().iter().all(|byte| *byte == 7));
        }
    }

    #[test]
    fn misaligned_parts_are_seen() {
        let buf = AlignedBuf::new(8192);
        assert!(is_aligned(0, &buf));
        assert!(!is_aligned(512, &buf) && !is_aligned(0, &buf[1..4097]) && !is_aligned(0, &buf[..100]));
    }
}
