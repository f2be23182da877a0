//! A failure of a long script becomes one of a short script, which can be written down, read back and repeated.

use aether_sync::Arc;
use aether_torture::campaign::{self, Limits};
use aether_torture::faults::{self, Plan, Trouble};
use aether_torture::kind::Kinds;
use aether_torture::mutant::Mutant;
use aether_torture::report::Failure;
use aether_torture::script::Script;
use aether_torture::shrink::shrink;
use aether_torture::study::{Settings, Study};
use std::time::{Duration, Instant};

fn shrunk(failure: &Failure) -> (Failure, Arc<Script>) {
    let small = shrink(failure, Instant::now() + Duration::from_secs(25));
    let script = small.settings.script.clone().expect("a smaller script was found");
    (small, script)
}

fn study(settings: Settings) -> Study {
    Study::new(settings).unwrap_or_else(|failure| panic!("{failure}"))
}

#[test]
fn a_power_cut_in_sixty_transactions_shrinks_to_a_handful_of_steps() {
    let mutant = Some(Mutant::AcknowledgeBeforeFlush);
    let settings = Settings { mutant, first: 90, recovery_cuts: 0, ..Settings::full(1) };
    let visit = Arc::new(|study: &Study, op, beat: &dyn Fn()| study.visit(op, beat));
    let report = campaign::run(study(settings), Limits::default(), visit, &mut |_| ());
    let (small, script) = shrunk(&report.failures[0]);
    assert!(script.steps.len() <= 8, "{small}");
    assert!(small.replay().contains("--script FILE"), "{small}");
    let read: Script = script.to_string().parse().expect("what was written can be read");
    assert_eq!(read.to_string(), script.to_string());
    let again = study(Settings { script: Some(Arc::new(read)), ..small.settings.clone() });
    assert!(again.replay(&small.trail).is_err(), "the small script fails as well");
}

#[test]
fn a_failing_call_in_sixty_transactions_shrinks_to_a_handful_of_steps() {
    let settings = Settings { mutant: Some(Mutant::FailedSyncAsSuccess), first: 200, ..Settings::full(1) };
    let calls = |trouble: &Trouble| matches!(trouble, Trouble::Calls { .. });
    let report = faults::run(study(settings), Limits::default(), calls, &mut |_| ()).expect("a plan");
    let (small, script) = shrunk(&report.failures[0]);
    assert!(script.steps.len() <= 8, "{small}");
    let again = study(small.settings.clone());
    let plan = Plan::new(&again).unwrap_or_else(|failure| panic!("{failure}"));
    let nth = u64::from(small.fault.expect("a number"));
    assert!(faults::visit(&again, &plan, nth, &|| ()).is_err(), "the small script fails as well");
}

#[test]
fn every_script_can_be_written_and_read() {
    for seed in 1..=8 {
        let script = Script::new(seed, 60).of_kinds(if seed % 2 == 0 { Kinds::Mixed } else { Kinds::Btree });
        let read: Script = script.to_string().parse().expect("what was written can be read");
        assert_eq!(format!("{:?}", read.steps), format!("{:?}", script.steps), "seed {seed}");
    }
    let bounds = "seed 1\ntxn commit\n  create alpha\n  delete-range alpha\n  delete-range alpha after \"a b\"\n  \
                  delete-range alpha below \"c\"\n  ingest alpha \"a\" \"x y\" \"b\" 20@7\n  ingest alpha\n";
    assert_eq!(bounds.parse::<Script>().expect("a script").to_string(), bounds);
    assert!("txn commit\n  create alpha\n  ingest alpha \"b\" \"\" \"a\" \"\"".parse::<Script>().is_err());
    let error = "seed 1\ntxn never".parse::<Script>().expect_err("no such end");
    assert!(error.contains("line 2"), "{error}");
}
