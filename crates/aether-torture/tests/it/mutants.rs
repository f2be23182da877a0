//! Each planted bug must be caught, by name; the same states without the bug must be right.

use aether_sync::Arc;
use aether_torture::campaign::{self, Limits};
use aether_torture::faults::{self, Plan, Trouble};
use aether_torture::mutant::{Campaign, Mutant};
use aether_torture::report::Failure;
use aether_torture::study::{Settings, Study};

fn study(settings: Settings) -> Study {
    let name = settings.mutant.map_or("no bug", Mutant::name);
    Study::new(settings).unwrap_or_else(|failure| panic!("{name} shows without a crash: {failure}"))
}

/// The first failure with the bug planted.
fn catch(mutant: Mutant) -> Failure {
    let settings = Settings { mutant: Some(mutant), stride: 3, ..Settings::full(1) };
    let settings = match mutant.campaign() {
        Campaign::Crash => settings,
        Campaign::Faults => Settings { transactions: 20, ..settings },
    };
    let report = match mutant.campaign() {
        Campaign::Crash => {
            let visit = Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat));
            campaign::run(study(settings), Limits::default(), visit, &mut |_| ())
        }
        Campaign::Faults => {
            let wanted = |trouble: &Trouble| !matches!(trouble, Trouble::Recovery { .. });
            faults::run(study(settings), Limits::default(), wanted, &mut |_| ()).expect("a plan")
        }
    };
    let failure = report.failures.first().cloned();
    failure.unwrap_or_else(|| panic!("{} is not caught in {report}", mutant.name()))
}

/// The bug alone is to blame: without it the state is right.
fn catch_and_acquit(mutant: Mutant) {
    let failure = catch(mutant);
    let honest = study(Settings { mutant: None, ..failure.settings.clone() });
    let again = match failure.fault {
        Some(nth) => {
            Plan::new(&honest).and_then(|plan| faults::visit(&honest, &plan, u64::from(nth), &|| ()))
        }
        None => honest.replay(&failure.trail),
    };
    assert!(again.is_ok(), "{}: caught {failure}\nbut without it: {:?}", mutant.name(), again.err());
}

#[test]
fn every_planted_bug_of_crashes_is_caught_and_acquitted() {
    let of_crashes = |mutant: &Mutant| mutant.campaign() == Campaign::Crash;
    Mutant::ALL.into_iter().filter(of_crashes).for_each(catch_and_acquit);
}

#[test]
fn a_failed_sync_that_is_taken_for_done_is_caught() {
    catch_and_acquit(Mutant::FailedSyncAsSuccess);
}

#[test]
fn a_short_write_that_is_taken_for_whole_is_caught() {
    catch_and_acquit(Mutant::ShortWriteAsWhole);
}

#[test]
fn a_full_disk_that_is_taken_for_room_is_caught() {
    catch_and_acquit(Mutant::DiskFullAsSuccess);
}

#[test]
fn names_are_different_and_lead_back() {
    for mutant in Mutant::ALL {
        assert_eq!(Mutant::named(mutant.name()), Some(mutant));
    }
}
