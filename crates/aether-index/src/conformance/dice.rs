//! Random numbers that a seed repeats.

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed ^ 0x6b69_6e64_735f_6f6b)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// True once in `times`.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// Keys that lie close together, nest in each other, run far apart, and are as long as a page allows.
    pub(super) fn key(&mut self) -> Vec<u8> {
        match self.below(10) {
            0..=4 => format!("user/{:05}", self.below(2500)).into_bytes(),
            5 | 6 => (self.below(4000) as u64 * 0x0001_0000_0001).to_be_bytes().to_vec(),
            7 => vec![[0, b'a', b'b', 255][self.below(4)]; self.below(40)],
            8 => vec![b'k'; 200 + self.below(700)],
            _ => (0..self.below(12)).map(|_| self.next() as u8).collect(),
        }
    }

    /// Mostly small values, some as large as a leaf takes, some in extents, some so long that none lies with its row.
    pub(super) fn value(&mut self) -> Vec<u8> {
        let len = match self.below(12) {
            0..=7 => self.below(120),
            8..=10 => 200 + self.below(700),
            _ if self.below(24) == 0 => 66_000 + self.below(3000),
            _ => 900 + self.below(9000),
        };
        let first = self.next() as u8;
        (0..len).map(|at| first.wrapping_add(at as u8)).collect()
    }
}
