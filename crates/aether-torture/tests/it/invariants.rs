//! Bank and queue in small, and what breaks them: a level too low, and reads without a guard.

use aether_torture::histories::level::Level;
use aether_torture::invariants::{Kind, Settings, run};

#[test]
fn invariants_hold_through_power_cuts_at_every_level_that_promises_them() {
    let mut restarts = 0;
    for kind in Kind::ALL {
        for level in Level::ALL.into_iter().filter(|level| kind.holds_at(*level)) {
            for seed in 0..4 {
                let settings = Settings::new(seed, kind, level);
                let tally = run(&settings).unwrap_or_else(|what| panic!("{settings:?}: {what}"));
                assert!(tally.committed >= settings.txns, "{settings:?}: {tally:?}");
                restarts += tally.restarts;
            }
        }
    }
    assert!(restarts > 10, "{restarts} restarts");
}

#[track_caller]
fn assert_breaks(settings: &Settings, what: &str) {
    let broken = (0..20).find_map(|seed| run(&Settings { seed, ..*settings }).err());
    assert!(broken.as_ref().is_some_and(|told| told.contains(what)), "{settings:?}: {broken:?}");
}

#[test]
fn write_skew_overdraws_under_snapshot() {
    assert_breaks(&Settings::new(0, Kind::Overdraft, Level::Snapshot), "a pair owes");
}

#[test]
fn without_a_guard_read_committed_loses_updates() {
    let unguarded = |kind| Settings { guarded: false, ..Settings::new(0, kind, Level::ReadCommitted) };
    assert_breaks(&unguarded(Kind::Bank), "in all, expected");
    assert_breaks(&unguarded(Kind::Queue), "");
}
