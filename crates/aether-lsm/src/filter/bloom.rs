//! Blocked Bloom filter: all bits of a key lie in one block of 64 bytes, so a probe costs one cache miss.
//!
//! Putze, Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters" (WEA 2007). The block is chosen by the high half
//! of the hash; the low half is multiplied by an odd constant for each bit, and its upper nine bits name the bit. Any number of
//! bits per key will do, also a fraction, since only the number of blocks follows from it.

use super::hash::KeyHash;
use super::header::{FilterKind, Header, demand, size};
use aether_types::{Reader, Result};

const BLOCK_BYTES: usize = 64;
const BLOCK_BITS: f64 = 512.0;
pub(crate) const PROBES_MAX: u8 = 24;
const BITS_PER_KEY_MAX: f64 = 64.0;

/// Up to how many bits per key one, two, three.. probes are best. Blocks fill unevenly, so these are fewer probes than
/// a Bloom filter without blocks would have; `the_number_of_probes_is_best` compares them with the model.
const PROBES_UP_TO: [f64; 12] = [2.08, 3.58, 5.1, 6.64, 8.3, 10.07, 11.72, 14.0, 16.05, 18.3, 22.0, 25.5];

/// Collects hashes of keys, in any order, duplicates included.
#[derive(Debug)]
pub struct BloomBuilder {
    bits_per_key: f64,
    hashes: Vec<KeyHash>,
}

impl BloomBuilder {
    /// A filter of `bits_per_key`; at least a hundredth, at most 64.
    pub fn new(bits_per_key: f64) -> Self {
        Self { bits_per_key: bits_per_key.clamp(0.01, BITS_PER_KEY_MAX), hashes: Vec::new() }
    }

    /// Adds a key by its hash.
    pub fn add(&mut self, hash: KeyHash) {
        self.hashes.push(hash);
    }

    /// The bytes of the filter.
    pub fn finish(self) -> Vec<u8> {
        let bits = self.hashes.len() as f64 * self.bits_per_key;
        let mut blocks = vec![[0_u8; BLOCK_BYTES]; (bits / BLOCK_BITS).ceil() as usize];
        let probes = probes(self.bits_per_key);
        for hash in &self.hashes {
            let at = block_of(*hash, blocks.len());
            let block = &mut blocks[at];
            places(*hash, probes).for_each(|(byte, bit)| block[byte] |= bit);
        }
        let mut header = Header::new(FilterKind::Bloom, self.hashes.len());
        (header.parameter, header.numbers[0]) = (probes, blocks.len() as u64);
        let mut out = Vec::new();
        header.write(&mut out);
        out.extend_from_slice(blocks.as_flattened());
        out
    }
}

/// Reads a blocked Bloom filter.
#[derive(Clone, Copy, Debug)]
pub struct Bloom<'a> {
    probes: u8,
    blocks: &'a [[u8; BLOCK_BYTES]],
}

impl<'a> Bloom<'a> {
    /// Checks header and length; constant time.
    ///
    /// # Errors
    /// `Corruption` that names the offset, or `Unsupported` for a later version.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader, FilterKind::Bloom)?;
        demand((1..=PROBES_MAX).contains(&header.parameter), 2, "a number of probes out of bounds")?;
        let count = size(header.numbers[0], 16)?;
        demand((count == 0) == (header.keys == 0), 16, "blocks without keys, or keys without blocks")?;
        let blocks = reader.bytes(count.saturating_mul(BLOCK_BYTES))?;
        reader.finish()?;
        Ok(Self { probes: header.parameter, blocks: blocks.as_chunks().0 })
    }

    /// False if no key with `hash` was added.
    #[inline]
    pub fn may_contain(&self, hash: KeyHash) -> bool {
        let Some(block) = self.blocks.get(block_of(hash, self.blocks.len())) else { return false };
        places(hash, self.probes).all(|(byte, bit)| block[byte] & bit != 0)
    }

    /// The same for a filter whose words behind the header `word` reads: of so many probes and blocks.
    #[inline]
    pub(crate) fn may_contain_in(
        hash: KeyHash,
        probes: u8,
        blocks: usize,
        word: impl Fn(usize) -> u64,
    ) -> bool {
        let first = block_of(hash, blocks) * (BLOCK_BYTES / 8);
        places(hash, probes).all(|(byte, bit)| word(first + byte / 8) >> (byte % 8 * 8) & u64::from(bit) != 0)
    }

    /// True if no key was added at all.
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The share of absent keys for which a filter of `bits_per_key` is expected to say "maybe".
    pub fn expected_rate(bits_per_key: f64) -> f64 {
        model(bits_per_key, probes(bits_per_key))
    }
}

/// The mean over the numbers of keys that a block may have, which are Poisson distributed.
fn model(bits_per_key: f64, probes: u8) -> f64 {
    let mean = BLOCK_BITS / bits_per_key;
    let end = (mean + 12.0 * mean.sqrt() + 12.0) as u32;
    let mut chance = (-mean).exp();
    let mut rate = 0.0;
    for keys in 0..end {
        let zero = (1.0 - 1.0 / BLOCK_BITS).powf(f64::from(keys) * f64::from(probes));
        rate += chance * (1.0 - zero).powi(i32::from(probes));
        chance *= mean / f64::from(keys + 1);
    }
    rate
}

fn probes(bits_per_key: f64) -> u8 {
    let above = |end: &&f64| bits_per_key > **end;
    let beyond = PROBES_UP_TO.iter().take_while(above).count();
    match beyond {
        12 => ((bits_per_key / 2.0) as u8).clamp(13, PROBES_MAX),
        few => few as u8 + 1,
    }
}

#[inline]
fn block_of(hash: KeyHash, blocks: usize) -> usize {
    (((hash.number() >> 32) * blocks as u64) >> 32) as usize
}

/// The places of a key in its block: byte, and mask in the byte.
#[inline]
fn places(hash: KeyHash, probes: u8) -> impl Iterator<Item = (usize, u8)> {
    let mut state = hash.number() as u32;
    (0..probes).map(move |_| {
        state = state.wrapping_mul(0x9e37_79b9);
        let place = state >> 23;
        ((place >> 3) as usize, 1 << (place & 7))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_probes_is_best() {
        for tenths in 10..=300 {
            let bits = f64::from(tenths) / 10.0;
            let best = (1..=PROBES_MAX).map(|probes| model(bits, probes)).fold(1.0, f64::min);
            let chosen = Bloom::expected_rate(bits);
            assert!(chosen <= best * 1.05, "{bits} bits: {} probes give {chosen}, best {best}", probes(bits));
        }
    }

    #[test]
    fn the_layout_is_that_of_the_formats_page() {
        let mut builder = BloomBuilder::new(10.0);
        (0..52_u32).for_each(|number| builder.add(KeyHash::of(&number.to_be_bytes())));
        let bytes = builder.finish();
        assert_eq!(bytes.len(), 32 + 2 * 64);
        assert_eq!(bytes[..8], [1, 1, 6, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[8..32], [[52, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0], [0; 8]].concat());
    }
}
