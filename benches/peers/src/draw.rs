//! Keys, values and chance.

use std::f64::consts::LN_2;

/// Bytes of a key.
pub const KEY_BYTES: usize = 20;

/// Bytes of a value.
pub const VALUE_BYTES: usize = 100;

/// Bytes of a row as the user counts them.
pub const ROW_BYTES: u64 = (KEY_BYTES + VALUE_BYTES) as u64;

/// The skew of YCSB's Zipf distribution.
pub const THETA: f64 = 0.99;

/// The key of a number: `user` and 16 digits. Loaded rows have even numbers, so odd ones are misses.
pub fn key(number: u64) -> [u8; KEY_BYTES] {
    let mut key = *b"user0000000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// The key of row `index` of a loaded set.
pub fn row_key(index: u64) -> [u8; KEY_BYTES] {
    key(index * 2)
}

/// A value that does not compress; it begins with `number`.
pub fn value(number: u64, salt: u64) -> [u8; VALUE_BYTES] {
    let mut value = [0; VALUE_BYTES];
    let mut rng = Rng::new(number ^ salt.rotate_left(32));
    for part in value.chunks_mut(8) {
        part.copy_from_slice(&rng.next().to_le_bytes()[..part.len()]);
    }
    value[..8].copy_from_slice(&number.to_le_bytes());
    value
}

/// Does `value` belong to `number`?
pub fn is_value_of(value: &[u8], number: u64) -> bool {
    value.len() == VALUE_BYTES && value.starts_with(&number.to_le_bytes())
}

/// Spreads numbers evenly (the finisher of splitmix64).
pub fn scatter(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A sequence of numbers that look random; the same for the same seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Begins at `seed`.
    pub fn new(seed: u64) -> Self {
        Self(scatter(seed) | 1)
    }

    /// The next number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// The next number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// The next fraction, from 0 up to 1.
    pub fn fraction(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// All numbers below `count`, shuffled.
    pub fn permutation(&mut self, count: u64) -> Vec<u32> {
        let mut numbers: Vec<u32> = (0..count as u32).collect();
        for at in (1..numbers.len()).rev() {
            numbers.swap(at, self.below(at as u64 + 1) as usize);
        }
        numbers
    }
}

/// Ranks below a bound by Zipf's law (Gray et al., Quickly Generating Billion-Record Synthetic Databases, SIGMOD 1994,
/// as YCSB does).
#[derive(Clone, Debug)]
pub struct Zipf {
    bound: u64,
    alpha: f64,
    zeta: f64,
    eta: f64,
}

impl Zipf {
    /// Ranks below `bound` with skew [`THETA`]. Takes time in proportion to `bound`.
    pub fn new(bound: u64) -> Self {
        let zeta: f64 = (1..=bound).map(|rank| (rank as f64).powf(-THETA)).sum();
        let zeta_two = 1.0 + (-THETA * LN_2).exp();
        let eta = (1.0 - (2.0 / bound as f64).powf(1.0 - THETA)) / (1.0 - zeta_two / zeta);
        Self { bound, alpha: 1.0 / (1.0 - THETA), zeta, eta }
    }

    /// A rank; 0 is the most frequent.
    pub fn rank(&self, rng: &mut Rng) -> u64 {
        let drawn = rng.fraction();
        let at = drawn * self.zeta;
        if at < 1.0 {
            return 0;
        }
        if at < 1.0 + (-THETA * LN_2).exp() {
            return 1;
        }
        let rank = self.bound as f64 * (self.eta * drawn - self.eta + 1.0).powf(self.alpha);
        (rank as u64).min(self.bound - 1)
    }

    /// A number below the bound; the frequent ones lie scattered.
    pub fn scattered(&self, rng: &mut Rng) -> u64 {
        scatter(self.rank(rng)) % self.bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_like_their_numbers() {
        assert!(key(9) < key(10) && key(10) < key(1_000_000));
        assert_eq!(&key(42), b"user0000000000000042");
    }

    #[test]
    fn values_tell_their_number() {
        assert!(is_value_of(&value(7, 1), 7));
        assert!(!is_value_of(&value(7, 1), 8));
        assert_ne!(value(7, 1), value(7, 2));
    }

    #[test]
    fn a_permutation_has_every_number_once() {
        let mut numbers = Rng::new(1).permutation(1000);
        assert!(!numbers.is_sorted());
        numbers.sort_unstable();
        assert!(numbers.iter().enumerate().all(|(at, number)| at as u32 == *number));
    }

    #[test]
    fn low_ranks_are_frequent_and_none_is_out_of_bounds() {
        let (zipf, mut rng) = (Zipf::new(10_000), Rng::new(1));
        let ranks: Vec<u64> = (0..100_000).map(|_| zipf.rank(&mut rng)).collect();
        let first = ranks.iter().filter(|rank| **rank == 0).count();
        let low = ranks.iter().filter(|rank| **rank < 100).count();
        assert!((8_000..12_000).contains(&first), "{first}");
        assert!((45_000..62_000).contains(&low), "{low}");
        assert!(ranks.iter().all(|rank| *rank < 10_000));
    }
}
