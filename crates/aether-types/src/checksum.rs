//! Checksums: XXH3-64 with a seed that names the place of the bytes, so that misplaced bytes do not pass.

use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

/// The checksum of `bytes` under `seed`. Never 0, so that zeroed storage is never valid.
pub fn checksum(seed: u64, bytes: &[u8]) -> u64 {
    nonzero(xxh3_64_with_seed(bytes, seed))
}

/// A checksum over several pieces.
pub struct Hasher(Xxh3);

impl Hasher {
    /// Starts a checksum under `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Xxh3::with_seed(seed))
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// Adds a number.
    pub fn number(&mut self, number: u64) -> &mut Self {
        self.update(&number.to_le_bytes())
    }

    /// The checksum; never 0.
    pub fn finish(&self) -> u64 {
        nonzero(self.0.digest())
    }
}

fn nonzero(sum: u64) -> u64 {
    if sum == 0 { 1 } else { sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_equal_whole_and_the_seed_counts() {
        let whole = checksum(5, b"onetwo");
        assert_eq!(Hasher::new(5).update(b"one").update(b"two").finish(), whole);
        assert_ne!(checksum(6, b"onetwo"), whole);
    }
}
