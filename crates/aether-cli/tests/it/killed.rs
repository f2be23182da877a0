//! `torture work`, killed again and again on the same store, and judged after each death.

use crate::home::{Home, bare, told};
use crate::oracle::{self, Rows, Run};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

/// The lines after which each process is killed: during start, early and late, amid checkpoints.
const KILLS: [usize; 8] = [0, 1, 17, 150, 600, 40, 900, 250];

pub(crate) fn start(home: &Home, flags: &[&str]) -> Child {
    let mut work = bare(&["torture", "work", "--txs", "1000000", "--clients", "3", "--keys", "60"]);
    work.args(flags).arg(home.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Kills the child once it has said so many lines; gives all that it said.
pub(crate) fn killed_after(mut child: Child, lines: usize) -> String {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    for _ in 0..lines {
        if output.read_line(&mut text).unwrap() == 0 {
            break;
        }
    }
    child.kill().unwrap();
    let mut rest = Vec::new();
    output.read_to_end(&mut rest).unwrap();
    text.push_str(str::from_utf8(&rest).unwrap());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), None, "{}", String::from_utf8_lossy(&ended.stderr));
    text
}

fn survives(flags: &[&str]) -> usize {
    let home = Home::new();
    let mut rows = Rows::new();
    let mut acknowledged = 0;
    for (round, lines) in (0..).zip(KILLS) {
        let seed = format!("{round}");
        let run = Run::parse(&killed_after(start(&home, &[flags, &["--seed", &seed]].concat()), lines));
        let dump = home.dump();
        told(&dump, 0);
        let found = oracle::rows(&dump.stdout);
        let wrong = run.judge(&rows, &found);
        assert!(wrong.is_empty(), "{flags:?}, round {round}, killed after {lines} lines: {wrong:#?}");
        acknowledged += run.acknowledged();
        rows = found;
    }
    told(&home.run(&["verify"]), 0);
    acknowledged
}

#[test]
fn synchronous_commits_survive_kills() {
    assert!(survives(&["--durability", "sync"]) > 500);
}

#[test]
fn grouped_commits_survive_kills() {
    assert!(survives(&["--durability", "group"]) > 500);
}

#[test]
fn asynchronous_commits_survive_kills_once_they_are_acknowledged() {
    survives(&["--durability", "async"]);
}

#[test]
fn commits_without_durability_are_whole_or_absent() {
    survives(&["--durability", "none"]);
}

#[test]
fn a_pool_and_log_as_small_as_can_be_survive_kills() {
    survives(&["--pool-frames", "32", "--segment-bytes", "65536", "--max-recovery-bytes", "65536"]);
}

#[test]
fn the_same_seed_gives_the_same_work() {
    let lines = || {
        let home = Home::new();
        let mut work = bare(&["torture", "work", "--txs", "50", "--clients", "1", "--seed", "9"]);
        work.arg(home.path()).output().unwrap().stdout
    };
    assert!(lines() == lines(), "two runs differ");
}
