//! Solves the equations: elimination while they come, then back-substitution from the last slot to the first.

use super::{BLOCK_SLOTS, Equation, Shape};

/// Equations in echelon form: slot i has at most one, whose first coefficient is slot i.
#[derive(Debug)]
pub(super) struct Band {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Row {
    coefficients: u128,
    fingerprint: u32,
}

impl Band {
    /// No equations over `slots`.
    pub(super) fn new(slots: usize) -> Self {
        Self { rows: vec![Row::default(); slots] }
    }

    /// Adds an equation. False if it contradicts the others; one that follows from them is fine.
    pub(super) fn insert(&mut self, equation: Equation) -> bool {
        let Equation { mut start, mut coefficients, mut fingerprint } = equation;
        while coefficients != 0 {
            let shift = coefficients.trailing_zeros();
            start += shift as usize;
            coefficients >>= shift;
            let row = &mut self.rows[start];
            if row.coefficients == 0 {
                *row = Row { coefficients, fingerprint };
                return true;
            }
            coefficients ^= row.coefficients;
            fingerprint ^= row.fingerprint;
        }
        fingerprint == 0
    }

    /// The slots, block by block, in each block a word for each column. Slots that no equation determines are zeros.
    pub(super) fn solution(&self, shape: &Shape) -> Vec<u64> {
        let columns = shape.columns_of(shape.blocks - 1);
        let mut words = vec![0; shape.word_of(shape.blocks)];
        // Of each column the slots behind the one in hand, the nearest lowest.
        let mut behind = vec![0_u128; columns];
        for (slot, row) in self.rows.iter().enumerate().rev() {
            let (block, bit) = (slot / BLOCK_SLOTS, slot % BLOCK_SLOTS);
            let at = shape.word_of(block);
            for (column, behind) in behind.iter_mut().enumerate() {
                *behind <<= 1;
                let wanted = row.fingerprint >> column & 1;
                let sum = (*behind & row.coefficients).count_ones() & 1;
                let value = u128::from((wanted ^ sum) & u32::from(row.coefficients != 0));
                *behind |= value;
                if column < shape.columns_of(block) {
                    words[at + column] |= (value as u64) << bit;
                }
            }
        }
        words
    }
}
