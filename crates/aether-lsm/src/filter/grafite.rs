//! Filter for short ranges of integers, whatever their distribution.
//!
//! Costa, Ferragina, Vinciguerra: "Grafite: Taming Adversarial Queries with Optimal Range Filters" (SIGMOD 2024). Integers are cut into
//! stretches as long as the reduced universe r; each stretch is laid over that universe, turned by a hash of the stretch's number:
//! h(x) = (q(x / r) + x) mod r. Neighbours stay neighbours, so a range becomes one or two ranges of codes, which are looked up in
//! an Elias-Fano code. Of n keys, a range of l integers without a key meets a code with at most the chance n * l / r, wherever it lies,
//! also right beside keys; the chance is over the seeds. With b bits per key r is about n * 2^(b - 2.2).
//!
//! Keys are byte strings; the filter knows the first eight bytes as a big-endian integer, shorter keys as if zeros followed. So longer
//! keys with the same eight bytes are one integer. If all keys have eight bytes, bounds are taken exactly. Ranges longer than
//! r are answered by "maybe": for these the run's first and last key must do.

use super::ascending::Ascending;
use super::elias_fano::{self, EliasFano};
use super::hash::mix;
use super::header::{FilterKind, Header, demand};
use super::interval;
use aether_types::{Reader, Result};
use core::ops::Bound;

/// All keys have eight bytes.
const FIXED: u8 = 1;
/// 2^61 - 1, the prime of the pairwise independent hash; numbers of stretches are below.
const PRIME: u128 = (1 << 61) - 1;
const REDUCED_MIN: u64 = 64;
const REDUCED_MAX: u64 = 1 << 50;
/// What a one of the code's bitmap takes with its share of the directory, and a zero with that of the samples as well.
const ONE_BITS: f64 = 17.0 / 16.0;
const ZERO_BITS: f64 = 18.0 / 16.0;

/// The hash that turns stretches of r integers over the reduced universe.
#[derive(Clone, Copy, Debug)]
struct Turning {
    reduced: u64,
    factor: u128,
    summand: u128,
}

impl Turning {
    fn new(reduced: u64, seed: u64) -> Self {
        let factor = u128::from(mix(seed ^ 1)) % (PRIME - 1) + 1;
        Self { reduced, factor, summand: u128::from(mix(seed ^ 2)) % PRIME }
    }

    #[inline]
    fn turn(&self, stretch: u64) -> u64 {
        (modulo_prime(self.factor * u128::from(stretch) + self.summand)) % self.reduced
    }

    #[inline]
    fn code(&self, number: u64) -> u64 {
        let (stretch, offset) = (number / self.reduced, number % self.reduced);
        (self.turn(stretch) + offset) % self.reduced
    }
}

#[inline]
fn modulo_prime(number: u128) -> u64 {
    let folded = (number & PRIME) + (number >> 61);
    let folded = (folded & PRIME) + (folded >> 61);
    if folded >= PRIME { (folded - PRIME) as u64 } else { folded as u64 }
}

/// Collects keys in ascending order.
#[derive(Debug)]
pub struct GrafiteBuilder {
    bits_per_key: f64,
    seed: u64,
    ascending: Ascending,
    fixed: bool,
    numbers: Vec<u64>,
}

impl GrafiteBuilder {
    /// A filter of `bits_per_key`; at least 4, at most 40. Who does not know `seed` cannot choose ranges that do worse than promised.
    pub fn new(bits_per_key: f64, seed: u64) -> Self {
        let bits_per_key = bits_per_key.clamp(4.0, 40.0);
        Self { bits_per_key, seed, ascending: Ascending::default(), fixed: true, numbers: Vec::new() }
    }

    /// Adds a key; the last one again changes nothing.
    ///
    /// # Errors
    /// `InvalidInput` if `key` is below the last one.
    pub fn add(&mut self, key: &[u8]) -> Result<()> {
        if !self.ascending.admit(key)? {
            return Ok(());
        }
        self.fixed &= key.len() == 8;
        let number = number(key);
        if self.numbers.last() != Some(&number) {
            self.numbers.push(number);
        }
        Ok(())
    }

    /// The bytes of the filter.
    ///
    /// # Errors
    /// `OverLimit` if the filter would have 512 MiB or more.
    pub fn finish(self) -> Result<Vec<u8>> {
        let (width, reduced) = self.shape();
        let turning = Turning::new(reduced, self.seed);
        let mut codes: Vec<u64> = self.numbers.iter().map(|&number| turning.code(number)).collect();
        codes.sort_unstable();
        codes.dedup();
        let mut header = Header::new(FilterKind::Grafite, codes.len());
        (header.parameter, header.flags) = (width as u8, if self.fixed { FIXED } else { 0 });
        header.numbers = [reduced, self.seed];
        let mut out = Vec::new();
        header.write(&mut out);
        elias_fano::write(&codes, reduced, width, &mut out)?;
        Ok(out)
    }

    /// Lower bits of a code, and the reduced universe. A key takes `width` lower bits, a one, and `buckets` zeros, 1 to 2.
    fn shape(&self) -> (u32, u64) {
        let width = (self.bits_per_key - ONE_BITS - ZERO_BITS).floor();
        let buckets = ((self.bits_per_key - width - ONE_BITS) / ZERO_BITS).clamp(1.0, 2.0);
        let reduced = self.numbers.len() as f64 * buckets * width.exp2();
        (width as u32, (reduced as u64).clamp(REDUCED_MIN, REDUCED_MAX))
    }
}

