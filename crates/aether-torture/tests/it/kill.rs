//! The oracle of the kill rounds has teeth: forged events and dumps, each with one thing wrong.
//!
//! The gate's run of the real binary is `cargo run --release -p aether-torture -- kill --ci`.

use aether_torture::kill::event::parse;
use aether_torture::kill::ledger::{Fault, Findings, Ledger, rows};

const FIRST: &str = r#"{"t":"I","c":0,"s":1,"w":[["c0/a","s1:x"],["c0/b","s1:y"],["c0/seq","1"]],"dep":{}}"#;
const FIRST_DONE: &str = r#"{"t":"A","c":0,"s":1}"#;
const SECOND: &str =
    r#"{"t":"I","c":0,"s":2,"w":[["c0/a",null],["c0/d","s2:w"],["c0/seq","2"]],"dep":{"1":1}}"#;
const THIRD: &str = r#"{"t":"I","c":0,"s":3,"w":[["c0/e","s3:v"],["c0/seq","3"]],"dep":{}}"#;
const OTHER: &str = r#"{"t":"I","c":1,"s":1,"w":[["c1/k","s1:u"],["c1/seq","1"]],"dep":{"0":1}}"#;

/// What one process said: whole lines.
fn said(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn ledger(runs: &[&[&str]]) -> Ledger {
    let mut ledger = Ledger::default();
    runs.iter().for_each(|run| ledger.run(&parse(&said(run)).unwrap()).unwrap());
    ledger
}

fn judge(ledger: &mut Ledger, dump: &[&str]) -> Result<Findings, Vec<Fault>> {
    ledger.judge(&rows(&dump.iter().map(|row| row.replace(' ', "\t") + "\n").collect::<String>()).unwrap())
}

#[track_caller]
fn assert_right(runs: &[&[&str]], dump: &[&str]) -> Findings {
    judge(&mut ledger(runs), dump).unwrap()
}

#[track_caller]
fn assert_found(fault: &Fault, runs: &[&[&str]], dump: &[&str]) {
    let faults = judge(&mut ledger(runs), dump).unwrap_err();
    assert!(faults.contains(fault), "{fault:?} is not among {faults:?}");
}

const AFTER_FIRST: [&str; 3] = ["c0/a s1:x", "c0/b s1:y", "c0/seq 1"];

#[test]
fn every_permitted_state_is_right() {
    let run = [FIRST, FIRST_DONE, OTHER, SECOND];
    let found = assert_right(&[&run], &AFTER_FIRST);
    assert_eq!(found, Findings { acknowledged: 1, kept: 0, undone: 2, rows: 3 });
    assert_right(&[&run], &["c0/a s1:x", "c0/b s1:y", "c0/seq 1", "c1/k s1:u", "c1/seq 1"]);
    let all = ["c0/b s1:y", "c0/d s2:w", "c0/seq 2", "c1/k s1:u", "c1/seq 1"];
    assert_eq!(assert_right(&[&run], &all).kept, 2);
    assert_right(&[&[FIRST]], &[]);
    assert_right(&[&[]], &[]);
}

#[test]
fn a_line_cut_by_the_kill_says_nothing() {
    let text = said(&[FIRST]) + &FIRST_DONE[..10];
    assert_eq!(parse(&text).unwrap().len(), 1);
    assert!(parse(&(text + "\n")).is_err());
}

#[test]
fn a_lost_acknowledged_transaction_is_found() {
    assert_found(&Fault::Lost(0, 1), &[&[FIRST, FIRST_DONE]], &[]);
    let both = [FIRST, FIRST_DONE, SECOND, r#"{"t":"A","c":0,"s":2}"#];
    assert_found(&Fault::Lost(0, 2), &[&both], &AFTER_FIRST);
}

#[test]
fn a_torn_transaction_is_found() {
    assert_found(&Fault::Torn(0, 1, "c0/b".into()), &[&[FIRST]], &["c0/a s1:x", "c0/seq 1"]);
    assert_found(&Fault::Torn(0, 1, "c0/a".into()), &[&[FIRST]], &["c0/a s1:x"]);
    // The delete is missing.
    let torn = ["c0/a s1:x", "c0/b s1:y", "c0/d s2:w", "c0/seq 2", "c1/k s1:u", "c1/seq 1"];
    assert_found(&Fault::Torn(0, 2, "c0/a".into()), &[&[FIRST, OTHER, SECOND]], &torn);
}

#[test]
fn a_hole_is_found() {
    let hole = ["c0/a s1:x", "c0/b s1:y", "c0/e s3:v", "c0/seq 3", "c1/k s1:u", "c1/seq 1"];
    assert_found(&Fault::Hole(0, 2), &[&[FIRST, OTHER, SECOND, THIRD]], &hole);
}

#[test]
fn a_broken_dependency_is_found() {
    assert_found(&Fault::Unread(1, 1, 0, 1), &[&[FIRST, OTHER]], &["c1/k s1:u", "c1/seq 1"]);
    assert_found(
        &Fault::Unread(0, 2, 1, 1),
        &[&[FIRST, OTHER, SECOND]],
        &["c0/b s1:y", "c0/d s2:w", "c0/seq 2"],
    );
}

/// The first process's transaction 1 is undone, and the next process gives its number to another one.
#[test]
fn a_dependency_on_an_undone_transaction_is_not_honoured_by_its_number() {
    let second_run = [r#"{"t":"I","c":0,"s":1,"w":[["c0/z","s1:z"],["c0/seq","1"]],"dep":{}}"#];
    let dump = ["c0/seq 1", "c0/z s1:z", "c1/k s1:u", "c1/seq 1"];
    assert_found(&Fault::Unread(1, 1, 0, 1), &[&[FIRST, OTHER], &second_run], &dump);
}

#[test]
fn a_row_from_nowhere_is_found() {
    let stranger = ["c0/a s1:x", "c0/b s1:y", "c0/seq 1", "c0/z s1:z"];
    assert_found(&Fault::Stranger("c0/z".into()), &[&[FIRST]], &stranger);
    let altered = ["c0/a s1:X", "c0/b s1:y", "c0/seq 1"];
    assert_found(&Fault::Stranger("c0/a".into()), &[&[FIRST]], &altered);
    assert_found(&Fault::Stranger("c0/seq".into()), &[&[FIRST]], &["c0/a s1:x", "c0/b s1:y", "c0/seq 7"]);
    assert_found(&Fault::Stranger("c9/seq".into()), &[&[]], &["c9/seq 1"]);
}

#[test]
fn a_failed_transaction_that_is_there_is_found() {
    let failed = [FIRST, r#"{"t":"F","c":0,"s":1}"#];
    assert_found(&Fault::Undead(0, 1), &[&failed], &AFTER_FIRST);
    assert_found(&Fault::Undead(0, 1), &[&failed], &["c0/a s1:x"]);
    assert_right(&[&failed], &[]);
    // The next process goes on above it.
    assert_found(&Fault::Undead(0, 1), &[&failed, &[SECOND]], &[]);
}

#[test]
fn what_an_earlier_dump_showed_must_stay() {
    for gone in [&["c0/a s1:x", "c0/seq 1"][..], &["c0/a s1:x", "c0/b s9:q", "c0/seq 1"], &[]] {
        let mut ledger = ledger(&[&[FIRST]]);
        judge(&mut ledger, &AFTER_FIRST).unwrap();
        assert!(judge(&mut ledger, gone).is_err(), "{gone:?}");
        assert!(judge(&mut ledger, &AFTER_FIRST).is_ok());
    }
}

#[test]
fn the_next_process_shows_what_the_kill_left() {
    // It goes on with 2: transaction 1 is there, and stays, the old 2 is not.
    let undone = THIRD.replace("\"s\":3", "\"s\":2");
    let runs: [&[&str]; 2] = [&[FIRST, &undone], &[SECOND]];
    assert_right(&runs, &AFTER_FIRST);
    assert_found(&Fault::Lost(0, 1), &runs, &[]);
    assert_found(
        &Fault::Stranger("c0/e".into()),
        &runs,
        &["c0/a s1:x", "c0/b s1:y", "c0/e s9:v", "c0/seq 1"],
    );
    assert_found(&Fault::Lost(0, 1), &[&[FIRST, FIRST_DONE], &[FIRST]], &AFTER_FIRST);
    assert_found(&Fault::Skip(0, 2, 3), &[&[FIRST, FIRST_DONE], &[THIRD]], &AFTER_FIRST);
    assert_found(&Fault::Skip(0, 1, 3), &[&[THIRD]], &[]);
}

#[test]
fn an_end_without_a_beginning_is_no_event() {
    assert!(Ledger::default().run(&parse(&said(&[FIRST_DONE])).unwrap()).is_err());
    assert!(rows("no tab\n").is_err() && rows("b\t1\na\t1\n").is_err());
}
