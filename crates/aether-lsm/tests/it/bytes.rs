//! Bytes from outside: an error that says where, or a filter that answers; and bytes that must not change.

use crate::strategies::{Bounds, RECIPES, borrowed, bound, build, filters, keys, probe};
use aether_lsm::filter::{Filter, KeyHash};
use aether_types::{ErrorKind, checksum};
use proptest::prelude::*;

/// Asks everything that can be asked.
fn ask(bytes: &[u8], probes: &[Vec<u8>], bounds: &[Bounds]) {
    match Filter::open(bytes) {
        Ok(filter) => {
            for probe in probes {
                filter.may_contain(probe);
                filter.may_contain_hashed(probe, KeyHash::of(probe));
                filter.may_contain_prefix(probe);
            }
            for (from, to) in bounds {
                filter.may_contain_range(borrowed(from), borrowed(to));
            }
        }
        Err(error) => {
            assert!(matches!(error.kind(), ErrorKind::Corruption | ErrorKind::Unsupported), "{error}");
            assert!(error.place().offset.is_some_and(|offset| offset <= bytes.len() as u64), "{error}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn changed_bytes_never_panic(
        keys in keys(),
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        header in prop::collection::vec((0_usize..32, any::<u8>()), 0..3),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
        probes in prop::collection::vec(probe(), 0..30),
        bounds in prop::collection::vec((bound(), bound()), 0..30),
    ) {
        let mut bytes = which.get(&filters(&keys)).1.clone();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= value;
        }
        header.into_iter().for_each(|(at, value)| bytes[at] = value);
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let probes: Vec<_> = keys.into_iter().chain(probes).collect();
        ask(&bytes, &probes, &bounds);
    }

    #[test]
    fn foreign_bytes_never_panic(
        kind in 0_u8..6,
        rest in prop::collection::vec(prop_oneof![Just(0_u8), Just(1), any::<u8>()], 0..400),
        probes in prop::collection::vec(probe(), 0..8),
        bounds in prop::collection::vec((bound(), bound()), 0..8),
    ) {
        let bytes = [vec![kind, 1], rest].concat();
        ask(&bytes, &probes, &bounds);
    }

    #[test]
    fn any_other_length_is_refused(keys in keys(), which in 0..RECIPES.len()) {
        let mut bytes = build(RECIPES[which], &keys);
        for cut in 0..bytes.len() {
            prop_assert!(Filter::open(&bytes[..cut]).is_err(), "{} of {} bytes", cut, bytes.len());
        }
        bytes.push(0);
        prop_assert!(Filter::open(&bytes).is_err());
    }
}

/// Checksums of the filters of one set of keys, in the order of the recipes.
const SUMS: [u64; 11] = [
    0xd95d_215d_7974_8307,
    0xd402_2603_1fdb_9fe9,
    0x122c_e156_c879_0e96,
    0x27e7_1d21_6fae_08f0,
    0x464f_290a_ab29_683d,
    0xba56_ae1d_acd9_bd6b,
    0x832d_2bb5_7781_e481,
    0x642c_8652_75ac_43fd,
    0x930b_072c_f042_34c1,
    0x3f22_a8d5_2017_5ade,
    0xab74_5daf_03fb_6d76,
];

/// The format of `docs/formats.md`, "Filters of runs": who changes these figures has changed it.
#[test]
fn the_bytes_are_those_of_version_1() {
    let texts = (0..500_u32).map(|number| format!("key/{}/{}", number % 7, number * number).into_bytes());
    let mut keys: Vec<_> = texts.collect();
    keys.sort();
    let sums: Vec<_> =
        RECIPES.iter().map(|&recipe| build(recipe, &keys)).map(|bytes| checksum(0, &bytes)).collect();
    assert_eq!(sums, SUMS, "{sums:x?}");
}

/// A byte of the header that no builder writes: which recipe, where, what, and the error.
#[test]
fn headers_out_of_bounds_are_refused() {
    use ErrorKind::{Corruption, Unsupported};
    let keys: Vec<_> = (0..100_u64).map(|number| (number << 40).to_be_bytes().to_vec()).collect();
    let cases = [
        (0, 0, 9, Unsupported),
        (0, 1, 2, Unsupported),
        (0, 2, 0, Corruption),
        (0, 2, 25, Corruption),
        (0, 8, 0, Corruption),
        (0, 16, 3, Corruption),
        (2, 2, 33, Corruption),
        (2, 16, 1, Corruption),
        (2, 24, 200, Corruption),
        (4, 2, 33, Corruption),
        (4, 3, 4, Corruption),
        (4, 8, 99, Corruption),
        (4, 24, 1, Corruption),
        (9, 2, 49, Corruption),
        (9, 3, 2, Corruption),
        (9, 8, 99, Corruption),
        (9, 23, 1, Corruption),
    ];
    for (recipe, offset, value, kind) in cases {
        let mut bytes = build(RECIPES[recipe], &keys);
        bytes[offset] = value;
        let error = Filter::open(&bytes).unwrap_err();
        assert_eq!(error.kind(), kind, "{value} at {offset} of {:?}: {error}", RECIPES[recipe]);
    }
}
