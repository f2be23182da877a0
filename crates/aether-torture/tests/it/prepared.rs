//! Prepared transactions through power cuts, in small; the gate's run is `aether-torture prepared --ci`.

use aether_torture::mutant::Mutant;
use aether_torture::prepared::{Settings, run};

#[test]
fn prepared_transactions_survive_cuts_also_in_recovery() {
    let tally = run(&Settings { steps: 12, ..Settings::new(5) }, &mut |_| ()).unwrap();
    assert!(tally.cuts > 20 && tally.in_recovery > 100 && tally.two_deep > 100, "{tally:?}");
}

#[test]
fn planted_bugs_are_caught_by_prepared_transactions_too() {
    for mutant in [Mutant::AcknowledgeBeforeFlush, Mutant::HalfLogWrite, Mutant::ForgetPageSync] {
        let outcome = run(&Settings { mutant: Some(mutant), ..Settings::new(1) }, &mut |_| ());
        assert!(outcome.is_err(), "{} is not caught", mutant.name());
    }
}
