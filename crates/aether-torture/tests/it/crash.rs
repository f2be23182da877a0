//! Cuts and faults at some operations of a short script.

use aether_sync::Arc;
use aether_torture::campaign::{self, Limits, Visit};
use aether_torture::faults;
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
fn every_store_in_creation_is_none_or_a_good_one() {
    let study = Study::new(Settings { transactions: 12, ..Settings::full(3) });
    let study = study.unwrap_or_else(|failure| panic!("{failure}"));
    for op in 0..40 {
        study.visit(op, &|| ()).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_an_operation_fails() {
    let report = run(Settings { stride: 41, ..Settings::full(2) }, Arc::new(faults::visit));
    assert!(report.is_clean(), "{report}");
    assert!(report.tally.faults > 50, "{report}");
}

#[test]
fn a_full_disk_loses_nothing() {
    let study = Study::new(Settings::full(2)).unwrap_or_else(|failure| panic!("{failure}"));
    for blocks in (0..400).step_by(29) {
        faults::visit_full_disk(&study, blocks << 12).unwrap_or_else(|failure| panic!("{failure}"));
    }
}
