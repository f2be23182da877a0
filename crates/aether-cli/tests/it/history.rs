//! `torture history`: what it prints is a history of transactions that overlap, at every level.

use crate::home::{Home, bare, told};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

const LEVELS: [&str; 3] = ["read-committed", "snapshot", "serializable"];

fn history(home: &Home, flags: &[&str]) -> Output {
    bare(&["torture", "history"]).arg(home.path()).args(flags).output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    told(output, 0);
    let text = str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The operations of an event, with `null` for every list.
fn asked(event: &Value) -> Vec<Value> {
    let mut ops = event["ops"].as_array().unwrap().clone();
    ops.iter_mut().filter(|op| op[0] == "r").for_each(|op| op[2] = Value::Null);
    ops
}

/// Holds that every transaction begins and ends once, in one process, and that only `ok` tells lists, of values that
/// were appended. Returns how many began while another was running.
fn check(events: &[Value]) -> usize {
    let (mut open, mut overlaps) = (HashMap::new(), 0);
    let (mut ids, mut appended) = (HashSet::new(), HashSet::new());
    for event in events {
        let (id, process) = (event["id"].as_u64().unwrap(), event["p"].as_u64().unwrap());
        if event["t"] == "invoke" {
            assert!(ids.insert(id), "{event}");
            overlaps += usize::from(!open.is_empty());
            assert_eq!(open.insert(process, event.clone()), None, "{event}");
            for op in asked(event).iter().filter(|op| op[0] == "append") {
                assert!(appended.insert(op[2].as_u64().unwrap()), "{op} is not the first");
            }
            continue;
        }
        let begun = open.remove(&process).unwrap();
        assert_eq!((&begun["id"], asked(&begun)), (&event["id"], asked(event)));
        for read in event["ops"].as_array().unwrap().iter().filter(|op| op[0] == "r") {
            match event["t"].as_str().unwrap() {
                "ok" => assert!(
                    read[2]
                        .as_array()
                        .unwrap()
                        .iter()
                        .all(|value| appended.contains(&value.as_u64().unwrap()))
                ),
                "fail" | "info" => assert_eq!(read[2], Value::Null),
                other => panic!("{other}"),
            }
        }
    }
    assert!(open.is_empty(), "{open:?}");
    overlaps
}

#[test]
fn every_level_prints_a_history_of_transactions_that_overlap() {
    for level in LEVELS {
        let home = Home::new();
        let output = history(&home, &["--level", level, "--threads", "8", "--txns", "600", "--keys", "4"]);
        let events = events(&output);
        assert!(check(&events) > 300, "{level}");
        let count = |kind: &str| events.iter().filter(|event| event["t"] == kind).count();
        assert_eq!(count("invoke"), 600, "{level}");
        assert!(
            count("ok") > 100 && count("fail") > 10,
            "{level}: {} ok, {} fail",
            count("ok"),
            count("fail")
        );
        assert_eq!(count("info"), 0, "{level}");
    }
}

#[test]
fn lists_retire() {
    let home = Home::new();
    let output =
        history(&home, &["--level", "snapshot", "--txns", "400", "--keys", "2", "--appends-per-key", "5"]);
    let events = events(&output);
    let ops = events.iter().flat_map(asked).filter(|op| op[0] == "append");
    let mut appends: HashMap<String, HashSet<u64>> = HashMap::new();
    for op in ops {
        appends.entry(op[1].as_str().unwrap().into()).or_default().insert(op[2].as_u64().unwrap());
    }
    assert!(appends.len() > 20 && appends.values().all(|values| values.len() <= 5), "{appends:?}");
}

#[test]
fn a_second_run_goes_on_with_the_lists_of_the_first() {
    let home = Home::new();
    let flags = ["--level", "snapshot", "--txns", "100", "--keys", "3"];
    let both: Vec<Value> = (0..2).flat_map(|_| events(&history(&home, &flags))).collect();
    check(&both);
    let lists = |events: &[Value]| -> HashSet<String> {
        let ops = events.iter().flat_map(asked);
        ops.map(|op| op[1].as_str().unwrap().to_owned()).collect()
    };
    assert!(lists(&both[..200]).intersection(&lists(&both[200..])).count() > 0, "no list in common");
    let last = &both[both.len() - 1]["ops"];
    let dump = String::from_utf8(home.dump().stdout).unwrap();
    for read in last.as_array().unwrap() {
        let list: Vec<_> = read[2].as_array().unwrap().iter().map(Value::to_string).collect();
        let row = format!("{}\t{}\n", read[1].as_str().unwrap(), list.join(" "));
        assert!(list.is_empty() || dump.contains(&row), "{row} is not in the dump");
    }
}

#[test]
fn a_killed_run_leaves_a_history_that_the_next_one_continues() {
    let home = Home::new();
    let flags = ["torture", "history", "--level", "snapshot", "--txns", "1000000", "--durability", "group"];
    let mut child = bare(&flags).arg(home.path()).stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut lines = output.lines().map(Result::unwrap);
    let mut said: Vec<String> = lines.by_ref().take(500).collect();
    child.kill().unwrap();
    said.extend(lines);
    child.wait().unwrap();
    if serde_json::from_str::<Value>(said.last().unwrap()).is_err() {
        said.pop();
    }
    let killed: Vec<Value> = said.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let running = |event: &&Value| {
        event["t"] == "invoke" && !killed.iter().any(|end| end["t"] != "invoke" && end["id"] == event["id"])
    };
    let unknown = killed.iter().filter(running).cloned();
    let closed = unknown.map(|mut event| {
        event["t"] = "info".into();
        event
    });
    let mut both = killed.clone();
    both.extend(closed);
    both.extend(events(&history(&home, &["--level", "snapshot", "--txns", "50"])));
    check(&both);
}

#[test]
fn a_reader_that_goes_ends_it_quietly() {
    let home = Home::new();
    let flags = ["torture", "history", "--level", "snapshot", "--txns", "100000"];
    let mut child =
        bare(&flags).arg(home.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    assert_eq!(told(&child.wait_with_output().unwrap(), 0), "");
    assert!(home.dump().status.success());
}

#[test]
fn a_full_disk_below_the_output_is_told() {
    let Ok(full) = File::options().write(true).open("/dev/full") else { return };
    let home = Home::new();
    let flags = ["torture", "history", "--level", "snapshot", "--txns", "1000"];
    let output = bare(&flags).arg(home.path()).stdout(full).output().unwrap();
    assert!(told(&output, 5).contains("writing the output"));
}

#[test]
fn wrong_usage_is_told_before_anything_is_made() {
    let home = Home::new();
    for flags in [
        &["--txns", "5"][..],
        &["--level", "chaos"],
        &["--level", "snapshot", "--threads", "0"],
        &["--level", "snapshot", "--keys", "0"],
        &["--level", "snapshot", "--keys", "10000"],
        &["--level", "snapshot", "--txns", "-1"],
        &["--level", "snapshot", "--ops-per-txn", "0"],
        &["--level", "snapshot", "--durability", "perhaps"],
    ] {
        told(&history(&home, flags), 2);
        assert!(!home.path().exists(), "{flags:?}");
    }
}

#[test]
fn rows_of_somebody_else_are_refused() {
    let home = Home::new();
    told(&home.run(&["put", "list/0001-00000000", "what is this"]), 0);
    let text = told(&history(&home, &["--level", "snapshot", "--keys", "2"]), 2);
    assert!(text.contains("list/0001-00000000"), "{text}");
}

#[test]
fn none_and_one_transaction_are_histories_too() {
    for (txns, lines) in [("0", 0), ("1", 2)] {
        let output = history(&Home::new(), &["--level", "serializable", "--txns", txns]);
        assert_eq!(events(&output).len(), lines);
    }
}
