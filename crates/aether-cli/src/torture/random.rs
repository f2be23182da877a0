//! A small deterministic generator (SplitMix64), so that a seed tells the whole workload.

/// A stream of numbers from a seed.
pub(super) struct Random(u64);

impl Random {
    /// The stream of a seed and what distinguishes this user of it.
    pub(super) fn new(seed: u64, client: u64, found: u64) -> Self {
        let mut mixed = Self(seed ^ client.wrapping_mul(0xd6e8_feb8_6659_fd93) ^ found.rotate_left(32));
        mixed.next();
        mixed
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in `percent` of a hundred calls.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}
