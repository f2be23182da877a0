//! Filters of runs: space, false positives, and what building and asking cost.
//!
//! `cargo bench -p engine-benches --bench filters [-- WORDS]` (`integers`, `urls`, `uuids`); `AETHER_BENCH_ROWS` sets the keys (1,000,000). One
//! thread, its time on a processor, everything in memory, one filter over all keys. A range of length l begins at an absent key and ends l - 1 above it, its last
//! eight bytes taken for a number; ranges that hold a key do not count as false positives. "Beside" are ranges that begin right
//! behind a key. "Prefix" are the first bytes of an absent key, all but three, if no key begins with them. SuRF cannot have fewer bits than its trie needs; its leaves keep 0, 4 and 8 more where others have 8, 10 and 14 in all.

#![allow(clippy::print_stdout, reason = "a bench prints")]

use aether_kv::lsm::filter::{Filter, FilterBuilder, Recipe, Suffix};
use aether_kv::{Error, Result};
use engine_benches::{Cost, Rng, is_full, is_wanted, median, rows};
use std::hint::black_box;
use std::ops::Bound;

/// The key of that number.
type KeyOf = fn(u64) -> Vec<u8>;

const LENGTHS: [u64; 4] = [1, 16, 1024, 1 << 20];
const BITS_PER_KEY: [f64; 3] = [8.0, 10.0, 14.0];

fn rounds() -> usize {
    if is_full() { 3 } else { 1 }
}

fn main() -> Result<()> {
    let count = rows(1_000_000, 2_000);
    println!("{count} keys, one thread, in memory; medians of {} alternating rounds", rounds());
    let sorts: [(&str, KeyOf); 3] = [("integers", integer), ("urls", url), ("uuids", uuid)];
    for (name, key) in sorts.into_iter().filter(|(name, _)| is_wanted(name)) {
        let set = Set::new(name, count, key);
        for bits_per_key in BITS_PER_KEY {
            cells(&set, bits_per_key)?;
        }
        opening(&set)?;
    }
    Ok(())
}

/// Nanoseconds per step on a processor.
fn per_step(count: u64, work: impl FnOnce()) -> f64 {
    Cost::per_step(count, work).cpu
}

/// A number that looks random; different for different ones.
fn random(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    mixed ^ (mixed >> 32)
}

fn integer(number: u64) -> Vec<u8> {
    random(number).to_be_bytes().to_vec()
}

fn url(number: u64) -> Vec<u8> {
    let chance = random(number);
    let (site, section, page) = (chance % 2_000, chance / 2_000 % 40, chance / 80_000 % 10_000_000);
    let topic = ["news", "shop", "wiki", "forum", "img"][(section % 5) as usize];
    format!("https://www.site{site}.example.org/{topic}/{section}/{page}").into_bytes()
}

fn uuid(number: u64) -> Vec<u8> {
    let (high, low) = (random(number), random(number ^ 1 << 63));
    let parts = [high >> 32, high >> 16 & 0xffff, high & 0xfff | 0x4000, low >> 48 & 0x3fff | 0x8000];
    let [first, second, third, fourth] = parts;
    format!("{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{:012x}", low & 0xffff_ffff_ffff).into_bytes()
}

/// Sorted keys, keys that are not among them, and ranges for each length and place.
struct Set {
    name: &'static str,
    keys: Vec<Vec<u8>>,
    hits: Vec<Vec<u8>>,
    misses: Vec<Vec<u8>>,
    prefixes: Vec<Vec<u8>>,
    away: [Vec<Range>; 4],
    beside: [Vec<Range>; 4],
}

struct Range {
    from: Vec<u8>,
    to: Vec<u8>,
    holds_key: bool,
}

