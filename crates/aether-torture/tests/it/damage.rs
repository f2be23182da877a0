//! Damage at rest, in small; what the campaign has found, each with its story; and the proof that it has teeth.
//!
//! The gate's run is `cargo run --release -p aether-torture -- damage --ci`.

use aether_torture::damage::blind::Blind;
use aether_torture::damage::examine::{Outcome, examine};
use aether_torture::damage::harm::{Filler, Harm};
use aether_torture::damage::plan::{Case, Plan};
use aether_torture::damage::specimen::Slip;
use aether_torture::damage::{self, Settings};

fn plan(store: &str, blind: Option<Blind>) -> Plan {
    let settings = Settings { stores: store.into(), blind, ..Settings::new(1, Some(1)) };
    damage::plan(&settings).unwrap_or_else(|what| panic!("{store}: {what}"))
}

/// The files of the one store of a plan whose names begin so, with their sizes.
fn files(plan: &Plan, prefix: &str) -> Vec<(String, u64)> {
    let files = plan.specimens[0].files.iter().filter(|(name, _)| name.starts_with(prefix));
    files.map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect()
}

/// How a harm to each file comes out.
fn each(plan: &Plan, prefix: &str, harms: impl Fn(u64) -> Vec<Harm>) -> Vec<Outcome> {
    let cases = files(plan, prefix).into_iter().flat_map(|(file, size)| {
        harms(size).into_iter().map(move |harm| Case { number: 0, store: 0, file: file.clone(), harm })
    });
    cases.map(|case| examine(plan, &case)).collect()
}

#[track_caller]
fn assert_none_wrong(outcomes: &[Outcome]) {
    let wrong = outcomes.iter().find(|outcome| matches!(outcome, Outcome::Wrong(_)));
    assert_eq!(wrong, None);
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome, Outcome::Refused(_))),
        "nothing was ever refused"
    );
}

fn every_sector(size: u64, harm: impl Fn(u64) -> Harm) -> Vec<Harm> {
    (0..size / 512).map(|sector| harm(sector * 512)).collect()
}

fn moments(plan: &Plan) -> usize {
    plan.specimens[0].older.len()
}

#[test]
fn a_sample_is_right_or_refused() {
    let findings = damage::run(&Settings::new(11, Some(3000)), &mut |_| ()).unwrap();
    assert!(findings.is_clean(), "{findings}");
    assert!(findings.cases > 1500 && findings.refused > 300 && findings.right > 300, "{findings}");
}

/// The last segment of a stopped store could be taken away: nothing said that there had been one, and the log seemed
/// to end with the segment before. Each now notes that another follows.
#[test]
fn no_log_segment_can_be_taken_away() {
    for store in ["plain-stopped", "segments-stopped", "streams-stopped"] {
        let plan = plan(store, None);
        assert_none_wrong(&each(&plan, "log-", |_| vec![Harm::Remove, Harm::Empty]));
    }
}

/// With the newest slot of the control file gone, the older one said that the store was closed cleanly, and the log
/// that had begun since was removed as nobody's.
#[test]
fn a_control_file_out_of_date_is_noticed() {
    let plan = plan("reopened-stopped", None);
    let older = moments(&plan);
    let mut outcomes = each(&plan, "control", |_| (0..older).map(Harm::StaleFile).collect());
    outcomes
        .extend(each(&plan, "control", |size| every_sector(size, |at| Harm::Fill(at, 512, Filler::Zeros))));
    assert_none_wrong(&outcomes);
}

/// A checkpoint in the last flush, which the control file names and which alone lists a transaction under way, was
/// taken for torn: what the transaction had changed seemed committed.
#[test]
fn a_checkpoint_is_never_taken_for_torn() {
    let plan = plan("checkpoint-stopped", None);
    assert_none_wrong(&each(&plan, "log-", |size| {
        every_sector(size, |at| Harm::Fill(at, 512, Filler::Ones))
    }));
}

