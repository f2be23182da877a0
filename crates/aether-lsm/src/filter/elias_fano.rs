//! Elias-Fano code: ascending numbers in about 2 + log2(end / count) bits each.
//!
//! Of each number the lower bits stand in a row of their own. The upper ones count zeros in a bitmap, in which each number is a one: so the
//! numbers with the same upper bits, a bucket, stand between two zeros.

use super::bits::{BitVec, Bits, Ranked, Select, ones_below};
use aether_types::{Reader, Result};

/// Reads the code.
#[derive(Clone, Copy, Debug)]
pub(super) struct EliasFano<'a> {
    count: usize,
    width: u32,
    upper: Ranked<'a>,
    lower: Bits<'a>,
}

/// Appends the code of `numbers`, ascending and below `end`, with `width` lower bits.
///
/// # Errors
/// `OverLimit` if there are too many.
pub(super) fn write(numbers: &[u64], end: u64, width: u32, out: &mut Vec<u8>) -> Result<()> {
    let mut upper = BitVec::zeros(upper_bits(numbers.len() as u64, end, width) as usize);
    let mut lower = BitVec::default();
    for (index, &number) in numbers.iter().enumerate() {
        upper.set((number >> width) as usize + index);
        lower.push_number(number, width);
    }
    upper.write_ranked(Select::Zeros, out)?;
    lower.write(out);
    Ok(())
}

/// A one for each number, a zero for each bucket.
pub(super) fn upper_bits(count: u64, end: u64, width: u32) -> u64 {
    count.saturating_add((end.saturating_sub(1) >> width) + 1)
}

impl<'a> EliasFano<'a> {
    /// Reads `count` numbers below `end` and checks how many bits there are; linear in the bytes.
    pub(super) fn read(reader: &mut Reader<'a>, count: u64, end: u64, width: u32) -> Result<Self> {
        let bits_max = (reader.remaining() as u64).saturating_mul(8);
        let upper_bits = upper_bits(count, end, width);
        if upper_bits > bits_max || count.saturating_mul(u64::from(width)) > bits_max {
            return Err(reader.bad(format!("{count} numbers below {end} need more bytes")));
        }
        let upper = Ranked::read(reader, upper_bits as usize, Select::Zeros)?;
        if upper.ones() as u64 != count {
            return Err(reader.bad(format!("{} numbers instead of {count}", upper.ones())));
        }
        let lower = Bits::read(reader, count as usize * width as usize)?;
        Ok(Self { count: count as usize, width, upper, lower })
    }

    /// The least number that is not below `least`.
    #[inline]
    pub(super) fn next(&self, least: u64) -> Option<u64> {
        let bucket = (least >> self.width) as usize;
        let mut at = if bucket == 0 { 0 } else { self.upper.select(bucket - 1) + 1 };
        let mut index = at.checked_sub(bucket)?;
        let rest = least & ones_below(self.width);
        while self.upper.bits().get(at) && index < self.count {
            let lower = self.lower.number(index, self.width);
            if lower >= rest {
                return Some((bucket as u64) << self.width | lower);
            }
            (at, index) = (at + 1, index + 1);
        }
        if index >= self.count {
            return None;
        }
        let bucket = self.upper.bits().next_one(at).checked_sub(index)? as u64;
        Some(bucket << self.width | self.lower.number(index, self.width))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_number_is_that_of_a_list(
            mut numbers in proptest::collection::vec(0_u64..5000, 0..400),
            width in 0_u32..8,
        ) {
            numbers.sort_unstable();
            let mut bytes = Vec::new();
            write(&numbers, 5000, width, &mut bytes).unwrap();
            let mut reader = Reader::new(&bytes);
            let coded = EliasFano::read(&mut reader, numbers.len() as u64, 5000, width).unwrap();
            prop_assert!(reader.finish().is_ok());
            for least in 0..5000 {
                let next = numbers.get(numbers.partition_point(|&number| number < least)).copied();
                prop_assert_eq!(coded.next(least), next, "from {}", least);
            }
        }
    }

    #[test]
    fn another_count_is_refused() {
        let mut bytes = Vec::new();
        write(&[1, 2, 3], 10, 0, &mut bytes).unwrap();
        let read = |count, end| EliasFano::read(&mut Reader::new(&bytes), count, end, 0);
        assert!(read(3, 10).is_ok());
        let error = read(2, 11).unwrap_err();
        assert!(error.what().contains("3 numbers instead of 2"), "{error}");
    }
}
