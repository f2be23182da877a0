//! Ribbon filter: points in little more than the space that theory allows, for a dearer build.
//!
//! Dillinger and Walzer: "Ribbon filter: practically smaller than Bloom and Xor" (2021). A key stands for an equation over bits: the
//! exclusive or of some of 128 neighbouring slots is the key's fingerprint. `band.rs` solves all equations together; a look-up
//! adds up slots and compares. The equations of absent keys hold by chance, with r bits to a slot once in 2^r.
//!
//! Slots near both ends would be met by fewer equations, so starts beyond the ends are moved to them ("smash"). A fraction of r comes
//! from columns: the first blocks of 64 slots have r rounded down, the rest one more.

mod band;

use super::hash::{KeyHash, mix, scale};
use super::header::{FilterKind, Header, demand, size};
use aether_types::{Reader, Result, Writer};
use band::Band;

/// Slots in an equation.
const WIDTH: usize = 128;
const BLOCK_SLOTS: usize = 64;
const COLUMNS_MAX: usize = 32;
/// How many starts beyond each end are moved to it.
const SMASH: usize = WIDTH / 4;
/// Seeds tried before more slots are, and attempts in all.
const SEEDS: u32 = 4;
const ATTEMPTS_MAX: u32 = 64;

/// What the slots of a filter are: blocks of 64, the first `narrow` of them with `columns` bits a slot, the rest with one more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Shape {
    blocks: usize,
    narrow: usize,
    columns: usize,
    seed: u32,
}

/// What one key demands: of the slots from `start` on, those in `coefficients` add up to `fingerprint`.
#[derive(Clone, Copy, Debug)]
struct Equation {
    start: usize,
    coefficients: u128,
    fingerprint: u32,
}

impl Shape {
    fn slots(&self) -> usize {
        self.blocks * BLOCK_SLOTS
    }

    /// Bits of a slot in `block`.
    #[inline]
    fn columns_of(&self, block: usize) -> usize {
        self.columns + usize::from(block >= self.narrow)
    }

    /// The word at which `block` starts.
    #[inline]
    fn word_of(&self, block: usize) -> usize {
        block * self.columns + block.saturating_sub(self.narrow)
    }

    #[inline]
    fn equation(&self, hash: KeyHash) -> Equation {
        let hash = hash.again(u64::from(self.seed) + 1);
        let starts = self.slots() - WIDTH + 1;
        let wide = scale(hash, (starts + 2 * SMASH) as u64) as usize;
        let start = wide.saturating_sub(SMASH).min(starts - 1);
        let low = mix(hash.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let high = mix(low.wrapping_add(0x9e37_79b9_7f4a_7c15));
        let coefficients = u128::from(low | 1) | u128::from(high) << 64;
        // The multiplication takes the fingerprint from other bits than the coefficients show.
        Equation { start, coefficients, fingerprint: (hash.wrapping_mul(0xd6e8_feb8_6659_fd93) >> 32) as u32 }
    }
}

/// Collects hashes of keys, in any order, duplicates included.
#[derive(Debug)]
pub struct RibbonBuilder {
    bits_per_key: f64,
    attempts_max: u32,
    hashes: Vec<KeyHash>,
}

impl RibbonBuilder {
    /// A filter of `bits_per_key` in all, of which slots that stay unused take a few per cent; at least 1, at most 32.
    pub fn new(bits_per_key: f64) -> Self {
        let bits_per_key = bits_per_key.clamp(1.0, COLUMNS_MAX as f64);
        Self { bits_per_key, attempts_max: ATTEMPTS_MAX, hashes: Vec::new() }
    }

    /// Adds a key by its hash.
    pub fn add(&mut self, hash: KeyHash) {
        self.hashes.push(hash);
    }

    /// The bytes of the filter. If no seed solves the equations, more slots are tried; should that never do, the filter has no columns
    /// and says "maybe" to every key.
    pub fn finish(self) -> Vec<u8> {
        let keys = self.hashes.len();
        let mut out = Vec::new();
        for seed in 0..self.attempts_max {
            let shape = self.shape(seed);
            if let Some(band) = solve(&self.hashes, &shape) {
                write(keys, &shape, &mut out);
                band.solution(&shape).iter().for_each(|&word| out.put_u64(word));
                return out;
            }
        }
        write(keys, &Shape { columns: 0, narrow: blocks(keys, 0.0), ..self.shape(0) }, &mut out);
        out
    }

    /// The bits of a slot are those of the first attempt, so later ones take more space.
    fn shape(&self, seed: u32) -> Shape {
        let keys = self.hashes.len();
        let more = f64::from(seed / SEEDS) * 0.01;
        let bits = self.bits_per_key * keys as f64 / (blocks(keys, 0.0) * BLOCK_SLOTS) as f64;
        let (bits, blocks) = (bits.max(1.0), blocks(keys, more));
        let narrow = ((1.0 - bits.fract()) * blocks as f64).round() as usize;
        Shape { blocks, narrow, columns: bits as usize, seed }
    }
}

/// Blocks that suffice for `keys`, mostly, and `more` than that.
fn blocks(keys: usize, more: f64) -> usize {
    let slots = keys as f64 * (slots_per_key(keys) + more);
    ((slots / BLOCK_SLOTS as f64).ceil() as usize).max(WIDTH / BLOCK_SLOTS)
}

/// The more keys, the sooner one of them contradicts the others: with so many slots, measured, more than half of all seeds do for 1,000
/// to 1,000,000 keys.
fn slots_per_key(keys: usize) -> f64 {
    1.0 + 0.0035 * ((keys.max(1) as f64).log2() - 10.0).max(0.0)
}

fn solve(hashes: &[KeyHash], shape: &Shape) -> Option<Band> {
    let mut band = Band::new(shape.slots());
    hashes.iter().all(|&hash| band.insert(shape.equation(hash))).then_some(band)
}

fn write(keys: usize, shape: &Shape, out: &mut Vec<u8>) {
    let mut header = Header::new(FilterKind::Ribbon, keys);
    (header.parameter, header.attempt) = (shape.columns as u8, shape.seed);
    header.numbers = [shape.blocks as u64, shape.narrow as u64];
    header.write(out);
}

/// Reads a ribbon filter.
#[derive(Clone, Copy, Debug)]
pub struct Ribbon<'a> {
    shape: Shape,
    keys: u64,
    words: &'a [[u8; 8]],
}

