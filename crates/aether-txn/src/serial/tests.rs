//! Tests of the sets: what is noted and what meets it.

use super::*;
use aether_types::Reader;
use core::ops::Bound;
use proptest::prelude::*;

fn included(key: &[u8]) -> Bound<Vec<u8>> {
    Bound::Included(key.to_vec())
}

fn changes(keys: &[(u32, &[u8])]) -> WriteSet {
    let mut writes = WriteSet::default();
    keys.iter().for_each(|(tree, key)| writes.add(*tree, key));
    writes
}

fn meets(reads: ReadSet) -> impl Fn(u32, &[u8]) -> bool {
    let predicates = reads.into_predicates();
    move |tree, key| predicates.find_changed(&changes(&[(tree, key)])).is_some()
}

#[test]
fn keys_and_ranges_of_the_same_tree_meet() {
    let mut reads = ReadSet::default();
    reads.add_key(1, b"k");
    reads.add_range(2, included(b"b"), Bound::Excluded(b"d".to_vec()));
    let meets = meets(reads);
    assert!(meets(1, b"k") && meets(2, b"b") && meets(2, b"c"));
    assert!(!meets(2, b"k") && !meets(1, b"c") && !meets(2, b"d") && !meets(2, b"a"));
}

#[test]
fn a_range_is_narrowed_from_both_ends() {
    let mut reads = ReadSet::default();
    let mark = reads.add_range(1, included(b"a"), included(b"z"));
    reads.narrow(mark, Some(b"c".to_vec()), Some(b"x".to_vec()));
    let meets = meets(reads);
    assert!(meets(1, b"b") && meets(1, b"c") && meets(1, b"x") && meets(1, b"z"));
    assert!(!meets(1, b"d") && !meets(1, b"w"));
}

#[test]
fn the_steps_of_a_walk_are_one_range() {
    let mut reads = ReadSet::default();
    reads.add_step(1, included(b"b"), included(b"c"));
    let one = reads.size_bytes();
    reads.add_step(1, included(b"c"), included(b"e"));
    reads.add_step(1, included(b"a"), included(b"b"));
    assert_eq!(reads.size_bytes(), one);
    let meets = meets(reads);
    assert!(meets(1, b"a") && meets(1, b"d") && !meets(1, b"f"));
}

#[test]
fn ranges_that_leave_out_one_key_between_them_are_two() {
    let mut reads = ReadSet::default();
    reads.add_range(1, included(b"a"), Bound::Excluded(b"c".to_vec()));
    reads.add_range(1, Bound::Excluded(b"c".to_vec()), included(b"e"));
    let meets = meets(reads);
    assert!(meets(1, b"b") && meets(1, b"d") && !meets(1, b"c"));
}

#[test]
fn who_has_read_nothing_has_no_predicates() {
    assert!(ReadSet::default().into_predicates().is_empty());
    let mut reads = ReadSet::default();
    reads.add_key(1, b"k");
    assert!(!reads.into_predicates().is_empty());
}

#[test]
fn too_many_keys_become_whole_trees() {
    let mut reads = ReadSet::default();
    let mark = reads.add_range(2, included(b"a"), included(b"b"));
    (0..=1 << 16).for_each(|number: u64| reads.add_key(1, &number.to_be_bytes()));
    reads.narrow(mark, Some(b"a".to_vec()), None);
    let meets = meets(reads);
    assert!(meets(1, b"anything") && meets(2, b"zzz") && !meets(3, b"zzz"));
}

#[test]
fn long_bounds_become_whole_trees() {
    let mut reads = ReadSet::default();
    for number in 0..64u64 {
        let lower = [&number.to_be_bytes()[..], &[0; 30_000]].concat();
        reads.add_range(1, Bound::Included(lower.clone()), Bound::Included(lower));
        assert!(reads.size_bytes() < (1 << 20) + 65_536);
    }
    assert!(meets(reads)(1, b"anything"));
}

#[test]
fn a_tree_changed_as_a_whole_meets_whoever_has_read_of_it() {
    let mut writes = WriteSet::default();
    (0..20).for_each(|_| writes.add(5, &[1; 60_000]));
    assert!(Predicates::default().find_changed(&writes).is_none());
    let mut reads = ReadSet::default();
    reads.add_key(5, b"k");
    assert!(reads.into_predicates().find_changed(&writes).is_some());
}

#[test]
fn predicates_round_trip() {
    let mut reads = ReadSet::default();
    reads.add_key(1, b"k");
    reads.add_step(2, included(b"b"), Bound::Unbounded);
    let predicates = reads.into_predicates();
    let mut bytes = Vec::new();
    predicates.encode_into(&mut bytes);
    assert_eq!(Predicates::decode(&mut Reader::new(&bytes)).unwrap(), predicates);
    (0..bytes.len()).for_each(|end| assert!(Predicates::decode(&mut Reader::new(&bytes[..end])).is_err()));
}

fn bound() -> impl Strategy<Value = Bound<Vec<u8>>> {
    let key = || prop::collection::vec(0..4u8, 0..3);
    prop_oneof![Just(Bound::Unbounded), key().prop_map(Bound::Included), key().prop_map(Bound::Excluded)]
}

fn contains(range: &(u32, Bound<Vec<u8>>, Bound<Vec<u8>>), tree: u32, key: &[u8]) -> bool {
    use core::ops::RangeBounds;
    range.0 == tree && (range.1.clone(), range.2.clone()).contains(&key.to_vec())
}

proptest! {
    #[test]
    fn ranges_in_any_order_and_number_are_the_union(
        ranges in prop::collection::vec((0..2u32, bound(), bound()), 0..12),
        tree in 0..2u32,
        key in prop::collection::vec(0..4u8, 0..4),
    ) {
        let mut reads = ReadSet::default();
        for (tree, lower, upper) in ranges.clone() {
            reads.add_range(tree, lower, upper);
        }
        let expected = ranges.iter().any(|range| contains(range, tree, &key));
        prop_assert_eq!(meets(reads)(tree, &key), expected);
    }
}
