//! How many bits per key each run's filter gets out of a budget of memory.
//!
//! Dayan, Athanassoulis, Idreos: "Monkey: Optimal Navigable Key-Value Store" (SIGMOD 2017). A look-up of an absent key reads each run
//! with the false-positive rate of that run's filter, so the sum of the rates is what it costs. A bit per key costs memory in
//! proportion to the run's entries and gains the same everywhere: the sum is least when each rate is in proportion to
//! the run's entries. Small runs get more bits, the largest may get none.

/// Of a Bloom filter with b bits per key the rate is `e^(-b * LN2_SQUARED)`.
const LN2_SQUARED: f64 = core::f64::consts::LN_2 * core::f64::consts::LN_2;

/// Bits per key for each of the runs with so many `entries`, in their order; all filters together have `budget_bits`. 0: no filter.
pub fn bits_per_run(entries: &[u64], budget_bits: u64) -> Vec<f64> {
    let mut bits = vec![0.0; entries.len()];
    let mut runs: Vec<usize> = (0..entries.len()).filter(|&run| entries[run] > 0).collect();
    runs.sort_by_key(|&run| entries[run]);
    // The largest run whose rate would be 1 or more goes without; then the others share what it leaves.
    while let Some(&largest) = runs.last() {
        let scale = log_scale(entries, &runs, budget_bits);
        if scale > log(entries[largest]) {
            runs.iter().for_each(|&run| bits[run] = (scale - log(entries[run])) / LN2_SQUARED);
            break;
        }
        runs.pop();
    }
    bits
}

/// The least sum of rates that `bits` per key give: the expected number of runs read in vain for an absent key.
pub fn expected_reads(bits: &[f64]) -> f64 {
    bits.iter().map(|bits| (-bits * LN2_SQUARED).exp()).sum()
}

/// The logarithm of c, if a run with n entries has the rate n / c and the bits of `runs` add up to the budget.
fn log_scale(entries: &[u64], runs: &[usize], budget_bits: u64) -> f64 {
    let total: f64 = runs.iter().map(|&run| entries[run] as f64).sum();
    let weighted: f64 = runs.iter().map(|&run| entries[run] as f64 * log(entries[run])).sum();
    (budget_bits as f64 * LN2_SQUARED + weighted) / total
}

fn log(entries: u64) -> f64 {
    (entries as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Bloom;

    fn spent(entries: &[u64], bits: &[f64]) -> f64 {
        entries.iter().zip(bits).map(|(&entries, bits)| entries as f64 * bits).sum()
    }

    #[test]
    fn bits_that_differ_by_level_beat_uniform_ones_at_the_same_memory() {
        let entries = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
        for uniform in [2_u64, 5, 8, 10, 14] {
            let budget = entries.iter().sum::<u64>() * uniform;
            let bits = bits_per_run(&entries, budget);
            let spent = spent(&entries, &bits);
            assert!((spent / budget as f64 - 1.0).abs() < 1e-9, "{spent} of {budget} bits");
            let (ours, theirs) = (expected_reads(&bits), expected_reads(&[uniform as f64; 5]));
            // Five levels of one rate cost five times the largest level's; in proportion, 1.11 times, at a rate a little higher.
            assert!(ours < theirs * if uniform < 5 { 0.75 } else { 0.33 }, "{ours} against {theirs}");
            assert!(bits.is_sorted_by(|small, large| small >= large), "{bits:?}");
        }
    }

    /// Of many bits blocks make less than the formula hopes for; what is left is most of it.
    #[test]
    fn blocked_filters_gain_as_well() {
        let entries = [1_000, 10_000, 100_000, 1_000_000, 10_000_000];
        for uniform in [5_u64, 8, 10, 14] {
            let bits = bits_per_run(&entries, entries.iter().sum::<u64>() * uniform);
            let ours: f64 = bits.iter().map(|&bits| Bloom::expected_rate(bits)).sum();
            let theirs = 5.0 * Bloom::expected_rate(uniform as f64);
            println!("{uniform} bits: {ours:.4} runs read in vain, uniform {theirs:.4}");
            assert!(ours < theirs * 0.35, "{ours} against {theirs}");
        }
    }

    #[test]
    fn no_small_change_of_the_bits_is_better() {
        let entries = [300, 40_000, 40_000, 900_000];
        let best = bits_per_run(&entries, 3_000_000);
        for (from, to) in [(0, 1), (1, 0), (1, 3), (3, 1), (1, 2)] {
            let mut other = best.clone();
            other[from] -= 600.0 / entries[from] as f64;
            other[to] += 600.0 / entries[to] as f64;
            assert!(expected_reads(&other) > expected_reads(&best), "from {from} to {to}");
        }
    }

    #[test]
    fn a_small_budget_leaves_the_largest_runs_without() {
        let bits = bits_per_run(&[1_000, 1_000_000, 0], 10_000);
        assert!((bits[0] - 10.0).abs() < 1e-9 && bits[1] == 0.0 && bits[2] == 0.0, "{bits:?}");
        assert_eq!(bits_per_run(&[5, 7], 0), [0.0, 0.0]);
        assert_eq!(bits_per_run(&[], 100), Vec::<f64>::new());
    }
}