/// Reads such a filter.
#[derive(Clone, Copy, Debug)]
pub struct Grafite<'a> {
    turning: Turning,
    fixed: bool,
    count: u64,
    codes: EliasFano<'a>,
}

impl<'a> Grafite<'a> {
    /// Checks header, lengths and counts; linear in the bytes, at eight a step.
    ///
    /// # Errors
    /// `Corruption` that names the offset, or `Unsupported` for a later version.
    pub fn open(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader, FilterKind::Grafite)?;
        let [reduced, seed] = header.numbers;
        demand(header.parameter <= 48, 2, "too many lower bits")?;
        demand(header.flags & !FIXED == 0, 3, "unknown flags")?;
        demand((REDUCED_MIN..=REDUCED_MAX).contains(&reduced), 16, "a reduced universe out of bounds")?;
        let codes = EliasFano::read(&mut reader, header.keys, reduced, u32::from(header.parameter))?;
        reader.finish()?;
        let turning = Turning::new(reduced, seed);
        Ok(Self { turning, fixed: header.flags & FIXED != 0, count: header.keys, codes })
    }

    /// False if `key` was not added.
    #[inline]
    pub fn may_contain(&self, key: &[u8]) -> bool {
        if self.fixed && key.len() != 8 {
            return false;
        }
        let code = self.turning.code(number(key));
        self.meets(code, code)
    }

    /// False if no key between the bounds was added; in constant time but for the look-up of a code.
    #[inline]
    pub fn may_contain_range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
        if interval::is_empty(from, to) {
            return false;
        }
        let (Some(first), Some(last)) = (self.first(from), self.last(to)) else { return false };
        first <= last && self.may_contain_between(first, last)
    }

    /// False if no key that begins with `prefix` was added.
    pub fn may_contain_prefix(&self, prefix: &[u8]) -> bool {
        if prefix.len() > 8 {
            return !self.fixed && self.may_contain(prefix);
        }
        let rest = u64::MAX.checked_shr(8 * prefix.len() as u32).unwrap_or(0);
        self.may_contain_between(number(prefix), number(prefix) | rest)
    }

    /// True if no key was added at all.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The least integer that a key within the bound has.
    fn first(&self, from: Bound<&[u8]>) -> Option<u64> {
        let (key, excluded) = match from {
            Bound::Unbounded => return Some(0),
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        let above = self.fixed && (key.len() > 8 || excluded && key.len() == 8);
        number(key).checked_add(u64::from(above))
    }

    /// The largest integer that a key within the bound has.
    fn last(&self, to: Bound<&[u8]>) -> Option<u64> {
        let (key, excluded) = match to {
            Bound::Unbounded => return Some(u64::MAX),
            Bound::Included(key) => (key, false),
            Bound::Excluded(key) => (key, true),
        };
        let below = self.fixed && (key.len() < 8 || excluded && key.len() == 8);
        number(key).checked_sub(u64::from(below))
    }

    fn may_contain_between(&self, first: u64, last: u64) -> bool {
        let Turning { reduced, .. } = self.turning;
        if last - first >= reduced {
            return self.count > 0;
        }
        if first / reduced == last / reduced {
            return self.meets_turned(first, last);
        }
        let middle = last / reduced * reduced;
        self.meets_turned(first, middle - 1) || self.meets_turned(middle, last)
    }

    /// For integers of one stretch.
    #[inline]
    fn meets_turned(&self, first: u64, last: u64) -> bool {
        let (low, high) = (self.turning.code(first), self.turning.code(last));
        if low <= high {
            return self.meets(low, high);
        }
        self.meets(low, self.turning.reduced - 1) || self.meets(0, high)
    }

    #[inline]
    fn meets(&self, low: u64, high: u64) -> bool {
        self.codes.next(low).is_some_and(|code| code <= high)
    }
}

/// The first eight bytes, big-endian, as if zeros followed.
#[inline]
fn number(key: &[u8]) -> u64 {
    match key.first_chunk() {
        Some(bytes) => u64::from_be_bytes(*bytes),
        None => key.iter().enumerate().fold(0, |sum, (at, &byte)| sum | u64::from(byte) << (56 - 8 * at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remainder_by_the_prime_is_right() {
        for number in [0, 1, PRIME - 1, PRIME, PRIME + 1, PRIME * PRIME, u128::from(u64::MAX) << 58] {
            assert_eq!(u128::from(modulo_prime(number)), number % PRIME);
        }
    }

    #[test]
    fn neighbours_stay_neighbours_and_stretches_are_turned() {
        let turning = Turning::new(1000, 7);
        let codes: Vec<u64> = (5000..6000).map(|number| turning.code(number)).collect();
        assert!(codes.windows(2).all(|pair| pair[1] == (pair[0] + 1) % 1000));
        assert_ne!(turning.code(5000), turning.code(6000));
    }

    #[test]
    fn the_space_is_that_asked_for() {
        for tenths in 60..200 {
            let bits = f64::from(tenths) / 10.0;
            let mut builder = GrafiteBuilder::new(bits, 1);
            (0..4000_u64).for_each(|number| builder.add(&mix_up(number).to_be_bytes()).unwrap());
            let used = (builder.finish().unwrap().len() - 32) as f64 * 8.0 / 4000.0;
            assert!((used - bits).abs() < 0.15, "{used} bits instead of {bits}");
        }
    }

    fn mix_up(number: u64) -> u64 {
        (number << 50) + (mix(number) >> 20)
    }
}
