//! Keys, bounds and recipes for the tests of filters.

use aether_lsm::filter::{FilterBuilder, Recipe, Suffix, SurfBuilder};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::ops::Bound;

/// Every kind of filter, with parameters of each sort.
pub(crate) const RECIPES: [Recipe; 11] = [
    Recipe::Bloom { bits_per_key: 10.0 },
    Recipe::Bloom { bits_per_key: 0.7 },
    Recipe::Ribbon { bits_per_key: 7.4 },
    Recipe::Ribbon { bits_per_key: 1.0 },
    Recipe::Surf { suffix: Suffix::None },
    Recipe::Surf { suffix: Suffix::Hash(7) },
    Recipe::Surf { suffix: Suffix::Real(5) },
    Recipe::Surf { suffix: Suffix::Real(8) },
    Recipe::Surf { suffix: Suffix::Real(19) },
    Recipe::Grafite { bits_per_key: 10.3, seed: 5 },
    Recipe::Grafite { bits_per_key: 4.0, seed: 6 },
];

/// Keys that are prefixes of each other, hold the least and the largest bytes, and are empty.
pub(crate) fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop::sample::select(vec![0_u8, 1, b'a', b'b', 0xfe, 0xff]);
    let long =
        (prop::collection::vec(byte.clone(), 0..3), 0_usize..40, prop::collection::vec(byte.clone(), 0..4));
    prop_oneof![
        4 => prop::collection::vec(byte.clone(), 0..6),
        2 => prop::collection::vec(byte, 8..10),
        1 => long.prop_map(|(head, count, tail)| [head, vec![b'a'; count], tail].concat()),
        1 => prop::collection::vec(any::<u8>(), 0..5),
    ]
}

/// Integers of eight bytes, some of them close together.
pub(crate) fn integer() -> impl Strategy<Value = Vec<u8>> {
    let number =
        prop_oneof![any::<u64>(), 0_u64..300, (u64::MAX - 300)..=u64::MAX, 1_u64 << 40..(1 << 40) + 99];
    number.prop_map(|number| number.to_be_bytes().to_vec())
}

/// Sets of one or the other, from none to a few hundred.
pub(crate) fn keys() -> impl Strategy<Value = BTreeSet<Vec<u8>>> {
    prop_oneof![
        prop::collection::btree_set(key(), 0..4),
        prop::collection::btree_set(key(), 0..250),
        prop::collection::btree_set(integer(), 0..250),
    ]
}

/// What is asked for: keys of both sorts.
pub(crate) fn probe() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![key(), integer()]
}

/// A lower and an upper bound.
pub(crate) type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// A bound of each kind.
pub(crate) fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![
        1 => Just(Bound::Unbounded),
        4 => probe().prop_map(Bound::Included),
        4 => probe().prop_map(Bound::Excluded),
    ]
}

/// The filter of `keys`, each of which comes twice.
pub(crate) fn build<'a>(recipe: Recipe, keys: impl IntoIterator<Item = &'a Vec<u8>>) -> Vec<u8> {
    let mut builder = FilterBuilder::new(recipe);
    for key in keys {
        builder.add(key).unwrap();
        builder.add(key).unwrap();
    }
    builder.finish().unwrap()
}

/// The same as tries whose upper levels are dense, some or all; sets so small would have none.
pub(crate) fn build_dense(suffix: Suffix, ratio: usize, keys: &BTreeSet<Vec<u8>>) -> Vec<u8> {
    let mut builder = SurfBuilder::new(suffix).sparse_to_dense(ratio);
    keys.iter().for_each(|key| builder.add(key).unwrap());
    builder.finish().unwrap()
}

/// Filters of each kind, with what each is called.
pub(crate) fn filters(keys: &BTreeSet<Vec<u8>>) -> Vec<(String, Vec<u8>)> {
    let each = RECIPES.into_iter().map(|recipe| (format!("{recipe:?}"), build(recipe, keys)));
    let dense = [(Suffix::None, 0), (Suffix::Hash(3), 1), (Suffix::Real(9), 0), (Suffix::Real(8), 1)];
    let dense = dense.into_iter().map(|(suffix, ratio)| {
        (format!("dense {suffix:?}, ratio {ratio}"), build_dense(suffix, ratio, keys))
    });
    each.chain(dense).collect()
}

/// A bound over borrowed bytes.
pub(crate) fn borrowed(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
