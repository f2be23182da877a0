//! Whether a quantity grows: the median of the last third of a run against that of the middle third.

use super::gauge::Sample;
use serde_json::{Value, json};
use std::fmt;

/// How much more than in the middle third the last may show.
const GROWTH_PERCENT_MAX: f64 = 5.0;

/// One quantity over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Its name.
    pub name: &'static str,
    /// The medians of the three thirds.
    pub medians: [u64; 3],
    /// The largest value.
    pub most: u64,
}

/// Reads a quantity off a sample.
type Of = fn(&Sample) -> u64;

/// The trend of each quantity.
pub fn trends(samples: &[Sample]) -> Vec<Trend> {
    let quantities: [(&str, Of); 4] = [
        ("memory", |sample| sample.resident_bytes),
        ("open files", |sample| sample.open_files),
        ("files", |sample| sample.files),
        ("home bytes", |sample| sample.home_bytes),
    ];
    let trend =
        |(name, of): (&'static str, Of)| Trend::new(name, &samples.iter().map(of).collect::<Vec<_>>());
    quantities.into_iter().map(trend).collect()
}

impl Trend {
    /// The trend of a quantity, measured at equal intervals.
    pub fn new(name: &'static str, values: &[u64]) -> Self {
        let third = |n: usize| median(&values[values.len() * n / 3..values.len() * (n + 1) / 3]);
        let most = values.iter().copied().max().unwrap_or(0);
        Self { name, medians: [third(0), third(1), third(2)], most }
    }

    /// How much more the last third shows than the middle one, in percent.
    pub fn growth_percent(&self) -> f64 {
        let [_, middle, last] = self.medians;
        if middle == 0 { 0.0 } else { (last as f64 / middle as f64 - 1.0) * 100.0 }
    }

    /// True if that is more than may be. One file more is no growth: the log has one segment more or less.
    pub fn grows(&self) -> bool {
        let [_, middle, last] = self.medians;
        last > middle + 1 && self.growth_percent() > GROWTH_PERCENT_MAX
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "name": self.name,
            "medians": self.medians,
            "most": self.most,
            "growth_percent": self.growth_percent(),
            "grows": self.grows(),
        })
    }
}

impl fmt::Display for Trend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, middle, last] = self.medians;
        let growth = format!("{:+.1} %", self.growth_percent());
        write!(f, "{:<12} {first:>14} {middle:>14} {last:>14} {:>14} {growth:>8}", self.name, self.most)
    }
}

fn median(values: &[u64]) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or(0)
}
