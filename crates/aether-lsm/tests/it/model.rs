//! Filters against an ordered set: never "no" about what is there.

use crate::strategies::{RECIPES, borrowed, bound, build, build_dense, filters, key, keys, probe};
use aether_lsm::filter::{Filter, FilterBuilder, KeyHash, Recipe, Suffix};
use aether_types::ErrorKind;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Bound;

fn is_inside(key: &[u8], from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    let above = match from {
        Bound::Unbounded => true,
        Bound::Included(from) => key >= from.as_slice(),
        Bound::Excluded(from) => key > from.as_slice(),
    };
    above
        && match to {
            Bound::Unbounded => true,
            Bound::Included(to) => key <= to.as_slice(),
            Bound::Excluded(to) => key < to.as_slice(),
        }
}

/// A few keys right beside `key`.
fn neighbours(key: &[u8]) -> Vec<Vec<u8>> {
    let mut near = vec![[key, &[0]].concat(), [key, &[0xff]].concat()];
    if let Some((last, head)) = key.split_last() {
        near.push(head.to_vec());
        near.extend([last.wrapping_sub(1), last.wrapping_add(1)].map(|byte| [head, &[byte]].concat()));
    }
    near
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_there_is_never_denied(
        keys in keys(),
        probes in prop::collection::vec(probe(), 0..20),
        bounds in prop::collection::vec((bound(), bound()), 0..60),
    ) {
        let probes: Vec<_> = keys.iter().flat_map(|key| neighbours(key)).chain(probes).collect();
        for (recipe, bytes) in filters(&keys) {
            let filter = Filter::open(&bytes).unwrap();
            prop_assert_eq!(filter.is_empty(), keys.is_empty());
            for key in &keys {
                prop_assert!(filter.may_contain(key), "{}: {:?}", recipe, key);
                prop_assert!(filter.may_contain_hashed(key, KeyHash::of(key)));
                let point = Bound::Included(key.as_slice());
                prop_assert!(filter.may_contain_range(point, point), "{}: {:?}", recipe, key);
                for end in 0..=key.len() {
                    prop_assert!(filter.may_contain_prefix(&key[..end]), "{}: {:?} {}", recipe, key, end);
                }
            }
            for probe in &probes {
                prop_assert!(filter.may_contain(probe) || !keys.contains(probe));
            }
            // Each probe to the next one: long and short ranges, reversed ones too.
            let near = probes.windows(2).flat_map(|pair| {
                let [from, to] = [pair[0].clone(), pair[1].clone()];
                [
                    (Bound::Included(from.clone()), Bound::Excluded(to.clone())),
                    (Bound::Excluded(to), Bound::Included(from)),
                ]
            });
            for (from, to) in bounds.iter().cloned().chain(near) {
                let there = keys.iter().any(|key| is_inside(key, &from, &to));
                let maybe = filter.may_contain_range(borrowed(&from), borrowed(&to));
                prop_assert!(maybe || !there, "{}: {:?} to {:?} of {:?}", recipe, from, to, keys);
                let reversed = matches!(
                    (&from, &to),
                    (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to))
                        if from > to
                );
                prop_assert!(!(maybe && (reversed || keys.is_empty())), "{:?} to {:?}", from, to);
            }
        }
    }

    /// The trie says "no" as often as the bytes that it keeps allow.
    #[test]
    fn surf_is_as_exact_as_what_it_keeps(
        keys in prop::collection::btree_set(key(), 0..120),
        ratio in prop::sample::select(vec![0_usize, 1, 64]),
        bounds in prop::collection::vec((bound(), bound()), 0..60),
        probes in prop::collection::vec(key(), 0..60),
    ) {
        let bytes = build_dense(Suffix::None, ratio, &keys);
        let filter = Filter::open(&bytes).unwrap();
        let leaves = leaves(&keys);
        for (from, to) in &bounds {
            let maybe = filter.may_contain_range(borrowed(from), borrowed(to));
            let expected = match (from, to) {
                (Bound::Included(from), Bound::Included(to)) if from == to => covers(&leaves, from),
                (Bound::Unbounded, to) => leaves.iter().any(|leaf| leaf.is_in(b"", true, to)),
                (Bound::Included(from), to) => !is_reversed(from, to) && leaves.iter().any(|leaf| leaf.is_in(from, true, to)),
                (Bound::Excluded(from), to) => !is_reversed(from, to) && leaves.iter().any(|leaf| leaf.is_in(from, false, to)),
            };
            prop_assert_eq!(maybe, expected, "{:?} to {:?} of {:?}", from, to, keys);
        }
        for probe in &probes {
            prop_assert_eq!(filter.may_contain(probe), covers(&leaves, probe), "{:?}", probe);
            let prefix = leaves.iter().any(|leaf| leaf.kept.starts_with(probe) || leaf.stands_for(probe));
            prop_assert_eq!(filter.may_contain_prefix(probe), prefix, "prefix {:?}", probe);
        }
    }
}

