//! False-positive rates, of fixed keys, within generous bounds.

use crate::strategies::build;
use aether_lsm::filter::{Bloom, Filter, KeyHash, Recipe, Suffix};
use aether_types::checksum;
use std::ops::Bound;

fn random(number: u64) -> u64 {
    checksum(77, &number.to_le_bytes())
}

fn integers(count: u64) -> Vec<u64> {
    let mut numbers: Vec<_> = (0..count).map(random).collect();
    numbers.sort_unstable();
    numbers
}

fn build_of(recipe: Recipe, numbers: &[u64]) -> Vec<u8> {
    let keys: Vec<_> = numbers.iter().map(|number| number.to_be_bytes().to_vec()).collect();
    build(recipe, &keys)
}

/// The share of absent integers that pass.
fn points(bytes: &[u8]) -> f64 {
    let filter = Filter::open(bytes).unwrap();
    let maybe = |number: &u64| filter.may_contain(&random(*number).to_be_bytes());
    (1 << 40..(1 << 40) + 200_000_u64).filter(maybe).count() as f64 / 200_000.0
}

/// The share of ranges of `length` integers without a key that pass; each starts `gap` behind a key.
fn ranges(bytes: &[u8], numbers: &[u64], gap: u64, length: u64) -> f64 {
    let filter = Filter::open(bytes).unwrap();
    let free = numbers.windows(2).filter(|pair| pair[1] - pair[0] > gap + length);
    let (mut asked, mut passed) = (0, 0);
    for pair in free {
        let [from, to] = [pair[0] + gap, pair[0] + gap + length - 1].map(u64::to_be_bytes);
        asked += 1;
        passed += u32::from(filter.may_contain_range(Bound::Included(&from), Bound::Included(&to)));
    }
    assert!(asked > 10_000);
    f64::from(passed) / f64::from(asked)
}

#[test]
fn bloom_is_as_good_as_expected() {
    for bits_per_key in [2.0, 6.5, 8.0, 10.0, 14.0] {
        let rate = points(&build_of(Recipe::Bloom { bits_per_key }, &integers(30_000)));
        let expected = Bloom::expected_rate(bits_per_key);
        println!("bloom {bits_per_key}: {rate:.5}, expected {expected:.5}");
        assert!(
            rate < expected * 1.2 + 0.0002 && rate > expected * 0.8 - 0.0002,
            "{rate} instead of {expected}"
        );
    }
    assert!(Bloom::expected_rate(10.0) < 0.011);
}

#[test]
fn ribbon_is_better_than_bloom_at_the_same_space() {
    for bits_per_key in [8.0, 10.0, 14.0] {
        let numbers = integers(30_000);
        let [ribbon, bloom] = [Recipe::Ribbon { bits_per_key }, Recipe::Bloom { bits_per_key }]
            .map(|recipe| points(&build_of(recipe, &numbers)));
        println!("{bits_per_key}: ribbon {ribbon:.5}, bloom {bloom:.5}");
        assert!(ribbon < bloom * 0.6, "{bits_per_key} bits: {ribbon} against {bloom}");
    }
}

#[test]
fn suffixes_make_surf_better() {
    let numbers = integers(30_000);
    let rate = |suffix| points(&build_of(Recipe::Surf { suffix }, &numbers));
    let (none, hash, real) = (rate(Suffix::None), rate(Suffix::Hash(8)), rate(Suffix::Real(8)));
    println!("none {none:.5}, hash {hash:.5}, real {real:.5}");
    assert!(none < 0.3 && hash < none / 100.0 && real < none / 100.0);
    let range = |suffix| ranges(&build_of(Recipe::Surf { suffix }, &numbers), &numbers, 1 << 42, 1 << 20);
    let (none, hash, real) = (range(Suffix::None), range(Suffix::Hash(8)), range(Suffix::Real(8)));
    println!("ranges: none {none:.5}, hash {hash:.5}, real {real:.5}");
    assert!(hash == none && real < none / 2.0);
}

/// The bound holds beside keys, where a trie always says "maybe", and for keys in clusters. It is that of the mean over seeds: of few
/// clusters, some seed lays one over another.
#[test]
fn grafite_keeps_its_promise_wherever_the_range_lies() {
    let clustered = (0..12_000_u64).map(|number| (random(number % 30) & !0xf_ffff) + number / 30 * 900);
    let mut clustered: Vec<_> = clustered.collect();
    clustered.sort_unstable();
    for numbers in [integers(12_000), clustered] {
        let build = |seed| build_of(Recipe::Grafite { bits_per_key: 12.0, seed }, &numbers);
        let filters: Vec<_> = (0..60).map(build).collect();
        for (gap, length) in [(1, 1), (1, 16), (1, 64), (5, 256), (200, 16)] {
            let sum: f64 = filters.iter().map(|bytes| ranges(bytes, &numbers, gap, length)).sum();
            let (rate, promised) = (sum / filters.len() as f64, length as f64 / 930.0);
            println!("gap {gap}, length {length}: {rate:.5}, promised {promised:.5}");
            assert!(rate < promised * 1.25 + 0.0005, "{rate} instead of {promised}");
        }
    }
    let numbers = integers(12_000);
    let trie = build_of(Recipe::Surf { suffix: Suffix::Real(8) }, &numbers);
    assert!(ranges(&trie, &numbers, 1, 16) > 0.99);
}

#[test]
fn one_hash_serves_every_filter() {
    let numbers = integers(1_000);
    let all = [Recipe::Bloom { bits_per_key: 9.0 }, Recipe::Surf { suffix: Suffix::Hash(9) }];
    for bytes in all.map(|recipe| build_of(recipe, &numbers)) {
        let filter = Filter::open(&bytes).unwrap();
        for number in 0..2_000_u64 {
            let key = number.to_be_bytes();
            assert_eq!(filter.may_contain(&key), filter.may_contain_hashed(&key, KeyHash::of(&key)));
        }
    }
}
