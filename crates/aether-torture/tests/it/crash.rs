//! Cuts and faults at some operations of a short script.

use aether_sync::Arc;
use aether_torture::campaign::{self, Limits, Visit};
use aether_torture::faults::{self, Trouble};
use aether_torture::kind::Kinds;
use aether_torture::report::Report;
use aether_torture::study::{Settings, Study};

fn run(settings: Settings, visit: Arc<Visit>) -> Report {
    let study = Study::new(settings).unwrap_or_else(|failure| panic!("{failure}"));
    campaign::run(study, Limits::default(), visit, &mut |_| ())
}

#[test]
fn every_state_after_a_cut_is_right() {
    let settings = Settings { stride: 23, recovery_cuts: 2, ..Settings::full(1) };
    let report = run(settings, Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat)));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.states > 300 && report.tally.two_deep > 20, "{report}");
}

#[test]
fn every_state_after_a_cut_is_right_with_keyspaces_of_all_kinds() {
    for (seed, shape) in [(1, 0), (2, 3)] {
        let settings =
            Settings { stride: 97, recovery_cuts: 2, shape, kinds: Kinds::Mixed, ..Settings::full(seed) };
        let report = run(settings, Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat)));
        assert!(report.is_clean(), "{report}");
        assert!(report.tally.states > 50, "{report}");
    }
}

#[test]
fn every_store_in_creation_is_none_or_a_good_one() {
    let study = Study::new(Settings { transactions: 12, ..Settings::full(3) });
    let study = study.unwrap_or_else(|failure| panic!("{failure}"));
    for op in 0..40 {
        study.visit(op, &|| ()).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

/// The wanted troubles of a study, as many as its stride leaves.
fn sweep(settings: Settings, wanted: fn(&Trouble) -> bool) -> Report {
    let study = Study::new(settings).unwrap_or_else(|failure| panic!("{failure}"));
    faults::run(study, Limits::default(), wanted, &mut |_| ()).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn nothing_acknowledged_is_lost_when_a_call_fails() {
    let settings = Settings { transactions: 20, stride: 29, ..Settings::full(2) };
    let report = sweep(settings, |trouble| matches!(trouble, Trouble::Calls { .. }));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.faults > 100, "{report}");
}

/// A tree's creation is undone; its root is freed and becomes an undo page of another log stream. That a crash kept, and not that the
/// creation was undone. Made small from seed 9, shape 3.
#[test]
fn the_root_of_a_tree_that_was_never_made_may_be_used_again() {
    let script = include_str!("scripts/undone_creation.txt").parse().expect("a script");
    let settings = Settings { script: Some(Arc::new(script)), shape: 3, ..Settings::full(9) };
    let report = sweep(settings, |trouble| matches!(trouble, Trouble::Calls { cut: None, .. }));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.faults > 300, "{report}");
}

#[test]
fn nothing_acknowledged_is_lost_when_a_call_of_a_recovery_fails() {
    let settings = Settings { transactions: 20, stride: 23, ..Settings::full(4) };
    let report = sweep(settings, |trouble| matches!(trouble, Trouble::Recovery { .. }));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.faults > 20, "{report}");
}

#[test]
fn a_full_disk_loses_nothing_and_is_written_again_when_there_is_space() {
    let settings = Settings { transactions: 20, stride: 5, ..Settings::full(2) };
    let report = sweep(settings, |trouble| matches!(trouble, Trouble::Disk(_)));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.full_disks > 20, "{report}");
}

/// Seed 3 found that an ingest without space was told as `TxnOver`, seed 4 that the judge took a conversion in doubt, which a store that
/// had failed showed, for one that no crash may undo.
#[test]
fn rows_in_bulk_and_conversions_bear_failing_calls_and_full_disks() {
    let mixed = |seed| Settings { transactions: 20, kinds: Kinds::Mixed, ..Settings::full(seed) };
    let full = sweep(Settings { stride: 4, ..mixed(3) }, |trouble| matches!(trouble, Trouble::Disk(_)));
    assert!(full.is_clean() && full.tally.full_disks > 5, "{full}");
    let failing = Settings { first: 19, stride: 97, ..mixed(4) };
    let failing = sweep(failing, |trouble| matches!(trouble, Trouble::Calls { .. }));
    assert!(failing.is_clean() && failing.tally.faults > 30, "{failing}");
}

#[test]
fn a_store_with_too_little_memory_says_so() {
    let settings = Settings { transactions: 12, ..Settings::full(2) };
    let report = sweep(settings, |trouble| matches!(trouble, Trouble::Memory(_)));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.faults > 20, "{report}");
}
