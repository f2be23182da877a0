//! How LSM trees are kept.

use crate::filter::FilterKind;
use crate::pacer::{Account, PacerConfig};
use crate::policy::PolicyKind;
use crate::run::Codec;

/// How the LSM trees of a home are kept. What was written with another configuration is read all the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LsmConfig {
    /// Bytes of rows in memory from which on they are flushed. Writers pay from half as much again on; at three times as much they pay as much
    /// as they add.
    pub memtable_bytes: u64,
    /// The merge policy of new trees.
    pub policy: PolicyKind,
    /// Runs of a level before they are merged, where a policy has such a number; none: the policy's own.
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

    pub(super) fn unit_bytes(&self) -> u64 {
        self.memtable_bytes.max(Self::MEMTABLE_BYTES_MIN)
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