impl Set {
    fn new(name: &'static str, count: u64, key: KeyOf) -> Self {
        let mut keys: Vec<_> = (0..count).map(key).collect();
        keys.sort_unstable();
        keys.dedup();
        let asked = (count / 10).max(1);
        let mut rng = Rng::new(3);
        let hits =
            (0..asked).map(|_| keys[rng.below(keys.len() as u64) as usize].clone()).collect::<Vec<_>>();
        let absent = |key: &Vec<u8>| keys.binary_search(key).is_err();
        let misses: Vec<_> = (1 << 40..(1 << 40) + asked).map(key).filter(absent).collect();
        let prefixes = misses.iter().map(|key| key[..key.len() - 3].to_vec());
        let begins = |prefix: &[u8]| {
            let next = keys.partition_point(|key| key.as_slice() < prefix);
            keys.get(next).is_some_and(|key| key.starts_with(prefix))
        };
        let prefixes = prefixes.filter(|prefix| !begins(prefix)).collect();
        let near: Vec<_> = hits.iter().map(|key| above(key, 1)).collect();
        let ranges = |starts: &[Vec<u8>]| LENGTHS.map(|length| ranges(starts, length, &keys));
        let (away, beside) = (ranges(&misses), ranges(&near));
        Self { name, keys, hits, misses, prefixes, away, beside }
    }
}

fn ranges(starts: &[Vec<u8>], length: u64, keys: &[Vec<u8>]) -> Vec<Range> {
    let range = |from: &Vec<u8>| {
        let to = above(from, length - 1);
        let holds_key = keys.get(keys.partition_point(|key| key < from)).is_some_and(|key| *key <= to);
        Range { from: from.clone(), to, holds_key }
    };
    starts.iter().map(range).collect()
}

/// `key` with its last eight bytes, taken for a number, raised by `summand`.
fn above(key: &[u8], summand: u64) -> Vec<u8> {
    let mut above = key.to_vec();
    let tail = above.len().saturating_sub(8);
    if let Some(bytes) = above[tail..].first_chunk_mut() {
        *bytes = u64::from_be_bytes(*bytes).saturating_add(summand).to_be_bytes();
    }
    above
}

fn build(recipe: Recipe, keys: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut builder = FilterBuilder::new(recipe);
    keys.iter().try_for_each(|key| builder.add(key))?;
    builder.finish()
}

fn bits_of(bytes: &[u8], keys: usize) -> f64 {
    bytes.len() as f64 * 8.0 / keys.max(1) as f64
}

