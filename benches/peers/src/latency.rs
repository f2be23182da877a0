//! Latencies in buckets of 1.6 % and their quantiles.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Buckets per doubling, as a power of two.
const SUB_BITS: u32 = 6;
const BUCKETS: usize = ((64 - SUB_BITS) as usize + 1) << SUB_BITS;

/// Counts of latencies, by size.
#[derive(Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    max_ns: u64,
}

/// What is printed of a histogram, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half of the operations took less.
    pub p50_ns: f64,
    /// All but one in a hundred took less.
    pub p99_ns: f64,
    /// All but one in a thousand took less.
    pub p999_ns: f64,
    /// The longest.
    pub max_ns: f64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], max_ns: 0 }
    }
}

fn bucket(ns: u64) -> usize {
    let shift = (63 - (ns | 1).leading_zeros()).saturating_sub(SUB_BITS);
    ((u64::from(shift) << SUB_BITS) + (ns >> shift)) as usize
}

/// The middle of a bucket.
fn middle(bucket: usize) -> f64 {
    let bucket = bucket as u64;
    let shift = (bucket >> SUB_BITS).saturating_sub(1);
    let low = (bucket - (shift << SUB_BITS)) << shift;
    low as f64 + ((1_u64 << shift) - 1) as f64 / 2.0
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        let ns = time.as_nanos() as u64;
        self.counts[bucket(ns)] += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds what another has counted.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(own, more)| *own += more);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// The quantiles; none if nothing was counted.
    pub fn quantiles(&self) -> Option<Quantiles> {
        let total: u64 = self.counts.iter().sum();
        let at = |share: f64| {
            let mut rest = (total as f64 * share).ceil() as u64;
            let found = self.counts.iter().position(|count| {
                let here = *count >= rest;
                rest = rest.saturating_sub(*count);
                here
            });
            middle(found.unwrap_or(BUCKETS - 1)).min(self.max_ns as f64)
        };
        (total > 0).then(|| Quantiles {
            p50_ns: at(0.5),
            p99_ns: at(0.99),
            p999_ns: at(0.999),
            max_ns: self.max_ns as f64,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_ascend_and_hold_what_they_say() {
        for ns in (0..1 << 20).chain((20..63).map(|shift| 3 << shift >> 1)) {
            let middle = middle(bucket(ns));
            assert!((middle - ns as f64).abs() <= ns as f64 / 64.0, "{ns} {middle}");
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn quantiles_of_a_thousand() {
        let (mut first, mut second) = (Histogram::default(), Histogram::default());
        (1..=500).for_each(|us| first.add(Duration::from_micros(us)));
        (501..=1000).for_each(|us| second.add(Duration::from_micros(us)));
        first.merge(&second);
        let found = first.quantiles().unwrap_or_default();
        let near = |ns: f64, us: f64| (ns / 1e3 - us).abs() < us / 50.0;
        assert!(near(found.p50_ns, 500.0) && near(found.p99_ns, 990.0) && near(found.p999_ns, 999.0));
        assert_eq!(found.max_ns, 1e6);
        assert_eq!(Histogram::default().quantiles(), None);
    }
}
