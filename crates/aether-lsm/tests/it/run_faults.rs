//! Builds of runs on disks that fail, fill up and lose power.

use crate::runs::{BLOOM, FILE, Version, build, check_cursor, entry, home_in};
use aether_lsm::run::{Kind, Run, RunBuilder, RunHome};
use aether_sim::{CrashPolicy, Errno, Fault, OpKind, Sim};
use aether_types::{ErrorKind, Result};
use std::collections::BTreeSet;

/// Enough for several writes of the builder's buffer.
fn versions() -> Vec<Version> {
    let mut state = 7_u64;
    let mut chance = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let one =
        |number: u32| (number.to_be_bytes().to_vec(), 0, Kind::Value, (0..400).map(|_| chance()).collect());
    (0..1_500).map(one).collect()
}

fn home(sim: &Sim) -> RunHome {
    home_in(sim.env(), 16, 4096)
}

fn is_clean(home: &RunHome) -> bool {
    home.leftovers(&BTreeSet::new()).unwrap().is_empty() && home.pool.budget().used_bytes() == untouched()
}

/// What a pool takes without any run.
fn untouched() -> u64 {
    home(&Sim::new(1)).pool.budget().used_bytes()
}

fn attempt(home: &RunHome) -> Result<()> {
    build(home, FILE, BLOOM, &versions(), &[]).map(drop)
}

#[test]
fn a_build_that_fails_leaves_nothing() {
    let whole = Sim::new(1);
    attempt(&home(&whole)).unwrap();
    for kind in [OpKind::Open, OpKind::Write, OpKind::Sync, OpKind::SyncDir] {
        let calls = whole.calls(kind);
        assert!(calls > 0);
        for nth in 0..calls {
            for (error, wanted) in [(Errno::Eio, ErrorKind::Io), (Errno::Enospc, ErrorKind::Full)] {
                let sim = Sim::new(1);
                let home = home(&sim);
                sim.inject(Fault::FailOp { nth, kind, error, sticky: false });
                let failed = attempt(&home).unwrap_err();
                assert_eq!(failed.kind(), wanted, "{kind:?} {nth}: {failed}");
                assert!(is_clean(&home), "{kind:?} {nth}");
                attempt(&home).unwrap();
            }
        }
    }
}

#[test]
fn a_full_disk_and_half_a_write_leave_nothing() {
    let size = build(&home(&Sim::new(1)), FILE, BLOOM, &versions(), &[]).unwrap().unwrap().bytes;
    for bytes_left in (0..size).step_by(60_000) {
        let sim = Sim::new(1);
        let home = home(&sim);
        sim.inject(Fault::DiskFull { bytes_left });
        assert_eq!(attempt(&home).unwrap_err().kind(), ErrorKind::Full);
        assert!(is_clean(&home));
        sim.give_space(size);
        attempt(&home).unwrap();
    }
    let sim = Sim::new(1);
    let home = home(&sim);
    sim.inject(Fault::ShortWrite { nth: 1 });
    attempt(&home).unwrap_err();
    assert!(is_clean(&home));
}

#[test]
fn after_a_failed_write_the_builder_takes_nothing_more() {
    let sim = Sim::new(1);
    let home = home(&sim);
    let mut builder = RunBuilder::new(&home, FILE, BLOOM).unwrap();
    sim.inject(Fault::FailOp { nth: 0, kind: OpKind::Write, error: Errno::Eio, sticky: false });
    let versions = versions();
    let failed = versions.iter().position(|version| builder.add(&entry(version)).is_err()).unwrap();
    assert!(failed > 100);
    assert_eq!(builder.add(&entry(&versions[failed + 1])).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(builder.finish().unwrap_err().kind(), ErrorKind::Poisoned);
    assert!(is_clean(&home));
}

/// At every operation of a build, and after it: a run that was finished is whole in every image; any other is whole, or an error,
/// and can be removed.
#[test]
fn the_power_cut_leaves_a_whole_run_or_a_leftover() {
    let versions = versions();
    let (mut whole, mut leftovers, mut gone) = (0, 0, 0);
    for cut in 0.. {
        let sim = Sim::new(1);
        sim.cut_power_at(cut);
        let is_finished = attempt(&home(&sim)).is_ok();
        let policies = (0..3).flat_map(|seed| CrashPolicy::all(cut * 10 + seed));
        for policy in policies {
            let image = home(&sim.crash_image(policy));
            let found = image.leftovers(&BTreeSet::new()).unwrap();
            match Run::open(&image, FILE).and_then(|run| check_cursor(&run, &versions)) {
                Ok(()) => whole += 1,
                Err(error) => {
                    assert!(!is_finished, "{policy:?} at {cut} of a run that was finished: {error}");
                    assert_eq!(error.kind(), ErrorKind::Corruption, "{error}");
                    *if found.is_empty() { &mut gone } else { &mut leftovers } += 1;
                }
            }
            found.into_iter().for_each(|file| image.remove(file).unwrap());
            attempt(&image).unwrap();
        }
        if !sim.is_off() {
            break;
        }
    }
    assert!(whole > 0 && leftovers > 0 && gone > 0, "{whole} whole, {leftovers} leftovers, {gone} gone");
}