/// What the trie keeps of a key: the bytes that set it apart, or all of it if other keys begin with it.
struct Leaf {
    kept: Vec<u8>,
    whole: bool,
}

impl Leaf {
    fn stands_for(&self, key: &[u8]) -> bool {
        if self.whole { key == self.kept } else { key.starts_with(&self.kept) }
    }

    fn is_in(&self, from: &[u8], from_included: bool, to: &Bound<Vec<u8>>) -> bool {
        let least = self.kept.as_slice();
        let above = match self.whole {
            true if from_included => least >= from,
            true => least > from,
            false => least >= from || from.starts_with(least),
        };
        above
            && match to {
                Bound::Unbounded => true,
                Bound::Included(to) => least <= to.as_slice(),
                Bound::Excluded(to) => least < to.as_slice(),
            }
    }
}

fn leaves(keys: &BTreeSet<Vec<u8>>) -> Vec<Leaf> {
    let keys: Vec<_> = keys.iter().collect();
    let shared = |one: usize, other: usize| match (keys.get(one), keys.get(other)) {
        (Some(one), Some(other)) => one.iter().zip(other.iter()).take_while(|(a, b)| a == b).count(),
        _ => 0,
    };
    let leaf = |at: usize| {
        let (before, after) = (shared(at.wrapping_sub(1), at), shared(at, at + 1));
        let length = (before.max(after) + 1).min(keys[at].len());
        let whole = keys[at].is_empty() || keys[at].len() == after;
        Leaf { kept: keys[at][..length].to_vec(), whole }
    };
    (0..keys.len()).map(leaf).collect()
}

fn covers(leaves: &[Leaf], key: &[u8]) -> bool {
    leaves.iter().any(|leaf| leaf.stands_for(key))
}

fn is_reversed(from: &[u8], to: &Bound<Vec<u8>>) -> bool {
    matches!(to, Bound::Included(to) | Bound::Excluded(to) if from >= to.as_slice())
}

/// Large enough for several samples of select and for dense levels.
#[test]
fn many_keys_are_never_denied() {
    let texts = (0..30_000_u64).map(|number| {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        format!("/{}/{}/{}", mixed % 40, mixed / 40 % 700, mixed / 28_000 % 1000).into_bytes()
    });
    let keys: BTreeSet<Vec<u8>> = texts.collect();
    for (recipe, bytes) in filters(&keys) {
        let filter = Filter::open(&bytes).unwrap();
        for key in &keys {
            assert!(filter.may_contain(key), "{recipe}: {key:?}");
            let (head, tail) = key.split_at(key.len() - 1);
            let [below, above] = [[head, &[tail[0] - 1]].concat(), [head, &[tail[0] + 1]].concat()];
            assert!(
                filter.may_contain_range(Bound::Excluded(&below), Bound::Excluded(&above)),
                "{recipe}: {key:?}"
            );
            assert!(filter.may_contain_prefix(head), "{recipe}: {key:?}");
        }
    }
}

#[test]
fn keys_that_do_not_ascend_are_refused() {
    for recipe in RECIPES {
        let mut builder = FilterBuilder::new(recipe);
        builder.add(b"b").unwrap();
        builder.add(b"b").unwrap();
        for key in [b"a".as_slice(), b""] {
            let error = builder.add(key).unwrap_err();
            assert_eq!((error.kind(), error.place().key.as_deref()), (ErrorKind::InvalidInput, Some(key)));
        }
        builder.add(b"ba").unwrap();
        let bytes = builder.finish().unwrap();
        let filter = Filter::open(&bytes).unwrap();
        assert!(filter.may_contain(b"b") && filter.may_contain(b"ba"));
    }
}

#[test]
fn no_bits_mean_no_filter() {
    assert_eq!(Recipe::bloom(0.0), None);
    assert_eq!(Recipe::bloom(2.5), Some(Recipe::Bloom { bits_per_key: 2.5 }));
}

#[test]
fn integers_of_eight_bytes_have_exact_bounds() {
    let keys: Vec<Vec<u8>> = [100_u64, 900].map(|number| number.to_be_bytes().to_vec()).to_vec();
    let bytes = build(Recipe::Grafite { bits_per_key: 40.0, seed: 1 }, &keys);
    let filter = Filter::open(&bytes).unwrap();
    let [low, high] = [keys[0].as_slice(), keys[1].as_slice()];
    assert!(!filter.may_contain_range(Bound::Excluded(low), Bound::Excluded(high)));
    assert!(filter.may_contain_range(Bound::Excluded(low), Bound::Included(high)));
    assert!(filter.may_contain_range(Bound::Included(low), Bound::Excluded(high)));
    // Longer than a key is above it, shorter is below.
    assert!(!filter.may_contain_range(Bound::Included(&[low, &[0]].concat()), Bound::Excluded(high)));
    assert!(!filter.may_contain(&low[..7]) && !filter.may_contain(&[low, &[0]].concat()));
}