/// Pages were written after the last flush; with that flush taken for torn they held rows of a transaction that the log
/// did not know. The double-write area now says how far the log was durable.
#[test]
fn a_flush_that_pages_rest_on_is_never_taken_for_torn() {
    let plan = plan("loser-stopped", None);
    let harms = |size| {
        let last = size - 512;
        every_sector(size, |at| Harm::Swap(at, last - at, 512))
    };
    assert_none_wrong(&each(&plan, "log-", harms));
}

/// A leaf from before a split led a scan back to where it had been, for ever.
#[test]
fn an_old_leaf_ends_a_scan() {
    let plan = plan("plain-closed", None);
    let older = moments(&plan);
    let harms = |size| {
        let pages = 0..size / 4096;
        pages.flat_map(|page| (0..older).map(move |when| Harm::Stale(page * 4096, 4096, when))).collect()
    };
    assert_none_wrong(&each(&plan, "pages-", harms));
}

/// A missing page file was told as `NotFound`, as if there were no store.
#[test]
fn a_missing_page_file_is_damage() {
    assert_none_wrong(&each(&plan("plain-closed", None), "pages-", |_| vec![Harm::Remove]));
}

/// The harm is wrong with the bug planted, and never without it.
#[track_caller]
fn assert_caught(blind: Blind, store: &str, prefix: &str, harms: impl Fn(u64) -> Vec<Harm>) {
    let is_wrong = |outcome: &Outcome| matches!(outcome, Outcome::Wrong(_));
    let planted = each(&plan(store, Some(blind)), prefix, &harms);
    assert!(planted.iter().any(is_wrong), "{} is not caught", blind.name());
    let honest = each(&plan(store, None), prefix, &harms);
    assert_eq!(honest.iter().find(|outcome| is_wrong(outcome)), None);
}

#[test]
fn a_page_checksum_that_is_not_looked_at_is_caught() {
    let harms = |size| every_sector(size, |at| Harm::Fill(at, 512, Filler::Garbage(at)));
    assert_caught(Blind::PageChecksum, "plain-closed", "pages-", harms);
}

#[test]
fn a_control_checksum_that_is_not_looked_at_is_caught() {
    let harms =
        |size| [0, size / 2].into_iter().flat_map(|at| at * 8..(at + 256) * 8).map(Harm::Flip).collect();
    assert_caught(Blind::ControlChecksum, "checkpoint-stopped", "control", harms);
}

#[test]
fn an_older_control_slot_that_counts_is_caught() {
    assert_caught(Blind::StaleControl, "reopened-stopped", "log-", |_| vec![Harm::Remove]);
}

#[test]
fn a_missing_segment_that_is_passed_over_is_caught() {
    assert_caught(Blind::MissingSegment, "segments-stopped", "log-", |_| vec![Harm::Remove]);
}

#[test]
fn a_cut_segment_that_is_read_as_zeros_is_caught() {
    let harms = |size| every_sector(size, Harm::Cut);
    assert_caught(Blind::CutSegment, "segments-stopped", "log-", harms);
}

/// Pages of a closed store as they were before, whole; and page writes that were acknowledged and lost, or went
/// elsewhere, on closed and on stopped stores. Without the PSN table old rows were back.
#[test]
fn a_lost_page_write_that_is_not_looked_for_is_caught() {
    let plan_of = |store: &str| plan(store, None);
    let older = moments(&plan_of("plain-closed"));
    let stale = |size: u64| {
        let pages = 0..size / 4096;
        pages.flat_map(|page| (0..older).map(move |when| Harm::Stale(page * 4096, 4096, when))).collect()
    };
    assert_caught(Blind::PsnTable, "plain-closed", "pages-", stale);
    for store in ["plain-closed", "plain-stopped"] {
        let writes = plan_of(store).specimens[0].writes.len() as u64;
        let slips = |_| {
            (0..writes).flat_map(|n| [Harm::Slip(Slip::Lost(n)), Harm::Slip(Slip::Misplaced(n))]).collect()
        };
        assert_none_wrong(&each(&plan_of(store), "pages-", slips));
    }
}
