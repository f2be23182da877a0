//! The radix tree against `BTreeMap`: with removals, from every side, and with cursors that outlive changes.
#![cfg(all(feature = "rax", not(any(loom, shuttle))))]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

#[path = "shared/ranges.rs"]
mod ranges;

use aether_index::rax::{Rax, RaxCursor, Seek};
use proptest::prelude::*;
use ranges::{is_empty, taken};
use std::collections::BTreeMap;
use std::ops::Bound::{self, *};

type Model = BTreeMap<Vec<u8>, u64>;

/// Keys that share much, that are beginnings of each other, and with bytes of all values, so that nodes of all sizes come.
fn keys() -> impl Strategy<Value = Vec<u8>> {
    let letters = prop::collection::vec(prop::sample::select(vec![0u8, 1, b'a', b'b', 0xff]), 0..8);
    let wide = (any::<u8>(), prop::collection::vec(0u8..20, 0..3))
        .prop_map(|(first, rest)| [vec![first], rest].concat());
    let long = (20usize..30, letters.clone()).prop_map(|(shared, rest)| [vec![b'x'; shared], rest].concat());
    let urls = (0u32..60, 0u32..9)
        .prop_map(|(site, page)| format!("https://www.example-{site}.org/{page}").into_bytes());
    prop_oneof![4 => letters, 8 => wide, 2 => long, 2 => urls]
}

fn seeks() -> impl Strategy<Value = Seek> {
    prop::sample::select(vec![Seek::Below, Seek::AtOrBelow, Seek::At, Seek::AtOrAbove, Seek::Above])
}

fn bounds() -> impl Strategy<Value = Bound<Vec<u8>>> {
    prop_oneof![Just(Unbounded), keys().prop_map(Included), keys().prop_map(Excluded)]
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    /// Removes what lies at this share of the keys.
    RemoveNth(u8),
    /// Removes all but every so manyth.
    Thin(u8),
    Get(Vec<u8>),
    Seek(Seek, Vec<u8>),
    /// The cursor that lives through the whole script goes on, or back.
    Next,
    Prev,
    Range(Bound<Vec<u8>>, Bound<Vec<u8>>, Vec<bool>),
    Prefix(Vec<u8>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let turns = prop::collection::vec(any::<bool>(), 0..30);
    let step = prop_oneof![
        60 => keys().prop_map(Step::Insert),
        5 => keys().prop_map(Step::Remove),
        25 => any::<u8>().prop_map(Step::RemoveNth),
        1 => (2u8..20).prop_map(Step::Thin),
        5 => keys().prop_map(Step::Get),
        10 => (seeks(), keys()).prop_map(|(what, key)| Step::Seek(what, key)),
        20 => Just(Step::Next),
        20 => Just(Step::Prev),
        3 => (bounds(), bounds(), turns).prop_map(|(from, to, turns)| Step::Range(from, to, turns)),
        3 => keys().prop_map(Step::Prefix),
    ];
    prop::collection::vec(step, 0..250)
}

/// A tree, its model, and a cursor with the key where it should stand.
struct World {
    rax: Rax<u64>,
    model: Model,
    cursor: RaxCursor,
    at: Option<Vec<u8>>,
}

fn wanted<'m>(model: &'m Model, what: Seek, key: &[u8]) -> Option<(&'m Vec<u8>, &'m u64)> {
    match what {
        Seek::Below => model.range::<[u8], _>((Unbounded, Excluded(key))).next_back(),
        Seek::AtOrBelow => model.range::<[u8], _>((Unbounded, Included(key))).next_back(),
        Seek::At => model.get_key_value(key),
        Seek::AtOrAbove => model.range::<[u8], _>((Included(key), Unbounded)).next(),
        Seek::Above => model.range::<[u8], _>((Excluded(key), Unbounded)).next(),
    }
}

fn owned(row: Option<(&[u8], &u64)>) -> Option<(Vec<u8>, u64)> {
    row.map(|(key, value)| (key.to_vec(), *value))
}

impl World {
    fn remove(&mut self, key: &[u8]) {
        assert_eq!(self.rax.remove(key), self.model.remove(key));
    }

    fn moved(&mut self, found: Option<(Vec<u8>, u64)>, wanted: Option<(Vec<u8>, u64)>) {
        assert_eq!(found, wanted);
        self.at = wanted.map(|row| row.0);
        assert_eq!(self.cursor.key(), self.at.as_deref());
    }

    fn seek(&mut self, what: Seek, key: &[u8]) {
        let found = owned(self.cursor.seek(&self.rax, what, key));
        let wanted = wanted(&self.model, what, key).map(|(key, value)| (key.clone(), *value));
        self.moved(found, wanted);
    }

    fn step(&mut self, forward: bool) {
        let clone = |row: (&Vec<u8>, &u64)| (row.0.clone(), *row.1);
        let wanted = match &self.at {
            None if forward => self.model.first_key_value(),
            None => self.model.last_key_value(),
            Some(key) if forward => wanted(&self.model, Seek::Above, key),
            Some(key) => wanted(&self.model, Seek::Below, key),
        };
        let wanted = wanted.map(clone);
        let found = if forward { self.cursor.next(&self.rax) } else { self.cursor.prev(&self.rax) };
        let found = owned(found);
        self.moved(found, wanted);
    }

