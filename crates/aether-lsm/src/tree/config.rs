//! How LSM trees are kept.

use crate::filter::FilterKind;
use crate::pacer::{Account, PacerConfig};
use crate::policy::PolicyKind;
use crate::run::Codec;
use aether_types::{Error, Result};
use core::fmt::Display;
use core::ops::RangeInclusive;

/// How the LSM trees of a home are kept. What was written with another configuration is read all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LsmConfig {
    /// Bytes of rows in memory from which on they are flushed. Writers pay from half as much again on; at three times as much they pay as much
    /// as they add. From [`LsmConfig::MEMTABLE_BYTES_MIN`] to [`LsmConfig::MEMTABLE_BYTES_MAX`].
    pub memtable_bytes: u64,
    /// The merge policy of new trees.
    pub policy: PolicyKind,
    /// Runs of a level before they are merged, where a policy has such a number; none: the policy's own. From
    /// [`LsmConfig::LEVEL_RUNS_MIN`] to [`LsmConfig::LEVEL_RUNS_MAX`].
    pub level_runs: Option<usize>,
    /// How blocks of runs are compressed.
    pub codec: Codec,
    /// Bits of filter for each key, of all runs of a tree together; [`monkey`](crate::filter::monkey) shares them out. 0: no filters.
    pub filter_bits_per_key: f64,
    /// The kind of filter. `Bloom`: points. `Ribbon`: the same in less space, of runs with nothing below them; the others have `Bloom`. `Surf`:
    /// also ranges and prefixes of strings, and as long as keys demand. `Grafite`: also short ranges of integers of eight bytes.
    pub filter_kind: FilterKind,
    /// Values from here on stand in files of their own, and merges do not copy them; larger ones than a page holds always do.
    pub separate_bytes: usize,
    /// Threads that flush and merge, for all trees of the home. 0: those who write do all of it.
    pub threads: usize,
}

impl Default for LsmConfig {
    fn default() -> Self {
        Self {
            memtable_bytes: 64 << 20,
            policy: PolicyKind::Fast,
            level_runs: None,
            codec: Codec::default(),
            filter_bits_per_key: 10.0,
            filter_kind: FilterKind::Bloom,
            separate_bytes: 4 << 10,
            threads: 2,
        }
    }
}

impl LsmConfig {
    /// Bytes of a memtable at the least.
    pub const MEMTABLE_BYTES_MIN: u64 = 4 << 10;
    /// Bytes of a memtable at the most, so that sums of some of them are far from any overflow.
    pub const MEMTABLE_BYTES_MAX: u64 = 1 << 40;
    /// One run alone is no reason to merge.
    pub const LEVEL_RUNS_MIN: usize = 2;
    /// Runs of a level at the most.
    pub const LEVEL_RUNS_MAX: usize = 1 << 16;

    /// Finds out whether the options are within their bounds. Whoever opens a home with them asks first.
    ///
    /// # Errors
    /// `InvalidInput` naming the option and its bounds.
    pub fn check(&self) -> Result<()> {
        let (least, most) = (Self::MEMTABLE_BYTES_MIN, Self::MEMTABLE_BYTES_MAX);
        check_bounds("memtable_bytes", self.memtable_bytes, least..=most)?;
        let bounds = Self::LEVEL_RUNS_MIN..=Self::LEVEL_RUNS_MAX;
        self.level_runs.map_or(Ok(()), |runs| check_bounds("level_runs", runs, bounds))
    }

    /// Bytes of a memtable; within the bounds, also if nobody has checked them.
    pub(super) fn unit_bytes(&self) -> u64 {
        self.memtable_bytes.clamp(Self::MEMTABLE_BYTES_MIN, Self::MEMTABLE_BYTES_MAX)
    }

    /// The runs of a level, likewise.
    pub(super) fn level_runs(&self) -> Option<usize> {
        self.level_runs.map(|runs| runs.clamp(Self::LEVEL_RUNS_MIN, Self::LEVEL_RUNS_MAX))
    }

    pub(super) fn pacer(&self) -> PacerConfig {
        let unit = self.unit_bytes();
        // Half a memtable more than is flushed: what comes in while a flush goes on costs nobody anything.
        let low = unit + unit / 2;
        PacerConfig {
            flush_from: unit,
            memory: Account::new(low, 3 * unit),
            merging: Account::new(4 * unit, 16 * unit),
        }
    }
}

fn check_bounds<T: PartialOrd + Display>(option: &str, value: T, bounds: RangeInclusive<T>) -> Result<()> {
    if bounds.contains(&value) {
        return Ok(());
    }
    let (least, most) = bounds.into_inner();
    Err(Error::invalid(format!("{option} is {value}; it must be from {least} to {most}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aether_types::ErrorKind;

    fn config(memtable_bytes: u64, level_runs: usize) -> LsmConfig {
        LsmConfig { memtable_bytes, level_runs: Some(level_runs), ..LsmConfig::default() }
    }

    #[test]
    fn what_is_out_of_bounds_is_refused_by_name() {
        let (bytes, runs) = (LsmConfig::MEMTABLE_BYTES_MAX, LsmConfig::LEVEL_RUNS_MAX);
        for good in [LsmConfig::default(), config(4096, 2), config(bytes, runs)] {
            good.check().unwrap();
        }
        let bad = [
            (config(4095, 2), "memtable_bytes is 4095; it must be from 4096 to 1099511627776"),
            (config(bytes + 1, 2), "memtable_bytes is 1099511627777; it must be from 4096 to 1099511627776"),
            (config(4096, 1), "level_runs is 1; it must be from 2 to 65536"),
            (config(4096, runs + 1), "level_runs is 65537; it must be from 2 to 65536"),
        ];
        for (config, what) in bad {
            let refused = config.check().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
            assert!(refused.to_string().contains(what), "{refused}");
        }
    }

    #[test]
    fn no_number_overflows_what_is_made_of_it() {
        for (bytes, runs) in [(0, 0), (u64::MAX, usize::MAX)] {
            let config = config(bytes, runs);
            let (unit, pacer) = (config.unit_bytes(), config.pacer());
            assert!(
                pacer.flush_from == unit && unit < pacer.memory.low && pacer.memory.low < pacer.memory.high
            );
            assert_eq!(pacer.merging.high, 16 * unit);
            assert!(config.level_runs().is_some_and(|runs| (2..=1 << 16).contains(&runs)));
        }
    }
}