fn recipes(bits_per_key: f64) -> [(&'static str, Recipe); 5] {
    let kept = ((bits_per_key - 8.0) * 2.0).min(8.0) as u8;
    [
        ("bloom", Recipe::Bloom { bits_per_key }),
        ("ribbon", Recipe::Ribbon { bits_per_key }),
        ("surf, hash", Recipe::Surf { suffix: Suffix::Hash(kept) }),
        ("surf, real", Recipe::Surf { suffix: Suffix::Real(kept) }),
        ("grafite", Recipe::Grafite { bits_per_key, seed: 7 }),
    ]
}

/// What is timed of one filter, round by round.
#[derive(Default)]
struct Times {
    build: Vec<f64>,
    hit: Vec<f64>,
    miss: Vec<f64>,
    prefix: Vec<f64>,
    ranges: [Vec<f64>; 4],
}

fn cells(set: &Set, bits_per_key: f64) -> Result<()> {
    println!(
        "\n{}, {bits_per_key} bits per key asked for; ns on a processor, and what passes in vain",
        set.name
    );
    println!(
        "{:47}  | {:>14} | {:32} | {:32} | beside, %",
        "", "prefix, %", "range of a length, ns", "away, %"
    );
    let points = format!("{:>7}{:>8}{:>7}{:>7}{:>7}", "bits", "rate, %", "build", "hit", "miss");
    let lengths = ["1", "16", "1024", "2^20"].map(|length| format!("{length:>8}")).concat();
    println!("{:11}{points}  |     ns       % | {lengths} | {lengths} | {lengths}", "");
    let recipes = recipes(bits_per_key);
    let mut times = recipes.map(|_| Times::default());
    let mut filters: [Vec<u8>; 5] = Default::default();
    for _ in 0..rounds() {
        for (at, (_, recipe)) in recipes.into_iter().enumerate() {
            filters[at] = aligned(&timed_build(recipe, set, &mut times[at])?);
        }
        for (bytes, times) in filters.iter().zip(&mut times) {
            ask(&Filter::open(unpadded(bytes))?, set, times);
        }
    }
    for ((name, _), (bytes, times)) in recipes.into_iter().zip(filters.iter().zip(times)) {
        print(name, unpadded(bytes), set, times)?;
    }
    Ok(())
}

fn timed_build(recipe: Recipe, set: &Set, times: &mut Times) -> Result<Vec<u8>> {
    let mut built = Err(Error::invalid("nothing was built"));
    times.build.push(per_step(set.keys.len() as u64, || built = build(recipe, &set.keys)));
    built
}

/// A copy in which the header is followed by the start of a cache line, as in a page.
fn aligned(bytes: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(bytes.len() + 65);
    let padding = (copy.as_ptr() as usize + 1 + 32).wrapping_neg() % 64;
    copy.push(padding as u8);
    copy.resize(1 + padding, 0);
    copy.extend_from_slice(bytes);
    copy
}

fn unpadded(bytes: &[u8]) -> &[u8] {
    &bytes[1 + usize::from(bytes[0])..]
}

fn ask(filter: &Filter<'_>, set: &Set, times: &mut Times) {
    let points = |keys: &[Vec<u8>]| {
        per_step(keys.len() as u64, || keys.iter().for_each(|key| _ = black_box(filter.may_contain(key))))
    };
    times.prefix.push(per_step(set.prefixes.len() as u64, || {
        set.prefixes.iter().for_each(|prefix| _ = black_box(filter.may_contain_prefix(prefix)))
    }));
    times.hit.push(points(&set.hits));
    times.miss.push(points(&set.misses));
    for (ranges, times) in set.away.iter().zip(&mut times.ranges) {
        times.push(per_step(ranges.len() as u64, || {
            ranges.iter().for_each(|range| _ = black_box(passes(filter, range)))
        }));
    }
}

fn passes(filter: &Filter<'_>, range: &Range) -> bool {
    filter.may_contain_range(Bound::Included(&range.from), Bound::Included(&range.to))
}

fn print(name: &str, bytes: &[u8], set: &Set, times: Times) -> Result<()> {
    let filter = Filter::open(bytes)?;
    assert!(set.hits.iter().all(|key| filter.may_contain(key)), "{name} denies a key");
    let bits = bits_of(bytes, set.keys.len());
    let rate = share(set.misses.iter().map(|key| filter.may_contain(key)));
    let [build, hit, miss, prefix] = [times.build, times.hit, times.miss, times.prefix].map(median);
    print!("{name:11}{bits:7.2}{rate}{build:7.0}{hit:7.0}{miss:7.0}  |{prefix:7.0}");
    print!("{} | ", share(set.prefixes.iter().map(|prefix| filter.may_contain_prefix(prefix))));
    times.ranges.into_iter().for_each(|times| print!("{:8.0}", median(times)));
    for ranges in [&set.away, &set.beside] {
        print!(" | ");
        for ranges in ranges {
            let free = ranges.iter().filter(|range| !range.holds_key);
            print!("{}", share(free.map(|range| passes(&filter, range))));
        }
    }
    println!();
    Ok(())
}

/// How many of those that hold nothing pass, in per cent.
fn share(passed: impl Iterator<Item = bool>) -> String {
    let (count, passed) =
        passed.fold((0_u32, 0_u32), |(count, sum), passed| (count + 1, sum + u32::from(passed)));
    if count == 0 {
        return format!("{:>8}", "-");
    }
    format!("{:8.3}", 100.0 * f64::from(passed) / f64::from(count))
}

/// What it costs to open a filter of a page's size, and its space.
fn opening(set: &Set) -> Result<()> {
    println!("\n{}, filters of 2,500 keys, 10 bits per key asked for: bytes, opening", set.name);
    let keys = &set.keys[..set.keys.len().min(2_500)];
    for (name, recipe) in recipes(10.0) {
        let bytes = build(recipe, keys)?;
        let round =
            || per_step(1_000, || (0..1_000).for_each(|_| _ = black_box(Filter::open(black_box(&bytes)))));
        let figure = median((0..rounds()).map(|_| round()).collect());
        println!("{name:12}{:7} B{figure:8.0} ns", bytes.len());
    }
    Ok(())
}