    fn play(&mut self, step: Step, number: u64) {
        match step {
            Step::Insert(key) => assert_eq!(self.rax.insert(&key, number), self.model.insert(key, number)),
            Step::Remove(key) => self.remove(&key),
            Step::RemoveNth(share) => {
                let nth = self.model.len() * usize::from(share) / 256;
                if let Some(key) = self.model.keys().nth(nth).cloned() {
                    self.remove(&key);
                }
            }
            Step::Thin(kept) => {
                let going: Vec<_> = self.model.keys().cloned().enumerate().collect();
                let going = going.into_iter().filter(|(nth, _)| nth % usize::from(kept) != 0);
                going.for_each(|(_, key)| self.remove(&key));
            }
            Step::Get(key) => assert_eq!(self.rax.get(&key), self.model.get(&key)),
            Step::Seek(what, key) => self.seek(what, &key),
            Step::Next => self.step(true),
            Step::Prev => self.step(false),
            Step::Range(from, to, turns) => self.compare_range(&from, &to, &turns),
            Step::Prefix(prefix) => {
                let found: Vec<_> = self.rax.prefix(&prefix).map(|row| row.0).collect();
                let wanted: Vec<_> =
                    self.model.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
                assert_eq!(found, wanted);
            }
        }
    }

    fn compare_range(&self, from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>, turns: &[bool]) {
        let rows = self.rax.range(from.as_ref().map(Vec::as_slice), to.as_ref().map(Vec::as_slice));
        let found = taken(rows.map(|(key, value)| (key, *value)), turns);
        let wanted = match is_empty(from, to) {
            true => Vec::new(),
            false => taken(
                self.model.range((from.clone(), to.clone())).map(|(key, value)| (key.clone(), *value)),
                turns,
            ),
        };
        assert_eq!(found, wanted);
    }
}

fn play(steps: Vec<Step>) {
    let mut world = World { rax: Rax::new(), model: Model::new(), cursor: RaxCursor::new(), at: None };
    for (number, step) in steps.into_iter().enumerate() {
        world.play(step, number as u64);
        assert_eq!(world.rax.len(), world.model.len());
        world.rax.check().unwrap();
    }
    let rows: Vec<_> = world.rax.iter().map(|(key, value)| (key, *value)).collect();
    assert_eq!(rows, world.model.into_iter().collect::<Vec<_>>());
}

proptest! {
    #[test]
    fn it_does_what_a_sorted_map_does(steps in steps()) {
        play(steps);
    }
}

#[test]
fn a_node_grows_to_256_children_and_shrinks_again() {
    let mut rax = Rax::new();
    let key = |byte: u8| [b"prefix ".as_slice(), &[byte], b"rest"].concat();
    for byte in 0..=255u8 {
        assert_eq!(rax.insert(&key(byte.wrapping_mul(37)), byte), None);
        rax.check().unwrap();
    }
    let keys: Vec<_> = rax.iter().map(|row| row.0).collect();
    assert_eq!(keys, (0..=255).map(key).collect::<Vec<_>>());
    let backward: Vec<_> = rax.iter().rev().map(|row| row.0).collect();
    assert_eq!(backward, (0..=255).rev().map(key).collect::<Vec<_>>());
    let full = rax.memory_bytes();
    for byte in 0..=255u8 {
        assert!(rax.remove(&key(byte)).is_some());
        rax.check().unwrap();
    }
    assert!(rax.is_empty() && rax.memory_bytes() >= full, "slots are kept for what comes");
}

/// Each key is the beginning of the next: as many levels as bytes, and nothing may be recursive.
#[test]
fn the_deepest_tree_takes_no_stack() {
    const DEPTH: usize = if cfg!(miri) { 50 } else { 5_000 };
    let long = vec![7u8; DEPTH];
    let mut rax = Rax::new();
    for len in 0..=DEPTH {
        rax.insert(&long[..len], len);
    }
    let mut cursor = RaxCursor::new();
    let mut count = 0;
    while let Some((key, value)) = cursor.next(&rax) {
        assert_eq!((key.len(), *value), (count, count));
        count += 1;
    }
    assert_eq!(count, DEPTH + 1);
    rax.check().unwrap();
    for len in (0..=DEPTH).rev() {
        assert_eq!(rax.remove(&long[..len]), Some(len));
    }
    rax.check().unwrap();
}

#[test]
fn a_cursor_of_another_tree_finds_its_place() {
    let tree = |keys: &[&str]| {
        let mut rax = Rax::new();
        for key in keys {
            rax.insert(key.as_bytes(), key.len());
        }
        rax
    };
    let (one, other) = (tree(&["a", "ab", "c"]), tree(&["abc", "b", "ccc"]));
    let mut cursor = RaxCursor::new();
    assert_eq!(cursor.seek(&one, Seek::At, b"ab"), Some((&b"ab"[..], &2)));
    assert_eq!(cursor.next(&other), Some((&b"abc"[..], &3)));
    assert_eq!(cursor.prev(&one), Some((&b"ab"[..], &2)));
    drop(one);
    assert_eq!(cursor.entry(&other), None, "no such key there");
    assert_eq!(cursor.prev(&other), None);
}
