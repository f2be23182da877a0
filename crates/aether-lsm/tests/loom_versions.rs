//! loom: the level list is replaced while others read and replace it. Run by `cargo xtask loom -p aether-lsm`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_lsm::version::{LeftRight, Slots};
use aether_sync::Arc;
use loom::thread;

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Makes the next value of the newest, as often as that takes; its number.
fn add_to_slots(cell: &Slots<Vec<u64>>, own: u64) -> u64 {
    loop {
        let (number, base) = cell.load();
        assert_eq!(base.len() as u64, number + 1, "a value that is not the one of its number");
        let next = base.iter().copied().chain([own]).collect();
        if let Ok(number) = cell.compare_and_set(number, Arc::new(next)) {
            return number;
        }
    }
}

#[test]
fn of_two_edits_none_is_lost() {
    check(|| {
        let cell = Arc::new(Slots::new(Arc::new(vec![0])));
        let other = cell.clone();
        let rival = thread::spawn(move || add_to_slots(&other, 1));
        let (mine, theirs) = (add_to_slots(&cell, 2), rival.join().unwrap());
        assert_eq!(mine + theirs, 3);
        let (number, value) = cell.load();
        assert_eq!(number, 2);
        assert_eq!(*value, if mine == 1 { [0, 2, 1] } else { [0, 1, 2] });
        assert_eq!(Arc::strong_count(&value), 2, "an older value, or one that lost, is still held");
    });
}

#[test]
fn a_reader_finds_the_value_of_its_number_and_never_goes_back() {
    check(|| {
        let cell = Arc::new(Slots::new(Arc::new(vec![0])));
        let other = cell.clone();
        let writer = thread::spawn(move || {
            add_to_slots(&other, 1);
            add_to_slots(&other, 2);
        });
        let newest = cell.number();
        let (first, value) = cell.load();
        assert!(first >= newest && value.len() as u64 == first + 1);
        let (second, value) = cell.load();
        assert!(second >= first && value.len() as u64 == second + 1);
        writer.join().unwrap();
        assert_eq!(cell.load().0, 2);
    });
}

fn add_to_sides(cell: &LeftRight<Vec<u64>>, own: u64) -> u64 {
    loop {
        let (number, base) = cell.load();
        assert_eq!(base.len() as u64, number + 1, "a value that is not the one of its number");
        let next = base.iter().copied().chain([own]).collect();
        if let Ok(number) = cell.compare_and_set(number, Arc::new(next)) {
            return number;
        }
    }
}

#[test]
fn on_two_sides_a_reader_never_goes_back() {
    check(|| {
        let cell = Arc::new(LeftRight::new(Arc::new(vec![0])));
        let other = cell.clone();
        let writer = thread::spawn(move || {
            add_to_sides(&other, 1);
            add_to_sides(&other, 2);
        });
        let first = cell.read(|value| value.len());
        let second = cell.read(|value| value.len());
        assert!(first <= second, "{second} after {first}");
        writer.join().unwrap();
        let value = cell.load().1;
        assert_eq!(*value, [0, 1, 2]);
        assert_eq!(Arc::strong_count(&value), 3, "both sides have the newest, nobody the one before");
    });
}

#[test]
fn on_two_sides_no_edit_is_lost() {
    check(|| {
        let cell = Arc::new(LeftRight::new(Arc::new(vec![0])));
        let other = cell.clone();
        let rival = thread::spawn(move || add_to_sides(&other, 1));
        let (mine, theirs) = (add_to_sides(&cell, 2), rival.join().unwrap());
        assert_eq!(mine + theirs, 3);
        assert_eq!(cell.read(|value| value.len()), 3);
    });
}
