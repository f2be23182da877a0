//! Each planted bug must be caught, by name; the same states without the bug must be right.

use aether_sync::Arc;
use aether_torture::campaign::{self, Limits};
use aether_torture::mutant::Mutant;
use aether_torture::report::Failure;
use aether_torture::study::{Settings, Study};

/// The first failure with the bug planted.
fn catch(mutant: Mutant, stride: u64) -> Failure {
    let settings = Settings { mutant: Some(mutant), stride, ..Settings::full(1) };
    let study = match Study::new(settings) {
        Ok(study) => study,
        Err(failure) => panic!("{} shows without a crash: {failure}", mutant.name()),
    };
    let visit = Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat));
    let report = campaign::run(study, Limits::default(), visit, &mut |_| ());
    let failure = report.failures.first().cloned();
    failure.unwrap_or_else(|| panic!("{} is not caught in {report}", mutant.name()))
}

/// The bug alone is to blame: without it the state is right.
fn catch_and_acquit(mutant: Mutant, stride: u64) {
    let failure = catch(mutant, stride);
    let honest = Study::new(Settings { mutant: None, ..failure.settings.clone() });
    let honest = honest.unwrap_or_else(|failure| panic!("{failure}"));
    let again = honest.replay(&failure.trail);
    assert!(again.is_ok(), "{}: caught {failure}\nbut without it: {:?}", mutant.name(), again.err());
}

#[test]
fn acknowledge_before_flush_is_caught() {
    catch_and_acquit(Mutant::AcknowledgeBeforeFlush, 5);
}

#[test]
fn a_forgotten_directory_sync_is_caught() {
    catch_and_acquit(Mutant::ForgetDirectorySync, 3);
}

#[test]
fn a_page_before_its_log_is_caught() {
    catch_and_acquit(Mutant::PageBeforeLog, 1);
}

#[test]
fn a_lost_redo_is_caught() {
    catch_and_acquit(Mutant::LoseRedo, 7);
}