impl<'a> Ribbon<'a> {
    /// Checks header and length; constant time.
    ///
    /// # Errors
    /// `Corruption` that names the offset, or `Unsupported` for a later version.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader, FilterKind::Ribbon)?;
        let [blocks, narrow] = [size(header.numbers[0], 16)?, size(header.numbers[1], 24)?];
        let shape = Shape { blocks, narrow, columns: usize::from(header.parameter), seed: header.attempt };
        demand(shape.columns <= COLUMNS_MAX, 2, "more columns than a fingerprint has bits")?;
        demand((WIDTH / BLOCK_SLOTS..1 << 40).contains(&blocks), 16, "a number of blocks out of bounds")?;
        demand(narrow <= blocks, 24, "more narrow blocks than blocks")?;
        let wide = shape.columns < COLUMNS_MAX || narrow == blocks;
        demand(wide, 24, "more columns than a fingerprint has bits")?;
        let words = reader.bytes(shape.word_of(blocks) * 8)?.as_chunks().0;
        reader.finish()?;
        Ok(Self { shape, keys: header.keys, words })
    }

    /// False if no key with `hash` was added.
    #[inline]
    pub fn may_contain(&self, hash: KeyHash) -> bool {
        if self.keys == 0 {
            return false;
        }
        let Equation { start, coefficients, fingerprint } = self.shape.equation(hash);
        let (block, shift) = (start / BLOCK_SLOTS, start % BLOCK_SLOTS);
        let low = (coefficients as u64) << shift;
        let middle = (coefficients >> (BLOCK_SLOTS - shift)) as u64;
        let high = coefficients.checked_shr((2 * BLOCK_SLOTS - shift) as u32).unwrap_or(0) as u64;
        let at = [block, block + 1, block + 2].map(|block| self.shape.word_of(block));
        (0..self.shape.columns_of(block)).all(|column| {
            let sum = self.word(at[0] + column) & low
                ^ self.word(at[1] + column) & middle
                ^ self.word(at[2] + column) & high;
            sum.count_ones() & 1 == fingerprint >> column & 1
        })
    }

    /// True if no key was added at all.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).map_or(0, |word| u64::from_le_bytes(*word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(keys: u32, bits_per_key: f64) -> RibbonBuilder {
        let mut builder = RibbonBuilder::new(bits_per_key);
        (0..keys).for_each(|number| builder.add(KeyHash::of(&number.to_be_bytes())));
        builder
    }

    fn rate(bytes: &[u8], from: u32, count: u32) -> f64 {
        let ribbon = Ribbon::open(bytes).unwrap();
        let maybe = |number: &u32| ribbon.may_contain(KeyHash::of(&number.to_be_bytes()));
        (from..from + count).filter(maybe).count() as f64 / f64::from(count)
    }

    #[test]
    fn without_a_solution_the_filter_says_maybe_to_everything() {
        let bytes = RibbonBuilder { attempts_max: 0, ..builder(1000, 10.0) }.finish();
        assert_eq!(bytes.len(), 32);
        assert_eq!(rate(&bytes, 0, 10_000), 1.0);
    }

    #[test]
    fn a_failed_attempt_takes_another_seed_then_more_slots() {
        let builder = builder(20_000, 8.0);
        let [first, second, fifth] = [0, 1, SEEDS].map(|seed| builder.shape(seed));
        assert!(second.seed != first.seed && second.blocks == first.blocks);
        assert!(fifth.blocks > first.blocks && fifth.columns == first.columns);
        let far = builder.shape(40);
        let mut bytes = Vec::new();
        write(20_000, &far, &mut bytes);
        let band = solve(&builder.hashes, &far).unwrap();
        band.solution(&far).iter().for_each(|&word| bytes.put_u64(word));
        assert_eq!(rate(&bytes, 0, 20_000), 1.0);
    }

    /// Theory: log2(1 / rate) bits for each key.
    #[test]
    fn the_space_is_within_a_few_per_cent_of_theory() {
        for (keys, bits) in [(3_000, 10.0), (3_300, 9.5), (30_000, 8.0), (300_000, 7.3)] {
            let bytes = builder(keys, bits).finish();
            let rate = rate(&bytes, 1 << 30, 1_000_000);
            let used = (bytes.len() - 32) as f64 * 8.0 / f64::from(keys);
            let overhead = used / -rate.log2();
            println!("{keys} keys: {used:.2} bits, rate {rate:.5}, {overhead:.3} of theory");
            assert!(used <= bits * 1.03, "{used} bits of {bits}");
            assert!(overhead < 1.05, "{overhead} of theory");
        }
    }
}
