//! Which filters the runs of a tree get, and which of them scans ask.

use super::config::LsmConfig;
use crate::filter::{FilterKind, Recipe, Suffix, monkey};
use crate::run::RunHome;

/// Bits of a key behind what tells it from others: below that few empty ranges of strings are told (`docs/decisions.md`).
const SUFFIX: Suffix = Suffix::Real(8);

/// How a tree's filters are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filters {
    kind: FilterKind,
    bits_per_key: f64,
    /// Of this store alone, so that nobody outside finds ranges that pass.
    seed: u64,
}

impl Filters {
    pub(super) fn new(config: &LsmConfig, home: &RunHome) -> Self {
        let (kind, bits_per_key) = (config.filter_kind, config.filter_bits_per_key);
        Self { kind, bits_per_key, seed: home.store.seed() }
    }

    /// True if filters may tell that a range has no keys.
    pub(super) fn tell_ranges(&self) -> bool {
        matches!(self.kind, FilterKind::Surf | FilterKind::Grafite)
    }

    /// The filter of a run of so many entries, beside `others`; `is_last`: nothing lies below it.
    pub(super) fn recipe(
        &self,
        entries: u64,
        others: impl Iterator<Item = u64>,
        is_last: bool,
    ) -> Option<Recipe> {
        let mut all = vec![entries.max(1)];
        all.extend(others);
        let budget = self.bits_per_key * all.iter().sum::<u64>() as f64;
        let bits_per_key = monkey::bits_per_run(&all, budget as u64)[0];
        let point = Recipe::bloom(bits_per_key)?;
        Some(match self.kind {
            FilterKind::Ribbon if is_last => Recipe::Ribbon { bits_per_key },
            FilterKind::Bloom | FilterKind::Ribbon => point,
            FilterKind::Surf => Recipe::Surf { suffix: SUFFIX },
            FilterKind::Grafite => Recipe::Grafite { bits_per_key, seed: self.seed },
        })
    }
}
