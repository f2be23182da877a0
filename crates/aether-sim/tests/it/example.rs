//! The example keeps its promise, and each of its mistakes is caught.

#[path = "../../examples/append_only_store.rs"]
#[allow(dead_code, unreachable_pub)]
mod append_only_store;

use append_only_store::{Mistake, failures, power_cuts};

#[test]
fn the_store_without_a_mistake_keeps_its_promise() {
    let ((cuts, bad), (runs, bad_runs)) = (power_cuts(None), failures(None));
    assert!(cuts > 200 && runs == 60, "{cuts} images, {runs} runs");
    assert_eq!((bad, bad_runs), (0, 0));
}

#[test]
fn each_mistake_is_caught() {
    for mistake in [Mistake::NoSync, Mistake::NoDirectorySync, Mistake::NoChecksum, Mistake::AppendBehindTorn]
    {
        assert!(power_cuts(Some(mistake)).1 > 0, "{mistake:?} is not caught");
    }
    for mistake in [Mistake::RetrySync, Mistake::TrustCache] {
        assert!(failures(Some(mistake)).1 > 0, "{mistake:?} is not caught");
    }
}
