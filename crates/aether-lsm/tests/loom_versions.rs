//! loom: the level list is replaced while others read and replace it. Run by `cargo xtask loom -p aether-lsm`.
#![cfg(loom)]
#![allow(clippy::unwrap_used, reason = "the helpers of tests may")]

use aether_lsm::version::{Copies, LeftRight, Slots};
use aether_sync::Arc;
use loom::thread::{self, JoinHandle};

fn check(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

type List = Arc<Vec<u64>>;

/// A list that is replaced by compare-and-set. Each begins as `[0]`, and who replaces it adds a number of his own.
trait Cell: Sized + Send + Sync + 'static {
    fn start() -> Arc<Self>;
    fn load(&self) -> (u64, List);
    fn compare_and_set(&self, number: u64, list: List) -> Result<u64, List>;

    /// Makes the next list of the newest, as often as that takes; its number.
    fn add(&self, own: u64) -> u64 {
        loop {
            let (number, base) = self.load();
            assert_eq!(base.len() as u64, number + 1, "a list that is not the one of its number");
            let next = base.iter().copied().chain([own]).collect();
            if let Ok(number) = self.compare_and_set(number, Arc::new(next)) {
                return number;
            }
        }
    }
}

macro_rules! cells {
    ($($cell:ident)*) => {$(
        impl Cell for $cell<Vec<u64>> {
            fn start() -> Arc<Self> {
                Arc::new($cell::new(Arc::new(vec![0])))
            }

            fn load(&self) -> (u64, List) {
                $cell::load(self)
            }

            fn compare_and_set(&self, number: u64, list: List) -> Result<u64, List> {
                $cell::compare_and_set(self, number, list)
            }
        }
    )*};
}

cells!(Slots Copies LeftRight);

/// A thread adds 1 while this one adds 2; the number that the latter gets.
fn two_edits(cell: &Arc<impl Cell>) -> u64 {
    let other = cell.clone();
    let rival = thread::spawn(move || other.add(1));
    let (mine, theirs) = (cell.add(2), rival.join().unwrap());
    assert_eq!(mine + theirs, 3);
    mine
}

/// A thread adds 1, then 2.
fn writer(cell: &Arc<impl Cell>) -> JoinHandle<()> {
    let other = cell.clone();
    thread::spawn(move || {
        other.add(1);
        other.add(2);
    })
}

#[test]
fn of_two_edits_none_is_lost() {
    check(|| {
        let cell = Slots::start();
        let mine = two_edits(&cell);
        let (number, value) = cell.load();
        assert_eq!(number, 2);
        assert_eq!(*value, if mine == 1 { [0, 2, 1] } else { [0, 1, 2] });
        assert_eq!(Arc::strong_count(&value), 2, "an older value, or one that lost, is still held");
    });
}

#[test]
fn a_reader_finds_the_value_of_its_number_and_never_goes_back() {
    check(|| {
        let cell = Slots::start();
        let writer = writer(&cell);
        let newest = cell.number();
        let (first, value) = cell.load();
        assert!(first >= newest && value.len() as u64 == first + 1);
        let (second, value) = cell.load();
        assert!(second >= first && value.len() as u64 == second + 1);
        writer.join().unwrap();
        assert_eq!(cell.load().0, 2);
    });
}

/// A copy was kept before the install, or is kept while it goes on, or behind it: then of what is the newest.
#[test]
fn of_copies_the_newest_is_read_and_no_older_one_kept() {
    check(|| {
        let first = Arc::new(vec![0]);
        let cell = Arc::new(Copies::new(first.clone()));
        assert_eq!(cell.read().len(), 1);
        let other = cell.clone();
        let writer = thread::spawn(move || other.add(1));
        // Else loom does not look at a reader that begins behind the install.
        thread::yield_now();
        let before = cell.number();
        let (one, two) = (cell.read().len() as u64, cell.read().len() as u64);
        assert!(before < one && one <= two, "{one}, then {two}, at number {before}");
        writer.join().unwrap();
        assert_eq!(Arc::strong_count(&first), 1, "somebody who rests holds the value before");
        assert_eq!(**cell.read(), [0, 1]);
    });
}

/// Two threads come for the one copy, while the value is replaced.
#[test]
fn who_finds_the_copy_taken_reads_all_the_same() {
    check(|| {
        let first = Arc::new(vec![0]);
        let cell = Arc::new(Copies::new(first.clone()));
        let (writer, reader) = (cell.clone(), cell.clone());
        let writer = thread::spawn(move || writer.add(1));
        let reader = thread::spawn(move || reader.read().len());
        assert!((1..=2).contains(&cell.read().len()));
        assert!((1..=2).contains(&reader.join().unwrap()));
        writer.join().unwrap();
        assert_eq!(Arc::strong_count(&first), 1, "somebody who rests holds the value before");
    });
}

/// The number is read in place: who has it finds that value, or a newer one.
#[test]
fn on_two_sides_a_number_is_never_ahead_of_the_value() {
    check(|| {
        let cell = LeftRight::start();
        let writer = writer(&cell);
        let number = cell.number();
        let (loaded, value) = cell.load();
        assert!(number <= loaded && value.len() as u64 == loaded + 1, "{number}, then {loaded}: {value:?}");
        writer.join().unwrap();
        assert_eq!(cell.number(), 2);
    });
}

#[test]
fn on_two_sides_a_reader_never_goes_back() {
    check(|| {
        let cell = LeftRight::start();
        let writer = writer(&cell);
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
        let cell = LeftRight::start();
        two_edits(&cell);
        assert_eq!(cell.read(|value| value.len()), 3);
    });
}
